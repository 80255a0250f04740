"""Rewrites patterns so that alternatives share what they begin with: the same matches, found with far less trying."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

_LITERAL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789 ")
_REPEATS = frozenset("?*+{")
_PIECE = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?:|\(|\)|\||[^\\\[()|]", re.DOTALL)


def one_of(words: Iterable[str]) -> str:
    """A pattern for any of some words, the longest that fits first."""
    return f"(?:{_factored(list(words))})"


def sharing(pattern: str) -> str:
    """The pattern with every group of alternatives arranged by first letters.

    Which of several alternatives is tried first may change, so it suits patterns that ask whether something is said.
    """
    return _alternation(_PIECE.findall(pattern))


def _alternation(pieces: list[str]) -> str:
    parts = ["".join(_groups_arranged(part)) for part in _split(pieces)]
    return _factored(parts) if len(parts) > 1 else parts[0]


def _split(pieces: list[str]) -> Iterator[list[str]]:
    """The alternatives of a pattern that has been taken apart."""
    depth, part = 0, list[str]()
    for piece in pieces:
        depth += piece.startswith("(") - (piece == ")")
        if piece == "|" and depth == 0:
            yield part
            part = []
        else:
            part.append(piece)
    yield part


def _groups_arranged(pieces: list[str]) -> Iterator[str]:
    depth, inner = 0, list[str]()
    for piece in pieces:
        if depth == 0:
            yield piece
            depth += piece.startswith("(")
            continue
        depth += piece.startswith("(") - (piece == ")")
        if depth == 0:
            # What follows "(" may be "?<!" or "?P<name>", which is no alternative of its own.
            yield _alternation(inner) if not inner or inner[0] != "?" else _inside(inner)
            yield ")"
            inner = []
        else:
            inner.append(piece)


def _inside(pieces: list[str]) -> str:
    return "|".join("".join(_groups_arranged(part)) for part in _split(pieces))


def _factored(parts: list[str]) -> str:
    by_letter: dict[str, list[str]] = defaultdict(list)
    others: list[str] = []
    ends = False
    for part in dict.fromkeys(parts):
        if not part:
            ends = True
        elif part[0] in _LITERAL and part[1:2] not in _REPEATS:
            by_letter[part[0]].append(part[1:])
        else:
            others.append(part)
    arranged = [
        letter + (rest[0] if len(rest) == 1 else f"(?:{_factored(rest)})") for letter, rest in by_letter.items()
    ]
    return "|".join((*arranged, *others, *([""] if ends else [])))
