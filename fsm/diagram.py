"""Diagram of the table: `docs/fsm.md`, its picture, and the copy that the page colours during a turn.

`python -m fsm.diagram` writes the three files, `python -m fsm.diagram --check` exits with 1 where one is out of date.
Graphviz's `dot` computes positions and lines, so a state added to the table is drawn without further work.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from math import copysign, hypot
from pathlib import Path

from contracts.conversation import State
from contracts.errors import ConfigurationError
from fsm.table import ENGINE, MODEL, MOVES, OPERATOR, PASSING, STATES, TIMER, Move, StateRow

ROOT = Path(__file__).parents[1]
DOCUMENT = Path("docs/fsm.md")
PICTURES = (Path("docs/images/fsm.svg"), Path("webhook/static/fsm.svg"))

BOX_WIDTH, BOX_HEIGHT = 104, 40
MARGIN, LEGEND_HEIGHT = 12, 34
HEAD = 7.0
POINTS_AN_INCH = 72


@dataclass(frozen=True)
class Point:
    """A position in the picture, in px from its upper left corner."""

    x: float
    y: float

    def towards(self, other: "Point", distance: float) -> "Point":
        """Return the point `distance` px from here towards `other`; this one when both are equal."""
        length = hypot(other.x - self.x, other.y - self.y) or 1.0
        return Point(self.x + (other.x - self.x) * distance / length, self.y + (other.y - self.y) * distance / length)


@dataclass(frozen=True)
class Line:
    """A move's line: control points of cubic Bezier curves, and the position of its label."""

    points: tuple[Point, ...]
    label: Point | None = None


@dataclass(frozen=True)
class Layout:
    """dot's layout: the centres of the states and the lines of the moves, in the order of the moves."""

    width: float
    height: float
    places: Mapping[str, Point]
    lines: Sequence[Line]


COLOURS: Mapping[str, tuple[str, str]] = {
    # by: on light, on dark
    ENGINE: ("#4a5568", "#a9b4c4"),
    MODEL: ("#6d3fc0", "#b79bf5"),
    OPERATOR: ("#a4550a", "#e8a45c"),
    TIMER: ("#8a93a3", "#7b8596"),
}
WHO: Mapping[str, str] = {
    ENGINE: "the engine, by its rules",
    MODEL: "Task 1, within what the table allows",
    OPERATOR: "a person of the team",
    TIMER: "nobody: the state's limit passed",
}

HOW_IT_WORKS = """\
A conversation is always in one of {states} states, and {moves} moves lead between them: nothing else can happen to it.
One turn, from what a person wrote to the reply, is a walk through this table, and the walk is stored with the turn. The
language model has one say in it, in `UNDERSTANDING_INTENT`, where Task 1 chooses among the moves that are open at that
moment; every other move is pulled by the engine, by a person of the team or by time.

The table is data (`fsm/table.py`), its conditions are predicates over a few facts (`fsm/guards.py`), `fsm/machine.py`
runs it, and `fsm/static_check.py` proves that each state can be reached, can be left, and has a limit.
"""
HOW_IT_RESTS = """\
A conversation that stays longer than its state's limit is moved on by `time_out`; one that waits for an agent goes on
waiting, and the team and the person hear of it. Between two turns it rests in `INIT`,
`AWAITING_USER`, `ESCALATING` or a final state; the others are passed within a turn. Nothing leads out of a final state:
the next message of the person opens a successor, a new episode of the same conversation that remembers who it speaks
with. Only `SPAM` stays shut until an operator reopens it.
"""


def dot_source(states: Sequence[StateRow], moves: Sequence[Move]) -> str:
    """Return the table in Graphviz's language.

    Time-outs do not influence the layout, except one back to its own state: nearly each state has one.
    """
    size = f"width={BOX_WIDTH / POINTS_AN_INCH:.3f} height={BOX_HEIGHT / POINTS_AN_INCH:.3f}"
    lines = [f'node [shape=box fixedsize=true label="" {size}]', "edge [fontsize=12]", "nodesep=0.3", "ranksep=0.36"]
    # The states that a turn passes are one column.
    lines += [f'"{row.state}" [group="{"turn" if row.limit == PASSING else row.state}"]' for row in states]
    for move in moves:
        # Moves by the engine and the model are the main path, and go down in a line.
        weight = {ENGINE: 8, MODEL: 2}.get(move.by, 1)
        if move.by != TIMER or move.source is move.dest:
            lines.append(f'"{move.source}" -> "{move.dest}" [label="{move.trigger}" weight={weight}]')
    return "\n".join(["digraph fsm {", *lines, "}"])


