"""What is recommended: never by chance more than once in twenty, always when an arm does harm."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from flags.definitions import Better, Metric
from flags.experiments.analysis import Analysis, Comparison, Role, compare
from flags.experiments.definitions import EARLY_ALPHA, GUARDRAIL_ALPHA, Experiment, Phase
from flags.experiments.exact import Approximate, Exactness, best_available
from flags.experiments.observations import Arm
from flags.experiments.recommendation import Recommendation, Verdict, recommend
from flags.experiments.statistics import Count, Sample, sample_ratio
from tests.builders import START

EXACT = best_available()
ERROR = Metric(name="error", better=Better.LOWER)


def experiment(**changes: Any) -> Experiment:
    given: dict[str, Any] = {
        "key": "prompt-v2",
        "hypothesis": "The structured prompt converts more.",
        "owner": "team",
        "arms": [{"name": "v1"}, {"name": "v2", "config": {"prompts.select_state": 2}}],
        "primary": {"name": "conversion"},
        "guardrails": [ERROR.model_dump()],
        "plan": {"baseline": 0.3, "lift": 0.2, "days": 14},
        "phase": Phase.ACTIVE,
        "started_at": START,
    }
    return Experiment.model_validate(given | changes)


@dataclass(frozen=True)
class Counted(Arm):
    """An arm of which only the numbers are known: two thousand experiments have millions of persons."""

    numbers: Count

    def sample(self, metric: Metric) -> Sample:
        return Sample(self.numbers.people, float(self.numbers.hits), float(self.numbers.hits))


def compare_counts(
    metric: Metric,
    role: Role,
    control: Count,
    treatment: Count,
    planned: int,
    alpha: float,
    exactness: Exactness = EXACT,
) -> Comparison:
    """Compare two arms with so many persons, of whom so many have an event of the metric."""
    return compare(
        metric, role, "v2", Counted((), control), Counted((), treatment), exactness, planned=planned, alpha=alpha
    )


def look(
    given: Experiment,
    conversions: tuple[Count, Count],
    errors: tuple[Count, Count] | None = None,
    *,
    is_final: bool = False,
    days: float = 7,
    **changes: Any,
) -> Recommendation:
    """What is recommended when the two arms have these persons."""
    comparisons = [compare_counts(given.primary, Role.PRIMARY, *conversions, 2 * given.planned["v1"], EARLY_ALPHA)]
    if errors:
        comparisons.append(compare_counts(ERROR, Role.GUARDRAIL, *errors, 2 * given.planned["v1"], GUARDRAIL_ALPHA))
    people = [count.people for count in conversions]
    known: dict[str, Any] = {
        "experiment": given,
        "at": START + timedelta(days=days),
        "people": dict(zip(("v1", "v2"), people, strict=True)),
        "crossovers": 0,
        "ignored": 0,
        "ratio": sample_ratio(people, [1, 1]),
        "was_changed": False,
        "comparisons": tuple(comparisons),
        "decisive": tuple(comparisons) if is_final else None,
        "fulfilled_at": START if is_final else None,
        "lacks": (),
    }
    return recommend(Analysis(**(known | changes)))


def looks(
    given: Experiment,
    drawn: random.Random,
    rates: tuple[float, float],
    error_rates: tuple[float, float],
    times: int = 20,
) -> Iterator[tuple[int, Recommendation]]:
    """An experiment looked at so often, the last time when its plan is fulfilled."""
    hits, errors, people = [0, 0], [0, 0], 0
    for time in range(1, times + 1):
        until = given.planned["v1"] * time // times
        for arm in (0, 1):
            draws = [drawn.random() for _ in range(2 * (until - people))]
            half = len(draws) // 2
            hits[arm] += sum(draw < rates[arm] for draw in draws[:half])
            errors[arm] += sum(draw < error_rates[arm] for draw in draws[half:])
        people = until
        yield (
            time,
            look(
                given,
                (Count(hits[0], people), Count(hits[1], people)),
                (Count(errors[0], people), Count(errors[1], people)),
                is_final=time == times,
            ),
        )


@pytest.mark.slow
@pytest.mark.parametrize(("baseline", "change", "errors"), [(0.3, 0.4, 0.02), (0.05, 1.0, 0.2)])
def test_two_thousand_experiments_without_a_difference_looked_at_twenty_times(
    baseline: float, change: float, errors: float
) -> None:
    """At most 5 % end with a difference that is not there, in either direction or in a guardrail."""
    given = experiment(plan={"baseline": baseline, "lift": change, "days": 14})
    drawn = random.Random(20261128)
    alarms = early = 0
    rounds = 2_000
    for _ in range(rounds):
        for time, found in looks(given, drawn, (baseline, baseline), (errors, errors)):
            if found.is_difference:
                alarms += 1
                early += time < 20
                break
    print(f"{alarms} false alarms in {rounds}, {early} of them before the end")
    assert alarms / rounds <= 0.05
    # The union bound gives 2 %.
    assert early / rounds <= 0.02


@pytest.mark.slow
def test_a_difference_of_the_planned_size_is_found_four_times_in_five() -> None:
    given = experiment(plan={"baseline": 0.3, "lift": 0.4, "days": 14})
    drawn = random.Random(7)
    rounds, shipped, early = 300, 0, 0
    for _ in range(rounds):
        for time, found in looks(given, drawn, (0.3, 0.42), (0.02, 0.02)):
            if found.verdict is not Verdict.CONTINUE:
                shipped += found.verdict is Verdict.SHIP
                early += found.verdict is Verdict.SHIP and time < 20
                break
    # Four in five, less three standard deviations.
    assert shipped / rounds > 0.8 - 0.07
    assert early > 0


def test_an_arm_that_does_harm_is_stopped_before_its_planned_sample() -> None:
    given = experiment()
    drawn = random.Random(5)
    stopped = []
    for _ in range(100):
        # It converts as well as before, and twice as many people meet an error.
        for time, found in looks(given, drawn, (0.3, 0.3), (0.1, 0.2)):
            if found.verdict is not Verdict.CONTINUE:
                assert found.verdict is Verdict.KEEP
                assert "stop now" in found.sentence
                assert "error rose from" in found.sentence
                stopped.append(time)
                break
    assert len(stopped) == 100
    assert max(stopped) < 20


def test_an_arm_that_is_worse_is_stopped_as_well() -> None:
    found = look(experiment(), (Count(300, 1_000), Count(200, 1_000)), (Count(0, 1_000), Count(0, 1_000)))
    assert found.verdict is Verdict.KEEP
    assert found.sentence == (
        "Keep v1 and stop now: with v2 conversion fell from 30.0% to 20.0% "
        "(-33.3%, 95 % interval -43.0% to -22.1%). That is no chance."
    )


def test_few_persons_say_nothing_however_clear_it_looks() -> None:
    found = look(experiment(), (Count(0, 30), Count(30, 30)))
    assert found.verdict is Verdict.CONTINUE
    assert "more than 30 persons" in found.sentence
    assert look(experiment(), (Count(0, 31), Count(31, 31))).verdict is Verdict.SHIP


def test_until_the_plan_is_fulfilled_a_small_p_value_decides_nothing() -> None:
    counts = (Count(150, 500), Count(180, 500))
    given = experiment()
    assert look(given, counts).verdict is Verdict.CONTINUE
    assert look(given, (Count(300, 1_000), Count(350, 1_000)), is_final=True).verdict is Verdict.SHIP


def test_going_on_says_how_many_more_and_how_long() -> None:
    given = experiment()
    found = look(given, (Count(30, 100), Count(31, 100)), days=2)
    planned = given.planned["v1"]
    assert found.more == {"v1": planned - 100, "v2": planned - 100}
    assert found.days == -(-found.more["v1"] // 50)
    assert found.sentence.startswith(
        f"Go on: each arm needs {found.more['v1']:,} more persons, about {found.days} more days."
    )
    # Enough persons on the second day, yet a week has other days too.
    early = look(given, (Count(400, planned), Count(410, planned)), days=2)
    assert (early.more, early.days) == ({}, 12)
    assert "the planned days are not over" in early.sentence


def test_of_unequal_arms_each_says_what_it_lacks() -> None:
    given = experiment(arms=[{"name": "v1", "weight": 4}, {"name": "v2", "config": {"prompts.select_state": 2}}])
    assert given.planned["v2"] == -(-given.planned["v1"] // 4)
    lacks = given.planned["v2"] - 100
    found = look(given, (Count(300, 1_000), Count(31, 100)), days=2, ratio=sample_ratio([1_000, 250], [4, 1]))
    assert found.more == {"v1": given.planned["v1"] - 1_000, "v2": lacks}
    # The smaller one has further to go at its pace.
    assert found.days == -(-lacks // 50)
    assert f"v2 needs {lacks:,} more persons, about {found.days} more days" in found.sentence


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"was_changed": True}, "was changed while people took part"),
        ({"ratio": sample_ratio([1_000, 1_200], [1, 1])}, "do not have the persons that their weights say"),
        ({"crossovers": 30}, "30 of 2,030 persons were in two arms"),
    ],
)
def test_an_unsound_experiment_recommends_nothing_else(changes: dict[str, Any], says: str) -> None:
    found = look(experiment(), (Count(300, 1_000), Count(900, 1_000)), **changes)
    assert found.verdict is Verdict.INVALID
    assert says in found.sentence


def test_no_difference_at_the_plan_keeps_what_there_is() -> None:
    found = look(experiment(), (Count(300, 1_000), Count(310, 1_000)), is_final=True)
    assert found.verdict is Verdict.KEEP
    assert "no difference of the size that was worth finding was found" in found.sentence


def test_a_guardrail_may_be_worse_by_its_margin() -> None:
    strict, lenient = experiment(), experiment(guardrails=[ERROR.model_copy(update={"margin": 0.5}).model_dump()])
    errors = (Count(200, 1_000), Count(270, 1_000))

    def found(given: Experiment) -> Verdict:
        comparison = compare_counts(
            given.guardrails[0], Role.GUARDRAIL, *errors, 2 * given.planned["v1"], GUARDRAIL_ALPHA
        )
        primary = compare_counts(
            given.primary,
            Role.PRIMARY,
            Count(300, 1_000),
            Count(300, 1_000),
            2 * given.planned["v1"],
            0.01,
        )
        return look(given, (Count(300, 1_000), Count(300, 1_000)), comparisons=(primary, comparison)).verdict

    assert (found(strict), found(lenient)) == (Verdict.KEEP, Verdict.CONTINUE)


def test_without_scipy_small_cells_are_not_tested_and_that_is_said() -> None:
    given = experiment(guardrails=[])
    comparison = compare_counts(given.primary, Role.PRIMARY, Count(1, 40), Count(5, 40), 80, EARLY_ALPHA, Approximate())
    assert comparison.test is None
    found = look(given, (Count(1, 40), Count(5, 40)), comparisons=(comparison,), decisive=(comparison,))
    assert found.verdict is Verdict.KEEP
    assert "make stats installs the exact one" in found.sentence
    exact = compare_counts(given.primary, Role.PRIMARY, Count(1, 40), Count(5, 40), 80, EARLY_ALPHA)
    assert exact.test
    assert exact.test.method == "Fisher's exact test"
