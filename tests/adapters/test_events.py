"""News of conversations: who watches sees it, who left is forgotten, who is slow loses the oldest."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from adapters.memory.events import BACKLOG, MemoryEvents
from adapters.redis.events import RedisEvents
from contracts.ports import Events, LiveEvent
from tests.builders import PATIENCE, conversation_id, open_redis

C1 = conversation_id()


class EventsBed:
    """Events of a kind; `settled` returns when what was published before has left, `watched` tells who is told."""

    def __init__(
        self, events: Events, settled: Callable[[], Awaitable[None]], watched: Callable[[], Awaitable[int]]
    ) -> None:
        self.events = events
        self.settled = settled
        self.watched = watched


@pytest.fixture(params=["memory", "redis"])
async def bed(request: pytest.FixtureRequest) -> AsyncIterator[EventsBed]:
    if request.param == "memory":
        memory = MemoryEvents()

        async def at_once() -> None:
            return

        async def watchers() -> int:
            return len(memory._watchers)

        yield EventsBed(memory, at_once, watchers)
        return
    async with open_redis() as redis:
        events = RedisEvents(redis, confirm_within=PATIENCE)

        async def channels() -> int:
            return len(await redis.command("PUBSUB", "CHANNELS", "prosa:*"))

        yield EventsBed(events, events.flushed, channels)
        await events.close()


def event(number: int) -> LiveEvent:
    return LiveEvent(name="reply", data={"text": "Olá 👋"}, number=number)


async def test_watchers_see_what_happens_while_they_watch(bed: EventsBed) -> None:
    await bed.events.publish(C1, event(1))
    await bed.settled()
    async with bed.events.subscribe(C1) as one, bed.events.subscribe(C1) as two:
        await bed.events.publish(C1, event(2))
        await bed.events.publish(conversation_id("other"), event(3))
        assert await anext(one) == await anext(two) == event(2)


async def test_waiting_in_vain_does_not_end_the_news(bed: EventsBed) -> None:
    async with bed.events.subscribe(C1) as news:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(news), 0.001)
        await bed.events.publish(C1, event(1))
        assert (await anext(news)).number == 1


async def test_a_slow_watcher_loses_the_oldest(bed: EventsBed) -> None:
    async with bed.events.subscribe(conversation_id("marker")) as marker, bed.events.subscribe(C1) as news:
        for number in range(BACKLOG + 5):
            await bed.events.publish(C1, event(number))
        await bed.events.publish(conversation_id("marker"), event(0))
        # It comes after all the others, on the same connection.
        await anext(marker)
        assert [(await anext(news)).number for _ in range(BACKLOG)] == list(range(5, BACKLOG + 5))


async def test_a_watcher_that_left_is_forgotten(bed: EventsBed) -> None:
    async with bed.events.subscribe(C1), bed.events.subscribe(conversation_id("other")):
        async with bed.events.subscribe(C1):
            assert await bed.watched() == 2
        assert await bed.watched() == 2
    while await bed.watched():  # noqa: ASYNC110 - nothing else tells when Redis has heard of it
        await asyncio.sleep(0.001)


async def test_who_leaves_and_comes_back_at_once_misses_nothing(bed: EventsBed) -> None:
    for number in range(50):
        hurried = asyncio.create_task(_watch_shortly(bed))
        await asyncio.sleep(0)
        hurried.cancel()
        async with bed.events.subscribe(C1) as news:
            await bed.events.publish(C1, event(number))
            while (await anext(news)).number != number:
                pass
        await asyncio.wait([hurried])


async def _watch_shortly(bed: EventsBed) -> None:
    async with bed.events.subscribe(C1):
        pass
