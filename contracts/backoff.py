"""Exponential back-off with jitter, and the pause that a server asks for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime

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


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Return the pause of `Retry-After` (RFC 9110), at most a day: seconds, or until a date by the server's clock."""
    wish = headers.get("retry-after", "").strip()
    try:
        if wish.replace(".", "", 1).isdecimal():
            seconds = float(wish)
        else:
            seconds = (parsedate_to_datetime(wish) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
    except (TypeError, ValueError):
        return None
    return timedelta(seconds=min(max(seconds, 0.0), 86_400.0))
