"""Estimate of tokens, for the comparison of texts where the provider cannot be asked.

The provider has no offline tokenizer; `count_tokens` of its API is exact, and `cli/prompts.py` asks it where there is
a key. The estimate cuts a text as public byte-pair encodings do before they merge: a word takes the space or sign
before it along, numbers go in threes, signs with the line end after them. Then it counts how many tokens a piece is
likely to become: a lower-case English word of up to eight letters is one, capitals, accents and other scripts break
into shorter ones. How far this is from the provider's count has not been measured. What it is used for is the ratio of
two texts of one kind, where its error is in both.

Source of the pattern: `cl100k_base` in github.com/openai/tiktoken.
"""

import re
from math import ceil

_LETTERS = r"[^\W\d_]"
_PIECES = re.compile(
    rf"'(?:[sdmt]|ll|ve|re)\b|(?:[^\w\r\n]|_)?{_LETTERS}+|\d{{1,3}}| ?(?:[^\w\s]|_)+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_WORD, _CAPITALS, _BYTES = 8, 5, 4


def estimated_tokens(text: str) -> int:
    """Return the likely number of tokens of a text, at least 0."""
    tokens = 0
    for piece in _PIECES.findall(text):
        word = piece if piece[:1].isalpha() else piece[1:]
        if not word.isalpha():
            tokens += 1
        elif not word.isascii():
            tokens += ceil(len(word.encode()) / _BYTES)
        else:
            tokens += ceil(len(word) / (_CAPITALS if word.isupper() else _WORD))
    return tokens
