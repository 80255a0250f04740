"""What the guardrail gate is told about a draft, and what it may find in it."""

from collections.abc import Mapping
from enum import StrEnum

from contracts.values import Value


class Rule(StrEnum):
    """The rules of the gate; every finding names one."""

    PRICE = "price"
    CLOSING = "closing"
    NEGOTIATION = "negotiation"
    PROMISE = "promise"
    LINK = "link"
    PERSONAL_DATA = "personal_data"
    PROMPT_LEAK = "prompt_leak"
    UNSUPPORTED_NUMBER = "unsupported_number"
    UNSUPPORTED_NAME = "unsupported_name"
    EMPTY = "empty"


class KnownFacts(Value):
    """What the draft may repeat although the institution's documents do not say it.

    `person_texts` is what the person wrote, `fields` what the conversation collected about this person, and
    `person_address` the person's own phone or id on the platform.
    """

    person_texts: tuple[str, ...] = ()
    fields: Mapping[str, str] = {}
    person_name: str | None = None
    person_address: str | None = None


class Finding(Value):
    """One reason to withhold a draft; `excerpt` is the piece of the draft that gave it."""

    rule: Rule
    excerpt: str
