"""Opening hours: as they are written, and what they say of a moment."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from context.hours import handoff_text, read_hours
from contracts.institution import FixedText, Hours
from tests.context.guardrails.making import institution

OFFICE = read_hours(
    ["mon-fri 08:00-12:00", "mon-fri 13:00-18:00", "sat 9:00-12:00"], ["12-25", "2026-11-30"], "America/Sao_Paulo"
)


def local(text: str, hours: Hours = OFFICE) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=hours.zone)


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        ("2026-11-27T08:00", "2026-11-27T08:00"),
        ("2026-11-27T07:59", "2026-11-27T08:00"),
        ("2026-11-27T12:00", "2026-11-27T13:00"),
        ("2026-11-27T18:00", "2026-11-28T09:00"),
        # A holiday of one year, after a Sunday.
        ("2026-11-28T12:00", "2026-12-01T08:00"),
        ("2027-11-30T10:00", "2027-11-30T10:00"),
        ("2026-12-25T10:00", "2026-12-26T09:00"),
    ],
)
def test_the_next_opening(at: str, opens: str) -> None:
    assert OFFICE.next_opening(local(at).astimezone(UTC)) == local(opens)
    assert OFFICE.is_open(local(at)) is (at == opens)


def test_hours_follow_the_clock_on_the_wall_when_it_is_put_forward() -> None:
    london = read_hours(["sun 00:30-03:00"], [], "Europe/London")
    assert london.next_opening(datetime(2026, 3, 28, tzinfo=UTC)) == datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    assert not london.is_open(datetime(2026, 3, 29, 2, 0, tzinfo=UTC))


@given(st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)))
def test_the_next_opening_is_open_and_nothing_before_it_is(moment: datetime) -> None:
    at = moment.replace(tzinfo=UTC)
    opening = OFFICE.next_opening(at)
    assert opening is not None
    assert OFFICE.is_open(opening)
    assert opening >= at
    assert OFFICE.is_open(at) or not any(
        OFFICE.is_open(at + share * (opening - at) / 20 - timedelta(microseconds=1)) for share in range(1, 21)
    )


def test_a_team_without_any_hours_left_has_no_opening() -> None:
    assert read_hours([], [], "UTC").next_opening(datetime(2026, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    "text", ["mon-fri 18:00-08:00", "fri-mon 08:00-12:00", "monday 08:00-12:00", "mon 08:00-25:00", "mon 8-12"]
)
def test_what_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is not opening hours"):
        read_hours([text], [], "UTC")
    with pytest.raises(ValueError, match="time zone"):
        read_hours([], [], "Brasilia")
    with pytest.raises(ValueError, match="not a day"):
        read_hours([], ["13-45"], "UTC")


def test_the_text_of_a_hand_off_names_the_next_opening_outside_hours() -> None:
    pyloto = institution("pyloto")
    assert pyloto.hours is not None
    inside, outside = local("2026-11-27T10:00", pyloto.hours), local("2026-11-28T20:00", pyloto.hours)
    assert handoff_text(pyloto, inside) == pyloto.text(FixedText.ESCALATED)
    assert "segunda-feira, 08:00" in handoff_text(pyloto, outside)
    assert "volta hoje, 08:00" in handoff_text(pyloto, local("2026-11-30T07:00", pyloto.hours))
    silent = pyloto.model_copy(update={"texts": {FixedText.ESCALATED: "Um momento."}})
    assert handoff_text(silent, outside) == "Um momento."
