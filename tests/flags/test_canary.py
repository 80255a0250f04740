"""A canary that harms steps back by itself; one that does not, stays."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest

from adapters.memory.events import MemoryEvents
from adapters.sqlite.store import SqliteRecords
from contracts.errors import StoreUnavailableError
from flags.definitions import Flag
from flags.experiments.canary import AUTHOR, CanaryWatch, step_back, watching
from flags.experiments.observations import Arm, Observations, Person, Sums
from flags.experiments.recorder import ERROR, RESPONSE_TIME_MS, Recorder
from flags.resolver import Assignment
from flags.store import FlagStore
from tests.builders import PATIENCE, START, SteppingClock, memory_store, sqlite_database
from tests.flags.making import flag
from tests.flags.test_flag_cache import until

GUARDRAILS = [
    {"name": ERROR, "better": "lower", "margin": 0.1},
    {"name": RESPONSE_TIME_MS, "kind": "mean", "better": "lower", "margin": 0.2},
]


def canary(**changes: object) -> Flag:
    return flag("models.fast", **({"status": "canary", "percentage": 10, "guardrails": GUARDRAILS} | changes))


def seen(drawn: random.Random, people: int, *, errors: float, milliseconds: float) -> Arm:
    def one() -> Person:
        sums = {RESPONSE_TIME_MS: Sums(1, drawn.expovariate(1 / milliseconds))}
        return Person(START, sums | ({ERROR: Sums(1, 1)} if drawn.random() < errors else {}))

    return Arm(tuple(one() for _ in range(people)))


def test_it_goes_back_when_a_guardrail_is_worse_and_says_which() -> None:
    drawn = random.Random(1)
    off = seen(drawn, 5_000, errors=0.02, milliseconds=800)
    failing = Observations({"off": off, "on": seen(drawn, 400, errors=0.15, milliseconds=800)})
    found = step_back(canary(), failing)
    assert found
    assert found.worse.metric.name == ERROR
    assert "error rose from" in found.reason
    assert "(400 persons against 5,000)" in found.reason
    slow = step_back(canary(), Observations({"off": off, "on": seen(drawn, 400, errors=0.02, milliseconds=1_600)}))
    assert slow
    assert slow.worse.metric.name == RESPONSE_TIME_MS


def test_it_stays_while_nothing_is_worse_by_more_than_its_margin() -> None:
    drawn = random.Random(2)
    off = seen(drawn, 5_000, errors=0.1, milliseconds=800)
    for people, errors, milliseconds in ((400, 0.1, 800), (400, 0.105, 880), (30, 1.0, 9_000), (0, 0, 1)):
        on = seen(drawn, people, errors=errors, milliseconds=milliseconds)
        assert step_back(canary(), Observations({"off": off, "on": on})) is None
    assert step_back(canary(guardrails=[]), Observations({"off": off, "on": off})) is None


@pytest.mark.slow
def test_harmless_canaries_that_are_looked_at_again_and_again_rarely_go_back() -> None:
    """200 canaries without harm, 10 looks each; margins of 0, so that only chance could make them go back."""
    drawn = random.Random(3)
    plain = canary(guardrails=[one | {"margin": 0} for one in GUARDRAILS])
    back = 0
    for _ in range(200):
        off: tuple[Person, ...] = ()
        on: tuple[Person, ...] = ()
        for _ in range(10):
            off += seen(drawn, 270, errors=0.1, milliseconds=800).people
            on += seen(drawn, 30, errors=0.1, milliseconds=800).people
            if step_back(plain, Observations({"off": Arm(off), "on": Arm(on)})):
                back += 1
                break
    print(f"{back} of 200 went back")
    assert back / 200 <= 0.05


class Flying:
    """A canary in a store, and people who meet it."""

    def __init__(self, store: Any = None) -> None:
        self.store = store or memory_store()
        self.clock = SteppingClock()
        self.register = FlagStore(self.store.records, MemoryEvents(), self.clock)
        self.watch = CanaryWatch(self.store.records, self.register, self.clock)

    async def set(self, wanted: Flag, revision: int = 0) -> None:
        await self.register.put(wanted, author="ana", reason="begin", expected=revision)

    async def meet(self, *, errors: float, revision: int = 1, people: int = 1_000) -> None:
        """Nobody else meets an error than those whom the canary reaches, one in ten."""
        recorder = Recorder(self.store.records, writer=f"w{revision}", salt="s", clock=self.clock)
        drawn = random.Random(revision)
        for number in range(people):
            variant = "on" if number % 10 == 0 else "off"
            side = [Assignment(f"models.fast@{revision}", variant)]
            recorder.expose(side, f"p{number}")
            if variant == "on" and drawn.random() < errors:
                recorder.note(side, f"p{number}", ERROR)
        await recorder.flush()


async def test_stepping_back_is_a_change_like_any_and_can_be_taken_back() -> None:
    flying = Flying()
    testers = {"name": "testers", "rules": [{"attribute": "tester", "values": [True]}], "percentage": 50}
    await flying.set(canary(segments=[testers, {"name": "all"}]))
    await flying.meet(errors=0)
    assert await flying.watch.look() == []
    await flying.meet(errors=0.5, people=2_000)
    assert await flying.watch.look() == ["models.fast"]
    newest = await flying.register.newest("models.fast")
    assert newest
    assert newest.flag
    assert (newest.author, newest.revision) == (AUTHOR, 2)
    assert "error rose from 0.0% to" in newest.reason
    assert [newest.flag.share_of(segment) for segment in newest.flag.segments] == [0, 0]
    # It reaches nobody any more, so there is nothing to look at.
    assert await flying.watch.look() == []
    await flying.register.roll_back("models.fast", 1, author="ana", reason="mended", expected=2)
    # The people of the old revision say nothing of the new one.
    assert await flying.watch.look() == []
    await flying.meet(errors=0.5, revision=3)
    assert await flying.watch.look() == ["models.fast"]


class AwayOnce(SqliteRecords):
    looks = 0

    @property
    def records(self) -> SqliteRecords:
        return self

    async def page(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        self.looks += 1
        if self.looks == 1:
            raise StoreUnavailableError("away")
        return await super().page(*args, **kwargs)


async def test_it_is_watched_in_the_background_whatever_the_store_does() -> None:
    store = AwayOnce(sqlite_database())
    flying = Flying(store)
    await flying.set(canary())
    await flying.meet(errors=0.9)
    back: list[str] = []

    async with watching(flying.watch, every=timedelta(milliseconds=5)):
        await until(lambda: store.looks > 3)
        async with asyncio.timeout(PATIENCE.total_seconds()):
            while not back:
                await asyncio.sleep(0.005)
                newest = await flying.register.newest("models.fast")
                back += [AUTHOR] if newest and newest.author == AUTHOR else []
