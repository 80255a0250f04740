"""When a figure has left the band it usually moves in."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

# Fewer days tell nothing of a band.
DAYS_NEEDED = 7
# Source: Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993: the modified z-score and its limit.
NORMAL_MAD = 0.6745
LIMIT = 3.5
# A figure that hardly ever moves has hardly a band: less than a fifth of it is not worth telling.
LEAST_SHARE = 0.2


@dataclass(frozen=True)
class Band:
    """Where a figure of one day is usually found."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, history: Sequence[float]) -> "Band | None":
        """From the days before; None when they are too few."""
        if len(history) < DAYS_NEEDED:
            return None
        middle = median(history)
        spread = median(abs(value - middle) for value in history)
        width = max(LIMIT * spread / NORMAL_MAD, LEAST_SHARE * abs(middle))
        return cls(middle - width, middle, middle + width)
