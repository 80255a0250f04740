"""How turns went, added up: sums that any number of processes may split, and whose answer a turn was."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.conversation import State, TaskName, TaskRecord, TurnMilliseconds, TurnRecord, ViolationRecord
from contracts.messages import OutboundMessage
from contracts.performance import (
    ACCURACY,
    AnswerSource,
    Cause,
    Count,
    Distribution,
    Page,
    Times,
    answered_by,
    failure_of,
    hour_of,
    shard_key,
)
from contracts.values import ConversationId, TurnId
from reports.performance import availability
from tests.builders import START

TIMES = st.lists(st.floats(0.01, 1e8), min_size=1, max_size=200)


def distribution(values: list[float]) -> Distribution:
    made = Distribution()
    for value in values:
        made.add(value)
    return made


@given(TIMES, st.floats(0, 1))
def test_a_quantile_is_within_its_accuracy_of_a_time_that_was_added(values: list[float], share: float) -> None:
    """Nearest rank: the smallest value that `share` of all are no larger than."""
    rank = max(1, -(-int(share * len(values) * 1e9) // 10**9))
    near = sorted(values)[max(0, rank - 2) : rank + 1]
    found = distribution(values).quantile(share)
    assert found is not None
    assert min(near) * (1 - ACCURACY) * (1 - 1e-9) <= found <= max(near) * (1 + ACCURACY) * (1 + 1e-9)


@given(TIMES, TIMES)
def test_the_times_of_two_processes_are_those_of_one(mine: list[float], theirs: list[float]) -> None:
    both = distribution(mine)
    both.add_all(distribution(theirs))
    together = distribution(mine + theirs)
    assert both.bins == together.bins
    assert both.mean == pytest.approx(together.mean)


def test_of_nothing_there_is_no_figure() -> None:
    assert (Distribution().quantile(0.5), Distribution().mean, Page().turns) == (None, None, 0)


def task(name: TaskName = TaskName.RESPONSE, **changes: Any) -> TaskRecord:
    given = {"model": "m", "template": "t", "started_ms": 0.0, "ended_ms": 300.0}
    return TaskRecord(task=name, **(given | changes))


def turn(*tasks: TaskRecord, **changes: Any) -> TurnRecord:
    given: dict[str, Any] = {
        "id": TurnId("t-1"),
        "conversation_id": ConversationId("c-1"),
        "episode": 1,
        "message_ids": (),
        "path": (),
        "state": State.AWAITING_USER,
        "replies": (OutboundMessage.of_text("Certo."),),
        "at": START,
    }
    return TurnRecord(tasks=tasks, **(given | changes))


STATE = task(TaskName.STATE)
FORM = task(TaskName.MESSAGE_TYPE)
ESCALATED = {"state": State.ESCALATING, "fallback": True}


@pytest.mark.parametrize(
    ("record", "source", "failure"),
    [
        (turn(STATE, task(), FORM), AnswerSource.MODEL, None),
        (turn(STATE, task(cache="exact", calls=0), FORM), AnswerSource.CACHE, None),
        (turn(task(TaskName.MERGED)), AnswerSource.MODEL, None),
        # A reply that was begun before the decision and dropped for it is no answer.
        (turn(STATE, task(outcome="dropped"), state=State.COMPLETED), AnswerSource.TEMPLATE, None),
        # The text is the model's; only its form is the usual one.
        (turn(STATE, task(), FORM, fallback=True, reason="decided"), AnswerSource.MODEL, None),
        (turn(STATE, state=State.ESCALATING, reason="decided"), AnswerSource.TEMPLATE, None),
        (turn(reason="opt_out"), AnswerSource.TEMPLATE, None),
        (turn(STATE, state=State.SPAM, replies=()), AnswerSource.NOBODY, None),
        (
            turn(task(TaskName.STATE, outcome="failed"), reason="model_unavailable", **ESCALATED),
            AnswerSource.FALLBACK,
            Cause.MODEL_UNAVAILABLE,
        ),
        (turn(STATE, task(), task(), reason="gate", **ESCALATED), AnswerSource.FALLBACK, Cause.GATE),
        # The canonical answer of the intent took the place of Task 2.
        (
            turn(STATE, task(outcome="failed"), FORM, fallback=True, reason="decided"),
            AnswerSource.FALLBACK,
            Cause.MODEL_UNAVAILABLE,
        ),
        (turn(fallback=True, reason="unreadable"), AnswerSource.FALLBACK, None),
    ],
)
def test_whose_answer_it_was(record: TurnRecord, source: AnswerSource, failure: Cause | None) -> None:
    assert (answered_by(record), failure_of(record)) == (source, failure)


def test_a_page_is_the_sum_of_its_turns_and_survives_the_store() -> None:
    page = Page()
    page.add_turn(
        turn(
            task(TaskName.STATE, ended_ms=400.0),
            task(quality=0.8, attempts=3, calls=1, outcome="repaired", started_ms=400.0, ended_ms=900.0),
            task(TaskName.MESSAGE_TYPE, started_ms=400.0, ended_ms=700.0),
            ms=TurnMilliseconds(total=1_000),
            violations=(ViolationRecord(rule="price", excerpt="R$ 10", draft=1),),
        )
    )
    page.add_turn(turn(STATE, reason="gate", **ESCALATED))
    page.add_reply(received_at=START, sent_at=START + timedelta(seconds=2))
    page.add_failure(Cause.DEAD_LETTER)
    assert page.turns == 2
    assert page.of(Count.FAILURES) == {"dead_letter": 1, "gate": 1}
    assert page.of(Count.RETRIES) == {"response": 2}
    assert page.of(Count.TASKS) == {"state:ok": 2, "message_type:ok": 1, "response:repaired": 1}
    assert page.time(Times.ENGINE).mean == pytest.approx(100)
    assert page.time(Times.REPLY).quantile(0.95) == pytest.approx(2_000, rel=ACCURACY)
    assert page.quality["response"].value == pytest.approx(0.8)

    again = Page.sum([Page.of_body(page.body()), Page()])
    assert again.body() == page.body()
    assert "R$" not in str(page.body())


def test_shards_of_a_day_follow_each_other_and_know_their_hour() -> None:
    at = datetime(2026, 11, 20, 7, tzinfo=UTC)
    assert hour_of(shard_key(at, "ab-1")) == at
    keys = [shard_key(at + timedelta(hours=n), "w") for n in range(30)]
    assert keys == sorted(keys)


def test_one_failure_in_a_thousand_is_twice_the_error_budget() -> None:
    """The objective allows one in two thousand; a message that was given up counts among those that were worked on."""
    assert availability(Page()) is None
    page = Page()
    for _ in range(999):
        page.add_turn(turn(STATE))
    assert availability(page) == (1.0, 1.0)
    page.add_failure(Cause.DEAD_LETTER)
    assert availability(page) == pytest.approx((0.999, -1.0))
