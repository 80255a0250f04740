"""The books agree with the turns, on every backend and after every crash; ceilings lead to a person, not to silence."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest

from adapters.channels.web import LIMITS
from contracts.analysis import AnalysisKind
from contracts.conversation import State, TokenCount, TurnRecord
from contracts.delivery import Record
from contracts.errors import ChannelUnavailableError, ModelUnavailableError, StoreUnavailableError
from contracts.institution import FixedText
from contracts.ledger import COLLECTION, NOTHING, Kind, Page, kind_of, shard_key
from contracts.messages import MessageType, OutboundMessage, Template
from contracts.ports import ModelRequest, ModelResponse, Store, TextHeard
from observability.logs import configure_logs
from observability.metrics import BUDGET_ALONE, BUDGET_NOTICES, BUDGET_RUNGS, LEDGER_LATE, UNPRICED_CALLS
from prompts.pricing.budget import Ceilings, Meter
from prompts.tasks import state
from reports.budget import BudgetSync
from reports.cost import By, Span, cost_report, read_day, recount, turns_between
from reports.ledger import Ledger, kept
from tests.builders import (
    BACKENDS,
    START,
    CrashError,
    EngineBed,
    RecordingChannel,
    SteppingClock,
    agreeable,
    conversation_id,
    decision,
    engine_bed,
    executor,
    inbound,
    meter,
    open_backend,
    prompter,
    pyloto,
    response,
    scripted,
)
from tests.scripted import ScriptedModel
from worker.analyses.processing import analyse, desk_of
from worker.drain import drain
from worker.outbox import flush
from worker.people import privacy

TODAY = START.date()
TOMORROW = START + timedelta(days=1)
C1 = conversation_id()


@pytest.fixture(params=BACKENDS)
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    """Makes engines of several processes on one backend."""
    async with open_backend(request.param, tmp_path) as (inbox, store):
        yield lambda **options: engine_bed(inbox, store, **options)


@pytest.fixture
async def beds(tmp_path: Path) -> AsyncIterator[Any]:
    async with open_backend("memory", tmp_path) as (inbox, store):
        yield lambda **options: engine_bed(inbox, store, **options)


async def say(bed: EngineBed, text: str = "Oi", conversation: str = "c-1") -> TurnRecord:
    await bed.inbox.append([inbound(text, conversation=conversation, at=bed.clock.now())])
    await drain(conversation_id(conversation), bed.engine.drain)
    return (await bed.store.conversations.turns(conversation_id(conversation)))[-1]


async def truth(store: Store) -> Page:
    """All turns that stand in the store, added up without the ledger."""
    page = Page()
    async for turn in turns_between(store, START - timedelta(days=9), START + timedelta(days=9)):
        page.add_turn(turn)
    return page


async def test_the_books_of_many_workers_are_the_sum_of_all_turns(shared: Any) -> None:
    workers: list[EngineBed] = [shared(model=scripted(state=decision(business_line="delivery"))) for _ in range(4)]

    async def talk(number: int) -> None:
        for turn in range(3):
            await say(workers[(number + turn) % len(workers)], conversation=f"c-{number}")

    async def flush_often() -> None:
        for _ in range(5):
            await asyncio.gather(*(worker.engine.turn.ledger.flush() for worker in workers))

    await asyncio.gather(*(talk(number) for number in range(12)), flush_often())
    await flush_often()
    store = workers[0].store
    booked, expected = await read_day(store.records, TODAY, at=START), await truth(store)
    assert booked == expected
    assert (booked.turn_count, booked.total.calls) == (36, 108)
    assert booked.total.usd == sum(
        [Decimal(turn.cost_usd or "unknown") async for turn in turns_between(store, START, TOMORROW)]
    )
    assert {group.line for group in booked.rows} == {"delivery"}
    heads = [await store.conversations.load(conversation_id(f"c-{number}")) for number in range(12)]
    assert sum(Decimal(head.spent_usd) for head in heads if head) == booked.total.usd


async def test_what_a_resolved_conversation_costs_by_arm(shared: Any) -> None:
    """Also of one that was resolved by an answer out of the cache, and after a recount."""
    ends = decision(next_state="COMPLETED")
    bed = shared(model=scripted(state=[decision(), ends, decision(), decision()]))
    turns = [await say(bed, text, conversation) for conversation in ("c-1", "c-2") for text in ("Oi", "só isso")]
    page = Page()
    for turn, arm in zip(turns, ("v1", "v1", "v2", "v2"), strict=True):
        page.add_turn(turn.model_copy(update={"arms": (f"x={arm}",)}))
    unpaid = turns[1].tasks[0].model_copy(update={"bill": ()})
    page.add_turn(turns[1].model_copy(update={"arms": ("x=v3",), "tasks": (unpaid,)}))
    assert Page.of(page.body()) == page
    assert Page.of({"rows": [], "turns": []}) == Page()
    await bed.store.records.put(
        Record(collection=COLLECTION, key=shard_key(TODAY, Kind.TURNS, "w"), body=page.body(), updated_at=START)
    )
    report = await cost_report(bed.store, Span(TODAY, TODAY, UTC), By.ARM, at=START)
    of_v1 = sum(Decimal(turn.cost_usd or 0) for turn in turns[:2])
    lines = {line.name: (line.resolved, report.per_resolved(line)) for line in report.lines}
    assert lines == {"x=v1": (1, of_v1), "x=v2": (0, None), "x=v3": (1, Decimal(0))}
    assert report.resolved == 2
    by_name = {row["arm"]: row for row in report.view()["rows"]}  # type: ignore[attr-defined]
    assert Decimal(by_name["x=v1"]["cost_per_resolved_usd"]) == of_v1
    assert by_name["x=v2"]["cost_per_resolved_usd"] is None
    await bed.engine.turn.ledger.flush()
    recounted = await recount(bed.store, TODAY, at=TOMORROW)
    assert recounted.resolved == (await truth(bed.store)).resolved == {(12, ""): 1}


async def test_what_a_dead_process_had_not_written_is_found_by_a_recount(shared: Any) -> None:
    dead, alive = shared(), shared()
    await say(dead)
    await dead.engine.turn.ledger.flush()
    await say(dead, conversation="c-2")
    await say(alive, conversation="c-3")
    await alive.engine.turn.ledger.flush()
    store = alive.store
    assert (await read_day(store.records, TODAY, at=START)).turn_count == 2
    with pytest.raises(ValueError, match="not over"):
        await recount(store, TODAY, at=START)
    with pytest.raises(ValueError, match="forgotten"):
        await recount(store, TODAY, at=START + timedelta(days=91))
    counted = await recount(store, TODAY, at=TOMORROW)
    assert counted == await truth(store) == await read_day(store.records, TODAY, at=TOMORROW)
    assert counted.turn_count == 3
    # The other comes late with what it had, and a second recount comes to the same.
    await dead.engine.turn.ledger.flush()
    assert await read_day(store.records, TODAY, at=TOMORROW) == counted
    assert await recount(store, TODAY, at=TOMORROW) == counted


async def test_a_recount_equals_the_ledger_where_nothing_was_lost(shared: Any) -> None:
    bed = shared()
    for number in range(3):
        await say(bed, conversation=f"c-{number}")
        bed.clock.move(timedelta(hours=1))
    await bed.engine.turn.ledger.flush()
    before = await read_day(bed.store.records, TODAY, at=bed.clock.now())
    assert await recount(bed.store, TODAY, at=TOMORROW) == before
    assert {group.hour for group in before.rows} == {12, 13, 14}


async def test_an_erased_conversation_takes_no_money_out_of_the_books(shared: Any) -> None:
    bed = shared()
    await say(bed)
    await say(bed, conversation="c-2")
    await bed.engine.turn.ledger.flush()
    before = await read_day(bed.store.records, TODAY, at=START)
    await privacy.erase(C1, bed.engine.operators)
    await bed.engine.turn.ledger.flush()
    assert await read_day(bed.store.records, TODAY, at=START) == before
    assert await recount(bed.store, TODAY, at=TOMORROW) == before
    assert await read_day(bed.store.records, TODAY, at=TOMORROW) == before
    kept_shards = await bed.store.records.page(COLLECTION, at=TOMORROW)
    assert not any(C1 in record.model_dump_json() for record in kept_shards)


async def test_a_crash_between_call_and_settling_loses_no_turn_and_holds_nothing(shared: Any) -> None:
    """The call that was under way is paid by nobody's books: it never came back. The next process asks again."""
    first = shared()
    first.faults.armed = "turn.before_commit"
    await first.inbox.append([inbound(at=START)])
    with pytest.raises(BaseExceptionGroup) as died:
        await drain(C1, first.engine.drain)
    assert died.group_contains(CrashError)
    second = shared(clock=SteppingClock(START + timedelta(minutes=5)))
    await drain(C1, second.engine.drain)
    await second.engine.turn.ledger.flush()
    assert await read_day(second.store.records, TODAY, at=START) == await truth(second.store)
    assert (await truth(second.store)).turn_count == 1


