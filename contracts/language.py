"""Language of a text, out of those that customers write, by its function words; short texts stay undecided."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from contracts.conversation import Conversation, Speaker
from contracts.institution import Institution
from contracts.messages import InboundMessage
from contracts.values import Value
from contracts.yaml_file import WordSet, read_yaml

_WORD = re.compile(r"[^\W\d_]+")


class FunctionWords(Value):
    """Function words by language; the file says which."""

    pt: WordSet
    en: WordSet
    es: WordSet


FUNCTION_WORDS: Mapping[str, frozenset[str]] = dict(
    read_yaml(Path(__file__).with_name("language.yaml"), FunctionWords).value
)
# Known words that a decision needs, and the ratio between the two most frequent languages.
_FEWEST_WORDS = 2
_LEAD = 1.5


def likely_language(text: str) -> str | None:
    """Return `pt`, `en` or `es`, or None when the words do not decide it."""
    words = _WORD.findall(text.casefold())
    counts = sorted(
        ((sum(word in known for word in words), language) for language, known in FUNCTION_WORDS.items()), reverse=True
    )
    (most, language), (next_most, _) = counts[:2]
    return language if most >= _FEWEST_WORDS and most >= next_most * _LEAD else None


def speaking_to(
    conversation: Conversation, institution: Institution, newest: Sequence[InboundMessage] = ()
) -> Institution:
    """Return the institution in the language of the person's newest text that decides it."""
    if not institution.translations:
        return institution
    said = [said.text for said in conversation.window if said.speaker is Speaker.PERSON]
    texts = reversed([*said, *(message.text for message in newest)])
    return institution.speaking(next((language for text in texts if (language := likely_language(text))), None))


def base_language(code: str) -> str:
    """Return `pt` of `pt-BR`."""
    return code.partition("-")[0].casefold()
