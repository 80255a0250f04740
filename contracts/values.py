"""Ids, the base of every frozen value that crosses a port, and cuts of a text that leave its signs whole."""

import unicodedata
from typing import Annotated, NewType

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

ConversationId = NewType("ConversationId", str)
MessageId = NewType("MessageId", str)
TurnId = NewType("TurnId", str)
OutboxId = NewType("OutboxId", str)


class Value(BaseModel):
    """A frozen value; an unknown field is an error, so that a misspelt one is not silently lost.

    Errors do not quote what they refuse: it may be what a person wrote.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def problems_of(error: Exception) -> str:
    """Return what is wrong, by the place in the value where it is a `ValidationError`; without what was given."""
    if not isinstance(error, ValidationError):
        return str(error)
    found = error.errors(include_input=False, include_url=False)
    return "; ".join(
        f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}".removeprefix(": ")
        for one in found
    )


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


# Zero width joiner and non-joiner; the letters of flags of regions; the flag they follow; Fitzpatrick modifiers.
JOINERS = frozenset("\u200d\u200c")
EMOJI_TAGS = frozenset(map(chr, range(0xE0020, 0xE0080)))
# The blocks in which new emoji appear.
PICTOGRAPHS = frozenset(map(chr, range(0x1F300, 0x1FB00)))
BLACK_FLAG = "\U0001f3f4"
SKIN_TONES = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
# Two of them are the flag of a country.
REGIONAL_INDICATORS = frozenset(map(chr, range(0x1F1E6, 0x1F200)))
# Vowels and final consonants of Hangul that was decomposed.
HANGUL_PARTS = frozenset(map(chr, range(0x1160, 0x1200)))
# The stream-safe format of Unicode (UAX 15) allows 30 combining marks in a row; emoji and flags are shorter.
MAX_SIGN = 64


def length(text: str) -> int:
    """Length in UTF-16 code units: what platforms count is not documented, and no way of counting gives more."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def start_of_sign(text: str, index: int) -> int:
    """Return the begin of the sign that `index` is in the middle of, else `index`: a family is not cut to a father.

    A sign of more than `MAX_SIGN` characters, or one that is the whole text before `index`, is cut: half of it is
    more than none.
    """
    start, first = index, max(0, index - MAX_SIGN)
    while start > first and _continues(text, start):
        start -= 1
    return start if start > first else index


def _continues(text: str, index: int) -> bool:
    """Whether the character belongs to the sign of the one before it."""
    if index >= len(text):
        return False
    character, before = text[index], text[index - 1]
    if character in REGIONAL_INDICATORS and before in REGIONAL_INDICATORS:
        flags = text[:index]
        return (index - len(flags.rstrip("".join(REGIONAL_INDICATORS)))) % 2 == 1
    return (
        character in JOINERS
        or before in JOINERS
        or character in EMOJI_TAGS
        or character in SKIN_TONES
        or character in HANGUL_PARTS
        or (character == "\n" and before == "\r")
        or unicodedata.category(character).startswith("M")
    )


SHORTEST = 300
_MARK_ROOM = 48
LEFT_OUT = " characters left out …]"


def shortened(text: str, limit: int) -> str:
    """Return the text within `limit` characters: its beginning, how much is left out, and its end.

    Two thirds of the room, less `MAX_SIGN`, are at least kept of the end, where a question mostly is. `limit` is at
    least `SHORTEST`.
    """
    if len(text) <= limit:
        return text
    room = limit - _MARK_ROOM
    head = text[: start_of_sign(text, room // 3)]
    tail = text[start_of_sign(text, len(text) - kept_end(limit)) :]
    return f"{head} [… {len(text) - len(head) - len(tail)}{LEFT_OUT} {tail}"


def kept_end(limit: int) -> int:
    """Return how many characters of the end `shortened` keeps in any case."""
    return (limit - _MARK_ROOM) * 2 // 3 - MAX_SIGN