async def test_a_write_whose_answer_got_lost_is_not_counted_twice(shared: Any) -> None:
    bed = shared()
    put = bed.store.records.put

    async def written_but_unheard(record: Any) -> Any:
        await put(record)
        raise StoreUnavailableError("the answer got lost")

    await say(bed)
    records = _Puts(bed.store, written_but_unheard)
    ledger = Ledger(records, writer="w", clock=bed.clock)
    ledger.book_turn((await bed.store.conversations.turns(C1))[-1])
    with pytest.raises(StoreUnavailableError):
        await ledger.flush()
    records.put = put
    ledger.book_turn((await bed.store.conversations.turns(C1))[-1])
    await ledger.flush()
    assert (await read_day(bed.store.records, TODAY, at=START)).turn_count == 2


class _Puts:
    """A store whose writes of records go another way."""

    def __init__(self, store: Store, put: Any) -> None:
        self.get, self.page, self.put = store.records.get, store.records.page, put


async def test_dropped_drafts_and_refused_answers_were_paid(beds: Any) -> None:
    """A draft that a newer message made stale, and an answer that had to be repaired."""

    async def answer(request: ModelRequest) -> str:
        first = request.repair_of is None and request.schema_name == "state_decision"
        if first and len(bed.model.requests) == 1:
            await bed.inbox.append([inbound("mais uma coisa")])
            return "not json"
        return await agreeable(request)

    model = ScriptedModel(answer)
    bed = beds(model=model)
    bed.model = model
    turn = await say(bed)
    await bed.engine.turn.ledger.flush()
    booked = await read_day(bed.store.records, TODAY, at=START)
    assert booked.total.calls == len(model.requests) == 5
    assert sum(task.calls for task in turn.tasks) == 3
    apart = [one for one in await bed.store.records.page(COLLECTION, at=START) if kind_of(one.key) is Kind.APART]
    assert [Page.of(one.body).total.calls for one in apart] == [2]
    assert await recount(bed.store, TODAY, at=TOMORROW) == await truth(bed.store)
    assert (await read_day(bed.store.records, TODAY, at=TOMORROW)).total == booked.total
    head = await bed.store.conversations.load(C1)
    assert head is not None
    assert Decimal(head.spent_usd) == booked.total.usd


