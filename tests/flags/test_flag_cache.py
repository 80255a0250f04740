"""Flags in memory: fresh when they can be, there when they cannot, and nobody waits for either."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.memory.events import MemoryEvents
from adapters.redis.events import RedisEvents
from adapters.redis.store import RedisStore
from contracts.errors import ConfigurationError, StoreUnavailableError
from flags.cache import MAX_AGE, Cache, kept_fresh
from flags.evaluation import CompiledFlag
from flags.file import FileSource
from flags.store import FlagStore
from observability.metrics import FLAG_REFRESHES
from tests.builders import PATIENCE, START, SteppingClock, memory_store, open_redis
from tests.flags.making import Asked, flag, person

NEVER = timedelta(hours=1)


class Source:
    """Flags that are given, slowly, not at all, or broken."""

    def __init__(self, *keys: str) -> None:
        self.keys = list(keys)
        self.loads = self.stamps = 0
        self.error: Exception | None = None
        self.hangs = False

    async def load(self) -> Mapping[str, CompiledFlag]:
        self.loads += 1
        return {key: CompiledFlag(flag(key)) for key in self.keys}

    async def stamp(self) -> str:
        self.stamps += 1
        if self.hangs:
            await asyncio.sleep(3_600)
        if self.error is not None:
            raise self.error
        return ",".join(self.keys)


class Seconds:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


def failed() -> float:
    return FLAG_REFRESHES.labels(outcome="failed")._value.get()  # type: ignore[no-any-return]


async def test_they_are_read_once_and_again_after_five_minutes_in_the_background() -> None:
    source, clock = Source("a"), Seconds()
    cache = Cache(source, monotonic=clock)
    await cache.refresh()
    for clock.at in (0, 1, MAX_AGE.total_seconds() - 1):
        assert cache.get("a")
        await asyncio.sleep(0)
    assert source.loads == 1
    source.keys = ["b"]
    clock.at = MAX_AGE.total_seconds()
    # Who asks is served what there is; the next one gets what is new.
    assert (cache.get("a") is not None, cache.get("b")) == (True, None)
    await until(lambda: cache.get("b") is not None)
    assert cache.get("a") is None
    assert source.loads == 2


async def test_a_look_reads_them_only_when_something_changed() -> None:
    source = Source("a")
    cache = Cache(source)
    assert await cache.look()
    assert await cache.look()
    assert (source.stamps, source.loads) == (2, 1)
    source.keys.append("b")
    await cache.look()
    assert cache.get("b")


async def test_a_store_that_fails_leaves_the_flags_of_before_in_force() -> None:
    source, clock, count = Source("a"), Seconds(), failed()
    cache = Cache(source, monotonic=clock)
    evaluator = Asked(cache, now=lambda: START)
    source.error = StoreUnavailableError("away")
    assert not await cache.refresh()
    # Never read: the caller's default.
    assert evaluator.is_enabled("a", person(), default=True)
    assert not evaluator.is_enabled("a", person(), default=False)
    source.error = None
    await cache.refresh()
    source.error = StoreUnavailableError("away")
    clock.at = 10 * MAX_AGE.total_seconds()
    for _ in range(1_000):
        assert evaluator.is_enabled("a", person())
    await until(lambda: failed() == count + 2)
    assert evaluator.is_enabled("a", person())
    # A thousand questions to a store that is away are one attempt.
    assert failed() == count + 2


async def test_a_mistake_of_ours_is_told_and_stops_nothing() -> None:
    source, clock = Source("a"), Seconds()
    cache = Cache(source, monotonic=clock)
    await cache.refresh()
    source.error = KeyError("a bug")
    assert not await cache.look()
    assert cache.get("a")


async def test_a_store_that_hangs_delays_nobody() -> None:
    source = Source("a")
    source.hangs = True
    cache = Cache(source, patience=timedelta(milliseconds=50))
    started = time.monotonic()
    async with kept_fresh(MemoryEvents(), cache, every=timedelta(milliseconds=10)):
        assert time.monotonic() - started < PATIENCE.total_seconds()
        evaluator = Asked(cache, now=lambda: START)
        assert evaluator.is_enabled("a", person(), default=True)
        source.hangs = False
        await until(lambda: cache.is_ready)
        assert evaluator.is_enabled("a", person())


def test_without_an_event_loop_they_can_still_be_asked() -> None:
    assert Cache(Source("a")).get("a") is None


async def test_a_change_in_the_same_process_is_seen_when_it_is_told() -> None:
    events = MemoryEvents()
    register = FlagStore(memory_store().records, events, SteppingClock())
    cache = Cache(register)
    async with kept_fresh(events, cache, every=NEVER):
        assert cache.get("x") is None
        await asyncio.sleep(0)
        await register.put(flag(), author="a", reason="r", expected=0)
        await until(lambda: cache.get("x") is not None)


async def test_a_change_in_another_process_is_told_over_redis() -> None:
    """Two processes of one Redis: each has its own connections, cache and listener."""
    async with open_redis() as here, open_redis() as there:
        mine, theirs = RedisEvents(here), RedisEvents(there)
        register = FlagStore(RedisStore(there).records, theirs, SteppingClock())
        cache = Cache(FlagStore(RedisStore(here).records, mine, SteppingClock()))
        try:
            async with kept_fresh(mine, cache, every=NEVER):
                # The listener subscribes in the background.
                await until(
                    lambda: bool(mine._watched) and all(one.confirmed.is_set() for one in mine._watched.values())
                )
                await register.put(flag(), author="a", reason="r", expected=0)
                await until(lambda: cache.get("x") is not None)
        finally:
            await theirs.close()
            await mine.close()


async def test_a_change_that_nobody_is_told_of_is_seen_at_the_next_look() -> None:
    store = memory_store()
    cache = Cache(FlagStore(store.records, MemoryEvents(), SteppingClock()))
    async with kept_fresh(MemoryEvents(), cache, every=timedelta(milliseconds=20)):
        elsewhere = FlagStore(store.records, MemoryEvents(), SteppingClock())
        await elsewhere.put(flag(), author="a", reason="r", expected=0)
        await until(lambda: cache.get("x") is not None)


FILE = """\
flags:
  prompts.select_state:
    owner: conversation team
    expires_at: 2027-03-01
    status: ab_test
    variants:
      - {name: v1, value: 1}
      - {name: v2, value: 2, weight: 3}
