"""Plots as inline SVG: no script, no font, no external file; the page's style gives the colours."""

from collections.abc import Callable, Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 28
TICKS = 4
# A bar's share of the width of its place.
BAR_SHARE = 0.7
SHOWN_LABELS = 8

Series = Mapping[str, Sequence[float | None]]
Unit = Callable[[float], str]


def bars(labels: Sequence[str], series: Series, *, unit: Unit, title: str, counts: bool = False) -> str:
    """Return stacked bars, one for each label; a series has a value for each of them. `counts` have whole ticks."""
    heights = [sum(values[index] or 0 for values in series.values()) for index in range(len(labels))]
    scale = _Scale(max(heights, default=0), len(labels))
    drawn = []
    for index, label in enumerate(labels):
        reached = 0.0
        for number, (name, values) in enumerate(series.items()):
            value = values[index] or 0
            top, bottom = scale.y(reached + value), scale.y(reached)
            reached += value
            if value:
                width = scale.step * BAR_SHARE
                drawn.append(
                    f'<rect class="c{number}" x="{scale.x(index) - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" '
                    f'height="{bottom - top:.1f}"><title>{escape(f"{label}, {name}: {unit(value)}")}</title></rect>'
                )
    return _drawing(title, scale, labels, unit, drawn, counts=counts)


def lines(labels: Sequence[str], series: Series, *, unit: Unit, title: str) -> str:
    """Return a line for each series, broken where it has no value."""
    known = [value for values in series.values() for value in values if value is not None]
    scale = _Scale(max(known, default=0), len(labels))
    drawn = []
    for number, (name, values) in enumerate(series.items()):
        for stretch in _stretches(values):
            points = " ".join(f"{scale.x(index):.1f},{scale.y(value):.1f}" for index, value in stretch)
            drawn.append(f'<polyline class="l{number}" points="{points}"/>')
            drawn += [
                f'<circle class="c{number}" cx="{scale.x(index):.1f}" cy="{scale.y(value):.1f}" r="3">'
                f"<title>{escape(f'{labels[index]}, {name}: {unit(value)}')}</title></circle>"
                for index, value in stretch
            ]
    return _drawing(title, scale, labels, unit, drawn)


class _Scale:
    """Linear scales from values and labels to positions in the drawing."""

    def __init__(self, highest: float, count: int) -> None:
        self.top = _round_up(highest)
        self.step = (WIDTH - LEFT - RIGHT) / max(1, count)

    def x(self, index: int) -> float:
        return LEFT + self.step * (index + 0.5)

    def y(self, value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / self.top)


def _round_up(highest: float) -> float:
    """Return the next round number: 1, 2 or 5 times a power of ten."""
    if highest <= 0:
        return 1.0
    power = 1.0
    while power > highest:
        power /= 10
    while power * 10 <= highest:
        power *= 10
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= highest * (1 - 1e-9))


def _drawing(
    title: str, scale: _Scale, labels: Sequence[str], unit: Unit, drawn: Sequence[str], *, counts: bool = False
) -> str:
    ticks = [scale.top * tick / TICKS for tick in range(TICKS + 1)]
    if counts:
        ticks = [float(tick) for tick in range(0, int(scale.top) + 1, max(1, -int(-scale.top // TICKS)))]
    grid = []
    for value in ticks:
        y = scale.y(value)
        grid.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        grid.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(unit(value))}</text>')
    every = -(-len(labels) // SHOWN_LABELS) or 1
    grid += [
        f'<text x="{scale.x(index):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(label)}</text>'
        for index, label in enumerate(labels)
        if index % every == 0
    ]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(grid)}{"".join(drawn)}</svg>'
    )


def _stretches(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Return the unbroken segments of a line."""
    found: list[list[tuple[int, float]]] = []
    pen_down = False
    for index, value in enumerate(values):
        if value is not None:
            if not pen_down:
                found.append([])
            found[-1].append((index, value))
        pen_down = value is not None
    return found