async def test_each_template_is_in_the_report_with_the_price_of_its_category(beds: Any) -> None:
    channel = RecordingChannel(limits=LIMITS.model_copy(update={"types": LIMITS.types | {MessageType.TEMPLATE}}))
    bed = beds(template_prices={"utility": Decimal("0.008")}, channel=channel)
    await say(bed)
    for number, category in enumerate(("utility", "utility", "marketing")):
        template = Template(name=f"hello_{category}", language="pt_BR", category=category)
        message = OutboundMessage(type=MessageType.TEMPLATE, text="Oi", template=template)
        await bed.engine.operators.agents.reply(C1, message, agent="bia", request_id=str(number))
    bed.channel.next_errors = [ChannelUnavailableError("busy")]
    for _ in range(3):
        await flush(C1, bed.engine.outbox)
        bed.clock.move(timedelta(minutes=2))
    await bed.engine.turn.ledger.flush()
    for by, names in (
        (By.MODEL, {"web utility", "web marketing"}),
        (By.TEMPLATE, {"hello_utility", "hello_marketing"}),
        (By.TASK, {"template"}),
    ):
        report = await cost_report(bed.store, Span(TODAY, TODAY, UTC), by, at=START)
        lines = {line.name: line.amounts for line in report.lines if line.name in names}
        assert set(lines) == names
        paid = sum(lines.values(), NOTHING)
        assert (paid.calls, paid.usd, paid.unpriced) == (3, Decimal("0.016"), 1)
    assert (await recount(bed.store, TODAY, at=TOMORROW)).total.usd + Decimal("0.016") == report.total.usd


