"""Agents' and timers' moves of a conversation: take, reply, hand back, close, note, escalate, reopen, time out."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from contracts.conversation import Conversation, Owner, Speaker, State, Trigger, TurnRecord, Utterance, WaitingFor
from contracts.delivery import REMINDER, OutboxRow, TurnCommit
from contracts.errors import (
    ConversationConflictError,
    IllegalTransitionError,
    ReplyRefusedError,
    ReplyWindowClosedError,
)
from contracts.institution import FixedText, Institution
from contracts.language import speaking_to
from contracts.messages import ChannelName, MessageType, OutboundMessage, digest
from contracts.paging import thread_of
from contracts.ports import ChannelLimits, Clock, Store, WakeUps
from contracts.turn import TurnReason
from contracts.values import ConversationId, MessageId, OutboxId, TurnId, length
from fsm.machine import ConversationMachine, Transitions, migrate
from observability.metrics import REMINDERS, note_transitions
from worker.people.notices import Notices
from worker.scheduling.timers import due_timer, limit_of, message_of, scheduled
from worker.variants import overruled

CONFLICT_RETRIES = 5

# The triggers that lead to a person, by the state a conversation rests in.
_WAY_TO_A_PERSON = {
    State.INIT: (Trigger.BEGIN, Trigger.IDENTIFIED, Trigger.ESCALATE),
    State.AWAITING_USER: (Trigger.ESCALATE,),
}

Windows = Mapping[ChannelName, timedelta | None]


@dataclass(frozen=True)
class Change:
    """Moves of a conversation outside a turn, with the lines and the message to the person that come with them."""

    transitions: Transitions
    said: tuple[Utterance, ...] = ()
    row: OutboxRow | None = None


Move = Callable[[Conversation], Awaitable[Change | None]]
"""Returns the change of a loaded conversation; None: there is nothing to change."""


@dataclass(frozen=True)
class ConversationOperators:
    """Satisfies the `Operators` port; the moves of timers are here too. It needs nothing of the engine.

    `windows` are the platforms' reply windows, `limits` what each takes of an agent. `observe` gets each commit of a
    move, `wake` the conversation to send.
    """

    store: Store
    machine: ConversationMachine
    clock: Clock
    institution: Callable[[], Awaitable[Institution | None]]
    windows: Windows
    notices: Notices
    observe: Callable[[TurnCommit], None] = lambda _: None
    wake: Callable[[ConversationId], Awaitable[None]] | None = None
    limits: Mapping[ChannelName, ChannelLimits] = field(default_factory=dict)

    async def take(
        self, conversation_id: ConversationId, *, agent: str, reason: str = TurnReason.BY_OPERATOR
    ) -> Conversation:
        """Make the agent the owner; unsent replies of the assistant are withdrawn.

        Raises:
            IllegalTransitionError: there is no such conversation.
            ConversationConflictError: it kept changing.
        """
        until_hand_back = await self._until_hand_back()

        async def move(conversation: Conversation) -> Change | None:
            if conversation.agent == agent:
                return None
            return Change(self._taken(conversation, agent, reason, until_hand_back))

        return await self._change(conversation_id, move, reason=reason, agent=agent)

    async def reply(
        self, conversation_id: ConversationId, message: OutboundMessage, *, agent: str, request_id: str
    ) -> Conversation:
        """Send the agent's message, after taking the conversation; the same `request_id` sends once.

        Raises:
            IllegalTransitionError, ConversationConflictError: as for `take`.
            ReplyWindowClosedError: the platform takes only a template now.
            ReplyRefusedError: the platform takes no templates, or no text of that length.
        """
        until_hand_back = await self._until_hand_back()

        async def move(conversation: Conversation) -> Change | None:
            row_id = OutboxId(f"{conversation.id}/by-{digest(request_id)}")
            if any(row.id == row_id for row in await self.store.outbox.rows(conversation.id)):
                return None
            self._check_limits(conversation, message)
            longer = {name: one.agent_window for name, one in self.limits.items() if one.agent_window}
            self._check_window(conversation, message, {**self.windows, **longer})
            taken, at = self._taken(conversation, agent, TurnReason.BY_OPERATOR, until_hand_back), self.clock.now()
            text = message.text or f"[{message.template.name if message.template else message.type}]"
            options = tuple(option.title for option in message.options)
            said = Utterance(speaker=Speaker.OPERATOR, text=text, options=options, author=agent, at=at)
            row = self._row(taken.conversation, message, row_id, at).model_copy(update={"author": agent})
            return Change(spoken(taken, at, until_hand_back), (said,), row)

        return await self._change(conversation_id, move, reason=TurnReason.BY_OPERATOR, agent=agent)

    async def hand_back(
        self, conversation_id: ConversationId, *, agent: str, reason: str = TurnReason.BY_OPERATOR
    ) -> Conversation:
        """Let the assistant answer again. Raises as `take` does, also where it is the assistant's already."""

        async def move(conversation: Conversation) -> Change:
            transitions = self._advance(conversation, Trigger.HAND_BACK, reason=reason, agent=agent)
            # An agent has looked at it: it may spend its ceiling once more.
            return Change(transitions.holding(transitions.conversation.model_copy(update={"spent_usd": "0"})))

        return await self._change(conversation_id, move, reason=reason, agent=agent)

    async def close(self, conversation_id: ConversationId, *, agent: str) -> Conversation:
        """End the conversation; the next message opens its successor. Raises as `take` does, and when it has ended."""

        async def move(conversation: Conversation) -> Change:
            return Change(self._advance(conversation, Trigger.CONCLUDE, reason=TurnReason.BY_OPERATOR, agent=agent))

        return await self._change(conversation_id, move, reason=TurnReason.BY_OPERATOR, agent=agent)

    async def note(self, conversation_id: ConversationId, text: str, *, agent: str, request_id: str) -> Conversation:
        """Add a line for the team to the transcript; the same `request_id` adds one. Raises as `take` does."""
        note_id = MessageId(f"note-{digest(request_id)}")
        for _ in range(CONFLICT_RETRIES):
            head = await self._load(conversation_id)
            said = await self.store.conversations.transcript(head.id)
            if any(one.message_id == note_id for one in said):
                return head
            line = Utterance(speaker=Speaker.NOTE, text=text, author=agent, message_id=note_id, at=self.clock.now())
            try:
                return await self.store.conversations.commit(TurnCommit(conversation=head, utterances=(line,)))
            except ConversationConflictError:
                continue
        raise ConversationConflictError(conversation_id)

    async def escalate(self, conversation_id: ConversationId, *, agent: str, reason: str) -> Conversation:
        """Call an agent, without a word to the person; nothing when one is called already.

        Raises as `take` does, and for an agent when the conversation has ended.
        """

        async def move(conversation: Conversation) -> Change | None:
            transitions = to_a_person(conversation, reason, self.machine, self.clock.now(), agent=agent)
            if agent and conversation.is_final:
                raise IllegalTransitionError(f"{conversation.id} is {conversation.state}: reopen it first")
            return Change(transitions) if transitions.records else None

        return await self._change(conversation_id, move, reason=reason, agent=agent)

    async def reopen(self, conversation_id: ConversationId, *, agent: str) -> Conversation:
        """Undo SPAM, or any other end: the conversation goes on as its own successor, waiting for the person.

        Raises:
            IllegalTransitionError: it has not ended, or there is none.
            ConversationConflictError: it kept changing.
        """

        async def move(conversation: Conversation) -> Change:
            if not conversation.is_final:
                raise IllegalTransitionError(f"{conversation_id} is {conversation.state}, not at an end")
            return Change(Transitions(conversation.successor(self.clock.now())))

        return await self._change(conversation_id, move, reason=TurnReason.REOPENED, agent=agent)

    async def time_out(self, conversation_id: ConversationId) -> None:
        """End a wait that has lasted longer than the table allows; nothing when it has ended already.

        A conversation that an agent left silent goes back to the assistant. One that waits for an agent goes on
        waiting, and the person hears once that the answer takes longer.
        """
        known = await self.institution()

        async def move(conversation: Conversation) -> Change | None:
            institution, at = known and speaking_to(conversation, known), self.clock.now()
            if conversation.times_out_at is None or conversation.times_out_at > at:
                return None
            if conversation.due_timer is not None and conversation.due_timer.at == conversation.times_out_at:
                return self._reminded(conversation, institution, at)
            if conversation.owner is Owner.AGENT:
                return Change(self._advance(conversation, Trigger.HAND_BACK, reason=TurnReason.TIMED_OUT))
            timed = self._advance(conversation, Trigger.TIME_OUT, reason=TurnReason.TIMED_OUT)
            if institution is not None:
                timed = timed.holding(scheduled(timed.conversation, institution, at))
            handoff = timed.conversation.handoff
            if handoff is None or handoff.held_at or institution is None or conversation.opted_out:
                return Change(timed)
            message = OutboundMessage.of_text(institution.text(FixedText.STILL_WAITING))
            try:
                self._check_window(conversation, message, self.windows)
            except ReplyWindowClosedError:
                return Change(timed)
            held = timed.conversation.model_copy(update={"handoff": handoff.model_copy(update={"held_at": at})})
            row = self._row(held, message, OutboxId(f"{held.id}/v{held.version}/held"), at)
            said = Utterance(speaker=Speaker.ASSISTANT, text=message.text, at=at)
            return Change(timed.holding(held), (said,), row)

        head = await self.store.conversations.load(conversation_id)
        if head is not None and head.moved_to is None:
            await self._change(conversation_id, move, reason=TurnReason.TIMED_OUT)

    def _reminded(self, conversation: Conversation, institution: Institution | None, at: datetime) -> Change:
        """Say what the due timer says, where it may be said, and schedule the next one."""
        timer = due_timer(conversation, institution, at) if institution else None
        window = self.windows.get(conversation.address.channel) if conversation.address else None
        message = message_of(timer, conversation, institution, at, window=window) if timer and institution else None
        counted = (*conversation.reminded, conversation.due_timer.id if conversation.due_timer else "")
        after = conversation.model_copy(update={"reminded": counted, "times_out_at": limit_of(conversation)})
        if message is None or institution is None:
            REMINDERS.labels(outcome="withheld").inc()
            return Change(Transitions(scheduled(after, institution, at) if institution else after))
        line = Utterance(speaker=Speaker.ASSISTANT, text=message.text, at=at)
        row = self._row(after, message, OutboxId(f"{after.id}/v{after.version}{REMINDER}"), at)
        REMINDERS.labels(outcome=message.type.lower()).inc()
        return Change(Transitions(scheduled(after, institution, at)), (line,), row)

    async def _until_hand_back(self) -> timedelta:
        institution = await self.institution()
        return institution.hand_back_after if institution else Institution.model_fields["hand_back_after"].default

    def _taken(self, conversation: Conversation, agent: str, reason: str, until_hand_back: timedelta) -> Transitions:
        """Return the conversation as the agent's; one that has ended goes on as its successor."""
        if conversation.agent == agent:
            return Transitions(conversation)
        at = self.clock.now()
        before = conversation.successor(at) if conversation.is_final else conversation
        transitions = self._advance(before, Trigger.TAKE, reason=reason, agent=agent)
        return owned(transitions, agent, at, until_hand_back)

    def _advance(self, conversation: Conversation, trigger: Trigger, *, reason: str, agent: str = "") -> Transitions:
        metadata = {"reason": reason} | ({"agent": agent} if agent else {})
        return self.machine.advance(Transitions(conversation), trigger, at=self.clock.now(), metadata=metadata)

    def _check_limits(self, conversation: Conversation, message: OutboundMessage) -> None:
        channel = conversation.address.channel if conversation.address else None
        if (limits := self.limits.get(channel) if channel else None) is None:
            return
        if message.type not in limits.types:
            raise ReplyRefusedError(f"{channel} takes no {message.type.lower()}")
        if (long := length(message.text or "")) > limits.text:
            raise ReplyRefusedError(f"{channel} takes at most {limits.text} characters, these are {long}")

    def _check_window(self, conversation: Conversation, message: OutboundMessage, windows: Windows) -> None:
        if conversation.address is None:
            raise IllegalTransitionError(f"{conversation.id} has no address to write to")
        window, last = windows.get(conversation.address.channel), conversation.last_inbound_at
        if message.type is MessageType.TEMPLATE or window is None or last is None:
            return
        if self.clock.now() > last + window:
            hours = window // timedelta(hours=1)
            raise ReplyWindowClosedError(
                f"the person wrote last at {last.isoformat()}; after {hours} hours the platform takes only a template"
            )

    def _row(self, head: Conversation, message: OutboundMessage, row_id: OutboxId, at: datetime) -> OutboxRow:
        if head.address is None:
            raise IllegalTransitionError(f"{head.id} has no address to write to")
        return OutboxRow(
            id=row_id,
            conversation_id=head.id,
            turn_id=TurnId(f"{head.id}/v{head.version}"),
            number=head.next_outbox_number,
            address=head.address,
            message=message,
            window_from=head.last_inbound_at,
            created_at=at,
            updated_at=at,
        )

    async def _load(self, conversation_id: ConversationId) -> Conversation:
        """Return the conversation, or the thread that it was joined to."""
        thread = await thread_of(conversation_id, self.store.conversations)
        if thread.turns == 0:
            raise IllegalTransitionError(f"there is no conversation {conversation_id}")
        return migrate(thread)

    async def _change(
        self, conversation_id: ConversationId, move: Move, *, reason: str, agent: str = ""
    ) -> Conversation:
        for _ in range(CONFLICT_RETRIES):
            stored = await self._load(conversation_id)
            change = await move(stored)
            if change is None:
                return stored
            commit = _operation(stored, change, reason, self.clock.now())
            if agent and is_taken_over(stored, commit.conversation):
                unsent = await self.store.outbox.unsent(stored.id)
                commit = commit.withdrawing(unsent, reason=TAKEN, at=self.clock.now())
            try:
                saved = await self.store.conversations.commit(self.notices.noted(commit))
            except ConversationConflictError:
                continue
            note_transitions(commit.transitions)
            self.observe(commit)
            if change.row is not None and self.wake is not None:
                await self.wake(stored.id)
            return saved
        raise ConversationConflictError(conversation_id)


