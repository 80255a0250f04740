"""Leaks: text of the prompt that no reply repeats."""

import base64
import codecs
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from context.guardrails.sentences import folded, seen
from contracts.guardrails import Passage
from contracts.institution import Institution
from contracts.values import Value
from contracts.yaml_file import read_yaml

RUN = 40  # letters and digits in a row
# A run of a draft holds a whole one of its blocks, so most of a draft is looked up once in so many letters.
_BLOCK = RUN // 2
FEWEST_TERMS = 3
_WORD = re.compile(r"[^\W_]+")
_ID = re.compile(r"(?<![\w@./-])[A-Za-z]+(?:_[A-Za-z0-9]+)+(?![\w@/-])")
_TAG = re.compile(r"</?[A-Za-z][\w-]*(?:\s[^<>]*)?/?>")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/_-]{16,}={0,2}\s*)+")
_QUOTED = re.compile(r'"[^"]*"')  # examples of what may be said
_URL_SAFE = str.maketrans("-_", "+/")
_KEY = re.compile(r"[{,]\s*[\"'][\w-]+[\"']\s*:")
# Words that are about the draft and its verdict, and never said to a customer.
_TO_THE_JUDGE = re.compile(
    r"(?<!\w)(?:findings?|verdicts?|veredictos?|veredicto|vereditos?|json|never\.\d+|system prompt|prompt de sistema"
    r"|(?:ignore|disregard|desconsidere|esqueca|olvide) (?:(?:all|any|as|os|todas|todos|the|las|los) ){0,2}"
    r"(?:previous |above |prior |earlier )?(?:instructions?|rules?|instruc\w+|regras?|reglas?))(?!\w)"
)


class _Vocabulary(Value):
    """Terms of the instructions; the file says which."""

    telling: Mapping[str, tuple[str, ...]]
    others: Mapping[str, tuple[str, ...]]


_VOCABULARY = read_yaml(Path(__file__).with_suffix(".yaml"), _Vocabulary).value
_MEANINGS = (*_VOCABULARY.telling.items(), *_VOCABULARY.others.items())
_GROUPS = "|".join(f"(?P<{meaning}>{'|'.join(forms)})" for meaning, forms in _MEANINGS)
_TERMS = re.compile(rf"(?<!\w)(?:{_GROUPS})(?!\w)")


class Leaks:
    """Index of the hidden text: the Never list, descriptions of intents, instructions of the templates, ids."""

    def __init__(self, institution: Institution, passages: Sequence[Passage], instructions: Sequence[str] = ()) -> None:
        own = "\n".join(passage.text for passage in passages)
        texts = (
            *institution.never,
            *(intent.description for intent in institution.intents),
            *(_QUOTED.sub("", text) for text in instructions),
        )
        hidden = [_squeezed(text) for text in texts]
        self._runs = frozenset(run for text in hidden for run in _runs(text)) - {*_runs(_squeezed(own))}
        self._blocks = frozenset(block for text in hidden for block in _runs(text, _BLOCK))
        self._said_to_readers = frozenset(match[0] for match in _TO_THE_JUDGE.finditer(folded(own)))
        self._own_terms = frozenset(match[0] for match in _TERMS.finditer(folded(seen(own))))
        self._passage_ids = frozenset(passage.id for passage in passages)

    def to_the_judge(self, sentence: str) -> str:
        """Return the words of a sentence to a reader of the draft, such as an order to the judge, or nothing."""
        match = _TO_THE_JUDGE.search(folded(sentence))
        return match[0] if match and match[0] not in self._said_to_readers else ""

    def found_in(self, sentence: str) -> Iterator[str]:
        """Yield the marks of the prompt that a sentence has: a piece for each kind."""
        for pattern in (_ID, _TAG, _KEY):
            if match := pattern.search(sentence):
                yield match[0]
        if leaked := next((word for word in sentence.split() if word.strip(".,;:()[]`") in self._passage_ids), None):
            yield leaked

    def terms_in(self, draft: str) -> str:
        """Return the terms of the instructions that a draft has in any language, or nothing where they are few.

        They are what a translation or summary of a template keeps: `FEWEST_TERMS`, one of them telling and not the
        documents' own.
        """
        terms = {match.lastgroup: match[0] for match in _TERMS.finditer(folded(draft))}
        telling = {term for meaning, term in terms.items() if meaning in _VOCABULARY.telling}
        return ", ".join(terms.values()) if len(terms) >= FEWEST_TERMS and telling - self._own_terms else ""

    def run_in(self, draft: str, written: str) -> str:
        """Return the first hidden run of a draft that the person has not written, or nothing.

        A run is found however it is divided into words and lines, backwards, in ROT13 and in base64.
        """
        theirs = _squeezed(written)
        runs = (run for text in _uncovered(draft) for near in self._near(text) for run in _runs(near))
        return next((run for run in runs if run in self._runs and run not in theirs), "")

    def _near(self, text: str) -> Iterator[str]:
        """Where a text has a block of a hidden run: that block and what of the run can be around it."""
        for start in range(0, len(text), _BLOCK):
            if text[start : start + _BLOCK] in self._blocks:
                yield text[max(0, start - _BLOCK) : start + RUN]


def _uncovered(draft: str) -> Iterator[str]:
    """The letters of a draft as they are and in ROT13, forwards and backwards, and those of what is base64 in it."""
    texts = [draft]
    for match in _BASE64.finditer(draft):
        packed = re.sub(r"[\s=]", "", match[0]).translate(_URL_SAFE)
        texts.append(base64.b64decode(packed[: len(packed) // 4 * 4]).decode(errors="ignore"))
    for text in texts:
        for spelling in (_squeezed(text), _squeezed(codecs.decode(text, "rot13"))):
            yield spelling
            yield spelling[::-1]


def _runs(squeezed: str, length: int = RUN) -> Iterator[str]:
    return (squeezed[start : start + length] for start in range(len(squeezed) - length + 1))


def _squeezed(text: str) -> str:
    """The letters and digits of a text, in one spelling."""
    return "".join(_WORD.findall(folded(text)))
