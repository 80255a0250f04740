"""Words, patterns and sample texts of the sandbox, read once from `vocabulary.yaml`."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from contracts.analysis import Tone
from contracts.values import Value
from contracts.yaml_file import WordSet, read_yaml

Phrases = tuple[str, ...]
Pattern = Annotated[re.Pattern[str], BeforeValidator("".join)]


class Vocabulary(Value):
    """The content of the file; what is by language has the keys `pt` and `en`."""

    abbreviations: dict[str, str]
    stop_words: dict[str, WordSet]
    greetings: dict[str, Phrases]
    thanks: dict[str, Phrases]
    suffixes: dict[str, Phrases]

    again: Phrases
    leaving: dict[str, str]
    words: dict[str, WordSet]
    signs: dict[str, Pattern]
    ordinals: dict[str, int]
    human: Phrases

    lures: Phrases
    adverts: Phrases

    field_kinds: dict[str, Phrases]

    replies: dict[str, dict[str, str]]

    price: Phrases
    tones: dict[Tone, Phrases]
    analysis: dict[str, dict[str, str]]
    cheats: dict[str, Phrases]


VOCABULARY = read_yaml(Path(__file__).with_name("vocabulary.yaml"), Vocabulary).value
WORDS, SIGNS = VOCABULARY.words, VOCABULARY.signs