def laid_out(states: Sequence[StateRow], moves: Sequence[Move]) -> Layout:
    """Compute the layout with dot.

    Raises:
        ConfigurationError: Graphviz is not installed.
    """
    program = shutil.which("dot")
    if program is None:
        raise ConfigurationError("the picture needs Graphviz's dot: install Debian's package graphviz")
    plain = subprocess.run(  # noqa: S603 - our own source
        [program, "-Tplain"], input=dot_source(states, moves), capture_output=True, text=True, check=True
    ).stdout
    places: dict[str, Point] = {}
    lines: dict[tuple[str, ...], Line] = {}
    width = height = 0.0
    for kind, *words in (line.split() for line in plain.splitlines()):
        if kind == "graph":
            width, height = (float(word) * POINTS_AN_INCH for word in words[1:3])
        elif kind == "node":
            places[words[0].strip('"')] = _point(words[1], words[2], height)
        elif kind == "edge":
            count = int(words[2])
            ends = 3 + 2 * count
            points = tuple(_point(*pair, height) for pair in zip(words[3:ends:2], words[4:ends:2], strict=True))
            tail, head, label = words[0].strip('"'), words[1].strip('"'), words[ends].strip('"')
            lines[tail, head, label] = Line(points, _point(words[ends + 1], words[ends + 2], height))
    return Layout(
        width + 2 * MARGIN,
        height + LEGEND_HEIGHT + 2 * MARGIN,
        places,
        [lines.get((move.source, move.dest, move.trigger)) or _straight(places, move) for move in moves],
    )


def _point(x: str, y: str, height: float) -> Point:
    """Convert dot's inches, counted from below, to px of the picture."""
    return Point(float(x) * POINTS_AN_INCH + MARGIN, height - float(y) * POINTS_AN_INCH + LEGEND_HEIGHT + MARGIN)


def _straight(places: Mapping[str, Point], move: Move) -> Line:
    source, dest = places[move.source.value], places[move.dest.value]
    start, end = _border(source, dest), _border(dest, source)
    return Line((start, start, end, end))


def svg(states: Sequence[StateRow] = STATES, moves: Sequence[Move] = MOVES) -> str:
    """Return the state diagram as one self-contained SVG document.

    Each state is a group `#state-NAME` of class `state`, with `final` where it ends a conversation; each move a group
    of class `move by-WHO` with `data-source`, `data-dest` and `data-trigger`. A page that inlines it drops the style.

    Raises:
        ConfigurationError: Graphviz is not installed.
    """
    layout = laid_out(states, moves)
    size = f'width="{layout.width:.0f}" height="{layout.height:.0f}"'
    # Time-outs first: more frequent moves are drawn over them.
    ordered = sorted(zip(moves, layout.lines, strict=True), key=lambda pair: pair[0].by != TIMER)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {layout.width:.0f} {layout.height:.0f}" role="img"'
        ' aria-labelledby="fsm-title" preserveAspectRatio="xMidYMin">',
        f"<!-- table {digest(states, moves)} -->",
        '<title id="fsm-title">The states of a conversation and the moves between them</title>',
        f"<style>{_style()}</style>",
        f'<rect class="sheet" {size}/>',
        *_legend(),
        '<g class="moves">',
        *(_move(move, line) for move, line in ordered),
        "</g>",
        '<g class="labels">',
        *(
            f'<text class="label by-{move.by}" x="{line.label.x:.2f}" y="{line.label.y + 3:.2f}" text-anchor="middle">'
            f"{move.trigger}</text>"
            for move, line in ordered
            if line.label
        ),
        "</g>",
        '<g class="states">',
        *(_state(row, layout.places[row.state.value]) for row in states),
        "</g>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def digest(states: Sequence[StateRow], moves: Sequence[Move]) -> str:
    """Return a hash of the picture's content, independent of dot's version."""
    shown = [dot_source(states, moves), *(f"{row.state}: {row.meaning} {row.limit}" for row in states)]
    shown += [_sentence(move) for move in moves]
    return hashlib.sha256("\n".join(shown).encode()).hexdigest()[:16]


