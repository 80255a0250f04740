"""Ids and the base of every frozen value that crosses a port."""

from typing import Annotated, NewType

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

ConversationId = NewType("ConversationId", str)
MessageId = NewType("MessageId", str)
TurnId = NewType("TurnId", str)
OutboxId = NewType("OutboxId", str)


class Value(BaseModel):
    """A frozen value; an unknown field is an error, so that a misspelt one is not silently lost.

    Errors do not quote what they refuse: it may be what a person wrote.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Kept(Value):
    """A value stored in an inbox or a store.

    Fields of a newer release are ignored: during a rolling update both releases read the same documents. The older one
    writes them back without the addition, so every addition needs a valid default.
    """

    model_config = ConfigDict(extra="ignore")


def without_lone_surrogates(text: str) -> str:
    """Replace lone surrogates by U+FFFD: JSON parsers accept them and every UTF-8 encoder behind fails on them."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


Text = Annotated[str, AfterValidator(without_lone_surrogates)]
Instant = AwareDatetime
# pydantic's smart mode picks the member by the value's own type: 1 stays a number, True a boolean.
Scalar = bool | int | Annotated[float, Field(allow_inf_nan=False)] | Annotated[Text, Field(max_length=2_000)]
