"""Draws the table: `docs/fsm.md`, its picture, and the copy of it that the page colours while a turn runs.

`python -m fsm.diagram` writes the three files, `python -m fsm.diagram --check` exits with 1 where one is out of date.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from html import escape
from itertools import pairwise
from math import asinh, copysign, hypot, sqrt
from pathlib import Path

from contracts.conversation import State, Trigger
from fsm.table import ENGINE, MODEL, MOVES, OPERATOR, STATES, TIMER, Move, StateRow

ROOT = Path(__file__).parents[1]
DOCUMENT = Path("docs/fsm.md")
PICTURES = (Path("docs/images/fsm.svg"), Path("webhook/static/fsm.svg"))


class Side(Enum):
    """A side of a box, as the direction in which it is left."""

    LEFT = (-1, 0)
    RIGHT = (1, 0)
    TOP = (0, -1)
    BOTTOM = (0, 1)

    @property
    def is_horizontal(self) -> bool:
        return self.value[1] == 0


@dataclass(frozen=True)
class Point:
    x: float
    y: float

    def towards(self, other: "Point", distance: float) -> "Point":
        """The point `distance` px from here on the way to `other`; here itself when both are one."""
        length = hypot(other.x - self.x, other.y - self.y) or 1.0
        return Point(self.x + (other.x - self.x) * distance / length, self.y + (other.y - self.y) * distance / length)


@dataclass(frozen=True)
class Route:
    """How a move is drawn: out of one side, along lanes, into another side.

    Attributes:
        at, to: px from the middle of the side, where the line leaves and where it enters.
        lanes: px; x and y in turns of the lanes between, beginning with x when it leaves to the left or right.
        label: where the trigger is written; None where a neighbouring line already says it.
        anchor: which end of the label stands there.
    """

    leave: Side
    enter: Side
    at: float = 0
    to: float = 0
    lanes: tuple[float, ...] = ()
    label: Point | None = None
    anchor: str = "start"


WIDTH, HEIGHT = 460, 722
BOX_WIDTH, BOX_HEIGHT = 114, 42
CORNER, HEAD, DASH = 9.0, 7.0, 6.0
# Length of a corner drawn as a quadratic curve, in units of CORNER.
BEND = 1 + asinh(1) / sqrt(2)

LEFT, MIDDLE, RIGHT = 64.0, 208.0, 370.0
PLACES: Mapping[State, Point] = {
    State.INIT: Point(MIDDLE, 40),
    State.IDENTIFYING: Point(MIDDLE, 122),
    State.UNDERSTANDING_INTENT: Point(MIDDLE, 206),
    State.PROCESSING: Point(MIDDLE, 302),
    State.GENERATING_RESPONSE: Point(MIDDLE, 388),
    State.SELECTING_MESSAGE_TYPE: Point(MIDDLE, 474),
    State.AWAITING_USER: Point(MIDDLE, 570),
    State.ESCALATING: Point(RIGHT, 388),
    State.COMPLETED: Point(RIGHT, 662),
    State.FAILED: Point(LEFT, 662),
    State.SPAM: Point(LEFT, 40),
}

# All time-outs of the states that a turn passes share one lane to FAILED, the way back to the person's word another.
TIME_OUT_LANE, RECEIVE_LANE = 135.5, 290.0
PASSING_TIME_OUT = Route(Side.LEFT, Side.RIGHT, at=12, lanes=(TIME_OUT_LANE,))

ROUTES: Mapping[tuple[State, Trigger], Route] = {
    (State.INIT, Trigger.BEGIN): Route(Side.BOTTOM, Side.TOP, label=Point(215, 85)),
    (State.INIT, Trigger.MARK_SPAM): Route(Side.LEFT, Side.RIGHT),
    (State.INIT, Trigger.TIME_OUT): PASSING_TIME_OUT,
    (State.IDENTIFYING, Trigger.IDENTIFIED): Route(Side.BOTTOM, Side.TOP, label=Point(215, 168)),
    (State.IDENTIFYING, Trigger.MARK_SPAM): Route(Side.LEFT, Side.BOTTOM, to=20),
    (State.IDENTIFYING, Trigger.TIME_OUT): PASSING_TIME_OUT,
    (State.UNDERSTANDING_INTENT, Trigger.PROCESS): Route(Side.BOTTOM, Side.TOP, label=Point(215, 258)),
    (State.UNDERSTANDING_INTENT, Trigger.ESCALATE): Route(Side.RIGHT, Side.TOP, to=16, label=Point(304, 201)),
    (State.UNDERSTANDING_INTENT, Trigger.CONCLUDE): Route(
        Side.RIGHT, Side.RIGHT, at=-14, lanes=(453,), label=Point(304, 187)
    ),
    (State.UNDERSTANDING_INTENT, Trigger.MARK_SPAM): Route(Side.LEFT, Side.BOTTOM, at=-6, to=-20, label=Point(58, 195)),
    (State.UNDERSTANDING_INTENT, Trigger.TIME_OUT): PASSING_TIME_OUT,
    (State.PROCESSING, Trigger.DRAFT): Route(Side.BOTTOM, Side.TOP, label=Point(215, 349)),
    (State.PROCESSING, Trigger.ESCALATE): Route(Side.RIGHT, Side.TOP, to=-16, label=Point(300, 297)),
    (State.PROCESSING, Trigger.FAIL): Route(Side.LEFT, Side.TOP, at=-6, label=Point(76, 291)),
    (State.PROCESSING, Trigger.TIME_OUT): PASSING_TIME_OUT,
    (State.GENERATING_RESPONSE, Trigger.RESPOND): Route(Side.BOTTOM, Side.TOP, label=Point(215, 435)),
    (State.GENERATING_RESPONSE, Trigger.ESCALATE): Route(Side.RIGHT, Side.LEFT),
    (State.GENERATING_RESPONSE, Trigger.FAIL): Route(Side.LEFT, Side.TOP, at=-6, label=Point(76, 377)),
    (State.GENERATING_RESPONSE, Trigger.TIME_OUT): PASSING_TIME_OUT,
    (State.SELECTING_MESSAGE_TYPE, Trigger.SEND): Route(Side.BOTTOM, Side.TOP, label=Point(215, 526)),
    (State.SELECTING_MESSAGE_TYPE, Trigger.CONCLUDE): Route(Side.RIGHT, Side.TOP, to=-48, label=Point(297, 469)),
    (State.SELECTING_MESSAGE_TYPE, Trigger.FAIL): Route(Side.LEFT, Side.TOP, at=-6, label=Point(76, 463)),
    (State.SELECTING_MESSAGE_TYPE, Trigger.TIME_OUT): PASSING_TIME_OUT,
    (State.AWAITING_USER, Trigger.RECEIVE): Route(
        Side.RIGHT, Side.RIGHT, at=-14, to=14, lanes=(RECEIVE_LANE,), label=Point(296, 346)
    ),
    (State.AWAITING_USER, Trigger.CONCLUDE): Route(Side.BOTTOM, Side.LEFT, at=14, to=-8, label=Point(240, 649)),
    (State.AWAITING_USER, Trigger.ESCALATE): Route(Side.RIGHT, Side.BOTTOM, at=14, to=24, label=Point(330, 597)),
    (State.AWAITING_USER, Trigger.TIME_OUT): Route(Side.BOTTOM, Side.LEFT, at=-8, to=8, label=Point(240, 684)),
    (State.ESCALATING, Trigger.HAND_BACK): Route(Side.BOTTOM, Side.RIGHT, at=8, label=Point(373, 528), anchor="end"),
    (State.ESCALATING, Trigger.CONCLUDE): Route(
        Side.BOTTOM, Side.TOP, at=40, to=40, label=Point(405, 619), anchor="end"
    ),
    (State.ESCALATING, Trigger.FAIL): Route(
        Side.RIGHT, Side.BOTTOM, at=-6, to=-10, lanes=(445, 714), label=Point(240, 710)
    ),
    (State.ESCALATING, Trigger.TIME_OUT): Route(Side.RIGHT, Side.BOTTOM, at=8, to=10, lanes=(437, 704)),
}
LANE_LABEL = Point(TIME_OUT_LANE + 6, 622)

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
A conversation that stays longer than its state's limit is moved on by `time_out`. Between two turns it rests in `INIT`,
`AWAITING_USER`, `ESCALATING` or a final state; the others are passed within a turn. Nothing leads out of a final state:
the next message of the person opens a successor, a new episode of the same conversation that remembers who it speaks
with. Only `SPAM` stays shut until an operator reopens it.
"""