def markdown(states: Sequence[StateRow] = STATES, moves: Sequence[Move] = MOVES) -> str:
    """Return the page `docs/fsm.md`."""
    return (
        "\n".join([*_introduction(states, moves), *_mermaid(moves), *_state_table(states), *_move_table(moves)]) + "\n"
    )


# -- The picture ------------------------------------------------------------------------------------------------------


def _style() -> str:
    light = "".join(f".by-{by}{{--c:{colours[0]}}}" for by, colours in COLOURS.items())
    dark = "".join(f".by-{by}{{--c:{colours[1]}}}" for by, colours in COLOURS.items())
    return (
        "svg{font:600 10.5px system-ui,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}"
        ".sheet{fill:#fff}.box{fill:#f6f7f9;stroke:#4a5568;stroke-width:1.2}.inner{fill:none;stroke:#4a5568}"
        ".name{fill:#1c2430;text-anchor:middle}"
        f"{light}"
        ".line{fill:none;stroke:var(--c);stroke-width:1.4}.head{fill:var(--c)}"
        ".by-timer .line{stroke-width:1;stroke-dasharray:3 3}"
        ".label{font-weight:500;font-size:10px;fill:var(--c);stroke:#fff;stroke-width:3px;paint-order:stroke}"
        ".label.by-timer{fill:#667085}"
        "@media (prefers-color-scheme:dark){.sheet{fill:#15191f}.box{fill:#1f252d;stroke:#a9b4c4}.inner{stroke:#a9b4c4}"
        f".name{{fill:#eef1f5}}{dark}.label{{stroke:#15191f}}.label.by-timer{{fill:#98a2b3}}}}"
    )


def _legend() -> Iterator[str]:
    yield '<g class="legend">'
    for column, by in enumerate((ENGINE, MODEL, OPERATOR, TIMER)):
        x, y = MARGIN + column * 96, 18
        yield (
            f'<g class="move by-{by}" data-legend="{by}"><path class="line" d="M{x} {y}H{x + 22}"/>'
            f'{_head(Point(x + 16, y), Point(x + 26, y))}<text class="label by-{by}" x="{x + 32}" y="{y + 3.5:g}">{by}'
            "</text></g>"
        )
    yield "</g>"


def _state(row: StateRow, place: Point) -> str:
    x, y = place.x - BOX_WIDTH / 2, place.y - BOX_HEIGHT / 2
    inner = ""
    if row.is_final:
        size = f'width="{BOX_WIDTH - 6}" height="{BOX_HEIGHT - 6}"'
        inner = f'<rect class="inner" x="{x + 3:.2f}" y="{y + 3:.2f}" {size} rx="6"/>'
    return (
        f'<g id="state-{row.state}" class="{"state final" if row.is_final else "state"}" data-state="{row.state}">'
        f"<title>{escape(f'{row.state}: {row.meaning}')}</title>"
        f'<rect class="box" x="{x:.2f}" y="{y:.2f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="9"/>{inner}'
        f"{_name(row.state, place)}</g>"
    )


def _name(state: State, place: Point) -> str:
    """Return a long name on two lines, broken after its first word."""
    first, _, rest = state.value.partition("_")
    words = [first, rest.replace("_", " ")] if len(state.value) > 13 else [state.value.replace("_", " ")]
    top = place.y + 3.8 - 6.5 * (len(words) - 1)
    spans = "".join(
        f'<tspan x="{place.x:.2f}" y="{top + 13 * row:.2f}">{word}</tspan>' for row, word in enumerate(words)
    )
    return f'<text class="name">{spans}</text>'


def _move(move: Move, line: Line) -> str:
    first, *rest = line.points
    curves = zip(rest[::3], rest[1::3], rest[2::3], strict=True)
    path = f"M{_xy(first)}" + "".join(f"C{_xy(one)} {_xy(two)} {_xy(end)}" for one, two, end in curves)
    # The arrow head begins where dot's line ends, a head's length before the box.
    last = line.points[-1]
    before = next(point for point in reversed(line.points) if point != last)
    tip = last.towards(before, 1), last.towards(before, -HEAD if before != first else 0)
    return (
        f'<g class="move by-{move.by}" data-source="{move.source}" data-dest="{move.dest}"'
        f' data-trigger="{move.trigger}"><title>{escape(_sentence(move))}</title>'
        f'<path class="line" d="{path}"/>{_head(*tip)}</g>'
    )


