"""How many conversations a process begins: as many as inbox and store answer for, and one probe while they are away."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts.values import ConversationId
from worker.scheduling.admission import LEAST_ROOM, Admission, Visit

AT_ONCE = 12
FIRST, LONGEST = timedelta(milliseconds=250), timedelta(seconds=4)


class Watch:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@dataclass(eq=False)
class Work:
    """One conversation that wants to be worked on: waiting, refused, inside with its visit, or gone."""

    name: str
    admission: Admission
    leaves: asyncio.Event = field(default_factory=asyncio.Event)
    visit: Visit | None = None
    is_refused: bool = False
    is_gone: bool = False

    async def __call__(self) -> None:
        try:
            async with self.admission.conversation(ConversationId(self.name)) as visit:
                if visit is None:
                    self.is_refused = True
                    return
                self.visit = visit
                await self.leaves.wait()
        finally:
            self.is_gone = True

    @property
    def is_inside(self) -> bool:
        return self.visit is not None and not self.is_gone

    @property
    def is_waiting(self) -> bool:
        return self.visit is None and not self.is_gone


@dataclass
class Bed:
    """An admission with time that is moved, and everybody who asked."""

    watch: Watch
    admission: Admission
    works: list[Work] = field(default_factory=list)
    tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)

    def ask(self, name: str) -> Work:
        work = Work(name, self.admission)
        self.works.append(work)
        self.tasks[id(work)] = asyncio.get_running_loop().create_task(work())
        return work

    async def settle(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)

    async def asked(self, count: int) -> list[Work]:
        works = [self.ask(f"c-{number}") for number in range(count)]
        await self.settle()
        return works

    async def fail(self, *works: Work) -> None:
        """Each fails and ends, one after the other."""
        for work in works:
            assert work.visit is not None
            work.visit.failed()
            await self.leave(work)

    async def leave(self, work: Work) -> None:
        work.leaves.set()
        await self.settle()

    @property
    def inside(self) -> list[Work]:
        return [work for work in self.works if work.is_inside]

    @property
    def waiting(self) -> list[Work]:
        return [work for work in self.works if work.is_waiting]


def bed(at_once: int = AT_ONCE, chance: Callable[[], float] = lambda: 1.0) -> Bed:
    watch = Watch()
    return Bed(watch, Admission(at_once, monotonic=watch, chance=chance, first_pause=FIRST, longest_pause=LONGEST))


async def away(one: Bed) -> None:
    """Two different ones fail, and nobody is left."""
    await one.fail(*await one.asked(2))
    assert one.admission.is_away


async def test_a_process_that_is_answered_begins_as_many_as_it_has_room_for() -> None:
    one = bed()
    works = await one.asked(AT_ONCE + 3)
    assert [work.is_inside for work in works] == [True] * AT_ONCE + [False] * 3
    await one.leave(works[0])
    assert [work.is_waiting for work in works[AT_ONCE:]] == [False, True, True]


async def test_when_all_fail_nothing_begins_and_who_waits_is_sent_away() -> None:
    one = bed()
    works = await one.asked(AT_ONCE + 5)
    await one.fail(*works[: AT_ONCE // 2 + 1])
    assert one.admission.is_away
    assert [work.is_refused for work in works[AT_ONCE:]] == [True] * 5
    late = one.ask("late")
    await one.settle()
    assert late.is_refused


async def test_each_failed_probe_doubles_the_pause_up_to_the_longest() -> None:
    one = bed()
    await away(one)
    pauses = []
    for _ in range(7):
        pauses.append(one.admission.pause_left / timedelta(seconds=1))
        one.watch.seconds += pauses[-1]
        probe, other = one.ask("probe"), one.ask("other")
        await one.settle()
        assert probe.is_inside
        assert other.is_refused
        await one.fail(probe)
    assert pauses == [0.25, 0.5, 1, 2, 4, 4, 4]


async def test_chance_spreads_the_pauses_between_half_and_whole() -> None:
    one = bed(chance=lambda: 0.0)
    await away(one)
    assert one.admission.pause_left == FIRST / 2


async def test_an_answer_ends_the_pause_and_room_grows_with_every_further_one() -> None:
    one = bed()
    await away(one)
    one.watch.seconds += LONGEST.total_seconds()
    probe = one.ask("probe")
    await one.settle()
    assert probe.visit is not None
    probe.visit.answered()
    assert not one.admission.is_away
    works = await one.asked(4)
    assert [work.is_inside for work in works] == [True, False, False, False]
    assert works[0].visit is not None
    works[0].visit.answered()
    await one.settle()
    assert [work.is_inside for work in works] == [True, True, False, False]


async def test_a_pause_that_comes_soon_after_one_is_as_long() -> None:
    """A store that answers looks and refuses writes is not an outage that is over."""
    one = bed()
    await away(one)
    for expected in (0.5, 1, 2, 4, 4):
        one.watch.seconds += LONGEST.total_seconds()
        probe = one.ask("probe")
        await one.settle()
        await one.fail(probe)
        assert one.admission.pause_left == timedelta(seconds=expected)
        one.watch.seconds += LONGEST.total_seconds()
        with one.admission.look() as visit:
            assert visit is not None
            visit.answered()
        for number in range(2):
            work = one.ask(f"again-{number}")
            await one.settle()
            await one.fail(work)
        assert one.admission.pause_left == timedelta(seconds=expected)


async def test_failures_of_one_round_halve_the_room_once() -> None:
    one = bed(at_once=40)
    works = await one.asked(40)
    for failing, answering in zip(works[:5], works[30:], strict=False):
        await one.fail(failing)
        assert answering.visit is not None
        answering.visit.answered()
    assert one.admission.room == 20 + 5
    later = one.ask("later")
    for work in works[5:20]:
        await one.leave(work)
    assert later.is_inside
    await one.fail(later)
    assert one.admission.room == (40 - 20 + 1) // 2


async def test_a_slow_answer_is_worth_one_in_a_round() -> None:
    one = bed(at_once=40)
    (work,) = await one.asked(1)
    await one.fail(work)
    assert one.admission.room == LEAST_ROOM
    for number in range(LEAST_ROOM):
        slow = one.ask(f"slow-{number}")
        await one.settle()
        one.watch.seconds += 2
        assert slow.visit is not None
        slow.visit.answered()
        slow.visit.answered()
        await one.leave(slow)
    assert LEAST_ROOM < one.admission._room <= LEAST_ROOM + 1


async def test_as_many_wait_as_there_is_room() -> None:
    one = bed()
    works = await one.asked(2 * AT_ONCE + 3)
    assert [work.is_refused for work in works] == [False] * 2 * AT_ONCE + [True] * 3


async def test_a_conversation_that_fails_again_and_again_slows_down_nobody_else() -> None:
    one = bed(at_once=40)
    for number in range(20):
        (work,) = await one.asked(1)
        await one.fail(work)
        assert one.admission.failures(ConversationId("c-0")) == number + 1
        assert one.admission.room >= LEAST_ROOM
        other = one.ask(f"other-{number}")
        await one.settle()
        assert other.visit is not None
        other.visit.answered()
        await one.leave(other)
        assert not one.admission.is_away


async def test_a_conversation_that_was_worked_on_has_not_failed() -> None:
    one = bed()
    (work,) = await one.asked(1)
    await one.fail(work)
    (again,) = await one.asked(1)
    assert again.visit is not None
    again.visit.answered()
    assert one.admission.failures(ConversationId("c-0")) == 1, "it may still fail at its end"
    await one.leave(again)
    assert one.admission.failures(ConversationId("c-0")) == 0


async def test_a_sweep_that_fails_twice_is_an_outage_and_the_next_one_a_probe() -> None:
    one = bed()
    for _ in range(2):
        with one.admission.look() as visit:
            assert visit is not None
            visit.failed()
    assert one.admission.is_away
    with one.admission.look() as visit:
        assert visit is None
    one.watch.seconds += LONGEST.total_seconds()
    with one.admission.look() as probe, one.admission.look() as second:
        assert probe is not None
        assert second is None
        probe.answered()
    assert not one.admission.is_away
    assert one.admission.room == 1


async def test_a_probe_that_ends_without_a_word_makes_way_for_another() -> None:
    one = bed()
    await away(one)
    one.watch.seconds += LONGEST.total_seconds()
    for _ in range(3):
        probe = one.ask("probe")
        await one.settle()
        assert probe.is_inside
        one.tasks[id(probe)].cancel()
        await one.settle()


async def test_who_is_stopped_in_the_moment_of_being_let_in_gives_the_room_back() -> None:
    one = bed(at_once=1)
    first, second = await one.asked(2)
    first.leaves.set()
    await asyncio.sleep(0)
    one.tasks[id(second)].cancel()
    await one.settle()
    assert second.visit is None
    third = one.ask("third")
    await one.settle()
    assert third.is_inside


class Admitting(RuleBasedStateMachine):
    """Work that begins, is answered, fails, gives up and ends in any order."""

    @initialize(seed=st.integers(0, 100))
    def begin(self, seed: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.bed = bed(chance=random.Random(seed).random)
        self.probes: list[Work] = []

    def settle(self) -> None:
        self.loop.run_until_complete(self.bed.settle())

    @rule(name=st.sampled_from([f"c-{number}" for number in range(30)]), times=st.integers(1, 6))
    def ask(self, name: str, times: int) -> None:
        admission = self.bed.admission
        was_away, may_probe = admission.is_away, admission.is_away and not admission.pause_left

        async def ask() -> list[Work]:
            works = [self.bed.ask(f"{name}-{number}") for number in range(times)]
            await self.bed.settle()
            return works

        probing = [work for work in self.probes if work.is_inside and work.visit and not work.visit.has_failed]
        works = self.loop.run_until_complete(ask())
        if was_away:
            begun = [work for work in works if work.is_inside]
            assert all(work.is_inside or work.is_refused for work in works), "nobody waits in an outage"
            assert len(begun) == (1 if may_probe and not probing else 0)
            self.probes += begun

    @precondition(lambda self: self.bed.inside)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        work = data.draw(st.sampled_from(self.bed.inside))
        assert work.visit is not None
        before, was_away = self.bed.admission.room, self.bed.admission.is_away
        work.visit.answered()
        self.settle()
        self.probes.clear()
        assert not self.bed.admission.is_away
        assert was_away or before <= self.bed.admission.room <= before + 1

    @precondition(lambda self: self.bed.inside)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        work = data.draw(st.sampled_from(self.bed.inside))
        before, was_away = self.bed.admission.room, self.bed.admission.is_away
        self.loop.run_until_complete(self.bed.fail(work))
        after = self.bed.admission
        assert after.is_away or not was_away, "no failure ends an outage"
        assert after.room <= before
        if after.is_away and not was_away:
            assert not self.bed.waiting
            assert FIRST / 2 <= after.pause_left <= LONGEST

    @precondition(lambda self: self.bed.inside)
    @rule(data=st.data())
    def end_without_a_word(self, data: st.DataObject) -> None:
        self.loop.run_until_complete(self.bed.leave(data.draw(st.sampled_from(self.bed.inside))))

    @precondition(lambda self: self.bed.waiting or self.bed.inside)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        work = data.draw(st.sampled_from([*self.bed.waiting, *self.bed.inside]))
        self.bed.tasks[id(work)].cancel()
        self.settle()
        assert work.is_gone

    @precondition(lambda self: self.bed.inside and self.bed.waiting)
    @rule(data=st.data())
    def stop_in_the_moment_of_being_let_in(self, data: st.DataObject) -> None:
        first = self.bed.waiting[0]
        data.draw(st.sampled_from(self.bed.inside)).leaves.set()

        async def both() -> None:
            self.bed.tasks[id(first)].cancel()
            await self.bed.settle()

        self.loop.run_until_complete(both())
        assert first.is_gone

    @rule(outcome=st.sampled_from(["answered", "failed", "nothing"]))
    def sweep(self, outcome: str) -> None:
        with self.bed.admission.look() as visit:
            if visit is not None and outcome == "answered":
                visit.answered()
                self.probes.clear()
            elif visit is not None and outcome == "failed":
                visit.failed()
        self.settle()

    @rule(ms=st.integers(1, 5_000))
    def time_passes(self, ms: int) -> None:
        self.bed.watch.seconds += ms / 1000

    @invariant()
    def room_is_bounded_and_so_is_the_pause(self) -> None:
        assert 1 <= self.bed.admission.room <= AT_ONCE
        assert len(self.bed.inside) <= AT_ONCE
        assert self.bed.admission.pause_left <= LONGEST

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        if self.bed.waiting:
            assert not self.bed.admission.is_away
            assert len(self.bed.inside) >= self.bed.admission.room

    def teardown(self) -> None:
        self.bed.watch.seconds += LONGEST.total_seconds()
        while self.bed.inside or self.bed.waiting:
            assert self.bed.inside, "nobody waits for ever"
            work = self.bed.inside[0]
            assert work.visit is not None
            work.visit.answered()
            self.loop.run_until_complete(self.bed.leave(work))
        for _ in range(AT_ONCE):
            with self.bed.admission.look() as visit:
                assert visit is not None
                visit.answered()
        assert self.bed.admission.room == AT_ONCE
        works = self.loop.run_until_complete(self.bed.asked(AT_ONCE))
        assert all(work.is_inside for work in works), "the room is the whole one again"
        for work in works:
            self.loop.run_until_complete(self.bed.leave(work))
        self.loop.close()


TestAdmitting = Admitting.TestCase
TestAdmitting.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
