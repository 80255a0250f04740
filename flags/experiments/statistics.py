"""Statistics of experiments, each formula with its source, without a library; `exact.py` adds SciPy's.

All functions compare two samples, `control` and `treatment`. Differences are treatment minus control; a lift is a
share of the control's value. No function knows which direction is better.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple, Self

NORMAL = NormalDist()
# Of the intervals at one look.
LEVEL = 0.95
# With fewer expected persons in a cell the normal approximation of a proportion is unreliable.
# Source: Cochran, Some methods for strengthening the common chi-squared tests, Biometrics 10 (1954).
SMALL_CELL = 5


class Interval(NamedTuple):
    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high


class Test(NamedTuple):
    """A two-sided test: its statistic, its p-value, and the name of the method."""

    statistic: float
    p: float
    method: str


@dataclass(frozen=True)
class Count:
    """Number of hits among a number of persons."""

    hits: int
    people: int

    @property
    def rate(self) -> float:
        return self.hits / self.people if self.people else 0.0


@dataclass(frozen=True)
class Sample:
    """Values of persons by their number, sum and sum of squares."""

    people: int
    total: float
    squares: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        return cls(len(values), math.fsum(values), math.fsum(value * value for value in values))

    @property
    def mean(self) -> float:
        return self.total / self.people if self.people else 0.0

    @property
    def variance(self) -> float:
        """The sample variance, with n - 1."""
        if self.people < 2:
            return 0.0
        return max(0.0, (self.squares - self.total * self.mean) / (self.people - 1))

    @property
    def deviation(self) -> float:
        return math.sqrt(self.variance)


# Proportions


def two_proportions(control: Count, treatment: Count) -> Test:
    """z-test with the pooled proportion. Persons with and without a hit have to be there, else p is 1.

    Source: Fleiss, Levin & Paik, Statistical Methods for Rates and Proportions, 3rd ed. (2003), 3.1, without the
    continuity correction.
    """
    pooled = (control.hits + treatment.hits) / (control.people + treatment.people)
    error = math.sqrt(pooled * (1 - pooled) * (1 / control.people + 1 / treatment.people))
    z = (treatment.rate - control.rate) / error if error else 0.0
    return Test(z, two_sided(z), "two-proportion z-test")


def wilson(count: Count, level: float = LEVEL) -> Interval:
    """Interval of a proportion.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).
    """
    z, n, p = quantile(level), count.people, count.rate
    middle = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return Interval(max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale))


def newcombe(control: Count, treatment: Count, level: float = LEVEL) -> Interval:
    """Interval of the difference of two proportions, from the Wilson interval of each.

    Source: Newcombe, Interval estimation for the difference between independent proportions, Statistics in Medicine 17
    (1998), method 10.
    """
    one, two = wilson(treatment, level), wilson(control, level)
    p, q = treatment.rate, control.rate
    difference = p - q
    low = difference - math.hypot(p - one.low, two.high - q)
    high = difference + math.hypot(one.high - p, q - two.low)
    return Interval(low, high)


def cautious_error(control: Count, treatment: Count) -> float:
    """Return a standard error of a difference of proportions that is never 0, even without a single hit.

    Source: Agresti & Caffo, Simple and effective confidence intervals for proportions and differences of proportions
    result from adding two successes and two failures, American Statistician 54 (2000).
    """
    squared = 0.0
    for one in (control, treatment):
        rate = (one.hits + 1) / (one.people + 2)
        squared += rate * (1 - rate) / (one.people + 2)
    return math.sqrt(squared)


def cohen_h(control: Count, treatment: Count) -> float:
    """Effect size of two proportions: 0.2 is small, 0.5 medium, 0.8 large.

    Source: Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd ed. (1988), 6.2.
    """
    return 2 * math.asin(math.sqrt(treatment.rate)) - 2 * math.asin(math.sqrt(control.rate))


def has_small_cell(control: Count, treatment: Count) -> bool:
    """Return whether one of the four cells expects fewer than five persons."""
    people = control.people + treatment.people
    hits = control.hits + treatment.hits
    smaller = min(control.people, treatment.people)
    return min(hits, people - hits) * smaller < SMALL_CELL * people


# Means


class Welch(NamedTuple):
    """The difference of two means, its standard error and its degrees of freedom."""

    difference: float
    error: float
    freedom: float

    @property
    def t(self) -> float:
        return self.difference / self.error if self.error else 0.0


def welch(control: Sample, treatment: Sample) -> Welch:
    """
    Source: Welch, The generalization of 'Student's' problem when several different population variances are involved,
    Biometrika 34 (1947).
    """
    a, b = treatment.variance / treatment.people, control.variance / control.people
    squared = a + b
    if not squared:
        return Welch(treatment.mean - control.mean, 0.0, treatment.people + control.people - 2.0)
    freedom = squared**2 / (a * a / (treatment.people - 1) + b * b / (control.people - 1))
    return Welch(treatment.mean - control.mean, math.sqrt(squared), freedom)


def hedges_g(control: Sample, treatment: Sample) -> float:
    """Difference of means in pooled standard deviations, corrected for small samples: 0.2 small, 0.5 medium, 0.8 large.

    Source: Hedges, Distribution theory for Glass's estimator of effect size and related estimators, Journal of
    Educational Statistics 6 (1981).
    """
    freedom = control.people + treatment.people - 2
    pooled = ((control.people - 1) * control.variance + (treatment.people - 1) * treatment.variance) / freedom
    if not pooled:
        return 0.0
    return (treatment.mean - control.mean) / math.sqrt(pooled) * (1 - 3 / (4 * freedom - 1))


def lift(control: Sample, treatment: Sample) -> Interval | None:
    """Interval of treatment mean / control mean - 1, by the delta method on the logarithm of the ratio.

    None where a mean is not above 0: there is no logarithm then.

    Source: Katz, Baptista, Azen & Pike, Obtaining confidence intervals for the risk ratio in cohort studies, Biometrics
    34 (1978), for proportions; Friedrich, Adhikari & Beyene, The ratio of means method, BMC Medical Research
    Methodology 8:32 (2008), for means.
    """
    if control.mean <= 0 or treatment.mean <= 0:
        return None
    relative = [one.variance / (one.people * one.mean**2) for one in (control, treatment)]
    half = quantile(LEVEL) * math.sqrt(sum(relative))
    ratio = treatment.mean / control.mean
    return Interval(ratio * math.exp(-half) - 1, ratio * math.exp(half) - 1)


# Ratios of two totals


def parts_of_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """For each person a value whose mean is sum(numerators) / sum(denominators), and whose variance over the number of
    persons is that of the ratio by the delta method: what is made for means, intervals included, holds for the ratio.

    The person is what is drawn, so one who has many of both counts as one. Nothing where the denominators' sum is not
    above 0.

    Source: Cochran, Sampling Techniques, 3rd ed. (1977), 2.11; Deng, Knoblich & Lu, Applying the delta method in metric
    analytics, KDD 2018, 3.1.
    """
    total = math.fsum(denominators)
    if total <= 0:
        return []
    ratio, mean = math.fsum(numerators) / total, total / len(denominators)
    return [ratio + (above - ratio * below) / mean for above, below in zip(numerators, denominators, strict=True)]


# Several looks, several metrics, unequal arms


def always_valid(difference: float, error: float, *, people: int, planned: int, alpha: float = 0.05) -> Interval:
    """Interval of a difference that holds at all looks together, however many there are, with probability 1 - alpha.

    `people` are those of both arms, `planned` how many there are to be: where it is as narrow as it can be.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, Time-uniform central limit theory and asymptotic confidence
    sequences, Annals of Statistics 52 (2024), theorem 2.2, with rho optimised for `planned` as in their appendix B.2;
    the standard error of the difference times sqrt(people) takes the place of the deviation.
    """
    tail = -2 * math.log(alpha)
    squared_rho = (tail + math.log(tail + 1)) / planned
    grown = people * squared_rho + 1
    half = error * math.sqrt(grown / (people * squared_rho) * 2 * math.log(math.sqrt(grown) / alpha))
    return Interval(difference - half, difference + half)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, in the order given; the share of false discoveries stays below the level.

    Source: Benjamini & Hochberg, Controlling the false discovery rate, JRSS B 57 (1995).
    """
    corrected = [1.0] * len(p_values)
    least = 1.0
    ordered = sorted(range(len(p_values)), key=lambda place: p_values[place], reverse=True)
    for rank, place in zip(range(len(p_values), 0, -1), ordered, strict=True):
        least = min(least, p_values[place] * len(p_values) / rank)
        corrected[place] = least
    return corrected


