"""The cache in memory stays within its bounds; the standby goes on without Redis and comes back to it."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from adapters.memory.cache import MemoryCache
from adapters.redis.cache import RedisCache
from adapters.redis.standby_cache import StandbyCache
from contracts.errors import CacheUnavailableError
from tests.adapters.redis_server import redis_server
from tests.builders import PATIENCE

DAY = timedelta(days=1)
ENTRIES, SCOPE_ENTRIES = 6, 4


class Ticks:
    """A clock that stands still until it is moved, in seconds."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


class BoundedMemory(RuleBasedStateMachine):
    """Against a plain list, newest use last, which does the same without being clever."""

    def __init__(self) -> None:
        super().__init__()
        self.ticks = Ticks()
        self.cache = MemoryCache(monotonic=self.ticks, entries=ENTRIES, per_scope=SCOPE_ENTRIES)
        self.model: dict[tuple[str, str], tuple[bytes, float, int]] = {}
        self.puts = 0

    scopes, keys = st.sampled_from("st"), st.sampled_from("abcdefg")

    @rule(scope=scopes, key=keys, value=st.binary(max_size=3), ttl=st.integers(1, 5))
    def put(self, scope: str, key: str, value: bytes, ttl: int) -> None:
        self.puts += 1
        self.model.pop((scope, key), None)
        self.model[scope, key] = (value, self.ticks.at + ttl, self.puts)
        asyncio.run(self.cache.put(scope, key, value, ttl=timedelta(seconds=ttl)))
        mine = [place for place in self.model if place[0] == scope]
        if len(mine) > SCOPE_ENTRIES:
            del self.model[min(mine, key=lambda place: self.model[place][2])]
        if len(self.model) > ENTRIES:
            del self.model[next(iter(self.model))]

    @rule(scope=scopes, key=keys)
    def get(self, scope: str, key: str) -> None:
        expected = self.model.get((scope, key))
        if expected and expected[1] <= self.ticks.at:
            del self.model[scope, key]
            expected = None
        elif expected:
            self.model[scope, key] = self.model.pop((scope, key))
        assert asyncio.run(self.cache.get(scope, key)) == (expected[0] if expected else None)

    @rule(scope=scopes)
    def drop(self, scope: str) -> None:
        live = [place for place in self.model if place[0] == scope and self.model[place][1] > self.ticks.at]
        assert asyncio.run(self.cache.drop(scope)) == len(live)
        self.model = {place: kept for place, kept in self.model.items() if place[0] != scope}

    @rule(scope=scopes)
    def entries(self, scope: str) -> None:
        live = {p: kept for p, kept in self.model.items() if p[0] == scope and kept[1] > self.ticks.at}
        expected = [place[1] for place in sorted(live, key=lambda place: live[place][2])]
        # Looking finds what has expired, as `get` does.
        found = asyncio.run(self.cache.entries(scope, limit=99))
        assert [entry.key for entry in found] == expected
        self.model = {p: kept for p, kept in self.model.items() if p[0] != scope or kept[1] > self.ticks.at}

    @rule(seconds=st.integers(1, 3))
    def wait(self, seconds: int) -> None:
        self.ticks.at += seconds

    @invariant()
    def bounded(self) -> None:
        assert len(self.cache) <= ENTRIES
        assert self.cache.size_bytes >= 0
        if not len(self.cache):
            assert self.cache.size_bytes == 0


TestBoundedMemory = BoundedMemory.TestCase
TestBoundedMemory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@settings(deadline=None)
@given(sizes=st.lists(st.integers(0, 3_000), max_size=30))
def test_its_bytes_have_a_bound(sizes: list[int]) -> None:
    cache = MemoryCache(monotonic=Ticks(), size_bytes=5_000)

    async def fill() -> None:
        for number, size in enumerate(sizes):
            await cache.put("s", str(number), b"x" * size, ttl=DAY)
            assert cache.size_bytes <= 5_000

    asyncio.run(fill())


async def test_a_value_larger_than_all_of_it_is_not_kept() -> None:
    cache = MemoryCache(monotonic=Ticks(), size_bytes=5_000)
    await cache.put("s", "small", b"1", ttl=DAY)
    assert await cache.put("s", "huge", b"x" * 5_001, ttl=DAY) == 1
    assert await cache.get("s", "small") == b"1"


async def test_without_redis_it_goes_on_in_memory_and_with_it_comes_back(tmp_path: Path) -> None:
    ticks, away = Ticks(), []
    with redis_server(tmp_path) as server:
        database = server.open()
        shared = RedisCache(database)
        own = MemoryCache(monotonic=ticks)
        rest = timedelta(seconds=1)
        cache = StandbyCache(shared, own, monotonic=ticks, patience=PATIENCE, rest=rest, on_away=lambda: away.append(1))
        await cache.put("s", "before", b"1", ttl=DAY)
        assert not away

        server.kill()
        assert await cache.get("s", "before") is None
        await cache.put("s", "meanwhile", b"2", ttl=DAY)
        assert await cache.get("s", "meanwhile") == b"2"
        assert len(away) == 3
        with pytest.raises(CacheUnavailableError):
            await cache.drop("s")

        server.start()
        assert await cache.get("s", "before") is None, "it is left alone for a while"
        ticks.at += 1
        assert await cache.get("s", "before") == b"1"
        assert await cache.get("s", "meanwhile") is None
        assert len(away) == 4
        await database.close()


async def test_a_redis_that_hangs_costs_one_wait_not_one_for_each_question(tmp_path: Path) -> None:
    ticks = Ticks()
    with redis_server(tmp_path) as server:
        database = server.open(command_timeout=PATIENCE)
        own = MemoryCache(monotonic=ticks)
        cache = StandbyCache(RedisCache(database), own, monotonic=ticks, patience=timedelta(milliseconds=30))
        await own.put("s", "k", b"own", ttl=DAY)
        server.pause()
        flushes = database.flushes
        for _ in range(5):
            assert await cache.get("s", "k") == b"own"
        assert database.flushes - flushes == 1
        server.go_on()
        await database.close()
