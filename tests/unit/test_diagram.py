"""The diagram shows the table, all of it, and the copies on disk are the current ones."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from contracts.conversation import FINAL_STATES, State, Trigger
from fsm.diagram import PLACES, ROUTES, main, markdown, out_of_date, svg
from fsm.table import ENGINE, MOVES, STATES, Move

SVG = "{http://www.w3.org/2000/svg}"


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
    monkeypatch.setattr("fsm.diagram.out_of_date", lambda: [Path("docs/fsm.md")])
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


def test_layout_names_only_what_the_table_has() -> None:
    """A state or move that left the table leaves the layout with it."""
    assert set(PLACES) == {row.state for row in STATES}
    assert set(ROUTES) == {(move.source, move.trigger) for move in MOVES}


def test_no_two_boxes_touch() -> None:
    places = list(PLACES.values())
    for number, one in enumerate(places):
        for other in places[number + 1 :]:
            assert abs(one.x - other.x) > 120 or abs(one.y - other.y) > 50


def test_a_move_nobody_has_laid_out_yet_is_drawn_straight() -> None:
    added = Move(Trigger.FAIL, State.INIT, State.AWAITING_USER, ENGINE)
    drawn = groups(svg(moves=(*MOVES, added)), "move")
    assert len(drawn) == len(MOVES) + 1


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
