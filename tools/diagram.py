"""Diagram of the table: `docs/fsm.md`, its picture, and the copy that the page colours during a turn.

`python -m tools.diagram` writes the three files; with `--check` it exits with 1 where one is out of date.
Graphviz draws it, so a state added to the table is drawn without further work.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

from contracts.conversation import State
from contracts.errors import ConfigurationError
from fsm.table import ENGINE, MODEL, MOVES, OPERATOR, PASSING, STATES, TIMER, Move, StateRow

ROOT = Path(__file__).parents[1]
DOCUMENT = Path("docs/fsm.md")
PICTURES = (Path("docs/images/fsm.svg"), Path("webhook/static/fsm.svg"))

BOX_INCHES = "width=1.44 height=0.56"
LEGEND_HEIGHT = 34
SVG = "http://www.w3.org/2000/svg"
PLACES = ("d", "points", "x", "y", "text-anchor")
CLASSES = {"state": ("box", "inner", "name"), "move": ("line", "head", "label")}

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

The table is data (`fsm/table.py`), with its conditions, predicates over a few facts; `fsm/machine.py`
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
    """Return the table in Graphviz's language, with the classes of the picture.

    Time-outs do not influence the layout, except one back to its own state: nearly each state has one.
    """
    lines = [f"node [shape=box style=rounded fixedsize=true fontsize=10.5 {BOX_INCHES}]", "edge [fontsize=10]"]
    lines += ["nodesep=0.3", "ranksep=0.36", "outputorder=edgesfirst", "bgcolor=transparent"]
    for row in states:
        # The states that a turn passes are one column. A long name is on two lines.
        first, _, rest = row.state.value.partition("_")
        name = f"{first}\\n{rest.replace('_', ' ')}" if len(row.state) > 13 else row.state.value.replace("_", " ")
        look = "class=state" if not row.is_final else 'class="state final" peripheries=2'
        group = "turn" if row.limit == PASSING else row.state.value
        lines.append(f'"{row.state}" [id="state-{row.state}" {look} label="{name}" group="{group}"]')
    for move in moves:
        if not _is_aside(move):
            # Moves by the engine and the model are the main path, and go down in a line.
            weight = {ENGINE: 8, MODEL: 2}.get(move.by, 1)
            lines.append(f'{_edge(move)} [{_edge_look(move)} label="{move.trigger}" weight={weight}]')
    return "\n".join(["digraph fsm {", *lines, "}"])


def _is_aside(move: Move) -> bool:
    return move.by == TIMER and move.source is not move.dest


def _edge(move: Move) -> str:
    return f'"{move.source}" -> "{move.dest}"'


def _edge_look(move: Move) -> str:
    return f'id="{move.source} {move.dest} {move.trigger}" class="move by-{move.by}"'


def _drawn(states: Sequence[StateRow], moves: Sequence[Move]) -> ElementTree.Element:
    """Lay out states and main moves with dot; add the time-outs as straight lines, and draw."""
    placed = _graphviz("dot", "-Tdot", source=dot_source(states, moves)).rstrip().removesuffix("}")
    aside = "".join(f"{_edge(move)} [{_edge_look(move)}]\n" for move in moves if _is_aside(move))
    return ElementTree.fromstring(_graphviz("neato", "-n2", "-Gsplines=line", "-Tsvg", source=f"{placed}{aside}}}"))  # noqa: S314


def _graphviz(name: str, *arguments: str, source: str) -> str:
    program = shutil.which(name)
    if program is None:
        raise ConfigurationError("the picture needs Graphviz's dot: install Debian's package graphviz")
    command = [program, *arguments]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout  # noqa: S603


def svg(states: Sequence[StateRow] = STATES, moves: Sequence[Move] = MOVES) -> str:
    """Return the state diagram as one self-contained SVG document.

    Each state is a group `#state-NAME` of class `state`, with `final` where it ends a conversation; each move a group
    of class `move by-WHO` with `data-source`, `data-dest` and `data-trigger`. A page that inlines it drops the style.

    Raises:
        ConfigurationError: Graphviz is not installed.
    """
    root = _drawn(states, moves)
    sentences = {f"{move.source} {move.dest} {move.trigger}": _sentence(move) for move in moves}
    meanings = {f"state-{row.state}": f"{row.state}: {row.meaning}" for row in states}
    (graph,) = root
    for group in graph.findall(f"{{{SVG}}}g"):
        # Graphviz puts the kind first: "node state final", "edge move by-model".
        classes, id = group.get("class", "").split()[1:], group.get("id", "")
        group.set("class", " ".join(classes))
        if classes[0] == "move":
            del group.attrib["id"]
            for name, value in zip(("source", "dest", "trigger"), id.split(), strict=True):
                group.set(f"data-{name}", value)
        else:
            group.set("data-state", id.removeprefix("state-"))
        title, *shapes = group
        title.text = (sentences | meanings)[id]
        first, second, text = CLASSES[classes[0]]
        for number, shape in enumerate(shapes):
            kept = {key: value for key, value in shape.attrib.items() if key in PLACES}
            name = text if shape.tag.endswith("text") else second if number else first
            shape.attrib = {"class": f"{name} {classes[1]}" if name == "label" else name} | kept
    graph.remove(graph[0])
    # Time-outs first: more frequent moves are drawn over them.
    order = ["move by-timer", "move by-engine", "move by-model", "move by-operator", "state", "state final"]
    graph[:] = sorted(graph, key=lambda group: order.index(group.attrib["class"]))
    graph.attrib = {"class": "moves", "transform": graph.attrib["transform"]}
    width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
    ElementTree.register_namespace("", SVG)
    drawing = ElementTree.tostring(graph, encoding="unicode").replace(f' xmlns="{SVG}"', "")
    view = f"0 {-LEGEND_HEIGHT} {width:.0f} {height + LEGEND_HEIGHT:.0f}"
    lines = [
        f'<svg xmlns="{SVG}" viewBox="{view}" role="img" aria-labelledby="fsm-title" preserveAspectRatio="xMidYMin">',
        f"<!-- table {digest(states, moves)} -->",
        '<title id="fsm-title">The states of a conversation and the moves between them</title>',
        f"<style>{_style()}</style>",
        f'<rect class="sheet" y="{-LEGEND_HEIGHT}" width="100%" height="100%"/>',
        *_legend(),
        drawing,
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
    for column, by in enumerate(COLOURS):
        x, y = 12 + column * 96, -16
        yield (
            f'<g class="move by-{by}" data-legend="{by}"><path class="line" d="M{x} {y}H{x + 26}"/>'
            f'<text class="label by-{by}" x="{x + 32}" y="{y + 3.5:g}">{by}</text></g>'
        )


def _sentence(move: Move) -> str:
    guard = f" [{move.guard.__name__}]" if move.guard else ""
    return f"{move.trigger}{guard}: {move.source} to {move.dest}, by {WHO.get(move.by, move.by)}"


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
    yield from ("## The same in Mermaid", "", "```mermaid", "stateDiagram-v2", f"    [*] --> {State.INIT}")
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