async def test_a_commit_that_failed_was_paid(beds: Any) -> None:
    bed = beds()
    commit = bed.store.conversations.commit
    bed.store.conversations.commit = AsyncMock(side_effect=StoreUnavailableError("away"))
    await bed.inbox.append([inbound(at=START)])
    await drain(C1, bed.engine.drain)
    bed.store.commit = commit
    bed.clock.move(timedelta(minutes=1))
    await drain(C1, bed.engine.drain)
    await bed.engine.turn.ledger.flush()
    assert (await read_day(bed.store.records, TODAY, at=START)).total.calls == 6


async def test_analyses_are_booked_before_their_result_is_written(beds: Any) -> None:
    bed = beds()
    await say(bed)
    desk = desk_of(bed.engine.analyses)
    asked = await desk.request(C1, AnalysisKind.HANDOFF_SUMMARY)
    assert asked is not None
    bed.faults.armed = "analysis.thought"
    with pytest.raises(CrashError):
        await analyse(asked.id, bed.engine.analyses)
    booked = await read_day(bed.store.records, TODAY, at=START)
    assert sum(amounts.calls for group, amounts in booked.rows.items() if group.task == "handoff_summary") == 1


async def test_a_call_without_a_price_is_unknown_in_the_books(beds: Any) -> None:
    class Renaming(ScriptedModel):
        async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
            return (await super().complete(request)).model_copy(update={"model": "claude-of-the-future"})

    before = UNPRICED_CALLS._value.get()
    bed = beds(model=Renaming(agreeable))
    turn = await say(bed)
    assert turn.cost_usd is None
    await bed.engine.turn.ledger.flush()
    total = (await read_day(bed.store.records, TODAY, at=START)).total
    assert (total.calls, total.unpriced, total.usd) == (3, 3, 0)
    assert UNPRICED_CALLS._value.get() == before + 3
    head = await bed.store.conversations.load(C1)
    assert head is not None
    assert Decimal(head.spent_usd) > 0


# The report


async def test_the_report_groups_the_same_money_in_every_way(beds: Any) -> None:
    bed = beds(model=scripted(state=[decision(business_line="delivery"), decision(), decision(business_line=None)]))
    await say(bed)
    await say(bed, conversation="c-2")
    bed.clock.move(timedelta(hours=1))
    await say(bed)
    await bed.engine.turn.ledger.flush()
    span = Span(TODAY, TODAY, START.tzinfo)  # type: ignore[arg-type]
    reports = {by: await cost_report(bed.store, span, by, at=START) for by in By}
    total = (await truth(bed.store)).total
    assert {report.total for report in reports.values()} == {total}
    assert {report.turns for report in reports.values()} == {3}
    named = {
        by: {line.name: (line.amounts.calls, line.turns) for line in report.lines} for by, report in reports.items()
    }
    assert named[By.TASK] == {"state": (3, None), "response": (3, None), "message_type": (3, None)}
    assert named[By.LINE] == {"delivery": (6, 2), "": (3, 1)}
    assert named[By.HOUR] == {"2026-11-20 12:00": (6, 2), "2026-11-20 13:00": (3, 1)}
    assert named[By.CONVERSATION] == {C1: (6, 2), conversation_id("c-2"): (3, 1)}
    assert named[By.MODEL] == {"claude-haiku-5-5": (9, None)}
    assert sum(len(group) for group in (named[By.TEMPLATE],)) == 3


