"""Words that the content gate knows, read once from `words.yaml`."""

from pathlib import Path

from contracts.values import Value
from contracts.yaml_file import WordSet, read_yaml


class Words(Value):
    """Words of Portuguese and English by their part in a question, without accents; the file says what each is."""

    short_forms: dict[str, str]
    courtesies: tuple[str, ...]
    fillers: WordSet
    copulas: WordSet
    negations: WordSet
    english_negations: WordSet
    answers: WordSet
    question_words: WordSet
    dates: WordSet
    moments: WordSet
    number_words: WordSet
    everyday: WordSet


WORDS = read_yaml(Path(__file__).with_name("words.yaml"), Words).value
