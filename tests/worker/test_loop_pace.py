"""Work begins as fast as the loop keeps up."""

import asyncio
import time

from worker.scheduling.limiter import LoopPace


async def test_the_first_ones_begin_at_once_and_the_others_in_their_order() -> None:
    pace, begun = LoopPace(begin_each_beat=2), list[int]()

    async def begin(number: int) -> None:
        await pace.admitted()
        begun.append(number)

    tasks = [asyncio.create_task(begin(number)) for number in range(7)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert begun == [0, 1]
    await asyncio.gather(*tasks)
    assert begun == list(range(7))


async def test_nothing_begins_while_the_loop_is_late() -> None:
    pace, begun = LoopPace(late=0.05, beat=0.01, begin_each_beat=1), list[float]()
    is_busy = True

    async def hold_up() -> None:
        while is_busy:
            time.sleep(0.1)  # noqa: ASYNC251 - a loop that is late is what this is about
            await asyncio.sleep(0)

    async def begin() -> None:
        await pace.admitted()
        begun.append(time.monotonic())

    await pace.admitted()
    busy = asyncio.create_task(hold_up())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(begin())
    await asyncio.sleep(0.5)
    assert begun == []
    is_busy = False
    await waiting
    await busy
    assert len(begun) == 1


async def test_who_gives_up_waiting_holds_up_nobody() -> None:
    pace, begun = LoopPace(begin_each_beat=1), list[str]()

    async def begin(name: str) -> None:
        await pace.admitted()
        begun.append(name)

    await pace.admitted()
    given_up, other = asyncio.create_task(begin("given up")), asyncio.create_task(begin("other"))
    await asyncio.sleep(0)
    given_up.cancel()
    await other
    assert begun == ["other"]


async def test_after_a_quiet_moment_it_begins_anew() -> None:
    pace = LoopPace(beat=0.001, begin_each_beat=1)
    for _ in range(3):
        await asyncio.wait_for(pace.admitted(), 5)
        await asyncio.sleep(0.02)
    assert pace._beating is None
