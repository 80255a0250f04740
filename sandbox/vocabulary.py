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
    portuguese_only: WordSet
    stop_words: dict[str, WordSet]
    greetings: dict[str, Phrases]
    thanks: dict[str, Phrases]
    suffixes: dict[str, Phrases]

    clearly_yes: WordSet
    agreeing: WordSet
    declining: WordSet
    fillers: WordSet
    thankful: WordSet
    again: Phrases
    declines: Pattern
    asks_next: Pattern
    distress: Pattern
    trickery: Pattern
    emergency: Pattern
    rescue: Pattern
    back: WordSet
    robot: Pattern
    misunderstood: Pattern
    dropped: Pattern
    waiting: Pattern
    laughs: Pattern
    seasonal: Pattern
    grateful: WordSet
    around_thanks: WordSet
    price_question: Pattern
    leaving: dict[str, str]
    company_look: Pattern
    asks_for_content: Pattern
    begins_a_request: Pattern

    link: Pattern
    money_per_time: Pattern
    offers: Pattern
    lures: Phrases
    adverts: Phrases

    not_names: WordSet
    field_kinds: dict[str, Phrases]
    from_company: Pattern
    company: Pattern
    need: Pattern
    opening: Pattern
    no_name: Pattern

    replies: dict[str, dict[str, str]]

    price: Phrases
    tones: dict[Tone, Phrases]
    analysis: dict[str, dict[str, str]]
    cheats: dict[str, Phrases]


VOCABULARY = read_yaml(Path(__file__).with_name("vocabulary.yaml"), Vocabulary).value
