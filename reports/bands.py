"""Usual band of a daily figure, for anomaly detection."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

# A band needs at least this many days.
DAYS_NEEDED = 7
# Source: Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993: the modified z-score and its limit.
NORMAL_MAD = 0.6745
LIMIT = 3.5
# A nearly constant figure has almost no band: a change below a fifth of it is not reported.
LEAST_SHARE = 0.2


@dataclass(frozen=True)
class Band:
    """The usual range of one day's figure."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, history: Sequence[float]) -> "Band | None":
        """Return the band of the days before; None when they are too few."""
        if len(history) < DAYS_NEEDED:
            return None
        middle = median(history)
        spread = median(abs(value - middle) for value in history)
        width = max(LIMIT * spread / NORMAL_MAD, LEAST_SHARE * abs(middle))
        return cls(middle - width, middle, middle + width)
