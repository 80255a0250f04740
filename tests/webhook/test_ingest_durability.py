"""2xx means durable. When something is down the answer is 503, and the same POST again brings each message once."""

import asyncio

import pytest
from webhook_bed import ANA, WebhookBed, assert_problem

from sandbox import whatsapp_webhooks as meta
from tests.builders import CrashError

BIA = "5511900000002"


def mixed() -> list[meta.Change]:
    return [
        meta.inbound_text(ANA, "um", id="wamid.1"),
        meta.status("wamid.OUT", "sent", ANA),
        meta.inbound_text(BIA, "dois", id="wamid.2"),
        {"field": "messages", "value": "broken"},
    ]


async def test_without_the_inbox_nothing_is_taken_and_nobody_woken(durable_bed: WebhookBed) -> None:
    bed, changes = durable_bed, mixed()
    bed.inbox.is_down = True
    for _ in range(3):
        response = await bed.post(*changes)
        assert_problem(response, 503)
        assert int(response.headers["retry-after"]) >= 1
    assert not bed.queue.woken
    assert not bed.store.updates
    bed.inbox.is_down = False
    assert (await bed.post(*changes)).status_code == 200
    assert [message.text for message in bed.kept] == ["um", "dois"]
    assert len(bed.queue.woken) == 2
    assert len(await bed.raw_letters()) == 1


async def test_statuses_alone_need_no_inbox(durable_bed: WebhookBed) -> None:
    durable_bed.inbox.is_down = True
    assert (await durable_bed.post(meta.status("wamid.OUT", "sent", ANA))).status_code == 200


async def test_messages_alone_need_no_store(durable_bed: WebhookBed) -> None:
    """Where the inbox is elsewhere than the store, an outage of the store is the worker's business."""
    durable_bed.store.is_down = True
    assert (await durable_bed.post(meta.inbound_text(ANA, "Oi"))).status_code == 200
    assert (await durable_bed.write("Oi")).status_code == 202


@pytest.mark.parametrize("change", [meta.status("wamid.OUT", "sent", ANA), {"field": "messages", "value": "broken"}])
async def test_without_the_store_what_needs_it_comes_again(durable_bed: WebhookBed, change: meta.Change) -> None:
    bed = durable_bed
    bed.store.is_down = True
    response = await bed.post(change)
    assert_problem(response, 503)
    assert int(response.headers["retry-after"]) >= 1
    bed.store.is_down = False
    assert (await bed.post(change)).status_code == 200
    assert len(bed.store.updates) + len(await bed.raw_letters()) == 1


async def test_half_a_post_that_was_taken_is_not_taken_twice(durable_bed: WebhookBed) -> None:
    """The messages are durable, the statuses are not: 503, and the repetition adds only what was missing."""
    bed, changes = durable_bed, mixed()
    bed.store.is_down = True
    assert_problem(await bed.post(*changes), 503)
    assert len(bed.kept) == len(bed.queue.woken) == 2, "who is durable is worked on at once"
    bed.store.is_down = False
    assert (await bed.post(*changes)).status_code == 200
    assert await bed.inbox.depth() == 2
    assert len(bed.kept) == 2
    assert len(bed.store.updates) == 1
    assert len(await bed.raw_letters()) == 1


async def test_statuses_that_broke_off_in_the_middle_come_again(durable_bed: WebhookBed) -> None:
    bed = durable_bed
    changes = [meta.status(f"wamid.{number}", "sent", ANA) for number in range(10)]
    bed.store.breaks_after = 4
    assert_problem(await bed.post(*changes), 503)
    bed.store.breaks_after = None
    assert (await bed.post(*changes)).status_code == 200
    assert {update.platform_message_id for update in bed.store.updates} == {f"wamid.{n}" for n in range(10)}


async def test_a_duplicate_of_a_waiting_message_wakes_its_worker_again(durable_bed: WebhookBed) -> None:
    change = meta.inbound_text(ANA, "Oi", id="wamid.1")
    for _ in range(3):
        assert (await durable_bed.post(change)).status_code == 200
    assert len(durable_bed.queue.woken) == 3
    assert await durable_bed.inbox.depth() == 1


async def test_two_hundred_deliveries_at_once_are_one_message(durable_bed: WebhookBed) -> None:
    change = meta.inbound_text(ANA, "Oi", id="wamid.1")
    responses = await asyncio.gather(*(durable_bed.post(change) for _ in range(200)))
    assert {response.status_code for response in responses} == {200}
    assert len(durable_bed.kept) == 1
    assert await durable_bed.inbox.depth() == 1


async def test_a_death_before_the_append_leaves_nothing(durable_bed: WebhookBed) -> None:
    """Crash point 1: nothing durable, no 2xx, and the platform's retry brings it."""
    bed, change = durable_bed, meta.inbound_text(ANA, "Oi", id="wamid.1")
    bed.faults.armed = "ingest.before_append"
    with pytest.raises(CrashError):
        await bed.post(change)
    assert await bed.inbox.depth() == 0
    assert (await bed.post(change)).status_code == 200
    assert await bed.inbox.depth() == 1


@pytest.mark.parametrize("point", ["ingest.appended", "ingest.before_answer"])
async def test_a_death_after_the_append_loses_and_doubles_nothing(durable_bed: WebhookBed, point: str) -> None:
    """Crash point 3: the message is due for whoever sweeps, woken or not, and the retry is a duplicate."""
    bed, change = durable_bed, meta.inbound_text(ANA, "Oi", id="wamid.1")
    bed.faults.armed = point
    with pytest.raises(CrashError):
        await bed.post(change)
    assert await bed.inbox.due(at=bed.clock.now(), limit=10) == [bed.kept[0].conversation_id]
    assert (await bed.post(change)).status_code == 200
    assert await bed.inbox.depth() == 1


async def test_the_chat_answers_503_too(durable_bed: WebhookBed) -> None:
    bed = durable_bed
    bed.inbox.is_down = True
    response = await bed.write("Oi", id="m-1")
    assert_problem(response, 503)
    assert int(response.headers["retry-after"]) >= 1
    assert not bed.queue.woken
    bed.inbox.is_down = False
    assert (await bed.write("Oi", id="m-1")).status_code == 202
    assert len(bed.kept) == 1


@pytest.mark.parametrize("down", ["inbox", "store"])
async def test_asking_for_a_status_answers_503_while_it_cannot_be_known(durable_bed: WebhookBed, down: str) -> None:
    bed = durable_bed
    await bed.write("Oi", id="m-1")
    getattr(bed, down).is_down = True
    response = await bed.ask("m-1")
    assert_problem(response, 503)
    assert response.headers["retry-after"] == "1"
