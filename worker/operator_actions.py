"""Moves of a conversation outside its turns: operators, timers, undeliverable replies, erasure, export."""

from collections.abc import Callable, Sequence
from typing import Any

from contracts.conversation import Conversation, State, Trigger, TurnRecord, WaitingFor
from contracts.delivery import Erasure, InboxEntry, TurnCommit
from contracts.errors import ConversationConflictError, IllegalTransitionError
from contracts.institution import FixedText
from contracts.messages import OutboundMessage, address_digests
from contracts.performance import Cause
from contracts.ports import Store
from contracts.turn import Turn, TurnReason
from contracts.values import ConversationId, TurnId
from fsm.machine import Transitions
from fsm.migrations import migrate
from observability.metrics import note_transitions
from reports.accuracy import overruled
from worker.analyses.requests import analyses_of
from worker.dependencies import OperatorDependencies
from worker.turn import Draft, to_commit

CONFLICT_RETRIES = 5

# The triggers that lead to a person, by the state a conversation rests in.
_WAY_TO_A_PERSON = {
    State.INIT: (Trigger.BEGIN, Trigger.IDENTIFIED, Trigger.ESCALATE),
    State.AWAITING_USER: (Trigger.ESCALATE,),
}


async def pull(
    conversation_id: ConversationId, trigger: Trigger, deps: OperatorDependencies, *, reason: str
) -> Conversation:
    """Move a conversation by an operator's or a timer's hand.

    Raises:
        IllegalTransitionError: the table has no such move from the state it is in, or there is no such conversation.
        ConversationConflictError: it kept changing.
    """

    def move(conversation: Conversation) -> Transitions:
        metadata = {"reason": reason}
        transitions = deps.machine.advance(Transitions(conversation), trigger, at=deps.clock.now(), metadata=metadata)
        if trigger is Trigger.HAND_BACK:
            # Somebody has looked at it: it may spend its ceiling once more.
            return transitions.holding(transitions.conversation.model_copy(update={"spent_usd": "0"}))
        return transitions

    return await _change(conversation_id, move, deps, reason=reason)


async def time_out(conversation_id: ConversationId, deps: OperatorDependencies) -> None:
    """End a wait that has lasted longer than the table allows; nothing when it has ended already."""
    conversation = await deps.store.conversations.load(conversation_id)
    if conversation is None or conversation.moved_to is not None or conversation.times_out_at is None:
        return
    if conversation.times_out_at <= deps.clock.now():
        await pull(conversation_id, Trigger.TIME_OUT, deps, reason=TurnReason.TIMED_OUT)


async def escalate(conversation_id: ConversationId, deps: OperatorDependencies, *, reason: str) -> None:
    """Call a person of the team, without a word to the person who writes; nothing when one is called already."""

    def move(conversation: Conversation) -> Transitions:
        return _to_a_person(conversation, reason, deps)

    await _change(conversation_id, move, deps, reason=reason)


async def reopen(conversation_id: ConversationId, deps: OperatorDependencies) -> Conversation:
    """Undo SPAM, or any other end: the conversation goes on as its own successor, waiting for the person.

    Raises:
        IllegalTransitionError: it has not ended.
    """

    def move(conversation: Conversation) -> Transitions:
        if not conversation.is_final:
            raise IllegalTransitionError(f"{conversation_id} is {conversation.state}, not at an end")
        return Transitions(conversation.successor(deps.clock.now()))

    return await _change(conversation_id, move, deps, reason=TurnReason.REOPENED)


async def escalate_for_dead_letter(entry: InboxEntry, deps: OperatorDependencies) -> None:
    """Pass over the message, announce an agent to the person, and hand the conversation to the team."""
    for _ in range(CONFLICT_RETRIES):
        stored = await deps.store.conversations.load(entry.message.conversation_id)
        conversation = migrate(stored) if stored else Conversation(id=entry.message.conversation_id)
        if conversation.last_sequence >= entry.sequence:
            return
        address = entry.message.address
        transitions = _to_a_person(conversation.model_copy(update={"address": address}), TurnReason.DEAD_LETTERED, deps)
        institution = deps.rulebook().institution
        draft = Draft(transitions, reason=TurnReason.DEAD_LETTERED, fallback=True)
        if transitions.state is State.ESCALATING and not conversation.opted_out:
            hold = OutboundMessage.of_text(institution.text(FixedText.ESCALATED))
            draft = draft.with_reply(hold)
        turn = Turn(entry.message.conversation_id, (entry,))
        commit = to_commit(turn, draft, institution.version, at=deps.clock.now())
        try:
            await deps.store.conversations.commit(commit)
        except ConversationConflictError:
            continue
        note_transitions(commit.transitions)
        deps.ledger.book_failure(Cause.DEAD_LETTER)
        return
    raise ConversationConflictError(entry.message.conversation_id)