def svg(states: Sequence[StateRow] = STATES, moves: Sequence[Move] = MOVES) -> str:
    """The state diagram as one SVG document, 460 px wide, without anything to load or to run.

    Each state is a group `#state-NAME` of class `state`, with `final` where it ends a conversation; each move a group
    of class `move by-WHO` with `data-source`, `data-dest` and `data-trigger`. A page that inlines it drops the style.
    """
    # Time-outs first: what happens oftener is drawn over them.
    ordered = sorted(moves, key=lambda move: move.by != TIMER)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        ' aria-labelledby="fsm-title" preserveAspectRatio="xMidYMin">',
        '<title id="fsm-title">The states of a conversation and the moves between them</title>',
        f"<style>{_style()}</style>",
        f'<rect class="sheet" width="{WIDTH}" height="{HEIGHT}"/>',
        *_legend(),
        '<g class="moves">',
        *(_move(move) for move in ordered),
        "</g>",
        '<g class="labels">',
        *(label for move in ordered if (label := _label(move))),
        _text(LANE_LABEL, Trigger.TIME_OUT.value, "label by-timer"),
        "</g>",
        '<g class="states">',
        *(_state(row) for row in states),
        "</g>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def markdown(states: Sequence[StateRow] = STATES, moves: Sequence[Move] = MOVES) -> str:
    """The page `docs/fsm.md`."""
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
    for row, by in enumerate((ENGINE, MODEL, OPERATOR, TIMER)):
        y = 26 + row * 17
        yield (
            f'<g class="move by-{by}" data-legend="{by}"><path class="line" d="M330 {y}H358"/>'
            f'{_head(Point(350, y), Point(362, y))}<text class="label by-{by}" x="370" y="{y + 3.5:g}">{by}</text></g>'
        )
    yield "</g>"


