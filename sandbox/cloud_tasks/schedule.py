"""Dispatch times of tasks: a scaled clock, the intervals between retries, and the rate of a queue."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

RETENTION = timedelta(days=31)
MICROSECOND = timedelta(microseconds=1)

# The service's defaults of a queue.
MAX_ATTEMPTS = 100
MIN_BACKOFF = timedelta(milliseconds=100)
MAX_BACKOFF = timedelta(hours=1)
MAX_DOUBLINGS = 16
DISPATCHES_PER_SECOND = 500.0
CONCURRENT_DISPATCHES = 1000
BURST = 100

# The service documents that it slows down after a 429 or a 503, but not the factor; these are ours.
SLOWEST = 1 / 64
SLOWED = 0.5
RECOVERED = 1.1


class ScaledClock:
    """The double's clock, `scale` times as fast as the wall clock: hours of backoff in a short test."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self._started_at = datetime.now(UTC)
        self._started = time.monotonic()

    def now(self) -> datetime:
        return self._started_at + timedelta(seconds=(time.monotonic() - self._started) * self.scale)


@dataclass(frozen=True)
class RetryRules:
    """Schedule of retries. `max_attempts` -1 is no limit, and so is a `max_retry_duration` of zero.

    Source: the comments of google.cloud.tasks.v2.RetryConfig.
    """

    max_attempts: int = MAX_ATTEMPTS
    max_retry_duration: timedelta = timedelta(0)
    min_backoff: timedelta = MIN_BACKOFF
    max_backoff: timedelta = MAX_BACKOFF
    max_doublings: int = MAX_DOUBLINGS

    def interval(self, failures: int) -> timedelta:
        """Return the wait after the n-th failure: it starts at the minimum, doubles, then grows by the last step.

        10 s, 300 s and three doublings give 10, 20, 40, 80, 160, 240, 300, 300 ...
        """
        retries = failures - 1
        # In whole numbers: a doubled duration would leave the range of `timedelta` before it is cut to the maximum.
        step: int = (self.min_backoff // MICROSECOND) * 2 ** min(retries, self.max_doublings)
        grown = step * (1 + max(0, retries - self.max_doublings))
        return timedelta(microseconds=min(self.max_backoff // MICROSECOND, grown))

    def is_used_up(self, attempts: int, *, since_first_attempt: timedelta) -> bool:
        """Return whether no attempt is left: every limit that is set must be reached."""
        limits = []
        if self.max_attempts != -1:
            limits.append(attempts >= self.max_attempts)
        if self.max_retry_duration > timedelta(0):
            limits.append(since_first_attempt >= self.max_retry_duration)
        return all(limits) if limits else since_first_attempt >= RETENTION


class DispatchRate:
    """A token bucket, slowed down by answers of 429 and 503."""

    def __init__(self, per_second: float, burst: int, concurrent: int, at: datetime) -> None:
        self.per_second = per_second
        self.burst = burst
        self.concurrent = concurrent
        self.share = 1.0
        self._left = float(burst)
        self._at = at

    @property
    def room(self) -> int:
        """Return the number of concurrent attempts that are allowed now."""
        return max(1, int(self.concurrent * self.share))

    def take(self, at: datetime) -> timedelta:
        """Take a token and return zero, or the time until there is one."""
        per_second = self.per_second * self.share
        self._left = min(self._capacity, self._left + (at - self._at).total_seconds() * per_second)
        self._at = at
        if self._left >= 1:
            self._left -= 1
            return timedelta(0)
        return timedelta(seconds=(1 - self._left) / per_second)

    def slow_down(self) -> None:
        self.share = max(SLOWEST, self.share * SLOWED)
        self._left = min(self._left, self._capacity)

    def recover(self) -> None:
        self.share = min(1.0, self.share * RECOVERED)

    @property
    def _capacity(self) -> float:
        return max(1.0, self.burst * self.share)
