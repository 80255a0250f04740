"""Portuguese and English as people type them: folded, abbreviations written out, words cut to their stems."""

import re
import unicodedata
from functools import lru_cache

from sandbox.vocabulary import VOCABULARY, WORDS

# The three calls of a turn look at the same texts, and at those of the institution at every turn.
KEPT_TEXTS = 10_000

_NOT_A_WORD = re.compile(r"[^a-z0-9]+")
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{5,}")


def family(language: str) -> str:
    return "en" if language.casefold().startswith("en") else "pt"


@lru_cache(maxsize=KEPT_TEXTS)
def fold(text: str) -> str:
    """Lower case without accents and punctuation, one space between words."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    return _NOT_A_WORD.sub(" ", plain.casefold()).strip()


@lru_cache(maxsize=KEPT_TEXTS)
def words(text: str, language: str) -> tuple[str, ...]:
    """The words of a text, with the abbreviations of chats written out."""
    written_out: list[str] = []
    for word in fold(text).split():
        longer = VOCABULARY.abbreviations.get(word, word)
        if language == "en" and word in WORDS["portuguese_only"]:
            longer = word
        written_out.extend(longer.split())
    return tuple(written_out)


def is_stop_word(word: str, language: str) -> bool:
    return word in VOCABULARY.stop_words[language]


@lru_cache(maxsize=20_000)
def stem(word: str, language: str) -> str:
    """The beginning that the forms of a word share, at least three letters of it."""
    if len(word) <= 3 or word.isdigit():
        return word
    if language == "en" and word.endswith(("oes", "ches", "shes")):
        word = word[:-2]
    for suffix in VOCABULARY.suffixes[language]:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word.removesuffix(suffix)
            break
    if language == "en" and len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return word


def without(phrases: tuple[str, ...], text: tuple[str, ...]) -> tuple[str, ...]:
    """The words that remain when these phrases are taken out."""
    joined = f" {' '.join(text)} "
    for phrase in phrases:
        joined = joined.replace(f" {phrase} ", " ")
    return tuple(joined.split())


def is_gibberish(text: str) -> bool:
    """No word that could be one: keyboard noise, or nothing but signs."""
    letters = fold(text)
    return not letters or all(_CONSONANTS.search(word) or len(set(word)) == 1 < len(word) for word in letters.split())
