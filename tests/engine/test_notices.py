"""The team hears of a hand-off: by Slack, e-mail and signed webhook, none lost, and again while it waits."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from adapters.email import EmailError, Mailer
from adapters.http.callbacks import HttpCallback, signature
from adapters.http.slack import SlackWebhook
from contracts.analysis import AnalysisKind
from contracts.links import linkifier
from contracts.notices import COLLECTION, NoticeEvent, NoticeTarget
from contracts.ports import Store
from contracts.turn import TurnReason
from reports.status import read_status
from tests.adapters.test_callbacks import SECRET, receiving
from tests.builders import (
    CrashError,
    EngineBed,
    conversation_id,
    decision,
    engine_bed,
    inbound,
    open_backend,
    pyloto,
    scripted,
    summary,
)
from tests.slack_webhooks import SlackWebhooks
from tests.smtp_server import smtp_server
from worker.analyses.processing import analyse, desk_of
from worker.analyses.requests import analyses_of
from worker.drain import drain
from worker.people.notices import AT_ONCE, ATTEMPTS, LEASE, NoticeDelivery, Notices
from worker.people.privacy import erase

C1 = conversation_id()
PATH = "T000/B000/a-secret"
EVERYTHING = Notices(frozenset({NoticeTarget.WEBHOOK}), frozenset(NoticeEvent))
HUMAN = decision(
    next_state="ESCALATING", intent="complaint", business_line="delivery", collected=[{"name": "name", "value": "Ana"}]
)


@pytest.fixture(params=["sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    async with open_backend(request.param, tmp_path) as both:
        yield both


class Team:
    """A delivery with receivers of three kinds, and what each of them has got."""

    def __init__(self, bed: EngineBed, **receivers: Any) -> None:
        self.bed = bed
        self.slack = SlackWebhooks({PATH}, monotonic=lambda: 0.0)
        webhook = SlackWebhook(
            f"https://hooks.slack.com/services/{PATH}", transport=httpx.ASGITransport(self.slack.app())
        )
        self.delivery = NoticeDelivery(
            bed.store,
            pyloto,
            bed.clock,
            bed.faults,
            random.Random(0).random,
            {NoticeTarget.SLACK: lambda one: webhook.post(one.text), **receivers},
            timedelta(minutes=10),
            "https://prosa.example",
        )

    @property
    def texts(self) -> list[str]:
        return self.slack.posted.get(PATH, [])

    async def send(self) -> None:
        await self.delivery.send_due()


async def say(bed: EngineBed, text: str = "A entrega sumiu & ninguém <responde>") -> None:
    await bed.inbox.append([inbound(text, at=bed.clock.now(), person_name="Ana")])
    await drain(C1, bed.engine.drain)


async def waiting(store: Store, bed: EngineBed) -> int:
    return len(await store.records.page(COLLECTION, at=bed.clock.now()))


async def test_a_hand_off_is_told_once_and_again_until_an_agent_takes_it(store: Any) -> None:
    bed = engine_bed(*store, model=scripted(state=HUMAN), notices=Notices(frozenset({NoticeTarget.SLACK})))
    team = Team(bed)
    await say(bed)
    for _ in range(3):
        await team.send()
    (text,) = team.texts
    head = await bed.store.conversations.load(C1)
    assert "Ana espera por uma pessoa da equipe" in text
    assert "A entrega sumiu & ninguém <responde>" in text
    assert f"https://prosa.example/console/conversations/{head.id}" in text
    assert (await read_status(*store, zone=UTC, ceiling=None, at=bed.clock.now() + timedelta(minutes=3))).view()[
        "hand_offs"
    ] == {"waiting": 1, "oldest_seconds": 180.0}
    for minutes, told in ((9, 1), (1, 2), (19, 2), (2, 3)):
        bed.clock.move(timedelta(minutes=minutes))
        await team.send()
        assert len(team.texts) == told
    assert "espera há 10 minutos" in team.texts[1]
    await bed.engine.operators.agents.take(C1, agent="ana")
    bed.clock.move(timedelta(days=2))
    await team.send()
    assert len(team.texts) == 3
    assert await waiting(bed.store, bed) == 0


async def test_a_crash_at_any_point_loses_no_hand_off(store: Any) -> None:
    bed = engine_bed(*store, model=scripted(state=HUMAN), notices=Notices(frozenset({NoticeTarget.SLACK})))
    team = Team(bed)
    await say(bed)
    bed.faults.armed = "notice.claimed"
    with pytest.raises(BaseExceptionGroup) as crash:
        await team.send()
    assert isinstance(crash.value.exceptions[0], CrashError)
    await team.send()
    assert team.texts == []
    bed.clock.move(LEASE)
    await asyncio.gather(team.send(), team.send())
    assert len(team.texts) == 1


async def test_a_webhook_gets_the_chosen_events_signed_and_knows_a_repetition(store: Any) -> None:
    async with receiving() as receiver:
        bed = engine_bed(*store, model=scripted(state=[decision(), HUMAN]), notices=EVERYTHING)
        callback = HttpCallback(f"{receiver.url}/told", secret=SECRET, named="PROSA_NOTIFY_SECRET")

        async def send(one: Any) -> None:
            await callback.send(one.content, delivery_id=one.id, at=one.at)

        team = Team(bed, **{NoticeTarget.WEBHOOK: send})
        await say(bed, "Oi")
        await team.send()
        bed.faults.armed = "notice.accepted"
        await say(bed)
        await bed.engine.operators.agents.hand_back(C1, agent="ana")
        await say(bed, "parar")
        with pytest.raises(BaseExceptionGroup):
            await team.send()
        bed.clock.move(LEASE)
        await team.send()
        got = [orjson.loads(body) for _, body in receiver.got]
        by_id = {one["id"]: one["event"] for one in got}
        assert sorted(by_id.values()) == ["hand_back", "hand_off", "opt_out", "reply", "reply", "reply"]
        assert len(got) > len(by_id)
        for headers, body in receiver.got:
            assert headers["webhook-id"] == orjson.loads(body)["id"]
            stamp = headers["webhook-timestamp"]
            assert (
                headers["webhook-signature"] == f"v1,{signature(SECRET.encode(), headers['webhook-id'], stamp, body)}"
            )
        (off,) = {orjson.dumps(one) for one in got if one["event"] == "hand_off"}
        told = orjson.loads(off)
        assert (told["reason"], told["facts"], told["person"]) == (TurnReason.DECIDED, {"Nome": "Ana"}, "Ana")
        await callback.close()


async def test_a_customers_link_is_marked_and_cannot_be_clicked_wherever_a_summary_goes(store: Any) -> None:
    wants = "Pagar em https://golpe.example/pix ou golpe.shop, como em pyloto.com.br"
    receivers = Notices(frozenset({NoticeTarget.SLACK, NoticeTarget.WEBHOOK}), frozenset({NoticeEvent.HAND_OFF}))
    model = scripted(state=HUMAN, handoff_summary=summary(wants=wants))
    bed = engine_bed(*store, model=model, notices=receivers)
    events: list[Any] = []

    async def receive(one: Any) -> None:
        events.append(one.content)

    team = Team(bed, **{NoticeTarget.WEBHOOK: receive})
    await say(bed, "paguei em www.golpe.example/a.php, me liga")
    asked = await desk_of(bed.engine.analyses).request(C1, AnalysisKind.HANDOFF_SUMMARY)
    assert asked
    await analyse(asked.id, bed.engine.analyses)
    for _ in range(3):
        await team.send()
    (text,), (event,) = team.texts, events
    stored = (await analyses_of(C1, bed.store.records, at=bed.clock.now()))[0].result
    for read in (text, json.dumps(event, ensure_ascii=False), json.dumps(stored, ensure_ascii=False)):
        assert "[link do cliente: golpe[.]example/pix]" in read
        assert "[link do cliente: golpe[.]shop]" in read
        assert "como em pyloto.com.br" in read
    assert "[link do cliente: www[.]golpe[.]example/a[.]php]" in event["open_question"]
    assert {found.raw for found in linkifier().match(text) or ()} == {event["url"], "pyloto.com.br"}


async def test_an_e_mail_is_tried_again_and_the_model_s_summary_comes_with_the_reminder(store: Any) -> None:
    async with smtp_server() as server:
        bed = engine_bed(*store, model=scripted(state=HUMAN), notices=Notices(frozenset({NoticeTarget.EMAIL})))
        mailer = Mailer(server.url, to=["time@pyloto.example", "noite@pyloto.example"])
        team = Team(bed, **{NoticeTarget.EMAIL: lambda one: mailer.send(one.subject, one.text, message_id=one.id)})
        await say(bed)
        server.refuses = 1
        await team.send()
        assert server.got == []
        bed.clock.move(timedelta(seconds=5))
        await team.send()
        (first,) = server.got
        assert "espera por uma pessoa" in first["subject"]
        assert first["to"] == "time@pyloto.example, noite@pyloto.example"
        summary = await desk_of(bed.engine.analyses).request(C1, AnalysisKind.HANDOFF_SUMMARY)
        assert summary
        await analyse(summary.id, bed.engine.analyses)
        bed.clock.move(timedelta(minutes=11))
        await team.send()
        assert "Contratar entregas diárias" in server.got[1].get_content()
        assert server.got[0]["message-id"] != server.got[1]["message-id"]


async def test_a_receiver_that_never_answers_is_given_up_and_an_erased_person_is_not_told_of(store: Any) -> None:
    bed = engine_bed(*store, model=scripted(state=HUMAN), notices=Notices(frozenset({NoticeTarget.SLACK})))
    tries: list[str] = []

    async def refuse(one: Any) -> None:
        tries.append(one.id)
        raise EmailError("refused")

    team = Team(bed, **{NoticeTarget.SLACK: refuse})
    await say(bed)
    for _ in range(2 * ATTEMPTS):
        await team.send()
        bed.clock.move(timedelta(minutes=20))
    assert len(tries) == ATTEMPTS
    assert len(set(tries)) == 1
    assert await waiting(bed.store, bed) == 0
    await bed.engine.operators.agents.hand_back(C1, agent="ana")
    await bed.engine.operators.agents.escalate(C1, agent="ana", reason="operator")
    assert await waiting(bed.store, bed) == 1
    await erase(C1, bed.engine.operators)
    assert await waiting(bed.store, bed) == 0


async def test_a_look_says_how_many_it_took_so_that_a_full_one_is_followed_at_once(store: Any) -> None:
    bed = engine_bed(*store, notices=Notices(frozenset({NoticeTarget.SLACK})), model=scripted(state=[HUMAN] * 25))
    team = Team(bed)
    team.delivery = replace(team.delivery, receivers={NoticeTarget.SLACK: heard_nothing})
    for number in range(25):
        await bed.inbox.append([inbound("uma pessoa", conversation=f"c-{number}")])
        await drain(conversation_id(f"c-{number}"), bed.engine.drain)
    assert [await team.delivery.send_due() for _ in range(3)] == [AT_ONCE, 5, 0]


async def heard_nothing(_: Any) -> None:
    return
