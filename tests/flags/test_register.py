"""Flags in every store: each change is an entry, in order, and can be taken back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from adapters.memory.events import MemoryEvents
from adapters.sqlite.store import SqliteRecords
from contracts.delivery import Record
from contracts.errors import ChangeRefusedError, StoreUnavailableError
from contracts.ports import Store
from flags.cache import CHANNEL
from flags.definitions import Flag, Status
from flags.store import FlagStore, changed
from tests.builders import BACKENDS, START, SteppingClock, memory_store, open_backend, sqlite_database
from tests.flags.making import flag, variants


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with open_backend(request.param, tmp_path) as (_, store):
        yield store


def register(store: Store) -> FlagStore:
    return FlagStore(store.records, MemoryEvents(), SteppingClock())


async def test_what_is_set_holds_and_its_whole_history_stays(store: Store) -> None:
    flags = register(store)
    first, second = flag(status="gradual_rollout", percentage=5), flag(status="gradual_rollout", percentage=50)
    await flags.put(first, author="ana", reason="begin", expected=0)
    before = await flags.stamp()
    await flags.put(second, author="bia", reason="it went well", expected=1)
    assert await flags.stamp() != before
    assert [compiled.flag for compiled in (await flags.load()).values()] == [second]
    entries = await flags.history("x")
    assert [(one.revision, one.author, one.reason, one.flag, one.at) for one in entries] == [
        (1, "ana", "begin", first, START),
        (2, "bia", "it went well", second, START),
    ]
    assert changed(entries[0].flag, entries[1].flag) == ["percentage: 5.0 -> 50.0"]

    back = await flags.roll_back("x", 1, author="ana", reason="it did not", expected=2)
    assert (back.revision, back.restores, back.flag) == (3, 1, first)
    await flags.delete("x", author="ana", reason="in the code now", expected=3)
    assert await flags.load() == {}
    await flags.roll_back("x", 2, author="bia", reason="not yet", expected=4)
    assert [compiled.flag for compiled in (await flags.load()).values()] == [second]
    assert [one.revision for one in await flags.history("x")] == [1, 2, 3, 4, 5]


async def test_of_many_who_change_it_at_once_one_does(store: Store) -> None:
    flags = register(store)
    await flags.put(flag(description="0"), author="a", reason="r", expected=0)

    attempts = [
        flags.put(flag(description=str(number)), author=f"a{number}", reason="r", expected=1) for number in range(1, 9)
    ]
    ended = await asyncio.gather(*attempts, return_exceptions=True)
    refused = [one for one in ended if isinstance(one, ChangeRefusedError)]
    assert len(refused) == 7
    assert all("was changed meanwhile by a" in str(one) for one in refused)
    assert [one.revision for one in await flags.history("x")] == [1, 2]


async def test_histories_of_flags_whose_keys_begin_alike_stay_apart(store: Store) -> None:
    flags = register(store)
    for key in ("cache", "cache.semantic", "cache-x"):
        for number in range(3):
            await flags.put(flag(key, description=str(number)), author="a", reason="r", expected=number)
    for key in ("cache", "cache.semantic", "cache-x"):
        assert [(one.key, one.revision) for one in await flags.history(key)] == [(key, 1), (key, 2), (key, 3)]


async def test_nothing_is_written_when_nothing_changes() -> None:
    flags = register(memory_store())
    await flags.put(flag(), author="a", reason="r", expected=0)
    stamp = await flags.stamp()
    for refused in (
        flags.put(flag(), author="a", reason="r", expected=1),
        flags.delete("y", author="a", reason="r", expected=0),
        flags.roll_back("x", 9, author="a", reason="r", expected=1),
        flags.put(flag(status="disabled"), author="a", reason="r", expected=0),
    ):
        with pytest.raises(ChangeRefusedError):
            await refused
    assert (len(await flags.history("x")), await flags.stamp()) == (1, stamp)


async def test_a_change_tells_those_who_listen() -> None:
    events = MemoryEvents()
    flags = FlagStore(memory_store().records, events, SteppingClock())
    async with events.subscribe(CHANNEL) as news:
        await flags.put(flag(), author="a", reason="r", expected=0)
        assert (await asyncio.wait_for(anext(news), 5)).name == "flags"


class DiesWhileTelling(SqliteRecords):
    """Away just when the others are to be told."""

    async def put(self, record: Record) -> Record | None:
        if record.collection == "flag_news":
            raise StoreUnavailableError("away")
        return await super().put(record)


async def test_a_change_that_nobody_could_be_told_of_holds() -> None:
    flags = FlagStore(DiesWhileTelling(sqlite_database()), MemoryEvents(), SteppingClock())
    await flags.put(flag(), author="a", reason="r", expected=0)
    assert list(await flags.load()) == ["x"]


async def test_a_flag_that_this_release_cannot_read_takes_no_other_with_it() -> None:
    store = memory_store()
    flags = register(store)
    await flags.put(flag("good"), author="a", reason="r", expected=0)
    await store.records.put(Record(collection="flags", key="odd", body={"revision": "?"}, updated_at=START))
    assert list(await flags.load()) == ["good"]


class History(RuleBasedStateMachine):
    """Any order of changes, rollbacks and deletions against a plain list of what was said."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = SteppingClock()
        self.flags = FlagStore(memory_store().records, MemoryEvents(), self.clock)
        self.said: list[Flag | None] = []

    def run(self, work):  # type: ignore[no-untyped-def]
        self.clock.move(timedelta(seconds=1))
        return self.loop.run_until_complete(work)

    @rule(
        status=st.sampled_from(list(Status)),
        percentage=st.integers(0, 100),
        weight=st.integers(1, 9),
        late=st.integers(0, 2),
    )
    def put(self, status: Status, percentage: int, weight: int, late: int) -> None:
        wanted = flag(status=status, percentage=percentage, variants=variants(control=1, v2=weight))
        expected = len(self.said) - late
        is_refused = status is Status.ENABLED and percentage < 100
        if late or is_refused or wanted == (self.said[-1] if self.said else None):
            with pytest.raises(ChangeRefusedError):
                self.run(self.flags.put(wanted, author="a", reason="r", expected=expected))
            return
        self.run(self.flags.put(wanted, author="a", reason="r", expected=expected))
        self.said.append(wanted)

    @precondition(lambda self: self.said and self.said[-1] is not None)
    @rule()
    def delete(self) -> None:
        self.run(self.flags.delete("x", author="a", reason="r", expected=len(self.said)))
        self.said.append(None)

    @precondition(lambda self: len(self.said) > 1)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        revision = data.draw(st.integers(1, len(self.said)))
        wanted = self.said[revision - 1]
        if wanted == self.said[-1]:
            with pytest.raises(ChangeRefusedError):
                self.run(self.flags.roll_back("x", revision, author="a", reason="r", expected=len(self.said)))
            return
        change = self.run(self.flags.roll_back("x", revision, author="a", reason="r", expected=len(self.said)))
        assert change.restores == revision
        self.said.append(wanted)

    @invariant()
    def the_history_is_what_was_said_and_the_last_of_it_holds(self) -> None:
        history = self.loop.run_until_complete(self.flags.history("x"))
        assert [change.flag for change in history] == self.said
        assert [change.revision for change in history] == list(range(1, len(self.said) + 1))
        assert [change.at for change in history] == sorted(change.at for change in history)
        holds = [compiled.flag for compiled in self.loop.run_until_complete(self.flags.load()).values()]
        assert holds == [one for one in self.said[-1:] if one is not None]

    def teardown(self) -> None:
        self.loop.close()


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