async def test_a_day_of_the_institution_is_made_of_two_of_utc(beds: Any) -> None:
    """In São Paulo the 19th ends at 3:00 UTC of the 20th."""
    from zoneinfo import ZoneInfo

    bed = beds()
    for hours in (-12, -10, -8):
        bed.clock.at = START + timedelta(hours=hours)
        await say(bed)
    await bed.engine.turn.ledger.flush()
    zone = ZoneInfo("America/Sao_Paulo")
    turns = [
        (await cost_report(bed.store, Span(day, day, zone), By.HOUR, at=START)).turns
        for day in (TODAY - timedelta(days=1), TODAY)
    ]
    assert turns == [2, 1]


# Ceilings


def limited(clock: SteppingClock | None = None, economy: str | None = None, **ceilings: str) -> Meter:
    amounts = {scope: Decimal(amount) for scope, amount in ceilings.items()}
    return meter(clock, ceilings=Ceilings(**amounts), economy_model=economy)


class Verbose(ScriptedModel):
    """Every call costs about half of what is held for it: USD 0.00085 of Haiku."""

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        answer = await super().complete(request)
        return answer.model_copy(update={"tokens": TokenCount(input=8_000, output=100)})


def refusals(scope: str) -> float:
    return float(BUDGET_RUNGS.labels(scope=scope, rung="refused")._value.get())


@pytest.mark.parametrize("scope", ["turn", "conversation", "day"])
async def test_without_money_a_person_is_called_and_the_one_who_wrote_is_told(beds: Any, scope: str) -> None:
    model, before = ScriptedModel(agreeable), refusals(scope)
    bed = beds(model=model, meter=limited(**{scope: "0.000001"}))
    turn = await say(bed)
    assert (turn.state, turn.reason, turn.fallback) == (State.ESCALATING, "budget", True)
    assert [row.message.text for row in bed.channel.accepted] == [pyloto().text(FixedText.MODEL_AWAY)]
    assert model.requests == []
    assert refusals(scope) == before + 1


async def test_a_conversation_that_has_spent_its_ceiling_goes_to_a_person_and_may_come_back(beds: Any) -> None:
    """Handed back, it may spend as much once more."""
    one_turn = await _price_of_a_turn(beds)
    ceiling = one_turn + Decimal("0.0022")
    bed = beds(meter=limited(conversation=str(ceiling)))
    turns = [await say(bed, conversation="c-2")]
    for _ in range(200):
        if turns[-1].state is State.ESCALATING:
            break
        turns.append(await say(bed, conversation="c-2"))
    assert turns[-1].reason == "budget"
    assert len(turns) > 2
    head = await bed.store.conversations.load(conversation_id("c-2"))
    assert head is not None
    assert one_turn < Decimal(head.spent_usd) <= ceiling
    await bed.engine.operators.agents.hand_back(head.id, agent="ana")
    assert (await say(bed, conversation="c-2")).state is State.AWAITING_USER


async def _price_of_a_turn(beds: Any) -> Decimal:
    return Decimal((await say(beds())).cost_usd or "unknown")


