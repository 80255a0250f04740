"""Dead letters: messages that are given up, kept for the team, and answered with a hand-off."""

from context.hours import handoff_text
from contracts.conversation import Conversation, State
from contracts.delivery import DeadLetter, InboxEntry
from contracts.errors import ConversationConflictError
from contracts.language import speaking_to
from contracts.messages import OutboundMessage
from contracts.performance import Cause
from contracts.turn import Turn, TurnReason
from fsm.machine import migrate
from observability.logs import logger
from observability.metrics import DEAD_LETTERS, note_transitions
from worker import outbox
from worker.dependencies import OperatorDependencies, OutboxDependencies
from worker.people.operators import CONFLICT_RETRIES, to_a_person
from worker.turn import Draft, to_commit

log = logger(__name__)


async def give_up(entry: InboxEntry, reason: str, deps: OperatorDependencies, sending: OutboxDependencies) -> None:
    """Keep the message as a dead letter, escalate its conversation and go on. Doing it twice changes nothing.

    Raises:
        TransientError: also when another store or release answers the conversation, and so gives it up.
    """
    message = entry.message
    head = await deps.store.conversations.load(message.conversation_id)
    if head is not None:
        migrate(head)
    await deps.store.dead_letters.add(
        DeadLetter(
            id=message.dedup_key,
            conversation_id=message.conversation_id,
            message_id=message.id,
            channel=message.address.channel,
            reason=reason,
            attempts=entry.attempts,
            message=message if entry.raw is None else None,
            raw=entry.raw,
            at=deps.clock.now(),
        )
    )
    kind = "unreadable" if entry.raw is not None else reason if reason == "attempts" else "permanent"
    DEAD_LETTERS.labels(reason=kind).inc()
    log.error("message.dead_lettered", correlation_id=message.id, reason=reason, attempts=entry.attempts)
    await deps.faults.reach("dead_letter.kept")
    head = await deps.store.conversations.load(message.conversation_id)
    if head is not None and head.turns == 0 and head.last_sequence >= entry.sequence:
        # Erased since the message was taken: an empty head that has passed it.
        await deps.store.dead_letters.drop(message.dedup_key)
        return
    if entry.raw is None:
        await _hand_over(entry, deps)
        await outbox.flush(message.conversation_id, sending)
    await deps.inbox.remove(message.conversation_id, [entry.sequence])


async def _hand_over(entry: InboxEntry, deps: OperatorDependencies) -> None:
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
        institution = speaking_to(conversation, deps.rulebook().institution, [entry.message])
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
