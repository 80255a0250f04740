"""An embedder without a model: texts with the same pieces of words are near each other."""

import math
from collections.abc import Sequence
from hashlib import blake2b
from struct import pack

from prompts.caching.content import folded

WIDTH = 256


class HashedEmbedder:
    """Satisfies the `Embedder` port: counts of pairs and triples of letters, each at a place given by its hash."""

    name = "hashed"
    width = WIDTH

    def __init__(self) -> None:
        self.calls: list[int] = []

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        self.calls.append(len(texts))
        return [_vector(text) for text in texts]

    async def close(self) -> None:
        return


def _vector(text: str) -> bytes:
    counts = [0.0] * WIDTH
    padded = f" {folded(text)} "
    for size in (2, 3):
        for start in range(len(padded) - size + 1):
            digest = blake2b(padded[start : start + size].encode(), digest_size=2).digest()
            counts[int.from_bytes(digest) % WIDTH] += 1
    length = math.sqrt(sum(count * count for count in counts))
    return pack(f"<{WIDTH}f", *(count / length for count in counts))
