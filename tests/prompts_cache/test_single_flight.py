"""One piece of work for all who want the same: nobody is left waiting, and no waiter ends it for the others."""

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts.errors import GroupClosedError
from prompts.execution.batching import FlightResult, SingleFlight
from tests.prompts_cache.test_grouper import SteppedLoop, WorkError


class Flights(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stepped = SteppedLoop()
        self.single: SingleFlight[int] = SingleFlight()
        self.works: list[tuple[str, asyncio.Future[int]]] = []
        self.callers: list[tuple[str, int, asyncio.Task[FlightResult[int]]]] = []
        self.cancelled: set[int] = set()
        self.closed = False

    def open_works(self) -> list[int]:
        return [number for number, (_, future) in enumerate(self.works) if not future.done()]

    def current(self, key: str) -> int | None:
        return next((number for number in self.open_works() if self.works[number][0] == key), None)

    @rule(key=st.sampled_from("ab"), count=st.integers(1, 3))
    def want(self, key: str, count: int) -> None:
        async def work() -> int:
            future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            self.works.append((key, future))
            return await future

        for _ in range(count):
            began = self.current(key)
            task = self.stepped.loop.create_task(self.single.run(key, work))
            self.stepped.step()
            mine = self.current(key)
            assert mine is not None
            assert began in (None, mine), "whoever comes later joins what is under way"
            self.callers.append((key, mine, task))

    @precondition(lambda self: self.open_works())
    @rule(data=st.data(), fails=st.booleans())
    def land(self, data: st.DataObject, fails: bool) -> None:
        number = data.draw(st.sampled_from(self.open_works()))
        future = self.works[number][1]
        if fails:
            future.set_exception(WorkError())
        else:
            future.set_result(number)
        self.stepped.step()

    @precondition(lambda self: any(not task.done() for _, _, task in self.callers))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        open_ = [n for n, (_, _, task) in enumerate(self.callers) if not task.done()]
        number = data.draw(st.sampled_from(open_))
        self.callers[number][2].cancel()
        self.cancelled.add(number)
        self.stepped.step()

    @rule()
    def close(self) -> None:
        self.closed = True
        self.stepped.loop.run_until_complete(self.single.close())
        self.stepped.step()
        assert all(task.done() for _, _, task in self.callers)

    @invariant()
    def everybody_gets_what_came_of_their_own_flight(self) -> None:
        for number, (_, work, task) in enumerate(self.callers):
            future = self.works[work][1]
            if not task.done():
                assert not future.done()
            elif task.cancelled():
                assert number in self.cancelled
            elif task.exception() is None:
                assert task.result().value == work
            elif isinstance(task.exception(), GroupClosedError):
                assert self.closed
            else:
                assert isinstance(task.exception(), WorkError)
                assert isinstance(future.exception(), WorkError)

    @invariant()
    def one_of_each_flight_began_it(self) -> None:
        for work in range(len(self.works)):
            landed = [
                t.result()
                for _, w, t in self.callers
                if w == work and t.done() and not t.cancelled() and not t.exception()
            ]
            assert sum(not one.shared for one in landed) <= 1

    @invariant()
    def what_nobody_waits_for_is_not_worked_on(self) -> None:
        wanted = {work for _, work, task in self.callers if not task.done()}
        assert set(self.open_works()) == wanted
        assert len(self.single) == len(wanted)

    def teardown(self) -> None:
        self.stepped.loop.run_until_complete(self.single.close())
        self.stepped.step()
        self.stepped.close()


TestFlights = Flights.TestCase
TestFlights.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


async def test_a_late_comer_begins_anew() -> None:
    single: SingleFlight[int] = SingleFlight()
    calls = 0

    async def work() -> int:
        nonlocal calls
        calls += 1
        return calls

    assert await single.run("k", work) == FlightResult(1, False)
    assert await single.run("k", work) == FlightResult(2, False)


async def test_closing_is_no_cancellation_of_who_waits() -> None:
    single: SingleFlight[None] = SingleFlight()
    waiting = asyncio.create_task(single.run("k", asyncio.Event().wait))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await single.close()
    with pytest.raises(GroupClosedError):
        await waiting
