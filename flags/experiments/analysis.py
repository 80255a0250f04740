"""Analysis of an experiment: each arm against the control, metric by metric, with the person as the unit."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from flags.definitions import Metric, MetricKind
from flags.experiments import statistics
from flags.experiments.definitions import EARLY_ALPHA, GUARDRAIL_ALPHA, Experiment
from flags.experiments.exact import Exactness
from flags.experiments.observations import Arm, Observations
from flags.experiments.statistics import Count, Interval, Sample, Test

# With fewer persons neither the intervals nor a reader's eye can be trusted.
MORE_THAN = 30


class Role(StrEnum):
    PRIMARY = "primary"
    GUARDRAIL = "guardrail"
    SECONDARY = "secondary"


@dataclass(frozen=True)
class Comparison:
    """One metric of one arm against the control. Differences are treatment minus control, in the metric's own unit.

    `people` counts the smaller side's persons with a value of the metric: for a ratio, with a denominator. `always`
    holds at all looks together, `interval` (95 %) and `test` at this one look. `p_corrected` covers all metrics and
    arms together, except the primary metric. `lift` is a share of the control's value.
    """

    metric: Metric
    role: Role
    arm: str
    control: Sample
    treatment: Sample
    people: int
    difference: float
    interval: Interval
    lift: float | None
    lift_interval: Interval | None
    effect_name: str
    effect: float
    test: Test | None
    always: Interval
    p_corrected: float | None = None
    bootstrap: Interval | None = None

    @property
    def is_enough(self) -> bool:
        return self.people > MORE_THAN

    @property
    def gains(self) -> bool:
        """Whether the difference, however small, is an improvement."""
        return self.difference > 0 if self.metric.better == "higher" else self.difference < 0


@dataclass(frozen=True)
class Analysis:
    """The input of a recommendation and a report.

    `decisive` compares the persons present when the plan was fulfilled; None before. Later persons change nothing in
    it.
    """

    experiment: Experiment
    at: datetime
    people: dict[str, int]
    crossovers: int
    ignored: int
    ratio: Test | None
    was_changed: bool
    comparisons: tuple[Comparison, ...]
    decisive: tuple[Comparison, ...] | None
    fulfilled_at: datetime | None
    lacks: tuple[str, ...]

    def of(self, role: Role, comparisons: Sequence[Comparison] | None = None) -> Iterator[Comparison]:
        return (one for one in (self.comparisons if comparisons is None else comparisons) if one.role is role)


def analyse(
    experiment: Experiment, observations: Observations, exactness: Exactness, *, at: datetime, was_changed: bool = False
) -> Analysis:
    """Compare every arm with the control.

    Args:
        at: now; for an experiment that is over, its end.
        was_changed: whether persons were assigned in another way for a while.
    """
    counts = [len(observations.arms[name].people) for name in experiment.weights]
    fulfilled = fulfilled_at(experiment, observations)
    fulfilled = fulfilled if fulfilled is not None and fulfilled <= at else None
    return Analysis(
        experiment=experiment,
        at=at,
        people=dict(zip(experiment.weights, counts, strict=True)),
        crossovers=observations.crossovers,
        ignored=observations.ignored,
        ratio=statistics.sample_ratio(counts, list(experiment.weights.values())) if sum(counts) else None,
        was_changed=was_changed,
        comparisons=compare_all(experiment, observations, exactness),
        decisive=compare_all(experiment, observations.until(fulfilled), exactness) if fulfilled else None,
        fulfilled_at=fulfilled,
        lacks=exactness.lacks,
    )


def fulfilled_at(experiment: Experiment, observations: Observations) -> datetime | None:
    """Return the instant at which each arm had its planned persons and the planned days were over; None before."""
    if experiment.started_at is None:
        return None
    last = experiment.started_at + timedelta(days=experiment.plan.days)
    for name in experiment.weights:
        people = observations.arms[name].people
        planned = experiment.planned[name]
        if len(people) < planned:
            return None
        last = max(last, people[planned - 1].exposed_at)
    return last


def compare_all(experiment: Experiment, observations: Observations, exactness: Exactness) -> tuple[Comparison, ...]:
    """Compare every treatment with the control on every metric, the primary metric first."""
    roles = (
        (Role.PRIMARY, (experiment.primary,), EARLY_ALPHA),
        (Role.GUARDRAIL, experiment.guardrails, GUARDRAIL_ALPHA / max(1, len(experiment.guardrails))),
        (Role.SECONDARY, experiment.secondary, EARLY_ALPHA),
    )
    control, treatments = observations.arms[experiment.control], experiment.treatments
    found = [
        compare(
            metric,
            role,
            arm,
            control,
            observations.arms[arm],
            exactness,
            planned=experiment.planned[experiment.control] + experiment.planned[arm],
            alpha=alpha / len(treatments),
        )
        for role, metrics, alpha in roles
        for metric in metrics
        for arm in treatments
    ]
    # All but the primary metric are corrected for their number.
    places = [n for n, one in enumerate(found) if one.test is not None and one.role is not Role.PRIMARY]
    p_values = statistics.benjamini_hochberg([test.p for n in places if (test := found[n].test) is not None])
    for n, p in zip(places, p_values, strict=True):
        found[n] = replace(found[n], p_corrected=p)
    return tuple(found)


def compare(
    metric: Metric,
    role: Role,
    name: str,
    control: Arm,
    treatment: Arm,
    exactness: Exactness,
    *,
    planned: int,
    alpha: float,
) -> Comparison:
    """Compare two arms on one metric; `planned` persons in both together, `alpha` for the always-valid interval.

    A proportion is of persons, anything else a mean over persons; of a ratio, of the persons' parts.
    """
    is_proportion = metric.kind is MetricKind.PROPORTION
    one, two = control.sample(metric), treatment.sample(metric)
    people, fewest = one.people + two.people, min(one.people, two.people)
    effect, test, interval, error, bootstrap = 0.0, None, EVERYTHING, 0.0, None
    if is_proportion:
        before, after = (Count(round(side.total), side.people) for side in (one, two))
        effect = statistics.cohen_h(before, after)
        if fewest > 0:
            is_small = statistics.has_small_cell(before, after)
            test = (exactness.small_cells if is_small else statistics.two_proportions)(before, after)
            interval, error = statistics.newcombe(before, after), statistics.cautious_error(before, after)
    elif fewest >= 2:
        found = statistics.welch(one, two)
        effect, test = statistics.hedges_g(one, two), exactness.welch_test(found)
        interval, error = exactness.mean_interval(found), found.error
        if metric.kind is MetricKind.TOTAL and fewest > MORE_THAN:
            bootstrap = exactness.bootstrap(control.values(metric), treatment.values(metric))
    difference = two.mean - one.mean
    return Comparison(
        metric=metric,
        role=role,
        arm=name,
        control=one,
        treatment=two,
        people=min(control.saying(metric), treatment.saying(metric)) if metric.kind is MetricKind.RATIO else fewest,
        difference=difference,
        interval=interval,
        lift=difference / one.mean if one.mean and (two.people or is_proportion) else None,
        lift_interval=statistics.lift(one, two) if is_proportion or fewest >= 2 else None,
        effect_name="Cohen's h" if is_proportion else "Hedges' g",
        effect=effect,
        test=test,
        always=statistics.always_valid(difference, error, people=people, planned=planned, alpha=alpha)
        if error
        else EVERYTHING,
        bootstrap=bootstrap,
    )


EVERYTHING = Interval(-math.inf, math.inf)
