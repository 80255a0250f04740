"""Leaks: text of the prompt that no reply repeats."""

import base64
import codecs
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from context.guardrails.sentences import folded
from contracts.guardrails import Passage
from contracts.institution import Institution

RUN = 8  # words in a row
_WORD = re.compile(r"[^\W_]+")
_ID = re.compile(r"(?<![\w@./-])[A-Za-z]+(?:_[A-Za-z0-9]+)+(?![\w@/-])")
_TAG = re.compile(r"</?[A-Za-z][\w-]*(?:\s[^<>]*)?/?>")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}")
_KEY = re.compile(r"[{,]\s*[\"'][\w-]+[\"']\s*:")
# Words that are about the draft and its verdict, and never said to a customer.
_TO_THE_JUDGE = re.compile(
    r"(?<!\w)(?:findings?|verdicts?|veredictos?|veredicto|vereditos?|json|never\.\d+|system prompt|prompt de sistema"
    r"|(?:ignore|disregard|desconsidere|esqueca|olvide) (?:(?:all|any|as|os|todas|todos|the|las|los) ){0,2}"
    r"(?:previous |above |prior |earlier )?(?:instructions?|rules?|instruc\w+|regras?|reglas?))(?!\w)"
)


class Leaks:
    """Index of the hidden text: the list of what is never done, descriptions of intents, ids, tags and keys."""

    def __init__(self, institution: Institution, passages: Sequence[Passage]) -> None:
        said = {run for passage in passages for run in _runs(passage.text)}
        hidden = (*institution.never, *(intent.description for intent in institution.intents))
        self._runs = frozenset(run for text in hidden for run in _runs(text)) - said
        own = folded("\n".join(passage.text for passage in passages))
        self._said_to_readers = frozenset(match[0] for match in _TO_THE_JUDGE.finditer(own))
        self._passage_ids = frozenset(passage.id for passage in passages)

    def to_the_judge(self, sentence: str) -> str:
        """Return the words of a sentence to a reader of the draft, such as an order to the judge, or nothing."""
        match = _TO_THE_JUDGE.search(folded(sentence))
        return match[0] if match and match[0] not in self._said_to_readers else ""

    def found_in(self, sentence: str) -> Iterator[str]:
        """Yield the parts of the prompt that a sentence repeats: a piece for each kind of leak."""
        for pattern in (_ID, _TAG, _KEY):
            if match := pattern.search(sentence):
                yield match[0]
        for said in (sentence, *_uncovered(sentence)):
            if leaked := next((run for run in _runs(said) if run in self._runs), None):
                yield leaked
        if leaked := next((word for word in sentence.split() if word.strip(".,;:()[]`") in self._passage_ids), None):
            yield leaked


def _uncovered(sentence: str) -> Iterator[str]:
    """Return what a sentence says in ROT13, backwards, and in each of its words that is base64."""
    yield codecs.decode(sentence, "rot13")
    yield sentence[::-1]
    for word in _BASE64.findall(sentence):
        with suppress(ValueError):
            yield base64.b64decode(f"{word}{'=' * (-len(word) % 4)}", validate=True).decode()


def _runs(text: str) -> Iterator[str]:
    """Every run of words in a row, in one spelling."""
    words = _WORD.findall(folded(text))
    return (" ".join(words[start : start + RUN]) for start in range(len(words) - RUN + 1))
