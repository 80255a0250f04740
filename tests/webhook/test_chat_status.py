"""What became of a message: asked once, or waited for."""

import asyncio
import itertools
from typing import Any

import pytest
from webhook_bed import WebhookBed, assert_problem

from adapters import waiting
from contracts.conversation import State
from tests.builders import START, conversation_id
from webhook.chat import MessageStatus

NAME = conversation_id("c-1")


async def test_it_is_received_until_a_worker_takes_it(durable_bed: WebhookBed) -> None:
    bed = durable_bed
    await bed.write(id="m-1")
    assert (await bed.ask("m-1")).json() == {"message_id": "m-1", "status": "received", "reply": None}
    lease = await bed.inbox.claim(NAME, ttl=bed.clock.at - START.replace(year=2025), at=bed.clock.at)
    await bed.inbox.take(lease, isolate_after=2)
    assert (await bed.ask("m-1")).json() == {"message_id": "m-1", "status": "processing", "reply": None}


@pytest.mark.parametrize(
    ("state", "reason", "status"),
    [
        (State.AWAITING_USER, "decided", "replied"),
        (State.COMPLETED, "decided", "replied"),
        (State.ESCALATING, "decided", "escalated"),
        (State.ESCALATING, "model_unavailable", "escalated"),
        (State.FAILED, "", "failed"),
        (State.ESCALATING, "dead_letter", "failed"),
    ],
)
async def test_it_is_settled_with_its_reply(durable_bed: WebhookBed, state: State, reason: str, status: str) -> None:
    await durable_bed.write(id="m-1")
    row = await durable_bed.reply("Pois não", state=state, reason=reason)
    answer = (await durable_bed.ask("m-1")).json()
    assert answer == {
        "message_id": "m-1",
        "status": status,
        "state": state.value,
        "turn_id": row.turn_id,
        "reply": {"type": "TEXT", "text": "Pois não"},
        "at": START.isoformat(),
    }
    assert MessageStatus.model_validate_json((await durable_bed.ask("m-1")).content)


async def test_messages_answered_together_have_the_same_reply(durable_bed: WebhookBed) -> None:
    for number in range(3):
        await durable_bed.write(id=f"m-{number}")
    await durable_bed.reply("Pois não")
    answers = [(await durable_bed.ask(f"m-{number}")).json() for number in range(3)]
    assert len({answer["turn_id"] for answer in answers}) == 1
    assert {answer["reply"]["text"] for answer in answers} == {"Pois não"}


@pytest.mark.parametrize("id", ["other", "m-1 ", "%00", "%F0%9F%98%80", "x" * 3000, "m-1'--"])
async def test_an_unknown_message_is_not_found(durable_bed: WebhookBed, id: str) -> None:
    await durable_bed.write(id="m-1")
    assert_problem(await durable_bed.ask(id), 404)
    assert_problem(await durable_bed.ask("m-1", conversation="c-2"), 404)


@pytest.mark.parametrize("wait", ["-1", "30.1", "nan", "inf", "-inf", "1s", "", "0x10", "1e9", "9" * 400])
async def test_a_bad_wait_is_refused(bed: WebhookBed, wait: str) -> None:
    await bed.write(id="m-1")
    assert_problem(await bed.ask("m-1", wait=wait), 400)


@pytest.mark.parametrize("wait", ["0", "30", "0.5", "1e1", " 5 "])
async def test_who_waits_for_what_is_settled_gets_it_at_once(bed: WebhookBed, wait: str) -> None:
    await bed.write(id="m-1")
    await bed.reply()
    async with asyncio.timeout(0.4):
        assert (await bed.ask("m-1", wait=wait)).json()["status"] == "replied"


async def test_who_waits_gets_the_reply_as_soon_as_it_is_committed(durable_bed: WebhookBed) -> None:
    """By the news of it, not by asking again."""
    bed = durable_bed
    await bed.write(id="m-1")
    asked = asyncio.create_task(bed.ask("m-1", wait=30))
    await bed.events.until_watching(1)
    await bed.reply("Pois não")
    async with asyncio.timeout(5):
        assert (await asked).json()["reply"]["text"] == "Pois não"
    await bed.events.until_watching(0)


async def test_who_waits_gets_the_reply_even_when_its_news_got_lost(
    durable_bed: WebhookBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed = durable_bed
    monkeypatch.setattr(waiting, "ASK_AGAIN_SECONDS", 0.01)
    await bed.write(id="m-1")
    asked_often, looks, receipt = asyncio.Event(), itertools.count(1), bed.store.conversations.receipt

    async def look(*message: Any) -> Any:
        if next(looks) == 4:
            asked_often.set()
        return await receipt(*message)

    bed.store.conversations.receipt = look
    asked, often = asyncio.create_task(bed.ask("m-1", wait=30)), asyncio.create_task(asked_often.wait())
    await asyncio.wait([asked, often], return_when=asyncio.FIRST_COMPLETED)
    await bed.reply("Pois não", told=False)
    async with asyncio.timeout(5):
        assert (await asked).json()["reply"]["text"] == "Pois não"


async def test_who_waited_long_enough_is_told_how_it_stands(bed: WebhookBed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "ASK_AGAIN_SECONDS", 0.01)
    await bed.write(id="m-1")
    answer = await bed.ask("m-1", wait="0.1")
    assert (answer.status_code, answer.json()["status"]) == (200, "received")
    assert_problem(await bed.ask("m-2", wait="0.1"), 404)
    await bed.events.until_watching(0)


async def test_many_can_wait_for_one_message(bed: WebhookBed) -> None:
    await bed.write(id="m-1")
    asked = [asyncio.create_task(bed.ask("m-1", wait=30)) for _ in range(50)]
    await bed.events.until_watching(50)
    await bed.reply("Pois não")
    answers = await asyncio.gather(*asked)
    assert {answer.json()["reply"]["text"] for answer in answers} == {"Pois não"}
    await bed.events.until_watching(0)
