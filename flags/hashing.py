"""Hash that puts a person into a bucket. Frozen: another function would move every person to another variant."""

import hashlib
from typing import NamedTuple

SCALE = 2**64


class Draw(NamedTuple):
    """Two numbers in [0, 2^64), independent of each other: `reach` for the percentage, `choice` for the variant.

    As they are independent, no person changes variant when the percentage grows.
    """

    reach: int
    choice: int


def draw(flag: str, salt: str, targeting_key: str) -> Draw:
    """Return the person's constant draw: the first and the second 8 bytes of SHA-256(`flag:salt:targeting_key`).

    The bucket in [0, 1) is `reach / 2^64`. The text is hashed as UTF-8, with lone surrogates passed through.
    """
    digest = hashlib.sha256(f"{flag}:{salt}:{targeting_key}".encode("utf-8", "surrogatepass")).digest()
    return Draw(int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big"))


def threshold(percentage: float) -> int:
    """Return the number below which a draw reaches a person; it grows with the percentage, to 2^64 at 100."""
    return round(percentage / 100 * SCALE)
