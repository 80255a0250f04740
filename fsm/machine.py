"""State machine on the `transitions` library: one for all conversations, as building one costs more than a move."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from transitions import EventData, Machine, MachineError

from contracts.conversation import RESTING_STATES, Conversation, Handoff, State, TransitionRecord, Trigger
from contracts.errors import ConversationMovedError, IllegalTransitionError, TransientError
from fsm.table import MOVES, STATES, TABLE_VERSION, Facts, facts_of


@dataclass(slots=True)
class _Cursor:
    """Stateful model that the library moves; one for each trigger."""

    state: str
    facts: Facts


@dataclass(frozen=True)
class Transitions:
    """A conversation with the transitions made since it was loaded."""

    conversation: Conversation
    records: tuple[TransitionRecord, ...] = ()

    @property
    def state(self) -> State:
        return self.conversation.state

    @property
    def path(self) -> tuple[State, ...]:
        """The states passed, first to last."""
        if not self.records:
            return (self.state,)
        return (self.records[0].source, *(record.dest for record in self.records))

    def holding(self, conversation: Conversation) -> "Transitions":
        """Return the same transitions after something other than the state changed."""
        return replace(self, conversation=conversation)


class ConversationMachine:
    """State machine of the table. Stateless: all conversations of a process share it."""

    def __init__(self) -> None:
        self._limits = {row.state: row.limit for row in STATES}
        self._machine = Machine(
            model=None,
            states=[row.state.value for row in STATES],
            initial=State.INIT.value,
            auto_transitions=False,
            send_event=True,
        )
        for move in MOVES:
            condition = partial(_is_open, move.guard) if move.guard else None
            self._machine.add_transition(move.trigger.value, move.source.value, move.dest.value, conditions=condition)

    def advance(
        self,
        transitions: Transitions,
        trigger: Trigger,
        *,
        at: datetime,
        confidence: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Transitions:
        """Fire one trigger.

        Raises:
            IllegalTransitionError: the table has no such move from this state, or its guard is closed.
        """
        source = transitions.state
        cursor = _Cursor(source.value, facts_of(transitions.conversation))
        try:
            moved = self._machine.events[trigger.value].trigger(cursor)
        except (MachineError, KeyError) as exc:
            raise IllegalTransitionError(f"no move '{trigger}' from {source}") from exc
        if not moved:
            raise IllegalTransitionError(f"the guard of '{trigger}' from {source} is closed")
        dest = State(cursor.state)
        record = TransitionRecord(
            source=source, dest=dest, trigger=trigger, confidence=confidence, metadata=dict(metadata or {}), at=at
        )
        limit = self._limits[dest]
        changes: dict[str, Any] = {"state": dest, "times_out_at": at + limit if limit else None}
        if dest is not State.ESCALATING:
            changes |= {"agent": None, "handoff": None}
        elif transitions.conversation.handoff is None:
            changes["handoff"] = Handoff(reason=record.metadata.get("reason", ""), at=at)
        return Transitions(transitions.conversation.model_copy(update=changes), (*transitions.records, record))

    def open_moves(self, conversation: Conversation, *, by: str) -> dict[State, Trigger]:
        """Return the destinations that `by` may choose now, each with its trigger."""
        facts = facts_of(conversation)
        return {
            move.dest: move.trigger
            for move in MOVES
            if move.source is conversation.state and move.by == by and (move.guard is None or move.guard(facts))
        }


def _is_open(guard: Callable[[Facts], bool], event: EventData) -> bool:
    cursor: Any = event.model
    return guard(cursor.facts)


# version -> migration of a conversation of that version to the next one.
MIGRATIONS: Mapping[int, Callable[[Conversation], Conversation]] = {}


class NewerTableError(TransientError):
    """A newer release wrote this conversation; a worker of that release will take it."""


def migrate(
    conversation: Conversation,
    *,
    to: int = TABLE_VERSION,
    migrations: Mapping[int, Callable[[Conversation], Conversation]] = MIGRATIONS,
) -> Conversation:
    """Return the conversation for the current table; the same value when nothing has changed.

    Raises:
        NewerTableError: it was stored by a newer table than this one.
        ConversationMovedError: it continues in another store.
        KeyError: a version between has no migration, which the tests rule out.
    """
    if conversation.moved_to is not None:
        raise ConversationMovedError(f"{conversation.id} is in {conversation.moved_to} now")
    if conversation.table_version > to:
        raise NewerTableError(f"stored with table {conversation.table_version}, this release has {to}")
    while conversation.table_version < to:
        step = migrations[conversation.table_version]
        conversation = step(conversation).model_copy(update={"table_version": conversation.table_version + 1})
    # A state that only turns pass through, stored by an earlier table, becomes one that waits for the person.
    if conversation.state not in RESTING_STATES:
        return conversation.model_copy(update={"state": State.AWAITING_USER})
    return conversation
