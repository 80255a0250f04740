"""News between processes: over a restart of Redis, without Redis, and more than can be told."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.redis.database import RedisDatabase
from adapters.redis.events import BUFFER, RedisEvents
from contracts.ports import LiveEvent
from tests.adapters.redis_server import redis_server
from tests.builders import PATIENCE, conversation_id, open_redis
from tests.real_services import free_port

C1 = conversation_id()


def event(number: int) -> LiveEvent:
    return LiveEvent(name="reply", data={"text": "Olá 👋"}, number=number)


@pytest.fixture
async def redis() -> AsyncIterator[RedisDatabase]:
    async with open_redis() as redis:
        yield redis


async def test_news_cross_from_one_process_to_another_in_order(redis: RedisDatabase) -> None:
    worker, web = RedisEvents(redis), RedisEvents(redis, confirm_within=PATIENCE)
    async with web.subscribe(C1) as news:
        for number in range(200):
            await worker.publish(C1, event(number))
            if number % 7 == 0:
                await asyncio.sleep(0)
        assert [await anext(news) for _ in range(200)] == [event(number) for number in range(200)]
    await worker.close()
    await web.close()


async def test_one_connection_listens_for_all_watchers(redis: RedisDatabase) -> None:
    web = RedisEvents(redis, confirm_within=PATIENCE)
    async with web.subscribe(C1), web.subscribe(C1), web.subscribe(conversation_id("other")):
        (listener,) = (await redis.command("CLIENT", "LIST", "TYPE", "pubsub")).splitlines()
        assert b"sub=2" in listener
    await web.close()


async def test_what_nobody_here_watches_is_not_sent_here(redis: RedisDatabase) -> None:
    web = RedisEvents(redis, confirm_within=PATIENCE)
    async with web.subscribe(C1):
        assert await redis.command("PUBLISH", f"prosa:events:{conversation_id('other')}", "x") == 0
        assert await redis.command("PUBLISH", f"prosa:events:{C1}", event(1).model_dump_json()) == 1
    await web.close()


async def test_who_comes_back_waits_for_the_answer_to_the_last_asking(tmp_path: Path) -> None:
    """The answer to the first came before Redis heard that nobody watches, and stands for nothing."""
    other = conversation_id("other")
    held: list[tuple[str, ...]] = []
    entered = asyncio.Event()

    async def hold_back(*parts: str, **_: bool) -> None:
        held.append(parts)

    async def watch() -> None:
        async with web.subscribe(other):
            entered.set()

    with redis_server(tmp_path) as server:
        redis = server.open()
        web = RedisEvents(redis, confirm_within=PATIENCE)
        async with web.subscribe(C1) as news:
            connection = web._connection
            assert connection
            send = connection.send_command
            server.pause()
            hurried = asyncio.create_task(watch())
            await asyncio.sleep(0)
            connection.send_command = hold_back  # type: ignore[method-assign]
            hurried.cancel()
            await asyncio.wait([hurried])
            back = asyncio.create_task(watch())
            await asyncio.sleep(0)
            assert [command for command, _ in held] == ["UNSUBSCRIBE", "SUBSCRIBE"]
            server.go_on()
            await web.publish(C1, event(1))
            # It comes behind the answer to the first asking.
            assert await anext(news) == event(1)
            assert not entered.is_set()
            connection.send_command = send  # type: ignore[method-assign]
            for parts in held:
                await send(*parts, check_health=False)
            await back
            assert entered.is_set()
        await web.close()
        await redis.close()


async def test_watching_goes_on_after_a_restart(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        redis = server.open()
        worker, web = RedisEvents(redis), RedisEvents(redis, confirm_within=PATIENCE)
        async with web.subscribe(C1) as news:
            await worker.publish(C1, event(1))
            assert await anext(news) == event(1)
            server.kill()
            server.start()
            # Whoever begins to watch now is confirmed on the new connection, and those before are with it.
            async with web.subscribe(conversation_id("later")):
                await worker.publish(C1, event(2))
                assert await anext(news) == event(2)
        await worker.close()
        await web.close()
        await redis.close()


async def test_without_redis_news_are_dropped_and_counted() -> None:
    absent = RedisDatabase(f"redis://127.0.0.1:{free_port()}/0")
    dropped: list[int] = []
    events = RedisEvents(absent, on_dropped=dropped.append, confirm_within=timedelta(milliseconds=5))
    async with events.subscribe(C1) as news:
        for number in range(10):
            await events.publish(C1, event(number))
        await events.flushed()
        assert sum(dropped) == 10
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(news), 0.001)
    await events.close()
    await absent.close()


async def test_more_than_can_be_kept_is_dropped_and_counted(redis: RedisDatabase) -> None:
    dropped: list[int] = []
    events = RedisEvents(redis, on_dropped=dropped.append)
    # Nothing leaves in between: publishing never waits.
    for number in range(BUFFER + 3):
        await events.publish(C1, event(number))
    assert dropped == [1, 1, 1]
    await events.close()


async def test_news_of_another_version_end_nothing(redis: RedisDatabase) -> None:
    dropped: list[int] = []
    web = RedisEvents(redis, on_dropped=dropped.append, confirm_within=PATIENCE)
    async with web.subscribe(C1) as news:
        await redis.command("PUBLISH", f"prosa:events:{C1}", '{"name":"reply","data":{},"since":2}')
        await web.publish(C1, event(1))
        assert await anext(news) == event(1)
    assert dropped == [1]
    await web.close()


async def test_a_listener_that_hears_nothing_asks_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other end may be gone without a word; here it is stopped, and its connection stays open."""
    monkeypatch.setattr("adapters.redis.events.SILENCE", timedelta(milliseconds=50))
    with redis_server(tmp_path) as server:
        redis = server.open()
        web = RedisEvents(redis, confirm_within=PATIENCE)
        async with web.subscribe(C1) as news:
            first = web._connection
            server.pause()
            while web._connection is first:  # noqa: ASYNC110 - the listener gives the connection up by itself
                await asyncio.sleep(0.005)
            monkeypatch.undo()
            server.go_on()
            async with web.subscribe(conversation_id("later")):
                await web.publish(C1, event(1))
                assert await anext(news) == event(1)
        await web.close()
        await redis.close()
