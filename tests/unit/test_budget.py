"""Money is held before a call and settled after it: nothing is spent twice, nothing leaks, no ceiling is passed."""

from contextlib import ExitStack
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.calls import CallContext, TurnCost
from contracts.conversation import TaskName, TokenCount
from contracts.errors import BudgetSpentError
from contracts.media import MediaFile
from contracts.ports import ModelRequest, ModelResponse, SystemBlock
from prompts.pricing.budget import Ceilings, DaySpending, Hold, Meter, RemoteSpend
from prompts.pricing.prices import ZERO, PriceBook
from tests.builders import START, SteppingClock, meter

HAIKU, OPUS, UNKNOWN = "claude-haiku-5-5", "claude-opus-5-5", "claude-of-the-future"


def request(model: str = OPUS, *, system: str = "s" * 4_000, user: str = "u" * 500) -> ModelRequest:
    return ModelRequest(
        model=model,
        system=(SystemBlock(text=system, cached=True),),
        user=user,
        schema_name="response_draft",
        output_schema={},
        max_tokens=500,
        timeout=timedelta(seconds=6),
    )


def answered(model: str = OPUS, **tokens: int) -> ModelResponse:
    return ModelResponse(text="", stop_reason="end_turn", model=model, tokens=TokenCount(**tokens))


def limited(clock: SteppingClock | None = None, economy: str | None = None, **ceilings: str) -> Meter:
    amounts = {scope: Decimal(amount) for scope, amount in ceilings.items()}
    return meter(clock, ceilings=Ceilings(**amounts), economy_model=economy)


def hold(meter: Meter, cost: TurnCost, asked: ModelRequest | None = None) -> Any:
    context = CallContext(TaskName.RESPONSE, "t@1", cost=cost)
    return meter.hold((asked or request()).model_copy(update={"context": context}))


def spend(meter: Meter, cost: TurnCost, response: ModelResponse) -> Hold:
    with hold(meter, cost) as held:
        held.settle(response)
    return held


BOUND = (2_001 * 5 + 500 * 4 + 500 * 20) / Decimal(1_000_000)


def test_what_is_held_is_the_most_a_call_can_cost() -> None:
    """Ours at half a token a byte and at the price of a cache write, theirs at a token a byte, the longest answer."""
    assert meter().bound(request()) == BOUND
    seen = request().model_copy(update={"files": (MediaFile(content=b"", mime_type="image/png", tokens=1_000),)})
    assert meter().bound(seen) - BOUND == 1_000 * Decimal(4) / 1_000_000
    emoji = meter().bound(request(user="👋"))
    assert emoji - meter().bound(request(user="")) == 4 * Decimal(4) / 1_000_000


def test_without_a_ceiling_nothing_is_held_and_everything_is_counted() -> None:
    cost, free = TurnCost(), meter()
    with hold(free, cost) as held:
        assert (held.amount, held.request.model) == (ZERO, OPUS)
        call = held.settle(answered(input=1_000, output=100))
    assert call.cost_usd == "0.006"
    assert cost.spent == free.day.spent == Decimal("0.006")
    assert [billed.call for billed in cost.take()] == [call]
    assert cost.take() == ()


def test_a_call_whose_tokens_nobody_counted_has_no_price_and_fills_ceilings_with_its_bound() -> None:
    cost, spending = TurnCost(), limited(turn="1")
    with hold(spending, cost) as held:
        call = held.settle(answered().model_copy(update={"tokens": None}))
    assert (call.cost_usd, call.tokens) == (None, TokenCount())
    assert cost.spent == spending.day.spent == BOUND


def test_a_call_that_does_not_come_back_gives_its_money_back() -> None:
    cost, limit = TurnCost(), limited(day="1")
    with hold(limit, cost):
        assert (cost.held, limit.day.held) == (BOUND, BOUND)
    assert (cost.held, limit.day.held, cost.spent, limit.day.spent) == (ZERO, ZERO, ZERO, ZERO)


