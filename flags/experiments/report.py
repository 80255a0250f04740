"""Report of an experiment: a document that outlives the persons' rows, and the document as a page or in lines."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from contracts.pages import Notice, Plot, ReportPage, Table, Tile, Unit
from flags.experiments.analysis import Analysis, Comparison, Role, compare_all
from flags.experiments.definitions import Experiment
from flags.experiments.exact import Approximate
from flags.experiments.observations import Observations
from flags.experiments.recommendation import Recommendation, is_harmed, said
from flags.experiments.statistics import Interval

# Points of a curve over time.
POINTS = 40
READING = (
    "Everything is counted by person, from the moment the arm first made a difference to them. Until every arm has its "
    "planned sample and the planned days are over, only an interval that holds at all looks together can end the "
    "experiment; while the band holds zero, it is too early to stop."
)


def report(
    experiment: Experiment,
    analysis: Analysis,
    recommendation: Recommendation,
    observations: Observations,
    silenced: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Return the report in plain values; times in ISO 8601, unknown or infinite numbers as None.

    The figures from `control_conversion_rate` to `confidence_interval_95` are the primary metric's, of the arm to ship,
    else of the first treatment; `is_significant` is p < 0.05 at this one look.
    """
    arm = recommendation.arm or experiment.treatments[0]
    primary = next(one for one in analysis.of(Role.PRIMARY) if one.arm == arm)
    p_value = primary.test.p if primary.test else None
    return {
        "experiment": experiment.key,
        "hypothesis": experiment.hypothesis,
        "owner": experiment.owner,
        "phase": experiment.phase.value,
        "started_at": _time(experiment.started_at),
        "ended_at": _time(experiment.ended_at),
        "at": _time(analysis.at),
        "verdict": recommendation.verdict.value,
        "sentence": recommendation.sentence,
        "ship": recommendation.arm,
        "more_per_arm": dict(recommendation.more),
        "days_left": recommendation.days,
        "planned_per_arm": experiment.planned,
        "planned_days": experiment.plan.days,
        "plan": {"baseline": experiment.plan.baseline, "lift": experiment.plan.lift},
        "fulfilled_at": _time(analysis.fulfilled_at),
        "arms": [
            {"name": arm.name, "weight": arm.weight, "config": dict(arm.config), "people": analysis.people[arm.name]}
            for arm in experiment.arms
        ],
        "sample_ratio_p": analysis.ratio.p if analysis.ratio else None,
        "crossovers": analysis.crossovers,
        "ignored_events": analysis.ignored,
        "was_changed": analysis.was_changed,
        "metrics": [_metric(one) for one in analysis.comparisons],
        "at_the_plan": [_metric(one) for one in analysis.decisive or () if one.role is Role.PRIMARY],
        "lacks": list(analysis.lacks),
        "silenced_by": {switch: list(keys) for switch, keys in silenced.items()},
        "control_conversion_rate": primary.control.mean,
        "treatment_conversion_rate": primary.treatment.mean,
        "relative_improvement": primary.lift,
        "p_value": p_value,
        "is_significant": primary.is_enough and p_value is not None and p_value < 0.05,
        "confidence_interval_95": _bounds(primary.interval),
        "recommendation": f"{recommendation.verdict}: {recommendation.sentence}",
        "life": [entry.model_dump(mode="json") for entry in experiment.life],
        "over_time": over_time(experiment, observations, analysis.at),
    }


def over_time(experiment: Experiment, observations: Observations, until: datetime) -> list[dict[str, Any]]:
    """Return the persons of each arm by then, and the primary metric's difference as known now, at equal steps."""
    started = experiment.started_at
    if started is None or until <= started or not observations.people:
        return []
    step = max((until - started) / POINTS, timedelta(minutes=1))
    points = []
    for number in range(1, math.floor((until - started) / step) + 1):
        moment = started + number * step
        seen = observations.until(moment)
        found = compare_all(experiment.model_copy(update={"guardrails": (), "secondary": ()}), seen, Approximate())
        points.append(
            {
                "at": _time(moment),
                "people": {name: len(arm.people) for name, arm in seen.arms.items()},
                "differences": {
                    one.arm: [_finite(one.difference), *_bounds(one.always)] for one in found if one.is_enough
                },
            }
        )
    return points


def _metric(one: Comparison) -> dict[str, Any]:
    return {
        "metric": one.metric.name,
        "metadata": dict(one.metric.metadata),
        "kind": one.metric.kind.value,
        "better": one.metric.better.value,
        "margin": one.metric.margin,
        "role": one.role.value,
        "arm": one.arm,
        "ratio": f"{one.metric.numerator} / {one.metric.denominator}" if one.metric.denominator else None,
        "people": [one.control.people, one.treatment.people],
        "values": [one.control.mean, one.treatment.mean],
        "deviations": [one.control.deviation, one.treatment.deviation],
        "said": [said(one.metric, side.mean) if side.people else "" for side in (one.control, one.treatment)],
        "difference": one.difference,
        "interval": _bounds(one.interval),
        "always_valid": _bounds(one.always),
        "bootstrap": _bounds(one.bootstrap) if one.bootstrap else None,
        "lift": one.lift,
        "lift_interval": _bounds(one.lift_interval) if one.lift_interval else None,
        "effect": {"name": one.effect_name, "value": one.effect},
        "p": one.test.p if one.test else None,
        "p_corrected": one.p_corrected,
        "method": one.test.method if one.test else None,
        "is_enough": one.is_enough,
        "state": _state(one),
    }


