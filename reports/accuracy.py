"""Accuracy of Task 1: its classifications, and those that the person's next words or an operator overruled.

`docs/experiments.md` says what is counted and what cannot be seen.
"""

from datetime import datetime, timedelta

from contracts.conversation import Classification, Conversation, State, TurnRecord
from contracts.decisions import StateDecision
from contracts.turn import TurnReason

# A person who is back so soon had not come to the end.
BACK_WITHIN = timedelta(minutes=10)
# Where a classification led, and where an operator put the conversation afterwards.
_OVERRULED = {(State.PROCESSING, State.ESCALATING), (State.COMPLETED, State.INIT), (State.SPAM, State.INIT)}


def classification(decision: StateDecision, conversation: Conversation, at: datetime) -> Classification:
    """Return what is kept of a followed decision, until the next one."""
    return Classification(
        dest=decision.next_state, business_line=decision.business_line, arms=conversation.tuning.arms, at=at
    )


def taken_back(before: Classification | None, decision: StateDecision, at: datetime) -> Classification | None:
    """Return the classification before, where this decision shows that the person has just taken it back.

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
    """Return the classification before, where an operator puts the conversation elsewhere than it led to.

    An operator who calls a person takes over from an assistant that went on; one who reopens undoes an end. Handing
    back and closing say nothing of how it was understood.
    """
    found = before.classified
    return found if found is not None and (found.dest, after) in _OVERRULED else None


def gave_up(turn: TurnRecord) -> bool:
    """Whether a person was called because it could not be understood what was meant, after asking."""
    return turn.reason == TurnReason.UNCLEAR and turn.state is State.ESCALATING


def was_classified(turn: TurnRecord) -> bool:
    """Whether the engine followed a decision of Task 1, or gave up; a question back is neither."""
    return turn.confidence is not None and (turn.reason != TurnReason.UNCLEAR or gave_up(turn))
