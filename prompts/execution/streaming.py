"""Streaming: the reply inside incomplete JSON, and the ends of its sentences."""

import re
from collections.abc import Iterable, Iterator

from pydantic import ValidationError
from pydantic_core import from_json

from contracts.guardrails import ReplyPart

# A sentence has ended when something follows its stop: "R$ 1." may go on with "500", "Sr." may not be the end.
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|\n")


class FormingReply:
    """Parts of Task 2's answer, which arrives in pieces; the text of the last one may still grow."""

    def __init__(self) -> None:
        self._json = ""
        self.parts: tuple[ReplyPart, ...] = ()

    def add(self, piece: str) -> tuple[ReplyPart, ...]:
        """Return the parts so far; invalid JSON adds nothing, and the check of the complete answer rejects it."""
        self._json += piece
        try:
            content = from_json(self._json, allow_partial="trailing-strings")
        except ValueError:
            return self.parts
        listed = content.get("parts") if isinstance(content, dict) else None
        self.parts = tuple(_parts(listed if isinstance(listed, list) else ()))
        return self.parts


def _parts(listed: Iterable[object]) -> Iterator[ReplyPart]:
    """The parts until the first that is not complete enough to be read."""
    for one in listed:
        try:
            yield ReplyPart.model_validate(one)
        except ValidationError:
            return


def sentence_ends(text: str) -> list[int]:
    """Return the end of each complete sentence; the text after the last one may still grow."""
    return [match.end() for match in _SENTENCE_END.finditer(text)]
