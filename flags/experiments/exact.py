"""Exact tests for small cells, Student's t and the bootstrap, by SciPy; for reports, never for a worker.

SciPy is the extra `stats`; its import takes over a second, so no process that answers people imports this module.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

from flags.experiments.statistics import LEVEL, Count, Interval, Test, Welch, quantile, two_sided


class Exactness(Protocol):
    """The tests that need more than the normal distribution. `lacks` lists the ones that are unavailable."""

    lacks: tuple[str, ...]

    def welch_test(self, found: Welch) -> Test: ...

    def mean_interval(self, found: Welch) -> Interval: ...

    def small_cells(self, control: Count, treatment: Count) -> Test | None:
        """Return the exact test, or None if it is unavailable."""

    def bootstrap(self, control: Sequence[float], treatment: Sequence[float]) -> Interval | None:
        """Return an interval of the difference of means for skewed values; None if it is unavailable."""


class Approximate:
    """The normal distribution for everything: adequate for the 31 and more persons that a result needs."""

    lacks: tuple[str, ...] = (
        "Welch's test by the normal distribution instead of Student's t",
        "no exact test where fewer than five persons are expected in a cell",
        "no bootstrap for metrics with a few large values",
    )

    def welch_test(self, found: Welch) -> Test:
        return Test(found.t, two_sided(found.t), "Welch's test, normal distribution")

    def mean_interval(self, found: Welch) -> Interval:
        half = quantile(LEVEL) * found.error
        return Interval(found.difference - half, found.difference + half)

    def small_cells(self, control: Count, treatment: Count) -> Test | None:
        return None

    def bootstrap(self, control: Sequence[float], treatment: Sequence[float]) -> Interval | None:
        return None


RESAMPLES = 2_000


@dataclass
class Exact:
    """SciPy's distributions."""

    stats: ModuleType
    lacks: tuple[str, ...] = ()

    def welch_test(self, found: Welch) -> Test:
        if not found.error:
            return Test(0.0, 1.0, "Welch's t-test")
        return Test(found.t, float(2 * self.stats.t.sf(abs(found.t), found.freedom)), "Welch's t-test")

    def mean_interval(self, found: Welch) -> Interval:
        half = float(self.stats.t.ppf(0.5 + LEVEL / 2, found.freedom)) * found.error
        return Interval(found.difference - half, found.difference + half)

    def small_cells(self, control: Count, treatment: Count) -> Test | None:
        """Source: Fisher, The logic of inductive inference, JRSS 98 (1935)."""
        table = [[one.hits, one.people - one.hits] for one in (treatment, control)]
        found = self.stats.fisher_exact(table)
        return Test(float(found.statistic), float(found.pvalue), "Fisher's exact test")

    def bootstrap(self, control: Sequence[float], treatment: Sequence[float]) -> Interval | None:
        """Percentile bootstrap; the same draws every time.

        Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
        """
        found = self.stats.bootstrap(
            (treatment, control),
            lambda one, other, axis: one.mean(axis=axis) - other.mean(axis=axis),
            confidence_level=LEVEL,
            n_resamples=RESAMPLES,
            batch=100,
            method="percentile",
            rng=0,
        )
        return Interval(float(found.confidence_interval.low), float(found.confidence_interval.high))


def best_available() -> Exactness:
    """Return SciPy's tests where SciPy is installed, else the approximate ones."""
    try:
        from scipy import stats
    except ModuleNotFoundError:
        return Approximate()
    return Exact(stats)
