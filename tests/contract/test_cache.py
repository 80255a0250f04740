"""What every cache of answers guarantees, on each of them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from adapters.memory.cache import MemoryCache
from adapters.redis.cache import KEYS, RedisCache
from adapters.redis.standby_cache import StandbyCache
from contracts.ports import Cache
from tests.builders import PATIENCE, open_redis

DAY = timedelta(days=1)
SOON = timedelta(milliseconds=40)
PER_SCOPE = 5


def memory() -> MemoryCache:
    return MemoryCache(monotonic=time.monotonic, per_scope=PER_SCOPE)


@asynccontextmanager
async def open_cache(kind: str) -> AsyncIterator[Cache]:
    if kind == "memory":
        yield memory()
        return
    async with open_redis() as database:
        shared = RedisCache(database, per_scope=PER_SCOPE)
        if kind == "redis":
            yield shared
        else:
            yield StandbyCache(shared, memory(), monotonic=time.monotonic, patience=PATIENCE)


@pytest.fixture(params=["memory", "redis", "standby"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    async with open_cache(request.param) as cache:
        yield cache


async def until_gone(cache: Cache, scope: str, key: str) -> None:
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while await cache.get(scope, key) is not None:  # noqa: ASYNC110 - the passing of time is what is waited for
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("value", [b"{}", b"", b"\0\xff" * 1000, "olá 👋".encode()])
async def test_a_value_is_read_back_as_it_was_put(cache: Cache, value: bytes) -> None:
    assert await cache.get("s", "k") is None
    assert await cache.put("s", "k", value, ttl=DAY) == 1
    assert await cache.get("s", "k") == value
    assert await cache.get("s", "other") is None
    assert await cache.get("other", "k") is None


@pytest.mark.parametrize("name", ["a|b|c", "v:x", "a b", "é/ç", "x" * 400, "order:s"])
async def test_any_text_can_be_a_scope_or_a_key(cache: Cache, name: str) -> None:
    await cache.put(name, name, b"1", ttl=DAY)
    assert await cache.get(name, name) == b"1"
    assert await cache.sizes() == {name: 1}
    assert [entry.key for entry in await cache.entries(name, limit=9)] == [name]


async def test_a_later_value_takes_the_place_of_an_earlier_one_and_comes_last(cache: Cache) -> None:
    await cache.put("s", "a", b"1", ttl=DAY)
    await cache.put("s", "b", b"2", ttl=DAY)
    assert await cache.put("s", "a", b"3", ttl=DAY) == 2
    assert await cache.get("s", "a") == b"3"
    assert [(entry.key, entry.value) for entry in await cache.entries("s", limit=9)] == [("b", b"2"), ("a", b"3")]


async def test_entries_after_a_number_are_those_that_came_later(cache: Cache) -> None:
    for key in "abc":
        await cache.put("s", key, key.encode(), ttl=DAY)
    first, second, third = await cache.entries("s", limit=9)
    assert first.number < second.number < third.number
    assert await cache.entries("s", after=first.number, limit=9) == [second, third]
    assert await cache.entries("s", after=third.number, limit=9) == []
    assert await cache.entries("s", limit=2) == [first, second]
    assert await cache.entries("s", after=second.number, limit=2) == [third]


async def test_a_value_expires(cache: Cache) -> None:
    await cache.put("s", "short", b"1", ttl=SOON)
    await cache.put("s", "long", b"2", ttl=DAY)
    await until_gone(cache, "s", "short")
    assert [entry.key for entry in await cache.entries("s", limit=9)] == ["long"]
    assert await cache.sizes() == {"s": 1}
    assert await cache.put("s", "third", b"3", ttl=DAY) == 2


async def test_a_scope_whose_values_expired_is_not_listed(cache: Cache) -> None:
    await cache.put("s", "k", b"1", ttl=SOON)
    await until_gone(cache, "s", "k")
    assert await cache.sizes() == {}
    assert await cache.drop("s") == 0


async def test_a_full_scope_gives_up_its_oldest(cache: Cache) -> None:
    for number in range(PER_SCOPE + 3):
        size = await cache.put("s", f"k{number}", b"%d" % number, ttl=DAY)
    assert size == PER_SCOPE
    await cache.put("other", "k", b"1", ttl=DAY)
    assert [entry.key for entry in await cache.entries("s", limit=99)] == ["k3", "k4", "k5", "k6", "k7"]
    assert await cache.get("s", "k2") is None
    assert await cache.sizes() == {"s": PER_SCOPE, "other": 1}


async def test_a_dropped_scope_is_empty_and_can_be_filled_again(cache: Cache) -> None:
    await cache.put("s", "a", b"1", ttl=DAY)
    await cache.put("s", "b", b"1", ttl=DAY)
    await cache.put("t", "a", b"1", ttl=DAY)
    assert await cache.drop("s") == 2
    assert await cache.get("s", "a") is None
    assert await cache.entries("s", limit=9) == []
    assert await cache.sizes() == {"t": 1}
    assert await cache.put("s", "a", b"2", ttl=DAY) == 1


async def test_only_keys_that_begin_so_are_dropped(cache: Cache) -> None:
    for key in ("ana:1", "ana:2", "anabel:1", "bia:1"):
        await cache.put("s", key, b"1", ttl=DAY)
    assert await cache.drop("s", prefix="ana:") == 2
    assert [entry.key for entry in await cache.entries("s", limit=9)] == ["anabel:1", "bia:1"]
    assert await cache.get("s", "ana:1") is None
    assert await cache.drop("s", prefix="ana:") == 0
    assert await cache.sizes() == {"s": 2}


async def test_many_at_once_lose_nothing(cache: Cache) -> None:
    async def work(scope: int) -> None:
        for key in range(PER_SCOPE):
            await cache.put(f"s{scope}", f"k{key}", b"%d-%d" % (scope, key), ttl=DAY)

    await asyncio.gather(*(work(scope) for scope in range(20)))
    assert await cache.sizes() == {f"s{scope}": PER_SCOPE for scope in range(20)}
    for scope in range(20):
        values = [entry.value for entry in await cache.entries(f"s{scope}", limit=9)]
        assert values == [b"%d-%d" % (scope, key) for key in range(PER_SCOPE)]


async def test_writers_of_one_scope_get_numbers_of_their_own(cache: Cache) -> None:
    await asyncio.gather(*(cache.put("s", f"k{key}", b"1", ttl=DAY) for key in range(PER_SCOPE)))
    numbers = [entry.number for entry in await cache.entries("s", limit=9)]
    assert len(set(numbers)) == PER_SCOPE


async def test_what_another_release_left_in_redis_is_replaced() -> None:
    async with open_redis() as database:
        cache = RedisCache(database)
        await database.command("HSET", f"{KEYS}v:s:k", "a", "b")
        assert await cache.get("s", "k") is None
        await cache.put("s", "k", b"1", ttl=DAY)
        assert await cache.get("s", "k") == b"1"


async def test_nothing_of_a_scope_outlives_its_last_value_in_redis() -> None:
    async with open_redis() as database:
        await RedisCache(database).put("s", "k", b"1", ttl=SOON)
        async with asyncio.timeout(PATIENCE.total_seconds()):
            # The set of scopes is left, until it is looked at.
            while await database.command("DBSIZE") > 1:  # noqa: ASYNC110 - the passing of time is what is waited for
                await asyncio.sleep(0.01)
        assert await RedisCache(database).sizes() == {}
        assert await database.command("DBSIZE") == 0
