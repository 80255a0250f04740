"""The bubbles of one reply: the next one goes when the platform has reported the one before, or after a time."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.channels.web import LIMITS
from contracts.delivery import OutboxRow
from contracts.messages import DeliveryState, StatusUpdate
from observability.metrics import REGISTRY
from tests.builders import (
    BACKENDS,
    CrashError,
    EngineBed,
    RecordingChannel,
    SteppingClock,
    conversation_id,
    engine_bed,
    inbound,
    open_backend,
)
from tests.engine.test_timers import DrainingQueue
from worker.drain import drain
from worker.sweeper import sweep

C1 = conversation_id()
BOUND, SECOND = timedelta(seconds=3), timedelta(seconds=1)
REPORTED = LIMITS.model_copy(update={"reported_within": BOUND})


@pytest.fixture(params=BACKENDS)
async def bed(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EngineBed]:
    async with open_backend(request.param, tmp_path) as (inbox, store):
        yield engine_bed(inbox, store, channel=RecordingChannel(limits=REPORTED))


async def answer_in_two(bed: EngineBed) -> None:
    """Answer a message of half an hour ago: a word about the delay, and the answer."""
    late = bed.clock.now() - timedelta(minutes=30)
    await bed.inbox.append([inbound("que horas abre?", sent_at=late)])
    await drain(C1, bed.engine.drain)


async def report(bed: EngineBed, row: OutboxRow, state: DeliveryState) -> None:
    update = StatusUpdate(
        channel=row.address.channel,
        account=row.address.account,
        platform_message_id=f"platform-{row.id}-{row.number}",
        state=state,
        client_reference=row.reference,
        error_code="131026" if state is DeliveryState.FAILED else None,
        at=bed.clock.now(),
    )
    assert await bed.store.outbox.apply_status(update)


async def look(bed: EngineBed, *, after: timedelta = timedelta(0)) -> list[int]:
    """Sweep; return the numbers of the rows that the platform has taken, in its order."""
    bed.clock.move(after)
    queue = DrainingQueue()
    queue.bed = bed
    await sweep(queue, bed.engine.sweep)
    return [row.number for row in bed.channel.accepted]


def unreported() -> float:
    return REGISTRY.get_sample_value("outbox_sends_total", {"channel": "web", "outcome": "unreported"}) or 0


@pytest.mark.parametrize(
    "state", [DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.READ, DeliveryState.FAILED]
)
async def test_the_next_bubble_goes_when_the_one_before_is_reported(bed: EngineBed, state: DeliveryState) -> None:
    await answer_in_two(bed)
    assert await look(bed, after=BOUND - SECOND) == [1]
    before = unreported()
    await report(bed, bed.channel.accepted[0], state)
    assert await look(bed) == [1, 2]
    assert await bed.store.outbox.unsent(C1) == [], "nothing waits behind the last one"
    assert [row.state for row in await bed.store.outbox.rows(C1)] == [state, DeliveryState.SENT]
    assert unreported() == before


async def test_a_status_that_never_comes_is_waited_for_three_seconds(bed: EngineBed) -> None:
    before = unreported()
    await answer_in_two(bed)
    assert await look(bed, after=BOUND - timedelta(microseconds=1)) == [1]
    assert await look(bed, after=timedelta(microseconds=1)) == [1, 2]
    assert unreported() == before + 1
    await report(bed, bed.channel.accepted[0], DeliveryState.DELIVERED)
    states = [row.state for row in await bed.store.outbox.rows(C1)]
    assert states == [DeliveryState.DELIVERED, DeliveryState.SENT]


async def test_a_status_before_the_acceptance_is_recorded_holds_nothing_back(bed: EngineBed) -> None:
    async def come() -> None:
        await report(bed, bed.channel.accepted[0], DeliveryState.SENT)

    bed.faults.pausing["outbox.accepted"] = come
    await answer_in_two(bed)
    assert [row.number for row in bed.channel.accepted] == [1, 2]


@pytest.mark.parametrize("reported", [True, False])
async def test_a_crash_between_two_bubbles_loses_doubles_and_reorders_nothing(bed: EngineBed, reported: bool) -> None:
    bed.faults.armed = "outbox.marked"
    with pytest.raises((CrashError, BaseExceptionGroup)):
        await answer_in_two(bed)
    other = engine_bed(bed.inbox, bed.store, clock=bed.clock, channel=bed.channel)
    # The lease of the one that died runs out first.
    assert await look(other, after=2 * SECOND) == [1]
    if reported:
        await report(bed, bed.channel.accepted[0], DeliveryState.SENT)
    assert await look(other, after=timedelta(0) if reported else BOUND) == [1, 2]
    assert await look(other, after=timedelta(minutes=1)) == [1, 2]


async def test_an_agent_who_takes_over_withdraws_only_what_has_not_left(bed: EngineBed) -> None:
    await answer_in_two(bed)
    await bed.engine.operators.agents.take(C1, agent="bia")
    assert await look(bed, after=BOUND) == [1]
    states = [row.state for row in await bed.store.outbox.rows(C1)]
    assert states == [DeliveryState.SENT, DeliveryState.WITHDRAWN]


@pytest.mark.parametrize("limits", [REPORTED, LIMITS])
async def test_one_bubble_and_a_platform_without_statuses_wait_for_nothing(tmp_path: Path, limits: object) -> None:
    async with open_backend("memory", tmp_path) as (inbox, store):
        channel = RecordingChannel(limits=limits)  # type: ignore[arg-type]
        bed = engine_bed(inbox, store, channel=channel, clock=SteppingClock())
        if limits is LIMITS:
            await answer_in_two(bed)
        else:
            await inbox.append([inbound("que horas abre?")])
            await drain(C1, bed.engine.drain)
        assert len(channel.accepted) == (2 if limits is LIMITS else 1)
        assert await store.outbox.unsent(C1) == []
