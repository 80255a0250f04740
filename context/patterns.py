"""Matches sentences against short patterns of words and word classes.

A pattern is a line of blanks-separated parts: `word`, `one|other`, `<class>` of `context/lemmas.py`, `..` (up to four
words between), `_` (one word or none), `^` (the clause begins here, courtesies aside) and `$` (it ends here). Patterns
are found by their first words, so that a text costs what its own words cost and not what all patterns together would.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from context.lemmas import CLASSES, EXCUSED, split_words
from contracts.guardrails import Rule

WIDE, NARROW = 4, 1
_TOKEN = re.compile(r"[a-z0-9]+|[.!?;\n]|[,:()*|\"-]")
_ENDS = frozenset(".!?;\n")
_BREAKS = frozenset(',:()*|"-')
COURTESIES = split_words(
    """oi ola claro entao ja pronto prontinho perfeito otimo show ok sim bah oxe opa ta tudo esta e muito bem
    maravilha certo legal beleza feito agora bom boa obrigado obrigada excelente uai mano guri tche eita blz olha so
    que tao mais hi hello hey yes yep yeah right great sure well all it s is that now just good news lovely thanks
    thank you awesome brilliant perfect okay fine then righto super cool done ve i we re are has been have"""
)


class Token(NamedTuple):
    word: str
    start: int
    end: int
    opens: bool  # first of its clause, courtesies aside
    closes: bool  # last of its clause


@dataclass(frozen=True, slots=True)
class Sentence:
    tokens: tuple[Token, ...]
    asks: bool
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class _Step:
    words: frozenset[str]
    reach: int  # how many words may stand before it
    opens: bool = False
    closes: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    steps: tuple[_Step, ...]


def sentences_of(flat_text: str) -> Iterator[Sentence]:
    """The sentences of a flat text as words."""
    tokens: list[Token] = []
    begins = True
    for match in _TOKEN.finditer(flat_text):
        word = match[0]
        if word in _ENDS or word in _BREAKS:
            if tokens and not tokens[-1].closes:
                last = tokens[-1]
                tokens[-1] = Token(last.word, last.start, last.end, last.opens, True)
            begins = True
            if word in _ENDS and tokens:
                yield Sentence(tuple(tokens), asks=word == "?", is_last=not flat_text[match.end() :].strip(" .!\n"))
                tokens = []
            continue
        tokens.append(Token(word, match.start(), match.end(), begins, False))
        begins = begins and word in COURTESIES
    if tokens:
        last = tokens[-1]
        tokens[-1] = Token(last.word, last.start, last.end, last.opens, True)
        yield Sentence(tuple(tokens), asks=False, is_last=True)


@lru_cache(maxsize=4096)
def parsed(line: str) -> Pattern:
    """The pattern a line stands for.

    Raises:
        KeyError: it names a class that does not exist.
    """
    steps: list[_Step] = []
    reach, opens = 0, False
    for part in line.split():
        if part == "..":
            reach = WIDE
        elif part == "_":
            reach = NARROW
        elif part == "^":
            opens = True
        elif part == "$":
            steps[-1] = _Step(steps[-1].words, steps[-1].reach, steps[-1].opens, closes=True)
        else:
            steps.append(_Step(_words_of(part), reach, opens))
            reach, opens = 0, False
    return Pattern(tuple(steps))


def _words_of(part: str) -> frozenset[str]:
    found: set[str] = set()
    for one in part.split("|"):
        found |= CLASSES[one[1:-1]] if one.startswith("<") else {one}
    return frozenset(found)


class PatternIndex:
    """Patterns with what they say, by the words they begin with."""

    def __init__(self, patterns: Mapping[Rule, Sequence[str]]) -> None:
        self._by_word: dict[str, list[tuple[Rule, Pattern]]] = defaultdict(list)
        for rule, written in patterns.items():
            for line in written:
                pattern = parsed(line)
                for word in pattern.steps[0].words:
                    self._by_word[word].append((rule, pattern))

    def matches(self, sentence: Sentence) -> Iterator[tuple[Rule, int, int]]:
        """What the sentence says, with the first and last word of where it says so."""
        said = {token.word for token in sentence.tokens}
        for first, token in enumerate(sentence.tokens):
            for rule, pattern in self._by_word.get(token.word, ()):
                if len(pattern.steps) > 1 and pattern.steps[1].words.isdisjoint(said):
                    continue
                last = _match(pattern.steps, 0, sentence.tokens, first)
                if last is not None:
                    yield rule, first, last


def _match(steps: Sequence[_Step], at: int, tokens: Sequence[Token], position: int) -> int | None:
    """The last word a pattern takes when its part `at` has to stand from `position` on."""
    step = steps[at]
    for here in range(position, min(len(tokens), position + step.reach + 1)):
        token = tokens[here]
        if token.word not in step.words or (step.opens and not token.opens) or (step.closes and not token.closes):
            continue
        if at + 1 == len(steps):
            return here
        last = _match(steps, at + 1, tokens, here + 1)
        if last is not None:
            return last
    return None


def is_denied_at(sentence: Sentence, first: int, last: int) -> bool:
    """Whether the clause says, before or among some words, that it is not so: "ainda não há nada agendado"."""
    tokens = sentence.tokens
    for position in range(last - 1, max(-1, first - 8), -1):
        if position < first and tokens[position].closes:
            return False
        word = tokens[position].word
        if word in EXCUSED["denial"] and (word != "no" or tokens[position].opens):  # "no" is "in the" in Portuguese
            after = [token.word for token in tokens[position + 1 : position + 4]]
            if after[:3] == ["need", "to", "be"] or (after[:1] == ["precisa"] and after[1:2] in _BEING):
                return True
            following = set(after[:2])
            return not following & EXCUSED["reassurance"]
    return False


def is_for_others(sentence: Sentence, first: int, last: int) -> bool:
    """Whether it is what someone of the team does as a rule: "o pedido é confirmado por uma pessoa"."""
    tokens = sentence.tokens
    before = {token.word for token in tokens[max(0, first - 8) : first]}
    inside = {token.word for token in tokens[first : last + 1]}
    after = [token.word for token in tokens[last + 1 : last + 8]]
    if before & _WHO_ALONE and EXCUSED["other"] & (before | set(after)):
        return True
    handed = bool(EXCUSED["through"] & set(after[:3])) and bool(EXCUSED["other"] & set(after))
    return handed and not inside & _HAPPENED


_BEING = (["ser"], ["estar"], ["ter"])
_WHO_ALONE = split_words("quem who so somente apenas only")
_HAPPENED = split_words("deixei alinhei foi foram ja ficou ta acabei acaba been has have ve just was were")


def is_conditional(sentence: Sentence, first: int) -> bool:
    """Whether a condition or a time comes first in the clause: "quando a proposta for aceita", "com ela aceita"."""
    tokens = sentence.tokens
    for position in range(first - 1, max(-1, first - 7), -1):
        word = tokens[position].word
        if tokens[position].closes:
            return False
        if word in EXCUSED["condition"] or (word == "com" and position >= first - 2):
            return True
        if word == "que" and position and tokens[position - 1].word in ("do", "o"):
            return True
    return False


def is_about_hours(sentence: Sentence, first: int, last: int) -> bool:
    """Whether it is the house that is closed, and not a deal."""
    shut = any(token.word.startswith(("fech", "closed", "shut")) for token in sentence.tokens[first : last + 1])
    return shut and any(token.word in EXCUSED["house"] for token in sentence.tokens)
