"""Dead letters: messages that are given up, kept for the team, and answered with a hand-off."""

from contracts.delivery import DeadLetter, InboxEntry
from fsm.migrations import migrate
from observability.logs import logger
from observability.metrics import DEAD_LETTERS
from worker import outbox
from worker.dependencies import OperatorDependencies, OutboxDependencies
from worker.operator_actions import escalate_for_dead_letter

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
        await escalate_for_dead_letter(entry, deps)
        await outbox.flush(message.conversation_id, sending)
    await deps.inbox.remove(message.conversation_id, [entry.sequence])
