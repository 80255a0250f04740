"""News within one process: who watches sees it, who left is forgotten, who is slow loses the oldest."""

import asyncio

import pytest

from adapters.events.memory import BACKLOG, MemoryEvents
from contracts.ports import LiveEvent
from tests.builders import conversation_id

C1 = conversation_id()


def event(number: int) -> LiveEvent:
    return LiveEvent(name="reply", data={}, number=number)


async def test_watchers_see_what_happens_while_they_watch() -> None:
    events = MemoryEvents()
    await events.publish(C1, event(1))
    async with events.subscribe(C1) as one, events.subscribe(C1) as two:
        await events.publish(C1, event(2))
        await events.publish(conversation_id("other"), event(3))
        assert (await anext(one)).number == (await anext(two)).number == 2


async def test_waiting_in_vain_does_not_end_the_news() -> None:
    events = MemoryEvents()
    async with events.subscribe(C1) as news:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(news), 0.001)
        await events.publish(C1, event(1))
        assert (await anext(news)).number == 1


async def test_a_slow_watcher_loses_the_oldest() -> None:
    events = MemoryEvents()
    async with events.subscribe(C1) as news:
        for number in range(BACKLOG + 5):
            await events.publish(C1, event(number))
        assert (await anext(news)).number == 5


async def test_a_watcher_that_left_is_forgotten() -> None:
    events = MemoryEvents()
    async with events.subscribe(C1):
        assert events._watchers
    assert not events._watchers
