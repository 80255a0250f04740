"""Hand-off of a conversation whose message was given up."""

from context.hours import handoff_text
from contracts.conversation import Conversation, State
from contracts.delivery import InboxEntry
from contracts.errors import ConversationConflictError
from contracts.messages import OutboundMessage
from contracts.performance import Cause
from contracts.turn import Turn, TurnReason
from fsm.migrations import migrate
from observability.metrics import note_transitions
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