def _state(row: StateRow) -> str:
    place = PLACES[row.state]
    x, y = place.x - BOX_WIDTH / 2, place.y - BOX_HEIGHT / 2
    inner = ""
    if row.is_final:
        size = f'width="{BOX_WIDTH - 6}" height="{BOX_HEIGHT - 6}"'
        inner = f'<rect class="inner" x="{x + 3:g}" y="{y + 3:g}" {size} rx="6"/>'
    return (
        f'<g id="state-{row.state}" class="{"state final" if row.is_final else "state"}" data-state="{row.state}">'
        f"<title>{escape(f'{row.state}: {row.meaning}')}</title>"
        f'<rect class="box" x="{x:g}" y="{y:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="9"/>{inner}'
        f"{_name(row.state, place)}</g>"
    )


def _name(state: State, place: Point) -> str:
    """A long name stands on two lines, broken after its first word."""
    first, _, rest = state.value.partition("_")
    words = [first, rest.replace("_", " ")] if len(state.value) > 13 else [state.value.replace("_", " ")]
    top = place.y + 3.8 - 6.5 * (len(words) - 1)
    spans = "".join(f'<tspan x="{place.x:g}" y="{top + 13 * row:g}">{word}</tspan>' for row, word in enumerate(words))
    return f'<text class="name">{spans}</text>'


def _move(move: Move) -> str:
    points = _points(move)
    # The dashes of moves that share a lane are counted from where they all end, so that they fall on one another.
    dashes = f' stroke-dashoffset="{-_length(points) % DASH:.2f}"' if move.by == TIMER else ""
    return (
        f'<g class="move by-{move.by}" data-source="{move.source}" data-dest="{move.dest}"'
        f' data-trigger="{move.trigger}"><title>{escape(_sentence(move))}</title>'
        f'<path class="line" d="{_path(points)}"{dashes}/>{_head(points[-2], points[-1])}</g>'
    )


def _sentence(move: Move) -> str:
    guard = f" [{move.guard.__name__}]" if move.guard else ""
    return f"{move.trigger}{guard}: {move.source} to {move.dest}, by {WHO.get(move.by, move.by)}"


def _label(move: Move) -> str | None:
    route = ROUTES.get((move.source, move.trigger))
    if route is None or route.label is None:
        return None
    return _text(route.label, move.trigger.value, f"label by-{move.by}", anchor=route.anchor)


def _text(place: Point, words: str, classes: str, *, anchor: str = "start") -> str:
    end = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{classes}" x="{place.x:g}" y="{place.y:g}"{end}>{words}</text>'