async def test_a_filling_ceiling_asks_the_smaller_model(beds: Any) -> None:
    """Sonnet costs twenty times what Haiku does."""
    model = ScriptedModel(agreeable)
    bed = beds(model=model, meter=limited(conversation="1", economy="claude-haiku-5-5"))
    # Tasks are for Haiku in the tests; the wish for a dearer one is put in here.
    bed.engine.turn.prompter.models = dict.fromkeys(bed.engine.turn.prompter.models, "claude-sonnet-5-5")
    turn = await say(bed)
    assert {call.model for task in turn.tasks for call in task.bill} == {"claude-sonnet-5-5"}
    head = await bed.store.conversations.load(C1)
    assert head is not None
    await bed.store.conversations.restore(
        (await _archive(bed)).model_copy(update={"head": head.model_copy(update={"spent_usd": "0.8"})})
    )
    turn = await say(bed)
    assert {call.model for task in turn.tasks for call in task.bill} == {"claude-haiku-5-5"}
    assert turn.state is State.AWAITING_USER


async def _archive(bed: EngineBed) -> Any:
    from contracts.delivery import ConversationArchive

    head = await bed.store.conversations.load(C1)
    assert head is not None
    return ConversationArchive(head=head)


async def test_two_hundred_turns_at_once_never_pass_the_ceiling_of_a_day(beds: Any) -> None:
    """In one process the bound is exact: what is held for calls under way counts like what is spent."""

    used: list[Decimal] = []

    async def watched(request: ModelRequest) -> str:
        used.append(limit.day.used)
        await asyncio.sleep(0.001)
        return await agreeable(request)

    ceiling = Decimal("0.2")
    limit = limited(day=str(ceiling))
    bed = beds(model=Verbose(watched), meter=limit)
    turns = await asyncio.gather(*(say(bed, conversation=f"c-{number}") for number in range(200)))
    assert Decimal("0.9") * ceiling < max(used) <= ceiling
    assert limit.day.held == 0
    spent = (await truth(bed.store)).total.usd
    assert limit.day.spent == spent <= ceiling
    # Many were answered, many were not; each of the others has its fixed text and its person.
    refused = [turn for turn in turns if turn.reason == "budget"]
    assert 0 < len(refused) < 200
    assert all(turn.state is State.ESCALATING and turn.replies for turn in refused)
    assert len({row.conversation_id for row in bed.channel.accepted}) == 200


async def test_a_flood_of_new_conversations_leaves_money_for_people_already_known(beds: Any) -> None:
    limit = limited(day="0.2", new_share="0.5")
    bed = beds(model=Verbose(agreeable), meter=limit)
    assert (await say(bed, conversation="known")).reason != "budget"
    turns = [await say(bed, conversation=f"c-{number}") for number in range(60)]
    assert turns[-1].reason == "budget"
    assert limit.day.spent <= Decimal("0.1")
    assert (await say(bed, conversation="known")).reason != "budget"


async def test_processes_together_pass_it_by_no_more_than_they_spend_between_two_exchanges(shared: Any) -> None:
    clock = SteppingClock()
    ceiling = Decimal("0.1")
    meters = [limited(clock, day=str(ceiling)) for _ in range(4)]
    workers: list[EngineBed] = [shared(clock=clock, meter=one, model=Verbose(agreeable)) for one in meters]
    exchanges = [
        BudgetSync(worker.store.records, one.day, writer=f"w{n}", clock=clock)
        for n, (worker, one) in enumerate(zip(workers, meters, strict=True))
    ]
    spent = in_one_round = Decimal(0)
    for number in range(8):
        turns = await asyncio.gather(
            *(say(worker, conversation=f"c-{number}-{n}-{k}") for n, worker in enumerate(workers) for k in range(3))
        )
        now = sum((one.day.spent for one in meters), Decimal(0))
        in_one_round, spent = max(in_one_round, now - spent), now
        for exchange in exchanges:
            await exchange.run()
        clock.move(timedelta(seconds=2))
    assert Decimal("0.5") * ceiling < spent <= ceiling + in_one_round
    assert {turn.reason for turn in turns} == {"budget"}
    assert spent == (await truth(workers[0].store)).total.usd