def _state(one: Comparison) -> str:
    """Return the state in a word, by the always-valid interval."""
    if not one.is_enough:
        return "too few"
    if one.role is Role.GUARDRAIL:
        return "worse" if is_harmed(one) else "holds"
    if 0 in one.always:
        return "open"
    return "better" if one.gains else "worse"


def _bounds(interval: Interval) -> list[float | None]:
    return [_finite(interval.low), _finite(interval.high)]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def lines(found: dict[str, Any]) -> list[str]:
    """Return the report's lines for a terminal, without its table."""
    planned = found["planned_per_arm"]
    people = ", ".join(f"{arm['name']} {arm['people']:,} of {planned[arm['name']]:,}" for arm in found["arms"])
    told = [
        f"{found['experiment']} ({found['phase']}): {found['hypothesis']}",
        f"{found['verdict']}: {found['sentence']}",
        f"Persons: {people} that are planned, in {found['planned_days']} days.",
    ]
    told += silences(found)
    if found["sample_ratio_p"] is not None:
        told.append(f"Sample ratio: p = {found['sample_ratio_p']:.3g} (below 0.001 the experiment is broken).")
    if found["crossovers"]:
        told.append(f"{found['crossovers']:,} persons were in two arms and are left out.")
    if found["ignored_events"]:
        told.append(f"{found['ignored_events']:,} events came before the person was exposed and are left out.")
    told += [f"Without SciPy (make stats): {lack}." for lack in found["lacks"]]
    return told


def silences(found: dict[str, Any]) -> list[str]:
    """Return a sentence for each switch that silences the experiment."""
    return [
        f"{switch}=false turns off {', '.join(keys)}: no arm has an effect on it. Unset {switch}, or pause this."
        for switch, keys in found.get("silenced_by", {}).items()
    ]


def rows(found: dict[str, Any]) -> list[Sequence[object]]:
    """Return the table: one row for each metric and arm."""
    return [
        (
            one["metric"],
            one["role"],
            one["arm"],
            one["state"],
            *one["said"],
            percent(one["lift"]),
            spread(one["lift_interval"]),
            "" if one["p"] is None else f"{one['p']:.3g}",
        )
        for one in found["metrics"]
    ]


COLUMNS = ("metric", "role", "arm", "state", "control", "arm's", "lift", "95 % interval", "p")


def percent(value: float | None) -> str:
    return "" if value is None else f"{value:+.1%}"


def spread(bounds: Sequence[float | None] | None) -> str:
    if bounds is None or None in bounds:
        return ""
    return " to ".join(percent(bound) for bound in bounds)


def page(found: dict[str, Any]) -> ReportPage:
    """Return the page of what `flags.experiments.report.report` returns; experiments speak English."""
    planned, ratio = found["planned_per_arm"], found["sample_ratio_p"]
    tiles = [
        Tile(arm["name"], f"{arm['people']:,}", f"of {planned[arm['name']]:,} planned persons") for arm in found["arms"]
    ]
    sound = "–" if ratio is None else "broken" if ratio < 0.001 else "as planned"
    tiles += [
        Tile("planned days", str(found["planned_days"])),
        Tile("sample ratio", sound, "" if ratio is None else f"p = {ratio:.2g}", is_bad=sound == "broken"),
        Tile("left out", f"{found['crossovers']:,}", "persons in two arms"),
    ]
    notices = [
        Notice(f"{found['verdict']}: {found['sentence']}", found["verdict"] == "INVALID"),
        *(Notice(silence, True) for silence in silences(found)),
        Notice(READING, False),
    ]
    if found["ignored_events"]:
        notices.append(Notice(f"{found['ignored_events']:,} events came before the person was exposed.", False))
    notices += [Notice(f"Made without SciPy: {lack}.", False) for lack in found["lacks"]]
    since = f", since {_moment(found['started_at'])}" if found["started_at"] else ""
    life = [(_moment(one["at"]), one["phase"], one["author"], one["reason"]) for one in found["life"]]
    tables = [Table("Metrics", COLUMNS, rows(found)), Table("History", ("when (UTC)", "became", "by", "why"), life)]
    subtitle = (
        f"{found['hypothesis']} {found['phase']}{since}; owner {found['owner']}; as of {_moment(found['at'])} UTC"
    )
    return ReportPage(found["experiment"], subtitle, tiles, _plots(found), tables, notices)


def _plots(found: dict[str, Any]) -> list[Plot]:
    """Return the primary metric's difference with its always-valid interval, and the persons, over time."""
    points = found["over_time"]
    if not points:
        return []
    labels, names = [_moment(point["at"]) for point in points], [arm["name"] for arm in found["arms"]]
    people = {name: [float(point["people"][name]) for point in points] for name in names}
    plots = [Plot("Persons in each arm", labels, people, Unit.COUNT)]
    # The first looks have huge intervals, which would flatten all others.
    later = points[len(points) // 4 :]
    differences: dict[str, list[float | None]] = {}
    for name in names[1:]:
        known = [point["differences"].get(name, (None, None, None)) for point in later]
        for number, series in enumerate((name, f"{name}, low", f"{name}, high")):
            differences[series] = [one[number] for one in known]
    if any(value is not None for values in differences.values() for value in values):
        unit = Unit.SHARE if found["metrics"][0]["kind"] == "proportion" else Unit.SCORE
        bands = [(f"{name}, high", f"{name}, low") for name in names[1:]]
        title = "Difference of the primary metric to the control, with its always-valid interval"
        plots.insert(0, Plot(title, labels[-len(later) :], differences, unit, bands=bands))
    return plots


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M}"
