"""Streaming: the text inside incomplete JSON, and the ends of its sentences."""

import re

from pydantic_core import from_json

# A sentence has ended when something follows its stop: "R$ 1." may go on with "500", "Sr." may not be the end.
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|\n")


class FormingText:
    """Text under one key of a JSON object that arrives in pieces."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._json = ""
        self.text = ""

    def add(self, piece: str) -> str:
        """Return the text so far; invalid JSON adds nothing, and the check of the complete answer rejects it."""
        self._json += piece
        try:
            content = from_json(self._json, allow_partial="trailing-strings")
        except ValueError:
            return self.text
        value = content.get(self._key) if isinstance(content, dict) else None
        if isinstance(value, str):
            self.text = value
        return self.text


def sentence_ends(text: str) -> list[int]:
    """Return the end of each complete sentence; the text after the last one may still grow."""
    return [match.end() for match in _SENTENCE_END.finditer(text)]
