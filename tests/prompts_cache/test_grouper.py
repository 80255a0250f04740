"""Whatever happens, every caller gets its own result or an error, and nobody waits for nothing."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts.errors import GroupClosedError
from prompts.execution.batching import GroupedEmbedder, Grouper
from tests.prompts_cache.hashed_embedder import HashedEmbedder

SIZE, CAPACITY, WINDOW = 3, 5, timedelta(seconds=1)


class WorkError(Exception):
    pass


class SteppedLoop:
    """A loop whose clock stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 0.0
        self.loop = asyncio.new_event_loop()
        self.loop.time = lambda: self.at  # type: ignore[method-assign]

    def step(self) -> None:
        """Let everything happen that can happen now."""

        async def ticks() -> None:
            for _ in range(12):
                await asyncio.sleep(0)

        self.loop.run_until_complete(ticks())

    def close(self) -> None:
        self.loop.close()


class Groups(RuleBasedStateMachine):
    """Submits, lands, fails, cancels, lets time pass and closes, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.stepped = SteppedLoop()
        self.flights: list[tuple[list[int], asyncio.Future[list[str]]]] = []
        self.callers: dict[int, asyncio.Task[str]] = {}
        self.failed: set[int] = set()
        self.cancelled: set[int] = set()
        self.closed = False
        self.grouper: Grouper[int, str] = Grouper(self.work, usage="test", size=SIZE, window=WINDOW, capacity=CAPACITY)

    async def work(self, items: Sequence[int]) -> Sequence[str]:
        flight: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self.flights.append((list(items), flight))
        return await flight

    def open_flights(self) -> list[tuple[list[int], "asyncio.Future[list[str]]"]]:
        return [(items, flight) for items, flight in self.flights if not flight.done()]

    @rule(count=st.integers(1, 8))
    def submit(self, count: int) -> None:
        for _ in range(count):
            number = len(self.callers)
            self.callers[number] = self.stepped.loop.create_task(self.grouper.submit(number))
        self.stepped.step()

    @precondition(lambda self: self.open_flights())
    @rule(data=st.data())
    def land(self, data: st.DataObject) -> None:
        items, flight = data.draw(st.sampled_from(self.open_flights()))
        flight.set_result([f"r{item}" for item in items])
        self.stepped.step()

    @precondition(lambda self: self.open_flights())
    @rule(data=st.data(), wrong_number=st.booleans())
    def fail(self, data: st.DataObject, wrong_number: bool) -> None:
        items, flight = data.draw(st.sampled_from(self.open_flights()))
        self.failed |= set(items)
        if wrong_number:
            flight.set_result(["one too many"] * (len(items) + 1))
        else:
            flight.set_exception(WorkError())
        self.stepped.step()

    @precondition(lambda self: any(not task.done() for task in self.callers.values()))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from([n for n, task in self.callers.items() if not task.done()]))
        self.callers[number].cancel()
        self.cancelled.add(number)
        self.stepped.step()

    @rule()
    def let_the_window_pass(self) -> None:
        self.stepped.at += WINDOW.total_seconds() + 0.01
        self.stepped.step()
        if not self.closed:
            assert not self.grouper._waiting or len(self.open_flights()) > 0
            waited = [self.stepped.at - waiting.since for waiting in self.grouper._waiting]
            assert all(seconds <= WINDOW.total_seconds() for seconds in waited)

    @precondition(lambda self: not self.closed)
    @rule()
    def close(self) -> None:
        self.closed = True
        self.stepped.loop.run_until_complete(self.grouper.close())
        self.stepped.step()
        alone = {item for items, flight in self.open_flights() for item in items}
        pending = {number for number, task in self.callers.items() if not task.done()}
        assert pending <= alone, "only who overflowed, and works alone, is left"

    @invariant()
    def results_are_the_callers_own(self) -> None:
        for number, task in self.callers.items():
            if not task.done():
                continue
            if task.cancelled():
                assert number in self.cancelled
            elif (error := task.exception()) is None:
                assert task.result() == f"r{number}"
            elif isinstance(error, GroupClosedError):
                assert self.closed
            else:
                assert number in self.failed
                assert isinstance(error, WorkError | RuntimeError)

    @invariant()
    def groups_have_a_size_and_no_item_is_in_two(self) -> None:
        assert all(1 <= len(items) <= SIZE for items, _ in self.flights)
        worked_on = [item for items, _ in self.flights for item in items]
        assert len(worked_on) == len(set(worked_on))

    @invariant()
    def nobody_waits_behind_nothing(self) -> None:
        assert len(self.grouper._waiting) <= CAPACITY
        if not self.open_flights():
            assert all(task.done() for task in self.callers.values())

    def teardown(self) -> None:
        if not self.closed:
            self.stepped.loop.run_until_complete(self.grouper.close())
        for _, flight in self.open_flights():
            flight.cancel()
        self.stepped.step()
        assert all(task.done() for task in self.callers.values())
        for task in self.callers.values():
            if not task.cancelled():
                task.exception()
        self.stepped.close()


TestGroups = Groups.TestCase
TestGroups.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


async def doubled(items: Sequence[int]) -> list[int]:
    return [2 * item for item in items]


async def test_alone_it_does_not_wait() -> None:
    grouper = Grouper(doubled, usage="test", window=timedelta(hours=1))
    async with asyncio.timeout(10):
        assert await grouper.submit(1) == 2
        assert await grouper.submit(2) == 4
    assert (grouper.statistics.batches, grouper.statistics.largest) == (2, 1)


async def test_those_of_one_moment_go_together_ten_at_most() -> None:
    grouper = Grouper(doubled, usage="test", window=timedelta(hours=1))
    async with asyncio.timeout(10):
        assert await asyncio.gather(*(grouper.submit(n) for n in range(25))) == [2 * n for n in range(25)]
    assert (grouper.statistics.items, grouper.statistics.largest, grouper.statistics.overflow) == (25, 10, 0)


async def test_after_it_is_closed_nothing_is_taken() -> None:
    grouper = Grouper(doubled, usage="test")
    await grouper.close()
    with pytest.raises(GroupClosedError):
        await grouper.submit(1)


async def test_many_texts_are_one_pass_of_the_embedder() -> None:
    inner = HashedEmbedder()
    grouped = GroupedEmbedder(inner)
    texts = [f"texto {n}" for n in range(8)]
    vectors = await asyncio.gather(*(grouped.embed([text]) for text in texts))
    assert inner.calls == [8]
    assert [vector for (vector,) in vectors] == await HashedEmbedder().embed(texts)
    await grouped.close()