def operators_without_engine(
    store: Store, clock: Clock, queue: WakeUps, windows: Windows, notices: Notices, **given: Any
) -> ConversationOperators:
    """Return the moves for a process that has no engine: it takes the published institution."""
    current, machine = store.institutions.current, ConversationMachine()
    return ConversationOperators(store, machine, clock, current, windows, notices, wake=queue.wake, **given)


# Why a reply was withdrawn.
TAKEN, OPTED_OUT = "taken", "opted_out"


def owned(transitions: Transitions, agent: str, at: datetime, until_hand_back: timedelta) -> Transitions:
    """Return the taken conversation with its owner; without a word it is handed back `until_hand_back` later."""
    handoff = transitions.conversation.handoff
    assert handoff is not None  # noqa: S101 - the machine begins one with every hand-off
    changes = {"agent": agent, "handoff": handoff.model_copy(update={"taken_at": at})}
    conversation = transitions.conversation.model_copy(update={**changes, "times_out_at": at + until_hand_back})
    return transitions.holding(conversation)


def spoken(transitions: Transitions, at: datetime, until_hand_back: timedelta) -> Transitions:
    """Return the agent's conversation after a word of the agent."""
    handoff = transitions.conversation.handoff
    assert handoff is not None  # noqa: S101 - the machine begins one with every hand-off
    answered = handoff.model_copy(update={"answered_at": handoff.answered_at or at, "last_word_at": at})
    changes = {"handoff": answered, "times_out_at": at + until_hand_back}
    return transitions.holding(transitions.conversation.model_copy(update=changes))


