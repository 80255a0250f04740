"""Exponential back-off with jitter."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

# So many doublings pass every limit in use and stay within what a timedelta holds.
MOST_DOUBLINGS = 32


@dataclass(frozen=True)
class Backoff:
    """Pauses between attempts: they double from `first` up to `longest`.

    `jitter` is the share of a pause, in [0, 1], that chance decides.
    Source: M. Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015 (equal jitter 0.5, full jitter 1).
    """

    first: timedelta
    longest: timedelta
    jitter: float = 0.5

    def pause(self, attempt: int, chance: Callable[[], float]) -> timedelta:
        """Return the pause after attempt number `attempt`, counted from 1; `chance` gives a number in [0, 1)."""
        doublings = min(max(0, attempt - 1), MOST_DOUBLINGS)
        ceiling: timedelta = min(self.longest, self.first * 2**doublings)
        return ceiling * (1 - self.jitter + self.jitter * chance())
