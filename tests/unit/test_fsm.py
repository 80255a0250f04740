"""The table: every pair of state and trigger, the static check, the guards, migrations."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.conversation import FINAL_STATES, Conversation, Episode, State, Trigger
from contracts.errors import IllegalTransitionError
from contracts.values import ConversationId
from fsm.machine import ConversationMachine, NewerTableError, Transitions, migrate
from fsm.static_check import all_facts, problems
from fsm.table import MOVES, STATES, TABLE_VERSION, Move, facts_of
from tests.builders import START

MACHINE = ConversationMachine()
BY_KEY = {(move.source, move.trigger): move for move in MOVES}


def conversation(state: State = State.INIT, **changes: object) -> Conversation:
    return Conversation(id=ConversationId("c"), state=state).model_copy(update=changes)


def with_facts(state: State, *, answered_before: bool, person_is_known: bool) -> Conversation:
    return conversation(state, turns_in_episode=int(answered_before), fields={"name": "Ana"} if person_is_known else {})


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("trigger", Trigger)
def test_every_pair_does_what_the_table_says_and_nothing_else(state: State, trigger: Trigger) -> None:
    for facts in all_facts():
        subject = with_facts(state, **facts.model_dump())
        assert facts_of(subject) == facts
        move = BY_KEY.get((state, trigger))
        is_open = move is not None and (move.guard is None or move.guard(facts))
        if not is_open:
            with pytest.raises(IllegalTransitionError):
                MACHINE.advance(Transitions(subject), trigger, at=START)
            continue
        assert move is not None
        walk = MACHINE.advance(Transitions(subject), trigger, at=START, confidence=0.7, metadata={"why": "test"})
        assert walk.state is move.dest
        (record,) = walk.records
        assert (record.source, record.dest, record.trigger) == (state, move.dest, trigger)
        assert (record.confidence, record.metadata, record.at) == (0.7, {"why": "test"}, START)


@given(st.lists(st.sampled_from(Trigger), max_size=40), st.data())
def test_random_conversations_make_no_illegal_move(triggers: list[Trigger], data: st.DataObject) -> None:
    walk = Transitions(conversation())
    for trigger in triggers:
        answered = data.draw(st.integers(0, 2))
        known = {"name": "Ana"} if data.draw(st.booleans()) else {}
        walk = walk.holding(walk.conversation.model_copy(update={"turns_in_episode": answered, "fields": known}))
        facts, before = facts_of(walk.conversation), walk
        try:
            walk = MACHINE.advance(walk, trigger, at=START)
        except IllegalTransitionError:
            assert walk is before
            continue
        move = BY_KEY[before.state, trigger]
        assert walk.state is move.dest
        assert move.guard is None or move.guard(facts)
    assert walk.path[0] is State.INIT
    for record, following in zip(walk.records, walk.records[1:], strict=False):
        assert record.dest is following.source
        assert record.source not in FINAL_STATES


def test_the_table_is_sound() -> None:
    assert problems() == []


def without(*keys: tuple[State, Trigger]) -> tuple[Move, ...]:
    return tuple(move for move in MOVES if (move.source, move.trigger) not in keys)


@pytest.mark.parametrize(
    ("states", "moves", "expected"),
    [
        (STATES, without((State.INIT, Trigger.BEGIN)), "IDENTIFYING cannot be reached"),
        (STATES, without((State.AWAITING_USER, Trigger.TIME_OUT)), "AWAITING_USER has no time-out"),
        (STATES[:-1], MOVES, "SPAM has no row"),
        ((*STATES, STATES[0]), MOVES, "INIT has two rows"),
        (STATES, (*MOVES, Move(Trigger.BEGIN, State.SPAM, State.INIT, "x")), "SPAM is final but has the move"),
        (STATES, (*MOVES, Move(Trigger.BEGIN, State.INIT, State.FAILED, "x")), "leads to two places"),
        (
            STATES,
            without(
                (State.ESCALATING, Trigger.HAND_BACK),
                (State.ESCALATING, Trigger.CONCLUDE),
                (State.ESCALATING, Trigger.FAIL),
            ),
            "ESCALATING has no way out",
        ),
        (
            STATES,
            tuple(replace(move, guard=lambda _: False) if move.guard else move for move in MOVES),
            "is never open",
        ),
        (
            STATES,
            tuple(replace(move, guard=lambda _: None) if move.guard else move for move in MOVES),  # type: ignore[arg-type,return-value]
            "not a plain yes or no",
        ),
        (
            tuple(replace(row, limit=None) if row.state is State.INIT else row for row in STATES),
            MOVES,
            "INIT has no time-out",
        ),
        (
            tuple(replace(row, limit=timedelta(1)) if row.state is State.SPAM else row for row in STATES),
            MOVES,
            "SPAM is final but has a time-out",
        ),
    ],
)
def test_the_static_check_finds(states: tuple, moves: tuple, expected: str) -> None:  # type: ignore[type-arg]
    assert any(expected in problem for problem in problems(states, moves)), problems(states, moves)


def test_the_model_chooses_among_the_open_moves_only() -> None:
    first = with_facts(State.UNDERSTANDING_INTENT, answered_before=False, person_is_known=False)
    assert set(MACHINE.open_moves(first, by="model")) == {State.PROCESSING, State.ESCALATING, State.SPAM}
    known = with_facts(State.UNDERSTANDING_INTENT, answered_before=True, person_is_known=True)
    assert set(MACHINE.open_moves(known, by="model")) == {State.PROCESSING, State.ESCALATING, State.COMPLETED}


def test_entering_a_state_sets_its_time_out() -> None:
    waiting = MACHINE.advance(Transitions(conversation(State.SELECTING_MESSAGE_TYPE)), Trigger.SEND, at=START)
    assert waiting.conversation.times_out_at == START + timedelta(hours=24)
    closed = MACHINE.advance(waiting, Trigger.TIME_OUT, at=START)
    assert closed.state is State.COMPLETED
    assert closed.conversation.times_out_at is None


def test_a_successor_knows_its_predecessor_and_what_was_collected() -> None:
    ended = conversation(State.COMPLETED, fields={"name": "Ana"}, intent="greeting", updated_at=START, version=7)
    successor = ended.successor(START)
    assert (successor.state, successor.episode, successor.version) == (State.INIT, 2, 7)
    assert successor.fields == {"name": "Ana"}
    assert successor.previous_episodes == (
        Episode(number=1, state=State.COMPLETED, business_line=None, intent="greeting", ended_at=START),
    )


def test_a_stored_conversation_is_brought_to_the_current_table() -> None:
    old = conversation(State.AWAITING_USER, table_version=1)
    steps = {
        1: lambda stored: stored.model_copy(update={"intent": "from-1"}),
        2: lambda stored: stored.model_copy(update={"intent": stored.intent + "-and-2"}),
    }
    migrated = migrate(old, to=3, migrations=steps)
    assert (migrated.table_version, migrated.intent) == (3, "from-1-and-2")


def test_every_version_below_the_current_one_has_a_migration() -> None:
    for version in range(1, TABLE_VERSION):
        migrate(conversation(table_version=version))


def test_a_conversation_of_a_newer_release_is_left_to_it() -> None:
    with pytest.raises(NewerTableError):
        migrate(conversation(table_version=TABLE_VERSION + 1))


def test_a_conversation_found_in_a_passing_state_waits_for_the_person() -> None:
    assert migrate(conversation(State.PROCESSING)).state is State.AWAITING_USER
    assert migrate(conversation(State.ESCALATING)).state is State.ESCALATING
