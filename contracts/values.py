"""Ids and the base of every frozen value that crosses a port."""

from typing import Annotated, NewType

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict

ConversationId = NewType("ConversationId", str)
MessageId = NewType("MessageId", str)
TurnId = NewType("TurnId", str)
OutboxId = NewType("OutboxId", str)


class Value(BaseModel):
    """A frozen value; an unknown field is an error, so that a misspelt one is not lost in silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Kept(Value):
    """A value that stands in an inbox or a store.

    What a newer release added to it is passed over: while one release replaces another, both read the same documents.
    What the older one writes back lacks the addition, so an addition needs a default that is right without it.
    """

    model_config = ConfigDict(extra="ignore")


def without_lone_surrogates(text: str) -> str:
    """Replace lone surrogates by U+FFFD: JSON parsers let them pass and every UTF-8 encoder behind breaks on them."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


Text = Annotated[str, AfterValidator(without_lone_surrogates)]
Instant = AwareDatetime