async def erase(conversation_id: ConversationId, deps: OperatorDependencies) -> Erasure:
    """Delete everything of a person's conversation; a worker that is thinking about it cannot write it back.

    The inbox goes first: a worker that re-reads it after the store refused its commit finds nothing to write again.
    Before it go the dead letters of no conversation that hold an address of the person, while the addresses are known.
    Erasing twice, or again after a crash in the middle, is harmless. Returns what there was in each place.
    """
    store = deps.store
    waiting = await deps.inbox.pending(conversation_id)
    letters = await store.dead_letters.letters(conversation_id=conversation_id, limit=10_000)
    rows, analyses = (
        await store.outbox.rows(conversation_id),
        await analyses_of(conversation_id, store.records, at=deps.clock.now()),
    )
    addresses = await _addresses_of(conversation_id, waiting, store)
    unreadable = await store.dead_letters.forget(address_digests(deps.id_salt, *addresses))
    last_sequence = await deps.inbox.forget(conversation_id)
    await deps.faults.reach("erase.inbox_gone")
    turns = await deps.store.conversations.turns(conversation_id)
    # Whoever took messages before and has not loaded the head yet finds them answered.
    erased = await deps.store.conversations.erase(conversation_id, at=deps.clock.now(), answered_up_to=last_sequence)
    deps.ledger.book_erased(turns)
    await deps.variants.forget(conversation_id)
    return Erasure(
        inbox=len(waiting),
        conversation=len(turns) or int(erased),
        outbox=len(rows),
        dead_letters=len(letters) + unreadable,
        records=len(analyses),
    )


async def _addresses_of(conversation_id: ConversationId, waiting: Sequence[InboxEntry], store: Store) -> set[str]:
    """Return every name that the platform has given to the person, now or earlier."""
    head = await store.conversations.load(conversation_id)
    receipts = await store.conversations.receipts(conversation_id)
    messages = [*(entry.message for entry in waiting), *(receipt.message for receipt in receipts)]
    known = [message.address for message in messages]
    if head is not None and head.address is not None:
        known.append(head.address)
    return {name for address in known for name in (address.person, *address.aliases)}


async def expire(conversation_id: ConversationId, deps: OperatorDependencies) -> None:
    """Forget what was said; a message that waits or is being thought about begins a new conversation."""
    await deps.store.conversations.erase(conversation_id, at=deps.clock.now())


async def export(conversation_id: ConversationId, deps: OperatorDependencies) -> dict[str, Any] | None:
    """Everything that is kept about a conversation, as JSON values; None when nothing is."""
    head = await deps.store.conversations.load(conversation_id)
    waiting = await deps.inbox.pending(conversation_id)
    if (head is None or head.turns == 0) and not waiting:
        return None
    return {
        "conversation": head.model_dump(mode="json") if head else None,
        "waiting": [entry.model_dump(mode="json") for entry in waiting],
        "messages": [
            receipt.model_dump(mode="json") for receipt in await deps.store.conversations.receipts(conversation_id)
        ],
        "transcript": [
            said.model_dump(mode="json") for said in await deps.store.conversations.transcript(conversation_id)
        ],
        "transitions": [
            record.model_dump(mode="json") for record in await deps.store.conversations.transitions(conversation_id)
        ],
        "turns": [turn.model_dump(mode="json") for turn in await deps.store.conversations.turns(conversation_id)],
        "outbox": [row.model_dump(mode="json") for row in await deps.store.outbox.rows(conversation_id)],
        "dead_letters": [
            letter.model_dump(mode="json")
            for letter in await deps.store.dead_letters.letters(conversation_id=conversation_id, limit=10_000)
        ],
        "analyses": [
            analysis.model_dump(mode="json")
            for analysis in await analyses_of(conversation_id, deps.store.records, at=deps.clock.now())
        ],
    }


async def _change(
    conversation_id: ConversationId,
    move: Callable[[Conversation], Transitions],
    deps: OperatorDependencies,
    *,
    reason: str,
) -> Conversation:
    for _ in range(CONFLICT_RETRIES):
        stored = await deps.store.conversations.load(conversation_id)
        if stored is None or stored.turns == 0:
            raise IllegalTransitionError(f"there is no conversation {conversation_id}")
        transitions = move(migrate(stored))
        if transitions == Transitions(stored):
            return stored
        try:
            commit = _operation(stored, transitions, reason, deps)
            saved = await deps.store.conversations.commit(commit)
        except ConversationConflictError:
            continue
        note_transitions(transitions.records)
        deps.variants.observe(commit)
        return saved
    raise ConversationConflictError(conversation_id)


def _operation(before: Conversation, transitions: Transitions, reason: str, deps: OperatorDependencies) -> TurnCommit:
    """Return what a move outside a turn writes: head, history, and a record with no messages and no reply."""
    at = deps.clock.now()
    changes = {"updated_at": at, "waiting_for": WaitingFor.ANYTHING, "classified": None}
    conversation = transitions.conversation.model_copy(update=changes)
    record = TurnRecord(
        id=TurnId(f"{conversation.id}/v{conversation.version}"),
        conversation_id=conversation.id,
        episode=conversation.episode,
        message_ids=(),
        path=transitions.path,
        state=conversation.state,
        trigger=transitions.records[-1].trigger if transitions.records else None,
        reason=reason,
        business_line=conversation.business_line,
        intent=conversation.intent,
        corrects=overruled(before, conversation.state)
        if reason in (TurnReason.BY_OPERATOR, TurnReason.REOPENED)
        else None,
        at=at,
    )
    return TurnCommit(conversation=conversation, transitions=transitions.records, turn=record)


def _to_a_person(conversation: Conversation, reason: str, deps: OperatorDependencies) -> Transitions:
    transitions = Transitions(conversation)
    for trigger in _WAY_TO_A_PERSON.get(conversation.state, ()):
        transitions = deps.machine.advance(transitions, trigger, at=deps.clock.now(), metadata={"reason": reason})
    return transitions