def _points(move: Move) -> list[Point]:
    """The corners of a move's line, first to last; a move without a route is drawn straight between the boxes."""
    source, dest = PLACES[move.source], PLACES[move.dest]
    route = ROUTES.get((move.source, move.trigger))
    if route is None:
        return [_border(source, dest), _border(dest, source)]
    here, end = _port(source, route.leave, route.at), _port(dest, route.enter, route.to)
    points, is_horizontal = [here], route.leave.is_horizontal
    for lane in route.lanes:
        here = Point(lane, here.y) if is_horizontal else Point(here.x, lane)
        points.append(here)
        is_horizontal = not is_horizontal
    if is_horizontal != route.enter.is_horizontal:
        points.append(Point(end.x, here.y) if is_horizontal else Point(here.x, end.y))
    return [*points, end]


def _port(place: Point, side: Side, offset: float) -> Point:
    x, y = side.value
    along_x, along_y = (0.0, offset) if side.is_horizontal else (offset, 0.0)
    return Point(place.x + x * BOX_WIDTH / 2 + along_x, place.y + y * BOX_HEIGHT / 2 + along_y)


def _border(place: Point, towards: Point) -> Point:
    """Where the straight line from a box's middle leaves the box."""
    dx, dy = towards.x - place.x, towards.y - place.y
    if abs(dx) * BOX_HEIGHT > abs(dy) * BOX_WIDTH:
        return Point(place.x + copysign(BOX_WIDTH / 2, dx), place.y + dy * BOX_WIDTH / 2 / abs(dx))
    return Point(place.x + dx * BOX_HEIGHT / 2 / (abs(dy) or 1), place.y + copysign(BOX_HEIGHT / 2, dy))


def _path(points: Sequence[Point]) -> str:
    """Lines with rounded corners, ending where the arrow head begins."""
    ends = [*points[:-1], points[-1].towards(points[-2], HEAD - 1)]
    steps = [f"M{_xy(ends[0])}"]
    for before, corner, after in zip(ends, ends[1:], ends[2:], strict=False):
        steps.append(f"L{_xy(corner.towards(before, CORNER))}Q{_xy(corner)} {_xy(corner.towards(after, CORNER))}")
    return "".join([*steps, f"L{_xy(ends[-1])}"])


def _length(points: Sequence[Point]) -> float:
    """Px along the line as drawn, its rounded corners included."""
    straight = sum(hypot(b.x - a.x, b.y - a.y) for a, b in pairwise(points)) - HEAD + 1
    return straight - (len(points) - 2) * CORNER * (2 - BEND)


def _head(before: Point, tip: Point) -> str:
    base = tip.towards(before, HEAD)
    across_x, across_y = (tip.y - base.y) * 0.5, (base.x - tip.x) * 0.5
    left, right = Point(base.x + across_x, base.y + across_y), Point(base.x - across_x, base.y - across_y)
    return f'<path class="head" d="M{_xy(tip)}L{_xy(left)}L{_xy(right)}Z"/>'


def _xy(point: Point) -> str:
    return f"{round(point.x, 2):g} {round(point.y, 2):g}"


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
    yield from ("", *(f"- {by}: {who}" for by, who in WHO.items()), *_guards(moves))


def _guards(moves: Sequence[Move]) -> Iterator[str]:
    """What each condition is for, in the words of its docstring."""
    guards = {move.guard.__name__: move.guard for move in moves if move.guard}
    for name, guard in guards.items():
        yield from ("", f"`{name}`: {(guard.__doc__ or '').strip().splitlines()[0]}")


# -- The command ------------------------------------------------------------------------------------------------------


def files() -> dict[Path, str]:
    """What the table should look like on disk: path below the repository's root -> content."""
    picture = svg()
    return {DOCUMENT: markdown(), **dict.fromkeys(PICTURES, picture)}


def out_of_date(root: Path = ROOT) -> list[Path]:
    """The files that are missing or show another table than the current one."""
    return [
        path
        for path, content in files().items()
        if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != content
    ]


def main(arguments: Sequence[str]) -> None:
    """Write the files, or with `--check` only compare them."""
    if "--check" in arguments:
        if stale := out_of_date():
            raise SystemExit(f"out of date: {', '.join(map(str, stale))} (make docs)")
        return
    for path, content in files().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
