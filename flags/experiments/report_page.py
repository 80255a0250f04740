"""Page of an experiment's report: verdict, persons, metrics, and their course over time."""

from datetime import datetime
from typing import Any

from contracts.pages import Notice, Plot, ReportPage, Table, Tile, Unit
from flags.experiments.report import COLUMNS, rows, silences

READING = (
    "Everything is counted by person, from the moment the arm first made a difference to them. Until every arm has its "
    "planned sample and the planned days are over, only an interval that holds at all looks together can end the "
    "experiment; while the band holds zero, it is too early to stop."
)


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
