"""How many conversations a process begins: as many as inbox and store answer for, and one probe while they are away."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts.backoff import Backoff
from contracts.values import ConversationId
from worker.scheduling.limiter import LEAST_LIMIT, Attempt, Limiter

AT_ONCE = 12
FIRST, LONGEST = timedelta(milliseconds=250), timedelta(seconds=4)


class Watch:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@dataclass(eq=False)
class Work:
    """One conversation that wants to be worked on: waiting, refused, inside with its attempt, or gone."""

    name: str
    limiter: Limiter
    leaves: asyncio.Event = field(default_factory=asyncio.Event)
    attempt: Attempt | None = None
    is_refused: bool = False
    is_gone: bool = False

    async def __call__(self) -> None:
        try:
            async with self.limiter.conversation(ConversationId(self.name)) as attempt:
                if attempt is None:
                    self.is_refused = True
                    return
                self.attempt = attempt
                await self.leaves.wait()
        finally:
            self.is_gone = True

    @property
    def is_inside(self) -> bool:
        return self.attempt is not None and not self.is_gone

    @property
    def is_waiting(self) -> bool:
        return self.attempt is None and not self.is_gone


@dataclass
class Bed:
    """An limiter with time that is moved, and everybody who asked."""

    watch: Watch
    limiter: Limiter
    works: list[Work] = field(default_factory=list)
    tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)

    def ask(self, name: str) -> Work:
        work = Work(name, self.limiter)
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
            assert work.attempt is not None
            work.attempt.failed()
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
    return Bed(watch, Limiter(at_once, monotonic=watch, chance=chance, backoff=Backoff(FIRST, LONGEST)))


async def away(one: Bed) -> None:
    """Two different ones fail, and nobody is left."""
    await one.fail(*await one.asked(2))
    assert one.limiter.in_outage


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
    assert one.limiter.in_outage
    assert [work.is_refused for work in works[AT_ONCE:]] == [True] * 5
    late = one.ask("late")
    await one.settle()
    assert late.is_refused


async def test_each_failed_probe_doubles_the_pause_up_to_the_longest() -> None:
    one = bed()
    await away(one)
    pauses = []
    for _ in range(7):
        pauses.append(one.limiter.pause_left / timedelta(seconds=1))
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
    assert one.limiter.pause_left == FIRST / 2


async def test_an_answer_ends_the_pause_and_room_grows_with_every_further_one() -> None:
    one = bed()
    await away(one)
    one.watch.seconds += LONGEST.total_seconds()
    probe = one.ask("probe")
    await one.settle()
    assert probe.attempt is not None
    probe.attempt.answered()
    assert not one.limiter.in_outage
    works = await one.asked(4)
    assert [work.is_inside for work in works] == [True, False, False, False]
    assert works[0].attempt is not None
    works[0].attempt.answered()
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
        assert one.limiter.pause_left == timedelta(seconds=expected)
        one.watch.seconds += LONGEST.total_seconds()
        with one.limiter.probe() as attempt:
            assert attempt is not None
            attempt.answered()
        for number in range(2):
            work = one.ask(f"again-{number}")
            await one.settle()
            await one.fail(work)
        assert one.limiter.pause_left == timedelta(seconds=expected)


async def test_failures_of_one_round_halve_the_room_once() -> None:
    one = bed(at_once=40)
    works = await one.asked(40)
    for failing, answering in zip(works[:5], works[30:], strict=False):
        await one.fail(failing)
        assert answering.attempt is not None
        answering.attempt.answered()
    assert one.limiter.limit == 20 + 5
    later = one.ask("later")
    for work in works[5:20]:
        await one.leave(work)
    assert later.is_inside
    await one.fail(later)
    assert one.limiter.limit == (40 - 20 + 1) // 2


async def test_a_slow_answer_is_worth_one_in_a_round() -> None:
    one = bed(at_once=40)
    (work,) = await one.asked(1)
    await one.fail(work)
    assert one.limiter.limit == LEAST_LIMIT
    for number in range(LEAST_LIMIT):
        slow = one.ask(f"slow-{number}")
        await one.settle()
        one.watch.seconds += 2
        assert slow.attempt is not None
        slow.attempt.answered()
        slow.attempt.answered()
        await one.leave(slow)
    assert LEAST_LIMIT < one.limiter._limit <= LEAST_LIMIT + 1


async def test_as_many_wait_as_there_is_room() -> None:
    one = bed()
    works = await one.asked(2 * AT_ONCE + 3)
    assert [work.is_refused for work in works] == [False] * 2 * AT_ONCE + [True] * 3


async def test_a_conversation_that_fails_again_and_again_slows_down_nobody_else() -> None:
    one = bed(at_once=40)
    for number in range(20):
        (work,) = await one.asked(1)
        await one.fail(work)
        assert one.limiter.failures(ConversationId("c-0")) == number + 1
        assert one.limiter.limit >= LEAST_LIMIT
        other = one.ask(f"other-{number}")
        await one.settle()
        assert other.attempt is not None
        other.attempt.answered()
        await one.leave(other)
        assert not one.limiter.in_outage


async def test_a_conversation_that_was_worked_on_has_not_failed() -> None:
    one = bed()
    (work,) = await one.asked(1)
    await one.fail(work)
    (again,) = await one.asked(1)
    assert again.attempt is not None
    again.attempt.answered()
    assert one.limiter.failures(ConversationId("c-0")) == 1, "it may still fail at its end"
    await one.leave(again)
    assert one.limiter.failures(ConversationId("c-0")) == 0


async def test_a_sweep_that_fails_twice_is_an_outage_and_the_next_one_a_probe() -> None:
    one = bed()
    for _ in range(2):
        with one.limiter.probe() as attempt:
            assert attempt is not None
            attempt.failed()
    assert one.limiter.in_outage
    with one.limiter.probe() as attempt:
        assert attempt is None
    one.watch.seconds += LONGEST.total_seconds()
    with one.limiter.probe() as probe, one.limiter.probe() as second:
        assert probe is not None
        assert second is None
        probe.answered()
    assert not one.limiter.in_outage
    assert one.limiter.limit == 1


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
    assert second.attempt is None
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
        limiter = self.bed.limiter
        was_away, may_probe = limiter.in_outage, limiter.in_outage and not limiter.pause_left

        async def ask() -> list[Work]:
            works = [self.bed.ask(f"{name}-{number}") for number in range(times)]
            await self.bed.settle()
            return works

        probing = [work for work in self.probes if work.is_inside and work.attempt and not work.attempt.has_failed]
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
        assert work.attempt is not None
        before, was_away = self.bed.limiter.limit, self.bed.limiter.in_outage
        work.attempt.answered()
        self.settle()
        self.probes.clear()
        assert not self.bed.limiter.in_outage
        assert was_away or before <= self.bed.limiter.limit <= before + 1

    @precondition(lambda self: self.bed.inside)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        work = data.draw(st.sampled_from(self.bed.inside))
        before, was_away = self.bed.limiter.limit, self.bed.limiter.in_outage
        self.loop.run_until_complete(self.bed.fail(work))
        after = self.bed.limiter
        assert after.in_outage or not was_away, "no failure ends an outage"
        assert after.limit <= before
        if after.in_outage and not was_away:
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
        with self.bed.limiter.probe() as attempt:
            if attempt is not None and outcome == "answered":
                attempt.answered()
                self.probes.clear()
            elif attempt is not None and outcome == "failed":
                attempt.failed()
        self.settle()

    @rule(ms=st.integers(1, 5_000))
    def time_passes(self, ms: int) -> None:
        self.bed.watch.seconds += ms / 1000

    @invariant()
    def room_is_bounded_and_so_is_the_pause(self) -> None:
        assert 1 <= self.bed.limiter.limit <= AT_ONCE
        assert len(self.bed.inside) <= AT_ONCE
        assert self.bed.limiter.pause_left <= LONGEST

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        if self.bed.waiting:
            assert not self.bed.limiter.in_outage
            assert len(self.bed.inside) >= self.bed.limiter.limit

    def teardown(self) -> None:
        self.bed.watch.seconds += LONGEST.total_seconds()
        while self.bed.inside or self.bed.waiting:
            assert self.bed.inside, "nobody waits for ever"
            work = self.bed.inside[0]
            assert work.attempt is not None
            work.attempt.answered()
            self.loop.run_until_complete(self.bed.leave(work))
        for _ in range(AT_ONCE):
            with self.bed.limiter.probe() as attempt:
                assert attempt is not None
                attempt.answered()
        assert self.bed.limiter.limit == AT_ONCE
        works = self.loop.run_until_complete(self.bed.asked(AT_ONCE))
        assert all(work.is_inside for work in works), "the room is the whole one again"
        for work in works:
            self.loop.run_until_complete(self.bed.leave(work))
        self.loop.close()


TestAdmitting = Admitting.TestCase
TestAdmitting.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