async def test_what_a_dead_process_held_is_free_again_and_what_it_spent_stays_spent(shared: Any) -> None:
    clock = SteppingClock()
    dead, alive = limited(clock, day="1"), limited(clock, day="1")
    store = shared().store
    dead.day.add(Decimal("0.3"))
    dead.day.held = Decimal("0.2")
    other = BudgetSync(store.records, alive.day, writer="alive", clock=clock)
    await BudgetSync(store.records, dead.day, writer="dead", clock=clock).run()
    await other.run()
    assert alive.day.used == Decimal("0.5")
    clock.move(timedelta(seconds=20))
    await other.run()
    assert alive.day.used == Decimal("0.3")


async def test_a_share_of_the_ceiling_is_told_once_by_one_process(shared: Any) -> None:
    clock = SteppingClock()
    meters = [limited(clock, day="1") for _ in range(3)]
    store = shared().store
    exchanges = [BudgetSync(store.records, one.day, writer=f"w{n}", clock=clock) for n, one in enumerate(meters)]
    before = BUDGET_NOTICES.labels(percent="80")._value.get()
    meters[0].day.add(Decimal("0.85"))
    written = io.StringIO()
    configure_logs(level="WARNING", stream=written)
    for _ in range(3):
        for exchange in exchanges:
            await exchange.run()
    logged = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [(line["event"], line["percent"], line["ceiling_usd"]) for line in logged] == [("budget.reached", 80, "1")]
    assert BUDGET_NOTICES.labels(percent="80")._value.get() == before + 1


async def test_a_store_that_is_away_stops_no_message_and_loses_no_money(beds: Any) -> None:
    bed = beds(meter=(limit := limited(day="1")))
    refused, refusals = asyncio.Event(), []

    async def away(record: Any) -> Any:
        refusals.append(record.collection)
        if {*refusals} == {"ledger", "spending"}:
            refused.set()
        raise StoreUnavailableError("away")

    put, bed.store.records.put = bed.store.records.put, away
    late, alone = LEDGER_LATE._value.get(), BUDGET_ALONE._value.get()
    exchange = BudgetSync(bed.store.records, limit.day, writer="w", clock=bed.clock)
    async with kept(bed.engine.turn.ledger, exchange, every=timedelta(milliseconds=1)):
        turn = await say(bed)
        await refused.wait()
        assert turn.state is State.AWAITING_USER
        bed.store.records.put = put
    assert (LEDGER_LATE._value.get() > late, BUDGET_ALONE._value.get() > alone) == (True, True)
    assert await read_day(bed.store.records, TODAY, at=START) == await truth(bed.store)


async def test_an_analysis_beyond_the_day_s_ceiling_ends_with_a_reason(beds: Any) -> None:
    bed = beds()
    await say(bed)
    bed.engine.analyses.analyst._executor = executor(scripted(), meter=limited(day="0.000001"))
    desk = desk_of(bed.engine.analyses)
    asked = await desk.request(C1, AnalysisKind.HANDOFF_SUMMARY)
    assert asked is not None
    await analyse(asked.id, bed.engine.analyses)
    ended = await desk.find(asked.id)
    assert ended is not None
    assert (ended.status, ended.error) == ("failed", "BudgetSpentError")


async def test_a_call_that_failed_costs_nothing_and_holds_nothing() -> None:
    async def away(request: ModelRequest) -> str:
        raise ModelUnavailableError("away")

    limit = limited(turn="1", day="1")
    asker = prompter(ScriptedModel(away), meter=limit)
    from tests.unit.test_executor import view

    calls = asker.begin_calls()
    result = await asker.ask(state.TASK, view(), calls)
    assert (result.value, result.record.calls, result.record.bill) == (None, 0, ())
    assert (calls.cost.held, calls.cost.spent, limit.day.used) == (0, 0, 0)


async def test_texts_of_people_stay_out_of_the_books(beds: Any) -> None:
    bed = beds(model=scripted(text=response("Certo, Ana.")))
    await say(bed, "meu cpf é 123.456.789-00", conversation="ana-silva")
    await bed.engine.turn.ledger.flush()
    for record in await bed.store.records.page(COLLECTION, at=START):
        content = record.model_dump_json()
        assert not any(word in content for word in ("ana-silva", "123.456", "Certo"))