def sample_ratio(counts: Sequence[int], weights: Sequence[float]) -> Test:
    """Test whether the arms have persons in proportion to their weights; a small p means a broken experiment.

    Source: Pearson's chi-squared test of fit; Fabijan et al., Diagnosing sample ratio mismatch in online controlled
    experiments, KDD 2019, for its use.
    """
    people, weight = sum(counts), sum(weights)
    expected = [people * one / weight for one in weights]
    statistic = sum((count - one) ** 2 / one for count, one in zip(counts, expected, strict=True))
    return Test(statistic, chi_squared_tail(statistic, len(counts) - 1), "chi-squared test of the sample ratio")


# Planning


def people_for_proportion(
    baseline: float, lift: float, *, allocation: float = 1, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Persons for the control to find a relative change of a proportion; the other arm has `allocation` times as many.

    Source: Cohen (1988), 6.4: the two-sided normal test of h, without the chance of being wrong at the other end.
    """
    changed = baseline * (1 + lift)
    h = 2 * math.asin(math.sqrt(changed)) - 2 * math.asin(math.sqrt(baseline))
    return _people(h, allocation, alpha, power)


def people_for_mean(
    mean: float, deviation: float, lift: float, *, allocation: float = 1, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Persons for the control to find a relative change of a mean; the other arm has `allocation` times as many.

    Source: Cohen (1988), 2.4, by the normal distribution.
    """
    return _people(mean * lift / deviation, allocation, alpha, power)


def _people(effect: float, allocation: float, alpha: float, power: float) -> int:
    """
    Source: Chow, Shao & Wang, Sample Size Calculations in Clinical Research, 2nd ed. (2008), 3.2.1, for arms that are
    not equal.
    """
    quantiles = NORMAL.inv_cdf(1 - alpha / 2) + NORMAL.inv_cdf(power)
    return math.ceil((1 + 1 / allocation) * (quantiles / effect) ** 2)


# Distributions


def quantile(level: float) -> float:
    """Return the number of standard errors from the middle of an interval to each end."""
    return NORMAL.inv_cdf(0.5 + level / 2)


def two_sided(z: float) -> float:
    """Return the probability of a standard normal value at least this far from 0."""
    return math.erfc(abs(z) / math.sqrt(2))


def chi_squared_tail(statistic: float, freedom: int) -> float:
    """Return the probability of a value at least this large.

    Source: Abramowitz & Stegun, Handbook of Mathematical Functions, 26.4.4 and 26.4.5.
    """
    half = statistic / 2
    if freedom % 2 == 0:
        term = total = 1.0
        for n in range(1, freedom // 2):
            term *= half / n
            total += term
        return math.exp(-half) * total
    total, term = math.erfc(math.sqrt(half)), math.exp(-half) * math.sqrt(half / math.pi) * 2
    for n in range(1, freedom, 2):
        total += term
        term *= statistic / (n + 2)
    return total
