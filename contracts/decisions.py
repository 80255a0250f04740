"""Validated output of the three prompt tasks."""

from enum import StrEnum

from pydantic import Field

from contracts.conversation import State, WaitingFor
from contracts.guardrails import ReplyPart, text_of
from contracts.messages import MessageType
from contracts.values import Text, Value

MAX_OPTIONS = 10
MAX_PARTS = 40


class CollectedField(Value):
    """One fact about the person; `name` is an id of the institution's fields."""

    name: str
    value: Text = Field(min_length=1, max_length=500)


class Wish(StrEnum):
    """A wish that is followed whatever else is understood: no more messages, or a person of the team."""

    OPT_OUT = "opt_out"
    AGENT = "agent"


class StateDecision(Value):
    """Task 1: the next state, and the understanding of the message.

    `options` are titles to offer as buttons or rows; `ask_field` is the field that the reply should ask for, among
    those neither known nor asked before; `confidence` is in [0, 1]. `description` is of the files of the turn.
    """

    next_state: State
    confidence: float = Field(ge=0, le=1)
    business_line: str | None = None
    intent: str | None = None
    waiting_for: WaitingFor = WaitingFor.ANYTHING
    collected: tuple[CollectedField, ...] = Field(default=(), max_length=20)
    ask_field: str | None = None
    options: tuple[Text, ...] = Field(default=(), max_length=MAX_OPTIONS)
    wish: Wish | None = None
    description: Text | None = Field(None, exclude_if=lambda text: text is None)


class ResponseDraft(Value):
    """Task 2: the words of the reply, in parts that name their sources."""

    parts: tuple[ReplyPart, ...] = Field(min_length=1, max_length=MAX_PARTS)

    @property
    def text(self) -> str:
        return text_of(self.parts)


class JudgedSentence(Value):
    """A finding of the judge; `rule` is `never.N` or the value of a `Rule`."""

    sentence: int
    rule: str
    why: Text = Field("", max_length=300)


class JudgeVerdict(Value):
    """Findings of the judge in a draft; none, mostly."""

    findings: tuple[JudgedSentence, ...] = Field(max_length=100)


class MessageTypeChoice(Value):
    """Task 3: the form of the reply. `asset` is an id of the institution's assets, for types that carry one."""

    type: MessageType
    asset: str | None = None
    list_label: Text = ""


class TurnAnswer(Value):
    """All three tasks in one answer; without a reply where the decision asks for none."""

    state: StateDecision
    response: ResponseDraft | None = None
    message_type: MessageTypeChoice | None = None
