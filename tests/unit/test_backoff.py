"""Pauses between attempts, and the families of errors."""

from datetime import timedelta

import pytest

from contracts.backoff import Backoff
from contracts.errors import BudgetSpentError, ConfigurationError, StoreUnavailableError, family_of, leaves_of

SECOND = timedelta(seconds=1)


def test_pauses_double_from_the_first_to_the_longest() -> None:
    backoff = Backoff(SECOND, 5 * SECOND)
    assert [backoff.pause(attempt, lambda: 1.0) / SECOND for attempt in range(6)] == [1, 1, 2, 4, 5, 5]
    assert backoff.pause(10_000, lambda: 1.0) == 5 * SECOND


@pytest.mark.parametrize(("jitter", "least"), [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)])
def test_chance_decides_the_share_that_is_its_own(jitter: float, least: float) -> None:
    backoff = Backoff(SECOND, SECOND, jitter=jitter)
    assert backoff.pause(1, lambda: 0.0) == SECOND * least
    assert backoff.pause(1, lambda: 1.0) == SECOND


def test_what_is_not_raised_on_purpose_is_a_defect() -> None:
    errors = (StoreUnavailableError("down"), BudgetSpentError("spent"), ConfigurationError("wrong"), KeyError("k"))
    assert [family_of(error) for error in errors] == ["transient", "permanent", "defect", "defect"]


def test_a_group_is_taken_apart_to_its_leaves() -> None:
    first, second, third = ValueError(1), KeyError(2), OSError(3)
    assert leaves_of(ExceptionGroup("", [first, ExceptionGroup("", [second, third])])) == [first, second, third]
    assert leaves_of(first) == [first]
