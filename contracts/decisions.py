"""Validated output of the three prompt tasks."""

from pydantic import Field

from contracts.conversation import State, WaitingFor
from contracts.messages import MessageType
from contracts.values import Text, Value

MAX_OPTIONS = 10


class CollectedField(Value):
    """One fact about the person; `name` is an id of the institution's fields."""

    name: str
    value: Text = Field(min_length=1, max_length=500)


class StateDecision(Value):
    """Task 1: the next state, and the understanding of the message.

    `options` are titles to offer as buttons or rows; `ask_field` is the field that the reply should ask for, among
    those neither known nor asked before; `confidence` is in [0, 1].
    """

    next_state: State
    confidence: float = Field(ge=0, le=1)
    business_line: str | None = None
    intent: str | None = None
    waiting_for: WaitingFor = WaitingFor.ANYTHING
    collected: tuple[CollectedField, ...] = Field(default=(), max_length=20)
    ask_field: str | None = None
    options: tuple[Text, ...] = Field(default=(), max_length=MAX_OPTIONS)


class ResponseDraft(Value):
    """Task 2: the text of the reply."""

    text: Text = Field(min_length=1, max_length=8000)


class MessageTypeChoice(Value):
    """Task 3: the form of the reply. `asset` is an id of the institution's assets, for types that carry one."""

    type: MessageType
    asset: str | None = None
    list_label: Text = ""
