"""Report as one HTML file: no script, no external resources, plots as SVG."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from flags.experiments.report import percent, spread

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 104, 16, 32
ROW = 34

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_environment.filters |= {
    "percent": percent,
    "spread": spread,
    "day": lambda text: _moment(text).strftime("%Y-%m-%d %H:%M"),
}


def page(found: dict[str, Any]) -> str:
    """Render the report that `flags.experiments.report.report` returns."""
    names = [arm["name"] for arm in found["arms"]]
    return _environment.get_template("report.html.j2").render(
        report=found, people=people_plot(found, names), difference=difference_plot(found, names), lifts=lift_plot(found)
    )


class _Scale:
    """A linear scale from values to pixels, a little wider than the values."""

    def __init__(self, values: Iterable[float], start: float, end: float, *, air: float = 0.06) -> None:
        known = list(values)
        low, high = min(known), max(known)
        pad = (high - low) * air or abs(high) * air or 1
        self.low, self.high = low - pad, high + pad
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self._start + share * (self._end - self._start), 1)

    def within(self, value: float) -> float:
        """Clamp the value to the scale."""
        return self(min(max(value, self.low), self.high))

    def ticks(self, count: int = 4) -> list[float]:
        """Return multiples of a round step (1, 2, 5 or 10 times a power of ten) between the ends."""
        raw = (self.high - self.low) / count
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(step * power for step in (1, 2, 5, 10) if step * power >= raw)
        first = int(self.low // step) + 1
        return [n * step for n in range(first, int(self.high // step) + 1)]


def people_plot(found: dict[str, Any], names: Sequence[str]) -> Markup | None:
    """Plot the persons of each arm over time, and the planned number."""
    points = found["over_time"]
    if not points:
        return None
    across = _times(points)
    counts = [point["people"][name] for point in points for name in names]
    planned = {count: name for name, count in found["planned_per_arm"].items()}
    up = _Scale([0, *planned, *counts], HEIGHT - BOTTOM, TOP)
    parts = _axes(across, up, points, [f"{tick:,.0f}" for tick in up.ticks()])
    ends = []
    for count, name in planned.items():
        parts.append(_line(LEFT, WIDTH - RIGHT, up(count), up(count), "plan"))
        ends.append((up(count), f"planned {name}" if len(planned) > 1 else "planned", ""))
    for number, name in enumerate(names):
        line = [(across(_seconds(point["at"])), up(point["people"][name])) for point in points]
        parts.append(_polyline(line, f"arm{number}"))
        ends.append((line[-1][1], name, f"arm{number}"))
    parts += _labels(ends)
    return _svg(parts, HEIGHT, "Persons in each arm over time")


def difference_plot(found: dict[str, Any], names: Sequence[str]) -> Markup | None:
    """Plot the primary metric's difference to the control over time, with its always-valid interval."""
    points = [point for point in found["over_time"] if any(None not in one for one in point["differences"].values())]
    if len(points) < 2:
        return None
    across = _times(points)
    # The first looks have huge intervals, which would flatten all others.
    later = points[len(points) // 4 :]
    bounds = [value for point in later for one in point["differences"].values() for value in one if value is not None]
    up = _Scale([0, *bounds], HEIGHT - BOTTOM, TOP)
    is_share = found["metrics"][0]["kind"] == "proportion"
    labels = [f"{tick * 100:+.3g} pp" if is_share and tick else f"{tick:+.3g}" if tick else "0" for tick in up.ticks()]
    parts = _axes(across, up, points, labels)
    parts.append(_line(LEFT, WIDTH - RIGHT, up(0), up(0), "zero"))
    ends = [(up(0), "no difference", "")]
    for number, name in enumerate(names[1:], start=1):
        known = [point for point in points if name in point["differences"]]
        if not known:
            continue
        ways = [(across(_seconds(point["at"])), *point["differences"][name]) for point in known]
        band = [(x, up.within(low)) for x, _, low, _ in ways]
        band += [(x, up.within(high)) for x, _, _, high in reversed(ways)]
        line = [(x, up.within(middle)) for x, middle, _, _ in ways]
        parts += [
            Markup('<polygon class="band band{}" points="{}"/>').format(number, _coordinates(band)),
            _polyline(line, f"arm{number}"),
        ]
        ends.append((line[-1][1], name, f"arm{number}"))
    parts += _labels(ends)
    return _svg(parts, HEIGHT, "Difference of the primary metric over time")


def lift_plot(found: dict[str, Any]) -> Markup | None:
    """Plot each metric's lift with its 95 % interval; to the right is higher, green is better."""
    known = [one for one in found["metrics"] if one["lift_interval"] and one["is_enough"]]
    if not known:
        return None
    height = TOP + ROW * len(known) + BOTTOM
    left = 210
    across = _Scale([0, *(bound for one in known for bound in one["lift_interval"])], left, WIDTH - 20)
    parts = [
        Markup(
            '<line class="grid" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/><text class="tick" x="{0}" y="{3}">{4}</text>'
        ).format(across(tick), TOP, height - BOTTOM, height - 10, f"{tick:+.0%}" if tick else "0")
        for tick in across.ticks()
    ]
    parts += [_line(across(0), across(0), TOP, height - BOTTOM, "zero")]
    for number, one in enumerate(known):
        y = TOP + ROW * number + ROW / 2
        low, high = one["lift_interval"]
        side = "open" if low <= 0 <= high else "good" if (low > 0) is (one["better"] == "higher") else "bad"
        parts += [
            Markup('<text class="name" x="{}" y="{}">{} · {}</text>').format(8, y + 4, one["metric"], one["arm"]),
            _line(across(low), across(high), y, y, f"interval {side}"),
            Markup('<circle class="{}" cx="{}" cy="{}" r="5"/>').format(side, across(one["lift"]), y),
        ]
    return _svg(parts, height, "Lift of every metric with its 95 % interval")


def _axes(across: _Scale, up: _Scale, points: Sequence[dict[str, Any]], labels: Sequence[str]) -> list[Markup]:
    parts = []
    for tick, label in zip(up.ticks(), labels, strict=True):
        parts.append(_line(LEFT, WIDTH - RIGHT, up(tick), up(tick), "grid"))
        parts.append(Markup('<text class="tick end" x="{}" y="{}">{}</text>').format(LEFT - 8, up(tick) + 4, label))
    days = (_seconds(points[-1]["at"]) - _seconds(points[0]["at"])) / 86_400
    for point in (points[0], points[len(points) // 2], points[-1]):
        moment = _moment(point["at"])
        label = moment.strftime("%d %b" if days >= 3 else "%d %b %H:%M")
        x = across(moment.timestamp())
        parts.append(Markup('<text class="tick" x="{}" y="{}">{}</text>').format(x, HEIGHT - 10, label))
    return parts


def _labels(ends: Sequence[tuple[float, str, str]]) -> list[Markup]:
    """Label the lines at their right ends, from top to bottom without overlaps."""
    parts, free = [], 0.0
    for y, label, kind in sorted(ends):
        free = max(y + 4, free)
        text = Markup('<text class="label {}" x="{}" y="{}">{}</text>')
        parts.append(text.format(kind, WIDTH - RIGHT + 8, round(free, 1), label))
        free += 14
    return parts


def _line(x1: float, x2: float, y1: float, y2: float, kind: str) -> Markup:
    return Markup('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(kind, x1, x2, y1, y2)


def _polyline(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    return Markup('<polyline class="line {}" points="{}"/>').format(kind, _coordinates(points))


def _coordinates(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _svg(parts: Iterable[Markup], height: float, title: str) -> Markup:
    frame = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, height, title)
    return frame + Markup("").join(parts) + Markup("</svg>")


def _times(points: Sequence[dict[str, Any]]) -> _Scale:
    return _Scale([_seconds(point["at"]) for point in points], LEFT, WIDTH - RIGHT, air=0)


def _seconds(text: str) -> float:
    return _moment(text).timestamp()


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
