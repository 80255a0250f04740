"""What a whole process asks of a store that is away, and what it does when it is back."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from contracts.delivery import InboxEntry, Lease
from contracts.errors import InboxUnavailableError, StoreUnavailableError
from contracts.ports import Inbox, ModelRequest, Store
from contracts.values import ConversationId
from tests.builders import (
    REPOSITORIES,
    EngineBed,
    agreeable,
    conversation_id,
    engine_bed,
    inbound,
    memory_inbox,
    memory_store,
)
from tests.scripted import ScriptedModel
from worker.dependencies import DrainLimits
from worker.drain import drain
from worker.scheduling.keyed_queue import EmbeddedQueue
from worker.sweeper import sweep_forever

PEOPLE = 300
AT_ONCE = 60
PATIENCE_SECONDS = 120


@dataclass
class Failing:
    """A port whose calls are counted by what they came to; while it is down, or of one conversation, they fail."""

    inner: Any
    error: Exception
    is_down: bool = False
    fails_for: ConversationId | None = None
    failed: Counter[str] = field(default_factory=Counter)
    attempts: list[int] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        return FailingRepository(method, self) if name in REPOSITORIES else self.calling(name, method)

    def calling(self, name: str, method: Any) -> Any:
        async def call(*given: Any, **named: Any) -> Any:
            about = {getattr(one, "conversation_id", one) for one in given if isinstance(one, str | Lease)}
            if self.is_down or self.fails_for in about:
                self.failed[name] += 1
                await asyncio.sleep(0)
                raise self.error
            return await method(*given, **named)

        return call

    async def take(self, lease: Lease, *, isolate_after: int) -> list[InboxEntry]:
        entries: list[InboxEntry] = await self.__getattr__("take")(lease, isolate_after=isolate_after)
        self.attempts += [entry.attempts for entry in entries]
        return entries


@dataclass
class FailingRepository:
    inner: Any
    store: "Failing"

    def __getattr__(self, name: str) -> Any:
        return self.store.calling(name, getattr(self.inner, name))


class SystemTime:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class Process:
    """A worker in this process, with its queue and its sweeper, over backends that can fail."""

    bed: EngineBed
    inbox: Failing
    store: Failing
    queue: EmbeddedQueue

    def set_down(self, is_down: bool) -> None:
        self.inbox.is_down = self.store.is_down = is_down

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not what():  # noqa: ASYNC110 - a backend offers no event for what is looked for
                await asyncio.sleep(0.005)

    @property
    def calls(self) -> Counter[str]:
        return self.inbox.failed + self.store.failed


@asynccontextmanager
async def process(model: ScriptedModel | None = None, *, at_once: int = AT_ONCE) -> AsyncIterator[Process]:
    inbox = Failing(memory_inbox(), InboxUnavailableError("down"))
    store = Failing(memory_store(), StoreUnavailableError("down"))
    typed_inbox: Inbox = inbox  # type: ignore[assignment]
    typed_store: Store = store  # type: ignore[assignment]
    clock: Any = SystemTime()
    bed = engine_bed(typed_inbox, typed_store, model=model, clock=clock, limits=DrainLimits(at_once=at_once))
    queue = EmbeddedQueue(partial(drain, deps=bed.engine.drain), at_once=at_once)
    sweeping = asyncio.create_task(sweep_forever(queue, bed.engine.sweep))
    try:
        yield Process(bed, inbox, store, queue)
    finally:
        sweeping.cancel()
        await queue.close(grace_seconds=0)


def people(count: int = PEOPLE) -> list[str]:
    return [f"c-{number}" for number in range(count)]


async def all_answered(one: Process, names: list[str]) -> None:
    await one.until(lambda: len(one.bed.channel.accepted) >= len(names))
    await one.queue.idle()
    for name in names:
        receipts = await one.bed.store.conversations.receipts(conversation_id(name))
        assert len(receipts) == 1
    assert await one.bed.inbox.depth() == 0
    assert await one.bed.store.dead_letters.letters() == []
    assert len(one.bed.channel.accepted) == len(names)


async def test_an_outage_is_asked_about_by_few_and_nobody_who_waited_is_forgotten() -> None:
    """Everybody has written and is waken up again and again, as by platforms and a queue that repeats."""
    async with process() as one:
        names = people()
        await one.bed.inbox.append([inbound(name, conversation=name, at=datetime.now(UTC)) for name in names])
        one.set_down(True)
        began = time.monotonic()
        while time.monotonic() - began < 2.5:
            for name in names:
                await one.queue.wake(conversation_id(name))
            await asyncio.sleep(0.01)
        seconds = time.monotonic() - began
        assert one.bed.engine.drain.limiter.in_outage
        # Half of those who were let in before it was known, and then one after each pause: 0.125 s, 0.25 s, 0.5 s ...
        probes = 4 + seconds / 2
        assert sum(one.calls.values()) <= AT_ONCE + 4 + probes, one.calls
        one.set_down(False)
        await all_answered(one, names)
        assert set(one.inbox.attempts) == {1}
        assert not one.bed.engine.drain.limiter.in_outage


async def test_an_outage_in_the_middle_of_the_turns_costs_no_attempt() -> None:
    thinking, goes_on = 0, asyncio.Event()

    async def slow(request: ModelRequest) -> str:
        nonlocal thinking
        thinking += 1
        await goes_on.wait()
        return await agreeable(request)

    async with process(ScriptedModel(slow), at_once=PEOPLE) as one:
        names = people()
        await one.bed.inbox.append([inbound(name, conversation=name, at=datetime.now(UTC)) for name in names])
        await one.until(lambda: thinking == PEOPLE)
        one.set_down(True)
        goes_on.set()
        await one.until(lambda: len(one.bed.engine.drain.refunds.conversations) == PEOPLE)
        # Each fails once and gives back once what it cannot give back; nobody asks for his attempt.
        assert one.calls["abandon"] == PEOPLE
        assert one.calls["refund_attempts"] == one.calls["take"] == 0
        one.set_down(False)
        await all_answered(one, names)
        assert set(one.inbox.attempts) == {1}
        assert one.bed.engine.drain.refunds.conversations == []


async def test_the_next_drain_takes_the_attempt_back_before_it_counts_its_own() -> None:
    inbox, store = (
        Failing(memory_inbox(), InboxUnavailableError("down")),
        Failing(memory_store(), StoreUnavailableError("down")),
    )

    async def cut_off(request: ModelRequest) -> str:
        inbox.is_down = store.is_down = True
        return await agreeable(request)

    name = conversation_id()
    broken = engine_bed(inbox, store, model=ScriptedModel(cut_off))  # type: ignore[arg-type]
    await broken.inbox.append([inbound()])
    await drain(name, broken.engine.drain)
    assert broken.engine.drain.refunds.conversations == [name]
    inbox.is_down = store.is_down = False
    broken.clock.move(timedelta(seconds=5))
    await drain(name, broken.engine.drain)
    assert inbox.attempts == [1, 1]


async def test_one_conversation_that_cannot_be_kept_holds_up_nobody() -> None:
    async with process() as one:
        bad = conversation_id("bad")
        one.store.fails_for = bad
        names = people(40)
        await one.bed.inbox.append([inbound(conversation="bad", at=datetime.now(UTC))])
        await one.until(lambda: one.store.failed.total() >= 3)
        for name in names:
            await one.bed.inbox.append([inbound(name, conversation=name, at=datetime.now(UTC))])
            await one.queue.wake(conversation_id(name))
            assert not one.bed.engine.drain.limiter.in_outage
        await one.until(lambda: len(one.bed.channel.accepted) == len(names))
        assert one.bed.engine.drain.limiter.failures(bad) >= 3
        assert [entry.attempts for entry in await one.bed.inbox.pending(bad)] == [0]


@pytest.mark.parametrize("is_away", [True, False])
async def test_a_process_that_stops_waits_for_no_pause_and_no_room(is_away: bool) -> None:
    never = asyncio.Event()

    async def silent(request: ModelRequest) -> str:
        await never.wait()
        return ""

    async with process(ScriptedModel(silent), at_once=2) as one:
        one.set_down(is_away)
        await one.bed.inbox.inner.append([inbound(conversation=name) for name in people(20)])  # type: ignore[attr-defined]
        for name in people(20):
            await one.queue.wake(conversation_id(name))
        await one.until(lambda: one.bed.engine.drain.limiter.in_outage is is_away)
        await asyncio.wait_for(one.queue.close(grace_seconds=0.01), PATIENCE_SECONDS)
        assert one.queue._drains.running == []
