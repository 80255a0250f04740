"""Which bucket a person is in. Frozen: another function would move everybody to another variant."""

import hashlib
from typing import NamedTuple

SCALE = 2**64


class Draw(NamedTuple):
    """Two numbers in [0, 2^64), independent of each other: whether the flag reaches the person, and with what.

    Because they are two, nobody changes variant when the percentage grows.
    """

    reach: int
    choice: int


def draw(flag: str, salt: str, targeting_key: str) -> Draw:
    """The person's draw, the same for ever: the first and the second 8 bytes of SHA-256(`flag:salt:targeting_key`).

    The bucket in [0, 1) is `reach / 2^64`. The text is hashed as UTF-8; lone surrogates as they stand.
    """
    digest = hashlib.sha256(f"{flag}:{salt}:{targeting_key}".encode("utf-8", "surrogatepass")).digest()
    return Draw(int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big"))


def threshold(percentage: float) -> int:
    """The number below which a draw reaches a person. It never shrinks as the percentage grows; 100 reaches all."""
    return round(percentage / 100 * SCALE)
