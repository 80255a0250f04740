"""Sentences of a reply: one spelling for every character, then the cuts that findings are numbered by."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from contracts.guardrails import ReplyPart

# Characters that compatibility forms leave as they are; most texts have no others.
_USUAL = re.compile(
    r"[ -~\n\u00a1-\u00a3\u00a7\u00ab\u00b0\u00b7\u00bb\u00bf-\u00ff"
    r"\u2013\u2014\u2018\u2019\u201c\u201d\u20ac]*"
)
_BLANKS = re.compile(r" {2,}")
_END = re.compile(r"\n+|(?<![.!?\u2026])[.!?\u2026]+[\"'\u201d\u2019)*_]*\s+")
_ABBREVIATION = re.compile(r"(?<!\w)[^\W\d_]{1,2}\.$")  # "J. Lima", "Av. Brasil"
_MARKER = re.compile(r"\W*\d{1,2}\.$")
# A circled digit, a keycap, one in parentheses, or a number and its mark at the beginning of a line.
_ITEM = re.compile(
    r"(?P<circled>[\u2460-\u2468])(?= )|(?P<keycap>[0-9])\ufe0f?\u20e3(?= )|\((?P<enclosed>[0-9])\)(?= )"
    r"|(?<= )(?P<closed>[0-9])\)(?= )"
    r"|(?:\A|\n)[ *_]{0,4}(?P<line>[0-9]{1,2})[*_]{0,2} ?[.):\u2013\u2014-][*_]{0,2}(?= )"
)
# What a text with such a number has; most sentences have none of it.
_MAY_BE_LISTED = re.compile(r"[\n)\u2460-\u2468\u20e3]|\A[ *_]{0,4}[0-9]")
_LONGEST_ABBREVIATION = 3
_LONGEST_MARKER = 5
# "2\u00bd hours" are 2.5: the compatibility form would read 21 of something.
_FRACTIONS = {"\u00bc": 25, "\u00bd": 5, "\u00be": 75}
_HALVES = re.compile(r"(?<=\d) ?([\u00bc\u00bd\u00be])")
_HYPHENS = "\u2010\u2011\u2212\ufe63\uff0d"
LONGEST_SENTENCE = 1_000


class _Table(dict[int, str]):
    """A table for `str.translate` that works out an entry when its character first occurs."""

    def __init__(self, entry: Callable[[str], str]) -> None:
        super().__init__()
        self._entry = entry

    def __missing__(self, code: int) -> str:
        self[code] = entry = self._entry(chr(code))
        return entry


def _visible(character: str) -> str:
    """Nothing for what prints nothing, a blank for white space, the character otherwise."""
    category = unicodedata.category(character)
    if character in _HYPHENS:
        return "-"
    if character in "\n\r\x85" or category in ("Zl", "Zp"):
        return "\n"
    if category == "Zs" or character in "\t\x0b\x0c":
        return " "
    if category in ("Cc", "Cf", "Cn", "Co", "Cs", "Me") or 0xFE00 <= ord(character) <= 0xFE0F:
        return ""
    return character


def _base(character: str) -> str:
    """The small letter without its accents; always one character, so that positions stay."""
    small = character.lower()
    base = unicodedata.normalize("NFD", small if len(small) == 1 else character)[0]
    return "'" if base in "\u2018\u2019\u02bc" else base


_VISIBLE = _Table(_visible)
_BASE = _Table(_base)


def seen(text: str) -> str:
    """The text as a person sees it: compatibility forms resolved, one blank at a time, newlines kept.

    Where the numbers of a list count from one, each begins a line in one form.
    """
    found = _ITEM.finditer(text) if _MAY_BE_LISTED.search(text) else ()
    items = [int(unicodedata.normalize("NFKC", item[item.lastgroup or 0])) for item in found]
    if len(items) > 1 and items == list(range(1, len(items) + 1)):
        numbers = iter(items)
        text = _ITEM.sub(lambda _: f"\n{next(numbers)}.", text)
    if not _USUAL.fullmatch(text):
        text = _HALVES.sub(lambda part: f".{_FRACTIONS[part[1]]}", text)
        text = unicodedata.normalize("NFKC", text.translate(_VISIBLE)).translate(_VISIBLE)
    return _BLANKS.sub(" ", text) if "  " in text else text


def folded(text: str) -> str:
    """A text in small letters without accents, of the same length."""
    return text.translate(_BASE)


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text; a line end always ends one, a point only before something that can begin another."""
    shown, start = seen(text), 0
    for end in _END.finditer(shown):
        if "\n" not in end[0] and not _ends_sentence(shown, start, end):
            continue
        yield from _pieces(shown[start : end.end()].strip())
        start = end.end()
    yield from _pieces(shown[start:].strip())


def sentences_of(parts: Sequence[ReplyPart], also: Sequence[str] = ()) -> tuple[str, ...]:
    """The sentences of a draft in the order that findings number them by."""
    texts = (*(part.text for part in parts), *also)
    return tuple(sentence for text in texts for sentence in sentences(text))


def _pieces(sentence: str) -> Iterator[str]:
    """A sentence that no person would write is cut at a blank: work on one of them stays bounded."""
    while len(sentence) > LONGEST_SENTENCE:
        cut = sentence.rfind(" ", 1, LONGEST_SENTENCE)
        cut = cut if cut > 0 else LONGEST_SENTENCE
        yield sentence[:cut]
        sentence = sentence[cut:].lstrip()
    if sentence:
        yield sentence


def _ends_sentence(text: str, start: int, end: re.Match[str]) -> bool:
    following = text[end.end() : end.end() + 1]
    if end[0][0] != "." or not following:
        return True
    if following.islower() or (end.start() - start <= _LONGEST_MARKER and _MARKER.match(text, start, end.start() + 1)):
        return False
    abbreviated = _ABBREVIATION.search(text, max(start, end.start() - _LONGEST_ABBREVIATION), end.start() + 1)
    return abbreviated is None or not abbreviated[0][0].isupper()
