"""Language of a text, out of those that customers write, by its function words; short texts stay undecided."""

import re
from collections.abc import Mapping
from pathlib import Path

from contracts.values import Value
from contracts.yaml_file import WordSet, read_yaml

_WORD = re.compile(r"[^\W\d_]+")


class FunctionWords(Value):
    """Function words by language; the file says which."""

    pt: WordSet
    en: WordSet
    es: WordSet


_FUNCTION_WORDS: Mapping[str, frozenset[str]] = dict(
    read_yaml(Path(__file__).with_name("language.yaml"), FunctionWords).value
)
# Known words that a decision needs, and the ratio between the two most frequent languages.
_FEWEST_WORDS = 2
_LEAD = 1.5


def likely_language(text: str) -> str | None:
    """Return `pt`, `en` or `es`, or None when the words do not decide it."""
    words = _WORD.findall(text.casefold())
    counts = sorted(
        ((sum(word in known for word in words), language) for language, known in _FUNCTION_WORDS.items()), reverse=True
    )
    (most, language), (next_most, _) = counts[:2]
    return language if most >= _FEWEST_WORDS and most >= next_most * _LEAD else None


def base_language(code: str) -> str:
    """Return `pt` of `pt-BR`."""
    return code.partition("-")[0].casefold()
