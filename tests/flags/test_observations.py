"""What is observed of people: each once, in one arm, from their exposure on, and nothing lost that can be kept."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from adapters.sqlite.store import SqliteRecords
from contracts.delivery import Record
from contracts.errors import StoreUnavailableError
from contracts.paging import all_records
from contracts.ports import Store
from flags.definitions import Metric, MetricKind
from flags.experiments import recorder as recording_module
from flags.experiments.observations import COLLECTION, Observations, forget, merged, observed
from flags.experiments.recorder import BACKLOG, CONVERSION, IMPRESSION, RESPONSE_TIME_MS, ROWS, Recorder, recording
from flags.resolver import Assignment
from observability.metrics import EXPERIMENT_EVENTS, EXPERIMENT_FLUSHES_MISSED
from tests.builders import BACKENDS, START, SteppingClock, memory_store, open_backend, sqlite_database

V1, V2 = (Assignment("exp", name) for name in ("v1", "v2"))
TIME = Metric(name=RESPONSE_TIME_MS, kind=MetricKind.MEAN)
SPENT = Metric(name="cost", kind=MetricKind.TOTAL)
CONVERTED = Metric(name=CONVERSION)
SECOND = timedelta(seconds=1)


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with open_backend(request.param, tmp_path) as (_, store):
        yield store


def recorder(store: Store, writer: str = "w1", clock: SteppingClock | None = None) -> Recorder:
    return Recorder(store.records, writer=writer, salt="salt", clock=clock or SteppingClock())


async def read(store: Store, subject: str = "exp") -> Observations:
    return await observed(store.records, subject, ["v1", "v2"], at=START)


async def test_values_are_of_persons_and_not_of_events(store: Store) -> None:
    ours = recorder(store)
    for person, arm, times in (("a", V1, (100, 300)), ("b", V1, ()), ("c", V2, (50,))):
        ours.expose([arm], person)
        ours.expose([arm], person)
        for value in times:
            ours.note([arm], person, RESPONSE_TIME_MS, value)
            ours.note([arm], person, "cost", 0.5)
        if times:
            ours.note([arm], person, CONVERSION)
    await ours.flush()
    found = await read(store)
    assert {name: len(arm.people) for name, arm in found.arms.items()} == {"v1": 2, "v2": 1}
    first = found.arms["v1"]
    assert sorted(first.values(TIME)) == [200]
    assert sorted(first.values(SPENT)) == [0, 1]
    assert sorted(first.values(CONVERTED)) == [0, 1]
    assert first.people[0].sums[IMPRESSION].events == 2
    assert (found.crossovers, found.ignored) == (0, 0)


async def test_several_processes_are_put_together(store: Store) -> None:
    one, two = recorder(store, "w1"), recorder(store, "w2")
    one.expose([V1], "a")
    one.note([V1], "a", CONVERSION)
    two.expose([V1], "a")
    two.note([V1], "a", CONVERSION)
    two.expose([V2], "b")
    await one.flush()
    await two.flush()
    await two.flush()
    found = await read(store)
    assert {name: len(arm.people) for name, arm in found.arms.items()} == {"v1": 1, "v2": 1}
    assert found.arms["v1"].people[0].sums[CONVERSION].events == 2
    await forget(store.records, "exp", at=START)
    assert (await read(store)).people == 0


async def test_who_was_in_two_arms_is_in_none_and_counted() -> None:
    store = memory_store()
    one, two = recorder(store, "w1"), recorder(store, "w2")
    one.expose([V1], "a")
    two.expose([V2], "a")
    two.expose([V2], "b")
    await one.flush()
    await two.flush()
    found = await read(store)
    assert found.crossovers == 1
    assert {name: len(arm.people) for name, arm in found.arms.items()} == {"v1": 0, "v2": 1}


async def test_events_before_the_exposure_are_not_the_arm_s_doing() -> None:
    store, clock = memory_store(), SteppingClock()
    one, two = recorder(store, "w1", clock), recorder(store, "w2", clock)
    one.note([V1], "a", CONVERSION)
    two.note([V1], "a", CONVERSION)
    clock.move(SECOND)
    one.expose([V1], "a")
    clock.move(SECOND)
    one.note([V1], "a", CONVERSION)
    # Never exposed at all.
    one.note([V1], "b", CONVERSION)
    await one.flush()
    await two.flush()
    # A process that saw only what came after.
    three = recorder(store, "w3", clock)
    three.note([V1], "a", CONVERSION)
    await three.flush()
    found = await read(store)
    [person] = found.arms["v1"].people
    assert person.sums[CONVERSION].events == 2
    assert person.exposed_at == START + SECOND
    assert found.ignored == 3
    assert found.until(START).people == 0


async def test_what_a_process_sees_of_a_person_whom_another_one_exposed_stays_when_it_exposes_them_as_well() -> None:
    """A second worker takes the answer to the question at the end, and the next conversation as well."""
    store, clock = memory_store(), SteppingClock()
    one, two = recorder(store, "w1", clock), recorder(store, "w2", clock)
    one.expose([V1], "a")
    clock.move(SECOND)
    two.note([V1], "a", "satisfaction")
    await two.flush()
    clock.move(SECOND)
    two.expose([V1], "a")
    two.note([V1], "a", CONVERSION)
    await one.flush()
    await two.flush()
    found = await read(store)
    [person] = found.arms["v1"].people
    assert person.total("satisfaction") == person.total(CONVERSION) == 1
    assert (person.total(IMPRESSION), found.ignored) == (2, 0)
    await two.erase("a")
    assert (await read(store)).people == 0
    assert [record.body["rows"] async for record in all_records(store.records, COLLECTION, at=START)] == [[], []]


async def test_nobody_stands_in_it_by_name_or_can_be_followed() -> None:
    store = memory_store()
    ours = recorder(store)
    ours.expose([V1, Assignment("other", "v1")], "whatsapp:+5511987654321")
    await ours.flush()
    records = [record async for record in all_records(store.records, COLLECTION, at=START)]
    written = "".join(record.model_dump_json() for record in records)
    assert "5511987654321" not in written
    one, other = (record.body["rows"][0][0] for record in records)
    assert one != other
    assert records[0].expires_at


async def test_who_is_erased_is_in_no_record_and_comes_back_by_no_later_write(store: Store) -> None:
    one, two = recorder(store, "w1"), recorder(store, "w2")
    other = Assignment("other", "v1")
    for ours in (one, two):
        for person in ("ana", "bia"):
            ours.expose([V1, other], person)
        await ours.flush()
    await one.erase("ana")
    for ours in (one, two):
        ours.note([V1], "bia", CONVERSION)
        await ours.flush()
        await ours.flush()
    for subject in ("exp", "other"):
        [person] = (await read(store, subject)).arms["v1"].people
        assert person.sums[IMPRESSION].events == 2
    assert (await read(store)).arms["v1"].people[0].sums[CONVERSION].events == 2
    records = [record async for record in all_records(store.records, COLLECTION, at=START)]
    assert [len(record.body["rows"]) for record in records] == [1, 1, 1, 1]


async def test_who_comes_back_after_an_erasure_is_somebody_new() -> None:
    store = memory_store()
    ours = recorder(store)
    ours.expose([V1], "ana")
    ours.note([V1], "ana", CONVERSION)
    await ours.flush()
    await ours.erase("ana")
    assert (await read(store)).people == 0
    ours.expose([V1], "ana")
    await ours.flush()
    [person] = (await read(store)).arms["v1"].people
    assert CONVERSION not in person.sums


def outcome(name: str) -> float:
    return EXPERIMENT_EVENTS.labels(outcome=name)._value.get()  # type: ignore[no-any-return]


async def test_a_value_that_is_no_number_is_counted_and_left_out() -> None:
    store, before = memory_store(), outcome("unusable")
    ours = recorder(store)
    ours.expose([V1], "a")
    for value in (float("nan"), float("inf")):
        ours.note([V1], "a", "cost", value)
    await ours.flush()
    assert (await read(store)).arms["v1"].values(SPENT) == [0]
    assert outcome("unusable") == before + 2


class Away(SqliteRecords):
    """A store that can be away, and can lose its answers."""

    @property
    def records(self) -> SqliteRecords:
        return self

    def __init__(self) -> None:
        super().__init__(sqlite_database())
        self.is_away = False
        self.loses_answers = 0

    async def put(self, record: Record) -> Record | None:
        if self.is_away:
            raise StoreUnavailableError("away")
        saved = await super().put(record)
        if self.loses_answers:
            self.loses_answers -= 1
            raise StoreUnavailableError("no answer")
        return saved


async def test_a_write_whose_answer_got_lost_counts_once() -> None:
    store = Away()
    ours = recorder(store)
    ours.expose([V1], "a")
    ours.note([V1], "a", CONVERSION)
    store.loses_answers = 1
    with pytest.raises(StoreUnavailableError):
        await ours.flush()
    ours.note([V1], "a", CONVERSION)
    await ours.flush()
    await ours.flush()
    [person] = (await read(store)).arms["v1"].people
    assert person.sums[CONVERSION].events == 2


async def test_a_store_that_is_away_loses_nothing_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_module, "ROWS", 10)
    store, before = Away(), outcome("dropped")
    ours = recorder(store)
    store.is_away = True
    people = (BACKLOG + 1) * 10
    for number in range(people + 25):
        ours.expose([V1], f"p{number}")
    assert outcome("dropped") == before + 25
    with pytest.raises(StoreUnavailableError):
        await ours.flush()
    store.is_away = False
    await ours.flush()
    assert (await read(store)).people == people


async def test_while_recording_it_is_written_in_the_background_and_at_the_end() -> None:
    store = Away()
    ours, missed = recorder(store), EXPERIMENT_FLUSHES_MISSED._value.get()
    store.is_away = True
    async with recording(ours, every=timedelta(milliseconds=5)):
        ours.expose([V1], "a")
        while EXPERIMENT_FLUSHES_MISSED._value.get() == missed:  # noqa: ASYNC110 - a counter tells nobody
            await asyncio.sleep(0.005)
        store.is_away = False
    assert (await read(store)).people == 1


async def test_many_people_are_many_small_records() -> None:
    store = memory_store()
    ours = recorder(store)
    for number in range(10 * ROWS):
        ours.expose([V1 if number % 2 else V2], f"person {number}")
    await ours.flush()
    records = [record async for record in all_records(store.records, COLLECTION, at=START)]
    assert len(records) == 10
    assert max(len(record.model_dump_json()) for record in records) < 40_000
    assert (await read(store)).people == 10 * ROWS


class Processes(RuleBasedStateMachine):
    """Several processes, lost answers, outages and deaths: what was written is what is read, each thing once."""

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.store = Away()
        self.started = 0
        self.processes = [self._start() for _ in range(3)]
        self.unwritten: list[list[tuple[int, str]]] = [[], [], []]
        self.written: list[tuple[int, str]] = []

    def _start(self) -> Recorder:
        self.started += 1
        return recorder(self.store, f"w{self.started}")

    @rule(process=st.integers(0, 2), person=st.integers(0, 4), kind=st.sampled_from([IMPRESSION, CONVERSION, "cost"]))
    def observe(self, process: int, person: int, kind: str) -> None:
        ours = self.processes[process]
        ours.expose([V1], f"p{person}")
        ours.note([V1], f"p{person}", kind)
        self.unwritten[process] += [(person, IMPRESSION), (person, kind)]

    @rule(process=st.integers(0, 2), loses=st.booleans())
    def flush(self, process: int, loses: bool) -> None:
        self.store.loses_answers = int(loses)
        try:
            self.loop.run_until_complete(self.processes[process].flush())
        except StoreUnavailableError:
            self.loop.run_until_complete(self.processes[process].flush())
        self.store.loses_answers = 0
        self.written += self.unwritten[process]
        self.unwritten[process] = []
        self._compare()

    @rule(process=st.integers(0, 2))
    def die(self, process: int) -> None:
        self.processes[process] = self._start()
        self.unwritten[process] = []

    @rule(process=st.integers(0, 2))
    def fail_to_flush(self, process: int) -> None:
        self.store.is_away = True
        try:
            self.loop.run_until_complete(self.processes[process].flush())
        except StoreUnavailableError:
            assert self.unwritten[process]
        self.store.is_away = False

    def _compare(self) -> None:
        found = self.loop.run_until_complete(read(self.store))
        events = sum(int(sums.events) for one in found.arms["v1"].people for sums in one.sums.values())
        assert events == len(self.written)
        assert found.people == len({person for person, _ in self.written})

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.close()


TestProcesses = Processes.TestCase
TestProcesses.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_a_random_order_of_shards_reads_the_same() -> None:
    bodies = [
        {"rows": [["p1", "v1", 10, 10, {CONVERSION: [1, 1.0]}]]},
        {"rows": [["p1", "v1", None, 12, {CONVERSION: [2, 2.0]}]]},
        {"rows": [["p1", "v1", 8, 9, {CONVERSION: [4, 4.0]}], ["p2", "v2", 3, 3, {}]]},
    ]
    expected = merged(bodies, ["v1", "v2"])
    assert expected.arms["v1"].people[0].sums[CONVERSION].events == 7
    for seed in range(6):
        random.Random(seed).shuffle(bodies)
        assert merged(bodies, ["v1", "v2"]) == expected