def _sentence(move: Move) -> str:
    guard = f" [{move.guard.__name__}]" if move.guard else ""
    return f"{move.trigger}{guard}: {move.source} to {move.dest}, by {WHO.get(move.by, move.by)}"


def _border(place: Point, towards: Point) -> Point:
    """Return the point at which a straight line from a box's centre crosses its border."""
    dx, dy = towards.x - place.x, towards.y - place.y
    if abs(dx) * BOX_HEIGHT > abs(dy) * BOX_WIDTH:
        return Point(place.x + copysign(BOX_WIDTH / 2, dx), place.y + dy * BOX_WIDTH / 2 / abs(dx))
    return Point(place.x + dx * BOX_HEIGHT / 2 / (abs(dy) or 1), place.y + copysign(BOX_HEIGHT / 2, dy))


def _head(before: Point, tip: Point) -> str:
    base = tip.towards(before, HEAD)
    across_x, across_y = (tip.y - base.y) * 0.5, (base.x - tip.x) * 0.5
    left, right = Point(base.x + across_x, base.y + across_y), Point(base.x - across_x, base.y - across_y)
    return f'<path class="head" d="M{_xy(tip)}L{_xy(left)}L{_xy(right)}Z"/>'


def _xy(point: Point) -> str:
    return f"{point.x:.2f} {point.y:.2f}"


# -- The page in the docs ---------------------------------------------------------------------------------------------


def _introduction(states: Sequence[StateRow], moves: Sequence[Move]) -> Iterator[str]:
    yield from (
        "# The state machine of a conversation",
        "",
        "<!-- Written by `make docs` from fsm/table.py; change the table, not this page. -->",
        "",
        *HOW_IT_WORKS.format(states=len(states), moves=len(moves)).splitlines(),
        "",
        "![States and moves](images/fsm.svg)",
        "",
    )


def _mermaid(moves: Sequence[Move]) -> Iterator[str]:
    yield from ("## The same as text", "", "```mermaid", "stateDiagram-v2", f"    [*] --> {State.INIT}")
    for move in moves:
        guard = f" [{move.guard.__name__}]" if move.guard else ""
        yield f"    {move.source} --> {move.dest}: {move.trigger}{guard}"
    yield from ("```", "")


def _state_table(states: Sequence[StateRow]) -> Iterator[str]:
    yield from ("## States", "", "| state | meaning | limit | final |", "|---|---|---|---|")
    for row in states:
        yield f"| `{row.state}` | {row.meaning} | {_limit(row.limit)} | {'yes' if row.is_final else ''} |"
    yield from ("", *HOW_IT_RESTS.splitlines(), "")


def _limit(limit: timedelta | None) -> str:
    if limit is None:
        return "none"
    minutes = round(limit.total_seconds() / 60)
    return f"{minutes} min" if minutes % 60 else f"{minutes // 60} h"


def _move_table(moves: Sequence[Move]) -> Iterator[str]:
    yield from ("## Moves", "", "| trigger | source | destination | who | guard |", "|---|---|---|---|---|")
    for move in moves:
        guard = f"`{move.guard.__name__}`" if move.guard else ""
        yield f"| `{move.trigger}` | `{move.source}` | `{move.dest}` | {move.by} | {guard} |"
    yield from ("", *(f"- {by}: {who}" for by, who in WHO.items()))
    for name, meaning in {one.guard.__name__: one.guard.__doc__ for one in moves if one.guard}.items():
        yield from ("", f"`{name}`: {(meaning or '').strip().splitlines()[0]}")


# -- The command ------------------------------------------------------------------------------------------------------


def out_of_date(root: Path = ROOT) -> list[Path]:
    """Return the files that are missing or show another table than the current one."""
    shown = {DOCUMENT: markdown(), **dict.fromkeys(PICTURES, f"<!-- table {digest(STATES, MOVES)} -->")}
    return [
        path
        for path, expected in shown.items()
        if not (root / path).is_file() or expected not in (root / path).read_text(encoding="utf-8")
    ]


def main(arguments: Sequence[str]) -> None:
    """Write the files, or with `--check` only compare them."""
    if "--check" in arguments:
        if stale := out_of_date():
            raise SystemExit(f"out of date: {', '.join(map(str, stale))} (make docs)")
        return
    picture = svg()
    for path, content in {DOCUMENT: markdown(), **dict.fromkeys(PICTURES, picture)}.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
