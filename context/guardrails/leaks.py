"""Leaks: text of the prompt that no reply repeats."""

import re
from collections.abc import Iterator, Sequence

from context.guardrails.sentences import folded
from contracts.guardrails import Passage
from contracts.institution import Institution

RUN = 8  # words in a row
_WORD = re.compile(r"[^\W_]+")
_ID = re.compile(r"(?<![\w@./-])[A-Za-z]+(?:_[A-Za-z0-9]+)+(?![\w@/-])")
_TAG = re.compile(r"</?[A-Za-z][\w-]*(?:\s[^<>]*)?/?>")
_KEY = re.compile(r"[{,]\s*[\"'][\w-]+[\"']\s*:")


class Leaks:
    """Index of the hidden text: the list of what is never done, descriptions of intents, ids, tags and keys."""

    def __init__(self, institution: Institution, passages: Sequence[Passage]) -> None:
        said = {run for passage in passages for run in _runs(passage.text)}
        hidden = (*institution.never, *(intent.description for intent in institution.intents))
        self._runs = frozenset(run for text in hidden for run in _runs(text)) - said
        self._passage_ids = frozenset(passage.id for passage in passages)

    def found_in(self, sentence: str) -> Iterator[str]:
        """What a sentence repeats of the prompt: a piece for each kind of leak."""
        for pattern in (_ID, _TAG, _KEY):
            if match := pattern.search(sentence):
                yield match[0]
        if leaked := next((run for run in _runs(sentence) if run in self._runs), None):
            yield leaked
        if leaked := next((word for word in sentence.split() if word.strip(".,;:()[]`") in self._passage_ids), None):
            yield leaked


def _runs(text: str) -> Iterator[str]:
    """Every run of words in a row, in one spelling."""
    words = _WORD.findall(folded(text))
    return (" ".join(words[start : start + RUN]) for start in range(len(words) - RUN + 1))
