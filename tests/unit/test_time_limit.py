"""A time limit for many, beside asyncio's own for each."""

import asyncio
from contextlib import AbstractContextManager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.time_limit import TimeLimit

FOREVER = 60.0


async def wait(limited: AbstractContextManager[None], seconds: float) -> str:
    try:
        with limited:
            await asyncio.sleep(seconds)
    except TimeoutError:
        return "late"
    return "done"


async def test_who_is_late_is_told_and_goes_on() -> None:
    limit = TimeLimit(0.02)
    assert await wait(limit(), FOREVER) == "late"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert await wait(limit(), 0) == "done"


async def test_each_has_its_own_time() -> None:
    limit = TimeLimit(0.2)
    began = asyncio.get_running_loop().time()

    async def ended(later: float) -> float:
        await asyncio.sleep(later)
        with suppress(TimeoutError), limit():
            await asyncio.sleep(FOREVER)
        return asyncio.get_running_loop().time() - began - later

    for took in await asyncio.gather(ended(0.0), ended(0.05), ended(0.1)):
        assert took >= 0.2


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.001, 0.005, FOREVER]), max_size=20))
def test_some_are_late_and_some_are_not_in_any_order(waits: list[float]) -> None:
    async def all_of_them() -> list[str]:
        limit = TimeLimit(0.1)
        return await asyncio.gather(*(wait(limit(), seconds) for seconds in waits))

    assert asyncio.run(all_of_them()) == ["late" if seconds == FOREVER else "done" for seconds in waits]


async def test_what_is_raised_inside_comes_out() -> None:
    with pytest.raises(KeyError), TimeLimit(0.01)():
        raise KeyError


async def test_who_is_cancelled_from_outside_is_cancelled() -> None:
    task = asyncio.create_task(wait(TimeLimit(FOREVER)(), FOREVER))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_is_cancelled_while_the_time_is_over_is_cancelled() -> None:
    limit = TimeLimit(0.01)
    inside = asyncio.Event()

    async def late() -> None:
        with limit():
            inside.set()
            try:
                await asyncio.sleep(FOREVER)
            finally:
                # The limit has cancelled it; now somebody else does too.
                task = asyncio.current_task()
                assert task is not None
                task.cancel()

    task = asyncio.create_task(late())
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_limit_inside_another_one() -> None:
    outer, inner = TimeLimit(0.02), TimeLimit(FOREVER)
    with pytest.raises(TimeoutError), outer():
        assert await wait(inner(), FOREVER) == "never"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_it_lives_on_after_everybody_has_left() -> None:
    limit = TimeLimit(0.02)
    assert await wait(limit(), 0) == "done"
    await asyncio.sleep(0.05)
    assert await wait(limit(), FOREVER) == "late"
