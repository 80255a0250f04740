"""Replacement of what names a person in recorded texts by invented values, the same for the same."""

import re
from collections.abc import Callable, Iterable

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_LINK = re.compile(r"(?<!\w)(?:https?://|www\.)\S+", re.IGNORECASE)
# Phones, documents and cards: seven digits or more, however they are grouped.
_NUMBER = re.compile(r"(?<!\w)\+?\(?\d(?:[().\-\u2013/ ]{0,3}\d){6,}(?!\w)")
_WORD = re.compile(r"[^\W\d_]{2,}")
NAMES = ("Ana", "Bruno", "Clara", "Davi", "Elisa", "Fábio", "Gabi", "Hugo", "Iara", "João")


class Anonymiser:
    """Replaces addresses, links, long numbers, and the words of `names` with a value for each.

    What it does not know stays: a name that is neither the person's nor in a field that is one.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._given: dict[str, str] = {}
        self._names = 0
        words = sorted({word for name in names for word in _WORD.findall(name)}, key=len, reverse=True)
        self._words = re.compile(rf"\b(?:{'|'.join(words)})\b", re.IGNORECASE) if words else None

    def __call__(self, text: str) -> str:
        text = _EMAIL.sub(self._by(lambda number, _: f"pessoa{number}@example.com"), text)
        text = _LINK.sub(self._by(lambda number, _: f"https://example.com/{number}"), text)
        text = _NUMBER.sub(self._by(_digits), text)
        return self._words.sub(self._by(self._name), text) if self._words else text

    def _by(self, invent: Callable[[int, str], str]) -> Callable[[re.Match[str]], str]:
        def replaced(found: re.Match[str]) -> str:
            key = found[0].casefold()
            if key not in self._given:
                self._given[key] = invent(len(self._given) + 1, found[0])
            return self._given[key]

        return replaced

    def _name(self, _number: int, _found: str) -> str:
        self._names += 1
        return NAMES[(self._names - 1) % len(NAMES)] + ("" if self._names <= len(NAMES) else str(self._names))


def _digits(number: int, found: str) -> str:
    """Return a number of the same form that is nobody's: 9, zeros, and the count at the end."""
    places = sum(sign.isdigit() for sign in found)
    digits = iter("9" + str(number).rjust(places - 1, "0"))
    return re.sub(r"\d", lambda _: next(digits), found)