def is_taken_over(before: Conversation, after: Conversation) -> bool:
    """Whether the assistant may not speak any more since this change."""
    return after.owner is not Owner.ASSISTANT and (before.owner is Owner.ASSISTANT or before.agent != after.agent)


def to_a_person(
    conversation: Conversation, reason: str, machine: ConversationMachine, at: datetime, *, agent: str = ""
) -> Transitions:
    """Return the conversation as it waits for an agent; without a transition where it does, or has ended."""
    transitions = Transitions(conversation)
    metadata = {"reason": reason} | ({"agent": agent} if agent else {})
    for trigger in _WAY_TO_A_PERSON.get(conversation.state, ()):
        transitions = machine.advance(transitions, trigger, at=at, metadata=metadata)
    return transitions


def _operation(before: Conversation, change: Change, reason: str, at: datetime) -> TurnCommit:
    """Return what a move outside a turn writes: head, history, lines, and a record with no messages."""
    transitions = change.transitions
    changes: dict[str, Any] = {"updated_at": at, "waiting_for": WaitingFor.ANYTHING, "classified": None}
    if change.row is not None:
        changes["next_outbox_number"] = change.row.number + 1
    if not transitions.records:
        # A reminder does not change what is expected of the person.
        changes |= {"waiting_for": before.waiting_for, "classified": before.classified}
    conversation = transitions.conversation.says(*change.said).model_copy(update=changes)
    by_agent = reason in (TurnReason.BY_OPERATOR, TurnReason.REOPENED)
    record = record_of_move(
        conversation,
        reason,
        at,
        path=transitions.path,
        trigger=transitions.records[-1].trigger if transitions.records else None,
        corrects=overruled(before, conversation.state) if by_agent else None,
    )
    rows = (change.row,) if change.row is not None else ()
    return TurnCommit(
        conversation=conversation, transitions=transitions.records, utterances=change.said, turn=record, outbox=rows
    )


def record_of_move(head: Conversation, reason: str, at: datetime, **more: Any) -> TurnRecord:
    """Return the record, without messages, of a move outside a turn; `more` are fields that only some moves have."""
    values: dict[str, Any] = {"path": (head.state,), **more}
    return TurnRecord(
        id=TurnId(f"{head.id}/v{head.version}"),
        conversation_id=head.id,
        episode=head.episode,
        message_ids=(),
        state=head.state,
        reason=reason,
        business_line=head.business_line,
        intent=head.intent,
        at=at,
        **values,
    )
