"""The formulas against SciPy and statsmodels (`golden/statistics.py` made the numbers), and against simulations."""

import json
import math
import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.experiments.exact import Approximate, Exact, best_available
from flags.experiments.statistics import (
    Count,
    Sample,
    always_valid,
    benjamini_hochberg,
    chi_squared_tail,
    cohen_h,
    has_small_cell,
    hedges_g,
    lift,
    newcombe,
    parts_of_ratio,
    people_for_mean,
    people_for_proportion,
    sample_ratio,
    two_proportions,
    welch,
    wilson,
)
from tests.builders import ROOT

GOLDEN = json.loads((ROOT / "tests" / "flags" / "golden" / "statistics.json").read_text(encoding="utf-8"))
EXACTLY = 1e-9
# What statsmodels adds to the power for being wrong at the other end.
OTHER_END = 1e-5


def zeros_and_ones(count: Count) -> Sample:
    return Sample(count.people, float(count.hits), float(count.hits))


def close(value: Any) -> Any:
    return pytest.approx(value, rel=EXACTLY, abs=1e-12)


@pytest.mark.parametrize("golden", GOLDEN["proportions"], ids=lambda golden: "-".join(map(str, golden["counts"])))
def test_proportions(golden: dict[str, Any]) -> None:
    hits_c, people_c, hits_t, people_t = golden["counts"]
    control, treatment = Count(hits_c, people_c), Count(hits_t, people_t)
    found = two_proportions(control, treatment)
    assert (found.statistic, found.p) == close((golden["z"], golden["p"]))
    assert wilson(treatment) == close(tuple(golden["wilson"]))
    assert newcombe(control, treatment) == close(tuple(golden["newcombe"]))
    assert cohen_h(control, treatment) == close(golden["cohen_h"])
    exact = best_available().small_cells(control, treatment)
    assert exact
    assert exact.p == close(golden["fisher_p"])
    ratio = lift(zeros_and_ones(control), zeros_and_ones(treatment))
    if golden["risk_ratio"] is None:
        assert ratio is None
    else:
        # SciPy's variance of a proportion is divided by n, that of our samples by n - 1.
        assert ratio
        width = math.log(golden["risk_ratio"][1] / golden["risk_ratio"][0])
        ours = math.log((ratio.high + 1) / (ratio.low + 1))
        assert ours == pytest.approx(width, rel=1 / min(people_c, people_t))
        assert (ratio.high + 1) * (ratio.low + 1) == pytest.approx(math.prod(golden["risk_ratio"]), rel=1e-6)


@pytest.mark.parametrize("golden", GOLDEN["means"], ids=lambda golden: str(len(golden["control"])))
def test_means(golden: dict[str, Any]) -> None:
    control, treatment = Sample.of(golden["control"]), Sample.of(golden["treatment"])
    found = welch(control, treatment)
    assert (found.t, found.freedom) == close((golden["t"], golden["freedom"]))
    exact, normal = best_available(), Approximate()
    assert isinstance(exact, Exact)
    assert exact.welch_test(found).p == close(golden["p"])
    assert exact.mean_interval(found) == close(tuple(golden["interval"]))
    assert normal.welch_test(found).p == close(golden["normal_p"])
    assert normal.mean_interval(found) == close(tuple(golden["normal_interval"]))
    people = control.people + treatment.people
    assert hedges_g(control, treatment) == close(golden["cohen_d"] * (1 - 3 / (4 * (people - 2) - 1)))


def test_the_other_numbers_of_the_libraries() -> None:
    for statistic, freedom, tail in GOLDEN["chi_squared"]:
        assert chi_squared_tail(statistic, freedom) == close(tail)
    for counts, weights, statistic, p in GOLDEN["sample_ratio"]:
        found = sample_ratio(counts, weights)
        assert (found.statistic, found.p) == close((statistic, p))
    given, corrected = GOLDEN["corrected"]
    assert benjamini_hochberg(given) == close(corrected)
    for base, change, alpha, power, allocation, people in GOLDEN["people_for_proportion"]:
        found_people = people_for_proportion(base, change, allocation=allocation, alpha=alpha, power=power)
        assert 0 <= found_people - people < 1 + OTHER_END * people
    for mean, deviation, change, alpha, power, allocation, people in GOLDEN["people_for_mean"]:
        found_people = people_for_mean(mean, deviation, change, allocation=allocation, alpha=alpha, power=power)
        assert 0 <= found_people - people < 1 + OTHER_END * people


@pytest.mark.parametrize("golden", GOLDEN["ratios"], ids=lambda golden: str(len(golden["numerators"])))
def test_ratios(golden: dict[str, Any]) -> None:
    parts = Sample.of(parts_of_ratio(golden["numerators"], golden["denominators"]))
    error = parts.deviation / math.sqrt(parts.people)
    assert parts.mean == close(golden["ratio"])
    if golden["slope"]:
        assert (parts.mean, error) == close(tuple(golden["slope"]))
    assert error == pytest.approx(golden["bootstrap_error"], rel=0.05)
    interval = (parts.mean - 1.96 * error, parts.mean + 1.96 * error)
    assert interval == pytest.approx(golden["bootstrap"], abs=0.2 * error)


