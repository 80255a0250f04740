"""Replies cut into parts that cite the passages they were taken from."""

import re
from itertools import groupby
from typing import Any

from contracts.guardrails import PartKind
from contracts.institution import Institution
from sandbox.language import fold
from sandbox.vocabulary import SIGNS

_SENTENCE = re.compile(r".+?(?:[.!?…]+[\"'”’)]*(?=\s)|\n|\Z)\s*", re.DOTALL)
_UNSEEN = ("text.", "said.")


class Citer:
    """Finds the passage that has a sentence word for word."""

    def __init__(self, institution: Institution) -> None:
        self._passages = [(one.id, fold(one.text)) for one in institution.passages if not one.id.startswith(_UNSEEN)]

    def parts(self, text: str) -> list[dict[str, Any]]:
        """The reply as Task 2 answers it: neighbouring sentences of one kind and source are one part."""
        sentences = ((self._kind(sentence), sentence) for sentence in _SENTENCE.findall(text))
        return [
            {"says": says, "from": [source] if source else [], "text": "".join(one for _, one in group)}
            for (says, source), group in groupby(sentences, key=lambda pair: pair[0])
        ]

    def relying_on_all(self, text: str) -> list[dict[str, Any]]:
        """Return a scripted text as one part that cites every passage."""
        return [{"says": PartKind.INFORM, "from": [id for id, _ in self._passages], "text": text}]

    def _kind(self, sentence: str) -> tuple[str, str | None]:
        said = fold(sentence)
        source = next((id for id, passage in self._passages if said and said in passage), None)
        if source:
            return PartKind.INFORM, source
        if SIGNS["greeting"].match(sentence):
            return PartKind.GREET, None
        return (PartKind.ASK if sentence.rstrip().endswith("?") else PartKind.ECHO), None


def spoken(parts: list[dict[str, Any]]) -> str:
    return "".join(part["text"] for part in parts)
