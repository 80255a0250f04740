"""States and legal moves, as data. `fsm/machine.py` runs it, `docs/fsm.md` is drawn from it.

Change it together with `TABLE_VERSION` and a migration (`fsm/machine.py`), and give the reason of an added move in
`docs/decisions/`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from contracts.conversation import FINAL_STATES, Conversation, State, Trigger
from contracts.values import Value


# Booleans on purpose: every combination can be enumerated, so that the static check proves each guard total and each
# state never without a way out.
class Facts(Value):
    """The input of the guards.

    Attributes:
        answered_before: this episode has had a reply, so ending it makes sense.
        person_is_known: the person has given a field or had an earlier episode, and so is not rejected as spam.
    """

    answered_before: bool = False
    person_is_known: bool = False


def facts_of(conversation: Conversation) -> Facts:
    return Facts(
        answered_before=conversation.turns_in_episode > 0,
        person_is_known=bool(conversation.fields) or bool(conversation.previous_episodes),
    )


def may_conclude(facts: Facts) -> bool:
    """A model that ends a conversation at its first message has misread it."""
    return facts.answered_before


def may_be_spam(facts: Facts) -> bool:
    """A person with collected fields or an earlier episode gets an agent's attention rather than silence."""
    return not facts.person_is_known


TABLE_VERSION = 1


@dataclass(frozen=True)
class Move:
    """One legal transition. Without a guard it is always open; `by` is the party that may pull the trigger."""

    trigger: Trigger
    source: State
    dest: State
    by: str
    guard: Callable[[Facts], bool] | None = None


@dataclass(frozen=True)
class StateRow:
    """A state, its meaning, and the limit of a conversation's stay in it (None: unlimited, final states only)."""

    state: State
    meaning: str
    limit: timedelta | None

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES


# Transient states never rest in the store; their limit is for a table that once stored them.
PASSING = timedelta(minutes=5)

STATES = (
    StateRow(State.INIT, "nobody has looked at the conversation yet", PASSING),
    StateRow(State.IDENTIFYING, "who writes, and are they welcome", PASSING),
    StateRow(State.UNDERSTANDING_INTENT, "what the person wants: Task 1 decides", PASSING),
    StateRow(State.PROCESSING, "the request is understood, an answer is due", PASSING),
    StateRow(State.GENERATING_RESPONSE, "Task 2 writes the reply, Task 3 chooses its form", PASSING),
    StateRow(State.SELECTING_MESSAGE_TYPE, "the reply is fitted to the platform", PASSING),
    StateRow(State.AWAITING_USER, "the person has the word", timedelta(hours=24)),
    # Within the reply window of the platforms, so that a message still reaches the person.
    StateRow(State.ESCALATING, "an agent owns it, or it waits for one", timedelta(hours=20)),
    StateRow(State.COMPLETED, "the matter is closed; the next message opens a successor", None),
    StateRow(State.FAILED, "given up; the next message opens a successor", None),
    StateRow(State.SPAM, "not answered; an operator can reopen it", None),
)

ENGINE, MODEL, OPERATOR, TIMER = "engine", "model", "operator", "timer"

MOVES = (
    Move(Trigger.BEGIN, State.INIT, State.IDENTIFYING, ENGINE),
    Move(Trigger.MARK_SPAM, State.INIT, State.SPAM, ENGINE, may_be_spam),
    Move(Trigger.TAKE, State.INIT, State.ESCALATING, OPERATOR),
    Move(Trigger.TIME_OUT, State.INIT, State.FAILED, TIMER),
    Move(Trigger.IDENTIFIED, State.IDENTIFYING, State.UNDERSTANDING_INTENT, ENGINE),
    Move(Trigger.MARK_SPAM, State.IDENTIFYING, State.SPAM, ENGINE, may_be_spam),
    Move(Trigger.TIME_OUT, State.IDENTIFYING, State.FAILED, TIMER),
    Move(Trigger.PROCESS, State.UNDERSTANDING_INTENT, State.PROCESSING, MODEL),
    Move(Trigger.ESCALATE, State.UNDERSTANDING_INTENT, State.ESCALATING, MODEL),
    Move(Trigger.CONCLUDE, State.UNDERSTANDING_INTENT, State.COMPLETED, MODEL, may_conclude),
    Move(Trigger.MARK_SPAM, State.UNDERSTANDING_INTENT, State.SPAM, MODEL, may_be_spam),
    Move(Trigger.TIME_OUT, State.UNDERSTANDING_INTENT, State.FAILED, TIMER),
    Move(Trigger.DRAFT, State.PROCESSING, State.GENERATING_RESPONSE, ENGINE),
    Move(Trigger.ESCALATE, State.PROCESSING, State.ESCALATING, ENGINE),
    Move(Trigger.FAIL, State.PROCESSING, State.FAILED, ENGINE),
    Move(Trigger.TIME_OUT, State.PROCESSING, State.FAILED, TIMER),
    Move(Trigger.RESPOND, State.GENERATING_RESPONSE, State.SELECTING_MESSAGE_TYPE, ENGINE),
    Move(Trigger.ESCALATE, State.GENERATING_RESPONSE, State.ESCALATING, ENGINE),
    Move(Trigger.FAIL, State.GENERATING_RESPONSE, State.FAILED, ENGINE),
    Move(Trigger.TIME_OUT, State.GENERATING_RESPONSE, State.FAILED, TIMER),
    Move(Trigger.SEND, State.SELECTING_MESSAGE_TYPE, State.AWAITING_USER, ENGINE),
    Move(Trigger.CONCLUDE, State.SELECTING_MESSAGE_TYPE, State.COMPLETED, ENGINE),
    Move(Trigger.FAIL, State.SELECTING_MESSAGE_TYPE, State.FAILED, ENGINE),
    Move(Trigger.TIME_OUT, State.SELECTING_MESSAGE_TYPE, State.FAILED, TIMER),
    Move(Trigger.RECEIVE, State.AWAITING_USER, State.UNDERSTANDING_INTENT, ENGINE),
    Move(Trigger.CONCLUDE, State.AWAITING_USER, State.COMPLETED, OPERATOR),
    Move(Trigger.ESCALATE, State.AWAITING_USER, State.ESCALATING, ENGINE),
    Move(Trigger.TAKE, State.AWAITING_USER, State.ESCALATING, OPERATOR),
    Move(Trigger.TIME_OUT, State.AWAITING_USER, State.COMPLETED, TIMER),
    Move(Trigger.TAKE, State.ESCALATING, State.ESCALATING, OPERATOR),
    Move(Trigger.HAND_BACK, State.ESCALATING, State.AWAITING_USER, OPERATOR),
    Move(Trigger.CONCLUDE, State.ESCALATING, State.COMPLETED, OPERATOR),
    Move(Trigger.FAIL, State.ESCALATING, State.FAILED, OPERATOR),
    Move(Trigger.TIME_OUT, State.ESCALATING, State.ESCALATING, TIMER),
)
