"""What a turn leaves in the metrics and in the performance ledger."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from contracts.errors import ChannelRefusedError, ModelRequestRejectedError, ModelUnavailableError
from contracts.performance import COLLECTION, Count, Page, Times
from contracts.ports import ModelRequest
from observability.metrics import REGISTRY
from prompts.pricing.budget import Ceilings
from reports.budget import BudgetSync
from tests.builders import (
    EngineBed,
    SteppingClock,
    conversation_id,
    engine_bed,
    inbound,
    memory_inbox,
    memory_store,
    meter,
)
from tests.scripted import ScriptedModel
from worker.drain import drain

C1 = conversation_id("c-1")


def count(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


def rise(name: str, **labels: str) -> Callable[[], float]:
    before = count(name, **labels)
    return lambda: count(name, **labels) - before


async def say(bed: EngineBed, text: str = "Oi, bom dia", *, waited: timedelta = timedelta(0)) -> None:
    await bed.inbox.append([inbound(text, at=bed.clock.now())])
    bed.clock.move(waited)
    await drain(C1, bed.engine.drain)


async def booked(bed: EngineBed) -> Page:
    await bed.engine.turn.ledger.flush()
    records = await bed.store.records.page(COLLECTION, at=bed.clock.now())
    return Page.sum(Page.of_body(record.body) for record in records)


async def test_a_turn_is_counted_with_its_moves_its_source_and_the_time_to_its_reply() -> None:
    bed = engine_bed(memory_inbox(), memory_store())
    begun = rise("fsm_transitions_total", trigger="begin", source="INIT", dest="IDENTIFYING")
    answered = rise("worker_answers_total", source="model")
    quick = rise("worker_reply_seconds_bucket", channel="web", le="2.0")
    slow = rise("worker_reply_seconds_bucket", channel="web", le="3.0")
    await say(bed, waited=timedelta(seconds=2.5))
    assert (begun(), answered(), quick(), slow()) == (1, 1, 0, 1)
    page = await booked(bed)
    assert page.of(Count.ANSWERS) == {"model": 1}
    assert page.time(Times.REPLY).quantile(0.5) == pytest.approx(2_500, rel=0.02)
    assert page.time(Times.TURN).count == page.time(Times.ENGINE).count == 1
    assert set(page.quality) >= {"state", "response"}


async def test_a_move_outside_a_turn_is_counted_too() -> None:
    bed = engine_bed(memory_inbox(), memory_store())
    await say(bed)
    moved = rise("fsm_transitions_total", trigger="escalate", source="AWAITING_USER", dest="ESCALATING")
    await bed.engine.operators.agents.escalate(C1, agent="", reason="test")
    assert moved() == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ModelUnavailableError("busy"), "unavailable"), (ModelRequestRejectedError("bad key"), "rejected")],
)
async def test_a_model_that_fails_is_counted_by_kind_and_its_turn_as_a_failure(error: Exception, kind: str) -> None:
    async def fails(_: ModelRequest) -> str:
        raise error

    bed = engine_bed(memory_inbox(), memory_store(), model=ScriptedModel(fails))
    failed, fallback = rise("prompter_model_errors_total", kind=kind), rise("worker_answers_total", source="fallback")
    await say(bed)
    assert failed() > 0
    assert fallback() == 1
    assert sum((await booked(bed)).of(Count.FAILURES).values()) == 1


async def test_a_reply_that_a_platform_refuses_is_a_failure() -> None:
    bed = engine_bed(memory_inbox(), memory_store())
    bed.channel.next_errors = [ChannelRefusedError("blocked", code="131026")]
    await say(bed)
    page = await booked(bed)
    assert page.of(Count.FAILURES) == {"refused": 1}
    assert page.time(Times.REPLY).count == 0


async def test_the_share_of_the_budget_is_what_all_have_spent_of_it() -> None:
    store, clock = memory_store(), SteppingClock()
    for writer, spent in (("theirs", 3), ("mine", 2)):
        day = meter(clock, ceilings=Ceilings(day=Decimal(10))).day
        day.add(Decimal(spent))
        await BudgetSync(store.records, day, writer=writer, clock=clock).run()
    assert count("budget_day_spent_ratio") == 0.5
