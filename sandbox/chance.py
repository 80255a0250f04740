"""Chance that can be repeated: it depends on the seed and on the request's content, never on who came first."""

import math
from collections import OrderedDict
from hashlib import blake2b
from statistics import NormalDist

_NORMAL = NormalDist()
_SMALLEST = 1e-9


class Dice:
    """The draws of one request; each is named, so that asking for one more does not change the others."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def draw(self, name: str) -> float:
        """A number in [0, 1)."""
        return int.from_bytes(blake2b(name.encode(), key=self._key, digest_size=7).digest()) / (1 << 56)

    def happens(self, name: str, rate: float) -> bool:
        return rate > 0 and self.draw(name) < rate

    def pick(self, name: str, count: int) -> int:
        return int(self.draw(name) * count)

    def lognormal(self, name: str, median: float, sigma: float) -> float:
        if sigma <= 0:
            return median
        return median * math.exp(sigma * _NORMAL.inv_cdf(max(self.draw(name), _SMALLEST)))


REMEMBERED = 50_000


class Chance:
    """Deals dice to requests. The n-th time the same body arrives its dice differ, and are the same in the next run."""

    def __init__(self, seed: int) -> None:
        self._seed = str(seed).encode()
        self._times: OrderedDict[bytes, int] = OrderedDict()

    def dice(self, body: bytes) -> tuple[Dice, int]:
        """The dice for this body, and how often it came before."""
        content = blake2b(body, key=self._seed, digest_size=16).digest()
        times = self._times.pop(content, 0)
        self._times[content] = times + 1
        if len(self._times) > REMEMBERED:
            self._times.popitem(last=False)
        return Dice(content + times.to_bytes(4)), times