def test_the_interval_of_a_ratio_holds_the_truth_about_as_often_as_it_says() -> None:
    """Persons write more or less, what they cost goes with it, and only some are resolved: 0.002 x 2.5 / 0.4."""
    drawn = random.Random(23)
    held, rounds = 0, 1_000
    for _ in range(rounds):
        turns = [drawn.randint(1, 4) for _ in range(300)]
        costs = [sum(drawn.gammavariate(2, 0.001) for _ in range(number)) for number in turns]
        resolved = [float(drawn.random() < 0.1 + 0.12 * number) for number in turns]
        parts = Sample.of(parts_of_ratio(costs, resolved))
        half = 1.96 * parts.deviation / math.sqrt(parts.people)
        held += abs(parts.mean - 0.002 * 2.5 / 0.4) <= half
    # 95 % of 1,000, and three standard deviations.
    assert abs(held / rounds - 0.95) < 0.021


def test_a_ratio_of_one_for_each_person_is_a_mean() -> None:
    values = [3.0, 5.0, 4.5]
    assert parts_of_ratio(values, [1, 1, 1]) == close(values)
    assert parts_of_ratio(values, [0, 0, 0]) == []


def test_without_scipy_it_is_said_what_is_missing() -> None:
    """In a process of its own, in which SciPy cannot be imported."""
    program = (
        "import sys; sys.modules['scipy'] = None\n"
        "from flags.experiments.exact import best_available\n"
        "found = best_available()\n"
        "print(type(found).__name__, len(found.lacks), found.small_cells(None, None), found.bootstrap([], []))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Approximate", "3", "None", "None"]


def test_small_cells_are_those_with_fewer_than_five_expected() -> None:
    assert has_small_cell(Count(4, 100), Count(5, 100))
    assert not has_small_cell(Count(5, 100), Count(5, 100))
    assert has_small_cell(Count(95, 100), Count(96, 100))
    assert has_small_cell(Count(40, 1_000), Count(1, 31))


def test_the_bootstrap_agrees_with_the_mean_s_interval_and_is_the_same_each_time() -> None:
    drawn = random.Random(3)
    control, treatment = [[drawn.gauss(10, 3) for _ in range(400)] for _ in range(2)]
    exact = best_available()
    found = exact.bootstrap(control, treatment)
    assert found
    expected = exact.mean_interval(welch(Sample.of(control), Sample.of(treatment)))
    assert found == pytest.approx(expected, abs=0.05)
    assert exact.bootstrap(control, treatment) == found


counts = st.integers(1, 500).flatmap(lambda people: st.builds(Count, st.integers(0, people), st.just(people)))


@given(counts, counts)
@settings(deadline=None)
def test_proportions_hold_together_whatever_they_are(control: Count, treatment: Count) -> None:
    difference = treatment.rate - control.rate
    interval = newcombe(control, treatment)
    assert -1 - 1e-12 <= interval.low <= difference + 1e-12
    assert difference - 1e-12 <= interval.high <= 1 + 1e-12
    assert 0 <= two_proportions(control, treatment).p <= 1
    mirrored = newcombe(treatment, control)
    assert (mirrored.low, mirrored.high) == close((-interval.high, -interval.low))
    relative = lift(zeros_and_ones(control), zeros_and_ones(treatment))
    if relative is not None:
        assert relative.low - 1e-9 <= treatment.rate / control.rate - 1 <= relative.high + 1e-9


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_a_correction_only_raises_and_keeps_the_order(p_values: list[float]) -> None:
    corrected = benjamini_hochberg(p_values)
    assert all(given - 1e-12 <= raised <= 1 for raised, given in zip(corrected, p_values, strict=True))
    by_given = [raised for _, raised in sorted(zip(p_values, corrected, strict=True))]
    assert by_given == sorted(by_given)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=50))
def test_sums_are_enough_for_mean_and_deviation(values: list[float]) -> None:
    sample = Sample.of(values)
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    assert sample.mean == pytest.approx(mean)
    assert sample.variance == pytest.approx(variance, abs=1e-6)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_intervals_of_a_lift_hold_the_truth_about_as_often_as_they_say(rate: float) -> None:
    drawn = random.Random(11)
    true_lift, held, rounds = 0.2, 0, 1_000
    for _ in range(rounds):
        control = Count(sum(drawn.random() < rate for _ in range(400)), 400)
        treatment = Count(sum(drawn.random() < rate * (1 + true_lift) for _ in range(400)), 400)
        interval = lift(zeros_and_ones(control), zeros_and_ones(treatment))
        assert interval
        held += true_lift in interval
    # 95 % of 1,000, and three standard deviations.
    assert abs(held / rounds - 0.95) < 0.021


def test_an_always_valid_interval_narrows_and_is_wider_than_that_of_one_look() -> None:
    widths = []
    for people in (100, 1_000, 10_000, 100_000):
        error = 2 / math.sqrt(people)
        interval = always_valid(0, error, people=people, planned=10_000)
        assert interval.high > 1.96 * error
        widths.append(interval.high)
    assert widths == sorted(widths, reverse=True)
    # At the planned sample it is 1.5 times as wide, which is what looking at any time costs.
    assert always_valid(0, 1, people=10_000, planned=10_000).high == pytest.approx(3.05, abs=0.05)
