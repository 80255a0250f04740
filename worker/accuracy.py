"""What Task 1 decided, and whether it turned out wrong: by the next words of the person, or by an operator's hand.

`docs/experiments.md` says what is counted and what cannot be seen.
"""

from datetime import datetime, timedelta

from contracts.conversation import Classification, Conversation, State, TurnRecord
from contracts.decisions import StateDecision

# Who is back so soon after the end had not come to it.
BACK_WITHIN = timedelta(minutes=10)
# Where a classification led, and where an operator put the conversation afterwards.
_OVERRULED = {
    (State.PROCESSING, State.ESCALATING),
    (State.COMPLETED, State.INIT),
    (State.SPAM, State.INIT),
}
# The reason of a turn below the threshold of confidence.
UNCLEAR = "unclear"


def classification(decision: StateDecision, conversation: Conversation, at: datetime) -> Classification:
    """What is kept of a decision that is followed, until the next one."""
    return Classification(
        dest=decision.next_state, business_line=decision.business_line, arms=conversation.tuning.arms, at=at
    )


def taken_back(before: Classification | None, decision: StateDecision, at: datetime) -> Classification | None:
    """The classification before, where this decision says that the person has just taken it back.

    Either the person goes on with another business line at once, or is back soon after the end with a matter of a
    business line, or with one for a person of the team. Thanks and greetings have no line.
    """
    if before is None:
        return None
    if before.dest is State.COMPLETED:
        has_matter = decision.business_line is not None or decision.next_state is State.ESCALATING
        return before if has_matter and at - before.at <= BACK_WITHIN else None
    lines = {before.business_line, decision.business_line} - {None}
    return before if before.dest is State.PROCESSING and len(lines) == 2 else None


def overruled(before: Conversation, after: State) -> Classification | None:
    """The classification before, where an operator puts the conversation elsewhere than it led to.

    An operator who calls a person takes over from an assistant that went on; one who reopens undoes an end. Handing
    back and closing say nothing of how it was understood.
    """
    found = before.classified
    return found if found is not None and (found.dest, after) in _OVERRULED else None


def gave_up(turn: TurnRecord) -> bool:
    """Whether a person was called because it could not be understood what was meant, after asking."""
    return turn.reason == UNCLEAR and turn.state is State.ESCALATING


def was_classified(turn: TurnRecord) -> bool:
    """Whether the engine followed a decision of Task 1, or gave up; a question back is neither."""
    return turn.confidence is not None and (turn.reason != UNCLEAR or gave_up(turn))