"""


async def test_a_file_is_read_again_when_it_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "flags.yaml"
    path.write_text(FILE)
    cache = Cache(FileSource(path))
    assert await cache.refresh()
    found = cache.get("prompts.select_state")
    assert found
    assert [(variant.value, variant.weight) for variant in found.flag.variants] == [(1, 1), (2, 3)]
    path.write_text(FILE + "    statuss: oops\n")
    assert not await cache.look()
    assert cache.get("prompts.select_state")
    path.write_text("flags: {}")
    assert await cache.look()
    assert cache.get("prompts.select_state") is None
    path.unlink()
    assert not await cache.look()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("ab_test", "ab_tset"), r"flags\.yaml:5: flags\.prompts\.select_state\.status: Input should be"),
        (("owner:", "ownr:"), r"flags\.yaml:3: flags\.prompts\.select_state\.ownr: Extra inputs are not permitted"),
        (("weight: 3", "weigth: 3"), r"flags\.yaml:8: .*weigth: Extra inputs"),
        (("{name: v2", "{name: v1"), r"flags\.yaml:3: .*two variants have the same name"),
        (("    owner: conversation team\n", ""), r"flags\.yaml:3: .*owner: Field required"),
        (("flags:", "flag:"), r"flags\.yaml:2: flag: Extra inputs"),
        (("  prompts.select_state", "  Prompts"), r"flags\.yaml:\d: flags\.Prompts"),
        (("    status", "    owner: me\n    status"), r"flags\.yaml:5: owner stands twice"),
        (("    status", "    key: y\n    status"), r"flags\.yaml:5: the key of prompts.select_state is not y"),
        (("status: ab_test", "status: [ab_test"), r"flags\.yaml:\d+: "),
    ],
)
async def test_mistakes_in_a_file_are_named_with_its_line(
    tmp_path: Path, change: tuple[str, str], problem: str
) -> None:
    path = tmp_path / "flags.yaml"
    path.write_text(FILE.replace(*change))
    with pytest.raises(ConfigurationError, match=problem):
        await FileSource(path).load()
