"""Recommendation of an experiment: a verdict, and a sentence readable without statistics."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from flags.definitions import Better, Metric, MetricKind
from flags.experiments.analysis import MORE_THAN, Analysis, Comparison, Role
from flags.experiments.definitions import FINAL_ALPHA
from flags.experiments.statistics import Interval

# A sample ratio below this p-value is a broken experiment, not chance.
# Source: Fabijan et al. (2019), with the same limit of p < 0.001.
RATIO_P = 0.001
# A larger share of persons in two arms means that persons do not keep their arm.
CROSSOVERS, SOME = 0.01, 5
DAY = timedelta(days=1)


class Verdict(StrEnum):
    """The verdicts. `INVALID`: the measurements cannot be used, whatever they show."""

    SHIP = "SHIP"
    KEEP = "KEEP"
    CONTINUE = "CONTINUE"
    INVALID = "INVALID"


@dataclass(frozen=True)
class Recommendation:
    """A verdict with its sentence. `arm` is the one to ship; `more` persons per arm are missing, for about `days` days.

    `is_difference` means that it claims a difference between the arms, for better or worse.
    """

    verdict: Verdict
    sentence: str
    arm: str | None = None
    is_difference: bool = False
    more: Mapping[str, int] = field(default_factory=dict)
    days: int | None = None


def recommend(analysis: Analysis) -> Recommendation:
    """Check in this order: validity, harm, benefit, missing persons."""
    if unsound := _unsound(analysis):
        return Recommendation(Verdict.INVALID, unsound)
    primaries = {one.arm: one for one in analysis.of(Role.PRIMARY)}
    if not all(one.is_enough for one in primaries.values()):
        who = f" with {of}" if (of := analysis.experiment.primary.denominator) else ""
        return _continue(
            analysis, f"It is too early to say anything: every arm needs more than {MORE_THAN} persons{who}."
        )
    harm = harms(analysis)
    left = [one for name, one in primaries.items() if name not in harm]
    if not left:
        sentence = f"Keep {analysis.experiment.control} and stop now: {in_words(harm.values())}. That is no chance."
        return Recommendation(Verdict.KEEP, sentence, is_difference=True)
    better = [
        one for one in left if (one.always.low > 0 if one.metric.better is Better.HIGHER else one.always.high < 0)
    ]
    if better:
        is_early = analysis.decisive is None
        when = "The result is clear before the planned sample is there." if is_early else "The planned sample is there."
        return _ship(better, analysis, when)
    if analysis.decisive is None:
        return _continue(analysis, "No difference can be told yet.")
    return _at_the_plan(left, analysis)


def harms(analysis: Analysis) -> dict[str, Comparison]:
    """Return the arms that do harm by an always-valid interval, each with its guardrail, or the primary metric."""
    worse = (one for one in analysis.of(Role.PRIMARY) if one.is_enough and _is_worse(one.always, one.metric, 0))
    harm = {one.arm: one for one in analysis.of(Role.GUARDRAIL) if is_harmed(one)}
    return harm | {one.arm: one for one in worse if one.arm not in harm}


def in_words(harm: Iterable[Comparison]) -> str:
    return "; ".join(f"with {one.arm} {told(one)}" for one in harm)


def is_harmed(guardrail: Comparison) -> bool:
    """Return whether the guardrail is worse by more than its margin, by the always-valid interval."""
    return guardrail.is_enough and _is_worse(
        guardrail.always, guardrail.metric, guardrail.metric.margin * abs(guardrail.control.mean)
    )


def _unsound(analysis: Analysis) -> str | None:
    if analysis.was_changed:
        return (
            "The result says nothing: who is in which arm, or what an arm is, was changed while people took part. "
            "Plan it again under another key."
        )
    if analysis.ratio is not None and analysis.ratio.p < RATIO_P:
        counts = ", ".join(f"{name} {count:,}" for name, count in analysis.people.items())
        return (
            f"The result says nothing: the arms do not have the persons that their weights say ({counts}). Some people "
            "of one arm are lost, so the arms are not alike. Find out where before anything else."
        )
    everybody = sum(analysis.people.values()) + analysis.crossovers
    if analysis.crossovers >= SOME and analysis.crossovers / everybody > CROSSOVERS:
        return (
            f"The result says nothing: {analysis.crossovers:,} of {everybody:,} persons were in two arms. "
            "People must keep the arm they were given."
        )
    return None


def _at_the_plan(left: Sequence[Comparison], analysis: Analysis) -> Recommendation:
    """Apply the one planned test to the persons present when the plan was fulfilled."""
    names = {one.arm for one in left}
    alpha = FINAL_ALPHA / len(analysis.experiment.treatments)
    decisive = [one for one in analysis.of(Role.PRIMARY, analysis.decisive) if one.arm in names]
    told_apart = [one for one in decisive if one.is_enough and one.test is not None and one.test.p < alpha]
    won = [one for one in told_apart if one.gains]
    if won:
        return _ship(won, analysis, "The planned sample is there.")
    control = analysis.experiment.control
    lost = [one for one in told_apart if not one.gains]
    if len(lost) == len(decisive):
        return Recommendation(Verdict.KEEP, f"Keep {control}: {told(lost[0])}.", is_difference=True)
    untested = (
        " The cells are too small for the usual test; make stats installs the exact one."
        if any(one.test is None for one in decisive)
        else ""
    )
    closest = max(decisive, key=lambda one: one.difference if one.metric.better is Better.HIGHER else -one.difference)
    return Recommendation(
        Verdict.KEEP,
        f"Keep {control}: the planned sample is there, and no difference of the size that was worth finding was found. "
        f"{told(closest)[0].upper()}{told(closest)[1:]}.{untested}",
    )


def _ship(better: Sequence[Comparison], analysis: Analysis, when: str) -> Recommendation:
    best = max(better, key=lambda one: abs(one.difference))
    guardrails = [one for one in analysis.of(Role.GUARDRAIL) if one.arm == best.arm]
    # Only guardrails with enough persons can be called held.
    seen = [one for one in guardrails if one.is_enough]
    held = f" No guardrail was found worse ({', '.join(one.metric.name for one in seen)})." if seen else ""
    sentence = f"Ship {best.arm}: {told(best)}. {when}{held}"
    return Recommendation(Verdict.SHIP, sentence, arm=best.arm, is_difference=True)


def _continue(analysis: Analysis, why: str) -> Recommendation:
    experiment = analysis.experiment
    missing = {name: planned - analysis.people[name] for name, planned in experiment.planned.items()}
    more = {name: count for name, count in missing.items() if count > 0}
    # Each arm's pace goes on, at least to the planned days; without a pace nothing is said.
    gone = (analysis.at - experiment.started_at) / DAY if experiment.started_at else 0.0
    days = None
    if experiment.started_at and all(analysis.people[name] and gone > 0 for name in more):
        paces = [math.ceil(count * gone / analysis.people[name]) for name, count in more.items()]
        days = max([0, math.ceil(experiment.plan.days - gone), *paces])
    wait = f"about {days} more {'day' if days == 1 else 'days'}" if days is not None else "as long as that takes"
    if not more:
        needs = "the planned days are not over"
    elif len(set(experiment.planned.values())) == 1:
        needs = f"each arm needs {max(more.values()):,} more persons"
    else:
        needs = f"{' and '.join(f'{name} needs {count:,}' for name, count in more.items())} more persons"
    return Recommendation(Verdict.CONTINUE, f"Go on: {needs}, {wait}. {why}", more=more, days=days)


def _is_worse(interval: Interval, metric: Metric, margin: float) -> bool:
    return interval.high < -margin if metric.better is Better.HIGHER else interval.low > margin


def told(one: Comparison) -> str:
    """Describe the difference in words."""
    went = "stayed at" if not one.difference else "rose from" if one.difference > 0 else "fell from"
    before, after = said(one.metric, one.control.mean), said(one.metric, one.treatment.mean)
    values = before if not one.difference else f"{before} to {after}"
    change = ""
    if one.lift is not None and one.difference:
        change = f" ({one.lift:+.1%}"
        if one.lift_interval is not None:
            change += f", 95 % interval {one.lift_interval.low:+.1%} to {one.lift_interval.high:+.1%}"
        change += ")"
    return f"{one.metric.name} {went} {values}{change}"


def said(metric: Metric, value: float) -> str:
    """Format a person's value in the metric's unit."""
    return f"{value:.1%}" if metric.kind is MetricKind.PROPORTION else f"{value:,.4g}"