@pytest.mark.parametrize("scope", ["turn", "conversation", "day"])
def test_a_call_that_might_pass_the_ceiling_is_not_made(scope: str) -> None:
    exact = limited(**{scope: str(BOUND)})
    with hold(exact, TurnCost()):
        pass
    too_little = limited(**{scope: str(BOUND - Decimal("0.000001"))})
    with pytest.raises(BudgetSpentError, match=scope), hold(too_little, TurnCost()):
        pytest.fail("the call was let through")


def test_two_calls_at_once_do_not_share_one_room() -> None:
    cost, limit = TurnCost(), limited(turn=str(BOUND * Decimal("1.5")))
    with hold(limit, cost), pytest.raises(BudgetSpentError), hold(limit, cost):
        pytest.fail("the second call was let through")


def test_what_the_conversation_spent_before_counts() -> None:
    limit = limited(conversation="1")
    with pytest.raises(BudgetSpentError), hold(limit, TurnCost(before=Decimal("0.99"))):
        pytest.fail("the call was let through")


def test_from_four_fifths_on_a_smaller_model_is_asked() -> None:
    limit = limited(conversation="1", economy=HAIKU)
    with hold(limit, TurnCost(before=Decimal("0.79"))) as held:
        assert held.request.model == OPUS
    with hold(limit, TurnCost(before=Decimal("0.80"))) as held:
        assert held.request.model == HAIKU


def test_a_smaller_model_is_asked_where_the_wanted_one_does_not_fit() -> None:
    with hold(limited(turn=str(BOUND / 2), economy=HAIKU), TurnCost()) as held:
        assert held.request.model == HAIKU


def test_a_dearer_model_is_no_economy() -> None:
    limit = limited(conversation="1", economy=OPUS)
    with hold(limit, TurnCost(before=Decimal("0.9")), request(HAIKU)) as held:
        assert held.request.model == HAIKU


def test_a_model_without_a_price_counts_as_the_dearest_one() -> None:
    """Its cost stays unknown in the books; only the ceiling takes it for the worst."""
    tokens = TokenCount(input=1_000, output=100)
    cost, limit = TurnCost(), limited(day="10")
    held = limit.bound(request(UNKNOWN))
    assert held == max(limit.bound(request(known.id)) for known in PriceBook().known(at=START))
    with hold(limit, cost, request(UNKNOWN)) as one:
        assert one.settle(answered(UNKNOWN, **tokens.model_dump())).cost_usd is None
    assert cost.spent == limit.day.spent == PriceBook().dearest(tokens, at=START) > 0


def test_a_new_day_has_its_whole_ceiling_and_begins_where_the_institution_is() -> None:
    """At 12:00 UTC it is 9:00 in São Paulo; its day ends at 3:00 UTC."""
    clock = SteppingClock()
    limit = Meter(
        PriceBook(), now=clock.now, ceilings=Ceilings(day=Decimal("0.03")), zone=ZoneInfo("America/Sao_Paulo")
    )
    spend(limit, TurnCost(), answered(input=5_000))
    for hours, is_open in ((14, False), (1, True)):
        clock.move(timedelta(hours=hours))
        if is_open:
            with hold(limit, TurnCost()):
                pass
        else:
            with pytest.raises(BudgetSpentError), hold(limit, TurnCost()):
                pytest.fail("the call was let through")


def test_shares_of_the_day_s_ceiling_are_noted() -> None:
    limit = limited(day="1")
    for output, reached in ((39_999, set()), (1, {80}), (9_000, {80, 95})):
        spend(limit, TurnCost(), answered(output=output))
        assert limit.day.reached == reached
    with pytest.raises(BudgetSpentError), hold(limit, TurnCost()):
        pytest.fail("the call was let through")
    assert limit.day.reached == {80, 95, 100}


def test_what_others_spent_counts_and_the_room_that_is_left_is_shared() -> None:
    spending = DaySpending(Decimal(10), today=START.date)
    assert spending.room == 10
    spending.exchange(START.date(), RemoteSpend(spent=Decimal(3), held=Decimal(1), busy=2))
    assert spending.room == 2
    spending.add(Decimal("1.5"))
    assert spending.room == Decimal("0.5")
    spending.exchange(START.date(), RemoteSpend(spent=Decimal(3), busy=0))
    assert spending.room == Decimal("5.5")


