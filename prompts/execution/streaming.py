"""A model's answer while it forms: the text inside the JSON that is not whole yet, and where its sentences end."""

import re

from pydantic_core import from_json

# A sentence has ended when something follows its stop: "R$ 1." may go on with "500", "Sr." may not be the end.
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|\n")


class FormingText:
    """The text under one key of a JSON object that arrives in pieces."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._json = ""
        self.text = ""

    def add(self, piece: str) -> str:
        """Return the text so far; JSON that nothing could mend adds nothing, and the check of the whole says so."""
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
    """Where each whole sentence of the text ends; what comes after the last of them may still grow."""
    return [match.end() for match in _SENTENCE_END.finditer(text)]
