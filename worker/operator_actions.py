"""Dead letters, erasure, expiry and export of conversations."""

from collections.abc import Sequence
from typing import Any

from context.hours import handoff_text
from contracts.conversation import Conversation, State
from contracts.delivery import Erasure, InboxEntry
from contracts.errors import ConversationConflictError
from contracts.messages import OutboundMessage, address_digests
from contracts.performance import Cause
from contracts.ports import Store
from contracts.turn import Turn, TurnReason
from contracts.values import ConversationId
from fsm.migrations import migrate
from observability.metrics import note_transitions
from worker.analyses.requests import analyses_of
from worker.dependencies import OperatorDependencies
from worker.operators import CONFLICT_RETRIES, to_a_person
from worker.turn import Draft, to_commit


async def escalate_for_dead_letter(entry: InboxEntry, deps: OperatorDependencies) -> None:
    """Pass over the message, announce an agent to the person, and hand the conversation to the team."""
    for _ in range(CONFLICT_RETRIES):
        stored = await deps.store.conversations.load(entry.message.conversation_id)
        conversation = migrate(stored) if stored else Conversation(id=entry.message.conversation_id)
        if conversation.last_sequence >= entry.sequence:
            return
        address = entry.message.address
        transitions = to_a_person(
            conversation.model_copy(update={"address": address}),
            TurnReason.DEAD_LETTERED,
            deps.machine,
            deps.clock.now(),
        )
        institution = deps.rulebook().institution
        draft = Draft(transitions, reason=TurnReason.DEAD_LETTERED, fallback=True)
        if transitions.state is State.ESCALATING and not conversation.opted_out:
            hold = OutboundMessage.of_text(handoff_text(institution, deps.clock.now()))
            draft = draft.with_reply(hold)
        turn = Turn(entry.message.conversation_id, (entry,))
        commit = to_commit(turn, draft, institution.version, at=deps.clock.now())
        try:
            await deps.store.conversations.commit(deps.agents.notices.noted(commit))
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
