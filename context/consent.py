"""Recognises a message that as a whole says "no more messages", "messages again", or asks for the assistant."""

import re
from collections.abc import Iterable

from context.guardrails.sentences import folded, seen
from contracts.institution import Institution

_WORD = re.compile(r"[^\W_]+")
_POLITE = re.compile(
    r"^(?:por favor|pfv|pf|please|pls) | (?:por favor|pfv|pf|please|pls|obrigad[oa]|thanks|thank you)$"
)


class OptOutWords:
    """The institution's words for leaving, for coming back, and for the assistant in the place of an agent."""

    def __init__(self, institution: Institution) -> None:
        self._out = _spellings(institution.opt_out_words)
        self._in = _spellings(institution.opt_in_words)
        self._assistant = _spellings(institution.assistant_words)

    def is_opt_out(self, text: str) -> bool:
        return _bare(text) in self._out

    def is_opt_in(self, text: str) -> bool:
        return _bare(text) in self._in

    def asks_for_assistant(self, text: str) -> bool:
        return _bare(text) in self._assistant


def _words(text: str) -> list[str]:
    return _WORD.findall(folded(seen(text)))


def _spellings(phrases: Iterable[str]) -> frozenset[str]:
    return frozenset(" ".join(_words(phrase)) for phrase in phrases)


def _bare(text: str) -> str:
    """The words of a message without signs and courtesies."""
    plain = " ".join(_words(text[:200]))
    previous = None
    while previous != plain:
        previous, plain = plain, _POLITE.sub("", plain)
    return plain
