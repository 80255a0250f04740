"""Parts of a drafted reply, what the guardrail gate knows about it, and what it may find in it."""

from collections.abc import Sequence
from enum import StrEnum

from pydantic import ConfigDict, Field

from contracts.values import Kept, Text, Value


class PartKind(StrEnum):
    """Kinds of what a reply says. There is none for a price, a booking or a promise."""

    GREET = "greet"
    ASK = "ask"
    ECHO = "echo"
    INFORM = "inform"
    HAND_OVER = "hand_over"
    DECLINE = "decline"
    CLOSE = "close"


class ReplyPart(Value):
    """One part of a drafted reply; `sources` (JSON name `from`) are the ids of the passages it relies on."""

    model_config = ConfigDict(populate_by_name=True)

    says: PartKind
    text: Text = Field(min_length=1)
    sources: tuple[str, ...] = Field(default=(), alias="from")


def text_of(parts: Sequence[ReplyPart]) -> str:
    """Return a reply as a person reads it: parts are joined by a blank unless there is white space already."""
    joined = ""
    for part in parts:
        is_apart = not joined or joined[-1].isspace() or part.text[0].isspace()
        joined += part.text if is_apart else f" {part.text}"
    return joined


class Passage(Kept):
    """A paragraph, bullet, answer or asset of the institution's documents that a reply can cite by `id`.

    `heading` is the heading above it in the section of a business line.
    """

    id: str
    text: str
    line: str | None = None
    heading: str = ""


class Rule(StrEnum):
    """The rules of the gate; every finding names one.

    The judge's are those from NEVER (the institution's own list) to VERDICT_UNUSABLE, the others are the floor's.
    """

    PRICE = "price"
    NEVER = "never"
    CLOSING = "closing"
    PROMISE = "promise"
    UNSUPPORTED = "unsupported"
    CONTRADICTS = "contradicts"
    VERDICT_UNUSABLE = "verdict_unusable"
    LINK = "link"
    PERSONAL_DATA = "personal_data"
    PROMPT_LEAK = "prompt_leak"
    UNSUPPORTED_NUMBER = "unsupported_number"
    UNSUPPORTED_HOURS = "unsupported_hours"
    UNSUPPORTED_DATE = "unsupported_date"
    UNSUPPORTED_PERCENTAGE = "unsupported_percentage"
    UNSUPPORTED_CODE = "unsupported_code"
    UNSUPPORTED_NAME = "unsupported_name"
    UNREADABLE = "unreadable"
    SOURCE_MISSING = "source_missing"
    EMPTY = "empty"
    REPEATS = "repeats"
    TOO_LONG = "too_long"


class KnownFacts(Value):
    """Facts that the draft may repeat although the institution's documents do not say it.

    `person_texts` is what the person wrote, and `person_address` the person's own phone or id on the platform.
    """

    person_texts: tuple[str, ...] = ()
    person_name: str | None = None
    person_address: str | None = None


class Finding(Value):
    """One reason to withhold a draft.

    `excerpt` is the piece of the draft that gave it, `sentence` the sentence's number in the draft (from 0), `why` the
    reason in words, and `nearest` the passage that comes closest to what an unsupported atom says.
    """

    rule: Rule
    excerpt: str
    sentence: int | None = None
    why: str = ""
    nearest: str = ""


class Correction(Value):
    """A sentence of a withheld draft, for its rewrite: the piece of it, the rule, why, and the nearest passage."""

    sentence: str
    excerpt: str = Field("", exclude_if=lambda text: not text)
    rule: str
    why: str
    nearest: str = Field("", exclude_if=lambda text: not text)