def test_what_was_said_of_yesterday_is_not_taken_up() -> None:
    spending = DaySpending(Decimal(10), today=START.date)
    spending.exchange(START.date() - timedelta(days=1), RemoteSpend(spent=Decimal(10)))
    assert spending.room == 10


steps = st.lists(
    st.tuples(
        st.sampled_from(["open", "settle", "drop", "midnight", "exchange"]),
        st.integers(0, 2),
        st.decimals(0, 1, places=2),
    ),
    max_size=60,
)


@given(steps, st.sampled_from(["0.02", "0.05", "0.2", "3"]))
def test_whatever_happens_nothing_leaks_and_no_ceiling_is_passed(
    given_steps: list[tuple[str, int, Decimal]], ceiling: str
) -> None:
    clock = SteppingClock()
    limit = limited(clock, turn=ceiling, day=ceiling)
    costs, paid = [TurnCost(), TurnCost(), TurnCost()], [ZERO, ZERO, ZERO]
    under_way: list[tuple[int, ExitStack, Hold]] = []
    elsewhere = today = ZERO
    for step, number, part in given_steps:
        if step == "open":
            stack = ExitStack()
            try:
                under_way.append((number, stack, stack.enter_context(hold(limit, costs[number]))))
            except BudgetSpentError:
                stack.close()
        elif step in ("settle", "drop") and under_way:
            mine, stack, held = under_way.pop(number % len(under_way))
            if step == "settle":
                used = answered(cache_write=int(2_001 * part), input=int(500 * part), output=int(500 * part))
                cost = Decimal(held.settle(used).cost_usd or "unknown")
                assert cost <= held.amount
                paid[mine] += cost
                today += cost
            stack.close()
        elif step == "midnight":
            clock.move(timedelta(days=1))
            today = elsewhere = ZERO
        elif step == "exchange":
            # The others keep to the ceiling as well.
            elsewhere += max(ZERO, (Decimal(ceiling) - limit.day.used) * part / 2)
            limit.day.exchange(limit.day.day(), RemoteSpend(spent=elsewhere, busy=number))
        assert limit.day.spent == today
        assert limit.day.held == sum((held.amount for _, _, held in under_way), ZERO) >= 0
        assert [cost.spent for cost in costs] == paid
        assert all(cost.spent + cost.held <= Decimal(ceiling) for cost in costs)
        assert limit.day.spent + elsewhere <= Decimal(ceiling)
    for _, stack, _ in under_way:
        stack.close()
    assert limit.day.held == ZERO
    assert [cost.held for cost in costs] == [ZERO] * 3
    assert clock.now().tzinfo is UTC


def test_first_turns_leave_the_rest_of_the_day_for_people_already_known() -> None:
    limit = limited(day="1", new_share="0.5")
    for _ in range(4):
        spend(limit, TurnCost(is_first=True), answered(output=6_000))
    with pytest.raises(BudgetSpentError, match="first_turns"), hold(limit, TurnCost(is_first=True)):
        pytest.fail("the call was let through")
    assert limit.day.spent == Decimal("0.48")
    assert limit.day.reached == set(), "the day is not spent"
    spend(limit, TurnCost(), answered(output=5_000))


def test_what_first_turns_hold_counts_and_is_released_and_a_new_day_begins_with_nothing() -> None:
    clock = SteppingClock()
    limit = limited(clock, day=str(BOUND * 3), new_share="0.5")
    with hold(limit, TurnCost(is_first=True)):
        with pytest.raises(BudgetSpentError), hold(limit, TurnCost(is_first=True)):
            pytest.fail("the call was let through")
        with hold(limit, TurnCost()):
            pass
    spend(limit, TurnCost(is_first=True), answered(output=1_000))
    assert limit.day.used_new == limit.day.spent > 0
    clock.move(timedelta(days=1))
    assert limit.day.used_new == 0


def test_processes_part_the_share_of_first_turns() -> None:
    limit = limited(day=str(BOUND * 8), new_share="0.5")
    limit.day.exchange(limit.day.day(), RemoteSpend(busy=4))
    with pytest.raises(BudgetSpentError, match="first_turns"), hold(limit, TurnCost(is_first=True)):
        pytest.fail("the call was let through")
    with hold(limit, TurnCost()):
        pass
