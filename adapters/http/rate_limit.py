"""Rate limits of clients that anyone can script: messages of the web chat, guesses at tokens."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from adapters.http.problems import Problem

MAX_KEYS = 50_000


class RateLimit:
    """Token bucket for each key, in this process; the least recently used are forgotten first."""

    def __init__(self, *, burst: int, per_second: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._per_second = per_second
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> None:
        """Use one token. Raises Problem: 429 with `Retry-After` when there is none."""
        if seconds := self.wait(key):
            raise Problem(429, "Too many requests", "Wait a moment.", headers={"Retry-After": str(seconds)})

    def wait(self, key: str) -> int:
        """Use one token; without one, return the seconds until there is one."""
        now = self._monotonic()
        tokens, since = self._buckets.pop(key, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - since) * self._per_second)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)
        return 0 if allowed else math.ceil((1 - tokens) / self._per_second)

    def give_back(self, key: str) -> None:
        """Undo one use."""
        if key in self._buckets:
            tokens, since = self._buckets[key]
            self._buckets[key] = (tokens + 1, since)
