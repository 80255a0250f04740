"""An estimate of tokens, for comparing texts with each other when the provider cannot be asked.

No tokenizer of the provider can be had offline; `count_tokens` of its API is the truth. The estimate cuts a text as
byte-pair encodings begin to (words with the space before them, numbers in threes, signs, line ends) and then counts how
many pieces each part is likely to become: a common English word of up to seven letters is one token, capitals, accents
and other scripts break into shorter pieces. How far it is from the provider's count has not been measured; what it is
used for is the ratio of two texts of one kind, where an error of the estimate is in both.
"""

import re
from math import ceil

_PIECES = re.compile(r"[^\W\d_]+|\d{1,3}|\n+|[^\S\n]{2,}|[^\w\s]|_")
_PLAIN_WORD, _CAPITALS, _OTHER_SCRIPT = 7, 4, 4


def estimated_tokens(text: str) -> int:
    """How many tokens a text is likely to have, at least 0."""
    return sum(_tokens(piece) for piece in _PIECES.findall(text))


def _tokens(piece: str) -> int:
    if not piece.isalpha():
        return 1
    if not piece.isascii():
        return ceil(len(piece.encode()) / _OTHER_SCRIPT)
    return ceil(len(piece) / (_CAPITALS if piece.isupper() and len(piece) > 1 else _PLAIN_WORD))
