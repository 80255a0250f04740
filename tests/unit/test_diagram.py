"""The diagram shows the table, all of it, and the copies on disk are the current ones."""

import shutil
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from xml.etree import ElementTree

import pytest

from contracts.conversation import FINAL_STATES, State, Trigger
from fsm.table import ENGINE, MODEL, MOVES, OPERATOR, STATES, TIMER, Move, StateRow
from tests.real_services import absent
from tools.diagram import main, markdown, out_of_date, svg

pytestmark = pytest.mark.usefixtures("graphviz")

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def graphviz() -> None:
    if shutil.which("dot") is None:
        absent("Graphviz", "install Debian's package graphviz")


def groups(picture: str, name: str) -> list[ElementTree.Element]:
    """The groups of a class, the legend's left out."""
    root = ElementTree.fromstring(picture)
    return [
        group
        for group in root.iter(f"{SVG}g")
        if name in group.get("class", "").split() and group.get("data-legend") is None
    ]


def test_files_on_disk_show_the_current_table() -> None:
    assert out_of_date() == [], "run `make docs`"


def test_check_names_what_is_out_of_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.diagram.out_of_date", lambda: [Path("docs/fsm.md")])
    with pytest.raises(SystemExit, match=r"docs/fsm\.md"):
        main(["--check"])


def test_a_missing_file_is_out_of_date(tmp_path: Path) -> None:
    assert Path("docs/fsm.md") in out_of_date(tmp_path)


def test_every_state_is_drawn_once_and_final_ones_look_final() -> None:
    drawn = groups(svg(), "state")
    assert sorted(group.get("id", "") for group in drawn) == sorted(f"state-{state}" for state in State)
    final = {group.get("data-state") for group in drawn if "final" in group.get("class", "")}
    assert final == {state.value for state in FINAL_STATES}


def test_every_move_is_drawn_once_under_who_makes_it() -> None:
    drawn = [
        (group.get("data-trigger"), group.get("data-source"), group.get("data-dest"), group.get("class"))
        for group in groups(svg(), "move")
    ]
    expected = [(move.trigger.value, move.source.value, move.dest.value, f"move by-{move.by}") for move in MOVES]
    assert sorted(drawn) == sorted(expected)


def test_a_state_that_is_added_to_the_table_is_drawn_with_its_moves() -> None:
    paused = StrEnum("Added", ["PAUSED"])("paused")
    row = StateRow(paused, "waits for the customer's bank", timedelta(hours=1))  # type: ignore[arg-type]
    added = [
        Move(Trigger.SEND, State.AWAITING_USER, paused, ENGINE),  # type: ignore[arg-type]
        Move(Trigger.RECEIVE, paused, State.UNDERSTANDING_INTENT, MODEL),  # type: ignore[arg-type]
        Move(Trigger.HAND_BACK, paused, State.ESCALATING, OPERATOR),  # type: ignore[arg-type]
        Move(Trigger.TIME_OUT, paused, State.COMPLETED, TIMER),  # type: ignore[arg-type]
    ]
    picture = svg((*STATES, row), (*MOVES, *added))
    assert len(groups(picture, "state")) == len(STATES) + 1
    assert len(groups(picture, "move")) == len(MOVES) + 4
    assert "waits for the customer" in picture
    assert "| `paused` |" in markdown((*STATES, row), (*MOVES, *added))


def test_picture_needs_nothing_from_elsewhere() -> None:
    picture = svg()
    assert "href" not in picture
    assert "url(" not in picture
    assert "script" not in picture


def test_what_a_state_means_is_escaped() -> None:
    states = (replace(STATES[0], meaning="<b> & co"), *STATES[1:])
    title = ElementTree.fromstring(svg(states)).find(f".//{SVG}g[@id='state-INIT']/{SVG}title")
    assert title is not None
    assert title.text == "INIT: <b> & co"


def test_page_lists_every_state_and_move() -> None:
    page = markdown()
    for row in STATES:
        assert f"| `{row.state}` | {row.meaning} |" in page
    for move in MOVES:
        assert f"| `{move.trigger}` | `{move.source}` | `{move.dest}` | {move.by} |" in page
        assert f"{move.source} --> {move.dest}: {move.trigger}" in page
        assert move.guard is None or f"`{move.guard.__name__}`: " in page
