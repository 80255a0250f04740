"""The whole of it, as a worker opens it: changes arrive, people are counted, and a broken store breaks nothing."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider
from openfeature.track import TrackingEventDetails

from adapters.memory.events import MemoryEvents
from adapters.sqlite.store import SqliteRecords
from contracts.delivery import Record
from contracts.errors import StoreUnavailableError
from contracts.ports import Store
from flags.experiments.recorder import CONVERSION
from flags.experiments.store import ExperimentStore
from flags.runtime import FlagRuntime, open_flags
from flags.store import FlagStore
from observability.metrics import REGISTRY
from tests.builders import BACKENDS, PATIENCE, SteppingClock, memory_store, open_backend, sqlite_database
from tests.flags.making import flag, person
from tests.flags.test_experiments import SIGNED, draft
from tests.flags.test_flag_cache import FILE, until
from tests.flags.test_recommendation import EXACT


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with open_backend(request.param, tmp_path) as (_, store):
        yield store


def opened(store: Store, events: MemoryEvents, **options: Any) -> AbstractAsyncContextManager[FlagRuntime]:
    given: dict[str, Any] = {"writer": uuid4().hex, "salt": "salt", "said": {}} | options
    return open_flags(store.records, events, SteppingClock(), **given)


async def test_an_experiment_goes_its_whole_way(store: Store) -> None:
    """Started by an operator's process, met by people in a worker's, reported by another one."""
    events, clock = MemoryEvents(), SteppingClock()
    laboratory = ExperimentStore(store.records, events, clock)
    async with opened(store, events) as flags:
        assert flags.resolver.value("prompts.select_state", 0, person(1)).value == 0
        # The listener subscribes in the background.
        await asyncio.sleep(0.05)
        await laboratory.plan(draft())
        await laboratory.start("prompt-v2", **SIGNED)
        await until(lambda: flags.resolver.value("prompts.select_state", 0, person(1)).assignments != ())
        for number in range(100):
            chosen = flags.resolver.value("prompts.select_state", 0, person(number))
            assert chosen.value == {"prompt-v2=v1": 0, "prompt-v2=v2": 2}[str(chosen.assignments[0])]
            flags.recorder.expose(chosen.assignments, f"web:{number}")
            if chosen.value == 2:
                flags.recorder.note(chosen.assignments, f"web:{number}", CONVERSION)
    found = await laboratory.report("prompt-v2", EXACT)
    assert sum(arm["people"] for arm in found["arms"]) == 100
    assert found["metrics"][0]["values"] == [0, 1]
    assert (found["verdict"], found["ship"]) == ("SHIP", "v2")


class Theirs(InMemoryProvider):
    """Another provider, that wants to know what is tracked."""

    def __init__(self, flags: dict[str, InMemoryFlag[Any]]) -> None:
        super().__init__(flags)
        self.tracked: list[str] = []

    def track(self, tracking_event_name: str, *_: Any) -> None:
        self.tracked.append(tracking_event_name)


@pytest.mark.parametrize("is_theirs", [False, True])
async def test_what_is_tracked_counts_for_the_person_s_arm_in_each_active_experiment(is_theirs: bool) -> None:
    store, events, clock = memory_store(), MemoryEvents(), SteppingClock()
    laboratory = ExperimentStore(store.records, events, clock)
    custom = {"name": "order_value", "kind": "total"}
    other = draft(key="other", arms=[{"name": "a"}, {"name": "b", "config": {"strategy": "cost"}}], secondary=[custom])
    for one in (draft(secondary=[custom]), other):
        await laboratory.plan(one)
        await laboratory.start(one.key, **SIGNED)
    halves = {"experiments.prompt-v2": ("v1", "v2"), "experiments.other": ("a", "b")}
    theirs = Theirs(
        {
            key: InMemoryFlag("", {name: {} for name in names}, context_evaluator=_half(names))
            for key, names in halves.items()
        }
    )
    unusable = REGISTRY.get_sample_value("experiments_events_total", {"outcome": "unusable"}) or 0
    async with opened(store, events, provider=theirs if is_theirs else None) as flags:
        for number in range(40):
            flags.recorder.expose(flags.resolver.arms(person(number)), f"web:{number}")
            flags.client.track("order_value", person(number), TrackingEventDetails(10.5))
            flags.client.track("order_value", person(number))
        # Who has not met an arm, has no name, or what no metric can be called: nothing of it is in a report.
        flags.client.track("order_value", person("unexposed"), TrackingEventDetails(1e6))
        flags.client.track("order_value", EvaluationContext(attributes={"channel": "web"}), TrackingEventDetails(1e6))
        flags.client.track("Order Value", person(1), TrackingEventDetails(1e6))
        flags.client.track("order_value", person(1), TrackingEventDetails(math.inf))
    assert (REGISTRY.get_sample_value("experiments_events_total", {"outcome": "unusable"}) or 0) - unusable == 3
    for key in ("prompt-v2", "other"):
        found = await laboratory.report(key, EXACT)
        assert all(arm["people"] > 0 for arm in found["arms"])
        assert sum(arm["people"] for arm in found["arms"]) == 40
        (orders,) = (one for one in found["metrics"] if one["metric"] == "order_value")
        assert orders["values"] == pytest.approx([11.5, 11.5])
    assert len(theirs.tracked) == (84 if is_theirs else 0)


def _half(names: tuple[str, ...]) -> Callable[..., FlagResolutionDetails[Any]]:
    def resolve(_: InMemoryFlag[Any], context: EvaluationContext) -> FlagResolutionDetails[Any]:
        assert context.targeting_key
        return FlagResolutionDetails({}, reason=Reason.SPLIT, variant=names[len(context.targeting_key) % 2])

    return resolve


async def test_a_flag_that_is_changed_reaches_those_who_ask() -> None:
    store, events = memory_store(), MemoryEvents()
    register = FlagStore(store.records, events, SteppingClock())
    async with opened(store, events) as flags:
        assert not flags.client.get_boolean_value("x", False, person())
        await asyncio.sleep(0.05)
        await register.put(flag(), author="a", reason="r", expected=0)
        await until(lambda: flags.client.get_boolean_value("x", False, person()))
    # What was set is gone with it.
    assert not flags.client.get_boolean_value("x", False, person())


async def test_two_of_them_in_one_process_do_not_mix() -> None:
    one, other = memory_store(), memory_store()
    await FlagStore(one.records, MemoryEvents(), SteppingClock()).put(flag(), author="a", reason="r", expected=0)
    async with opened(one, MemoryEvents()) as mine, opened(other, MemoryEvents()) as theirs:
        assert mine.client.get_boolean_value("x", False, person())
        assert not theirs.client.get_boolean_value("x", False, person())


async def test_flags_of_a_file_and_of_another_provider(tmp_path: Path) -> None:
    file = tmp_path / "flags.yaml"
    file.write_text(FILE)
    async with opened(memory_store(), MemoryEvents(), file=file) as flags:
        assert flags.resolver.value("prompts.select_state", 0, person(1)).value in (1, 2)
    theirs = InMemoryProvider({"cache": InMemoryFlag("on", {"on": True}), "other": InMemoryFlag("on", {"on": True})})
    said = {"PROMPTER_USE_CACHE": False}
    async with opened(memory_store(), MemoryEvents(), provider=theirs, said=said) as flags:
        assert flags.client.get_boolean_value("other", False, person())
        assert not flags.resolver.value("cache", True, person()).value


class Broken(SqliteRecords):
    """Hangs or fails at everything that flags and experiments ask of it."""

    @property
    def records(self) -> SqliteRecords:
        return self

    def __init__(self, *, hangs: bool) -> None:
        super().__init__(sqlite_database())
        self._hangs = hangs

    async def _fail(self) -> None:
        if self._hangs:
            await asyncio.sleep(3_600)
        raise StoreUnavailableError("away")

    async def get(self, *args: Any, **kwargs: Any) -> Record | None:
        await self._fail()
        raise AssertionError

    async def page(self, *args: Any, **kwargs: Any) -> list[Record]:
        await self._fail()
        raise AssertionError

    async def put(self, record: Record) -> Record | None:
        raise StoreUnavailableError("away")


@pytest.mark.parametrize("hangs", [True, False])
async def test_a_store_that_hangs_or_fails_costs_a_turn_nothing(hangs: bool) -> None:
    """What a turn asks and records, a thousand times, while nothing of it can be read or written."""
    async with asyncio.timeout(PATIENCE.total_seconds()):
        async with opened(Broken(hangs=hangs), MemoryEvents()) as flags:
            loop = asyncio.get_running_loop()
            waited = loop.create_task(asyncio.sleep(0))
            for number in range(1_000):
                chosen = flags.resolver.value("prompts.select_state", 1, person(number))
                assert (chosen.value, chosen.assignments) == (1, ())
                flags.recorder.expose(chosen.assignments, f"web:{number}")
            # A thousand turns ended without once giving way to another task.
            assert not waited.done()
            await waited
