"""The pause that a server asks for."""

from datetime import timedelta

import pytest

from contracts.backoff import retry_after

DATE = "Tue, 01 Dec 2026 04:00:00 GMT"


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [
        ("7", 7),
        (" 0.5 ", 0.5),
        ("99999999999999999999", 86_400),
        ("Tue, 01 Dec 2026 04:00:30 GMT", 30),
        ("Tue, 01 Dec 2026 03:00:00 GMT", 0),
        ("Tue, 01 Dec 2099 03:00:00 GMT", 86_400),
    ],
)
def test_a_pause_is_seconds_or_a_date_and_at_most_a_day(wish: str, seconds: float) -> None:
    assert retry_after({"retry-after": wish, "date": DATE}) == timedelta(seconds=seconds)


@pytest.mark.parametrize("wish", ["", "-5", "soon", "nan", "inf", "1e9", "Tue, 99 Dec 2026 04:00:00 GMT"])
def test_what_is_no_pause_is_none(wish: str) -> None:
    assert retry_after({"retry-after": wish, "date": DATE}) is None


def test_a_date_without_the_servers_clock_is_none() -> None:
    assert retry_after({"retry-after": DATE}) is None
