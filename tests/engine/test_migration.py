"""Conversations that move between stores while they go on: nothing lost, nothing answered in two places."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.memory.events import MemoryEvents
from adapters.redis.inbox import RedisInbox
from adapters.redis.store import RedisStore
from contracts.conversation import RESTORING
from contracts.delivery import Arrival
from contracts.errors import ConversationMovedError, StoreUnavailableError
from contracts.messages import DeliveryState
from contracts.paging import all_conversations, thread_of
from fsm.machine import migrate
from tests.adapters.redis_server import redis_server
from tests.builders import (
    BACKENDS,
    START,
    CrashError,
    EngineBed,
    SteppingClock,
    arrivals_of,
    conversation_id,
    engine_bed,
    inbound,
    open_backend,
)
from worker.analyses.processing import analyse
from worker.backends import Backend
from worker.drain import drain
from worker.migration.conversations import Migration, Moved, Place, archive_of
from worker.sweeper import sweep

C1 = conversation_id()


@dataclass
class Two:
    """An engine on each of two backends, and the way between them."""

    here: EngineBed
    there: EngineBed

    def migration(self, *, back: bool = False) -> Migration:
        first, second = (self.there, self.here) if back else (self.here, self.there)
        return Migration(_place("first", first), _place("second", second), shares_inbox=False)


def _place(name: str, bed: EngineBed) -> Place:
    return Place(name, Backend(bed.inbox, bed.store, MemoryEvents()))


@pytest.fixture(params=BACKENDS)
async def two(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Two]:
    clock = SteppingClock()
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(open_backend("memory", tmp_path))
        there = await stack.enter_async_context(open_backend(request.param, tmp_path))
        yield Two(engine_bed(*here, clock=clock), engine_bed(*there, clock=clock))


class Draining:
    def __init__(self, bed: EngineBed) -> None:
        self.bed = bed

    async def wake(self, woken: object) -> None:
        await drain(woken, self.bed.engine.drain)  # type: ignore[arg-type]

    async def analyse(self, key: str) -> None:
        await analyse(key, self.bed.engine.analyses)


async def say(bed: EngineBed, *texts: str) -> None:
    await bed.inbox.append([inbound(text, at=bed.clock.now()) for text in texts])
    await drain(C1, bed.engine.drain)


async def texts_of(bed: EngineBed) -> list[str]:
    return [receipt.message.text for receipt in await bed.store.conversations.receipts(C1)]


async def sent_from_there_alone(two: Two) -> None:
    """Some minutes later one reply has left, and not from here."""
    for bed in (two.here, two.there):
        bed.clock.move(timedelta(minutes=5))
        await sweep(Draining(bed), bed.engine.sweep)
    assert len(two.here.channel.accepted) == 0
    assert len(two.there.channel.accepted) == 1


async def test_a_copy_is_the_same_and_is_not_made_twice(two: Two) -> None:
    await say(two.here, "um")
    migration = two.migration()
    assert await migration.copy(C1) is Moved.COPIED
    assert await archive_of(C1, two.there.store) == await archive_of(C1, two.here.store)
    assert await migration.copy(C1) is Moved.UNCHANGED
    await say(two.here, "dois")
    assert await migration.copy(C1) is Moved.COPIED
    assert await texts_of(two.there) == ["um", "dois"]


async def test_after_the_cut_over_the_conversation_goes_on_there_and_nothing_is_answered_here(two: Two) -> None:
    await say(two.here, "um")
    await two.here.inbox.append([inbound("dois")])
    assert await two.migration().cut_over(C1) is Moved.CUT_OVER
    await two.here.inbox.append([inbound("três")])
    await drain(C1, two.here.engine.drain)
    assert await texts_of(two.here) == ["um"]
    await drain(C1, two.there.engine.drain)
    assert await two.migration().cut_over(C1) is Moved.AHEAD, "it has gone on there"
    await drain(C1, two.there.engine.drain)
    assert await texts_of(two.there) == ["um", "dois", "três"]
    assert await two.here.inbox.depth() == 0
    head = await two.here.store.conversations.load(C1)
    assert head
    with pytest.raises(ConversationMovedError):
        migrate(head)


async def test_a_platform_s_repetition_is_recognised_after_the_move(two: Two) -> None:
    message = inbound("um")
    await two.here.inbox.append([message])
    await drain(C1, two.here.engine.drain)
    await two.migration().cut_over(C1)
    assert arrivals_of(await two.there.inbox.append([message])) == [Arrival.DUPLICATE_DONE]
    await say(two.there, "dois")
    assert await texts_of(two.there) == ["um", "dois"]


async def test_a_draft_that_was_being_written_is_dropped_by_the_cut_over(two: Two) -> None:
    """The worker here has the message in its hands when the conversation goes: only there it is answered."""
    await say(two.here, "um")

    async def cut_over() -> None:
        await two.migration().cut_over(C1)

    two.here.faults.pausing["turn.before_commit"] = cut_over
    await say(two.here, "dois")
    assert await texts_of(two.here) == ["um"]
    for _ in range(6):
        two.here.clock.move(timedelta(seconds=30))
        await sweep(Draining(two.here), two.here.engine.sweep)
    assert await two.here.store.dead_letters.letters() == []
    await two.migration().move_messages(C1)
    await drain(C1, two.there.engine.drain)
    assert await texts_of(two.there) == ["um", "dois"]


async def test_a_reply_that_was_not_sent_is_sent_from_there_only(two: Two) -> None:
    two.here.faults.armed = "turn.committed"
    with pytest.raises((CrashError, BaseExceptionGroup)):
        await say(two.here, "um")
    assert await two.migration().cut_over(C1) is Moved.CUT_OVER
    await sent_from_there_alone(two)
    (row,) = await two.here.store.outbox.rows(C1)
    assert (row.state, row.error_code) == (DeliveryState.FAILED, "moved")


async def test_a_cut_over_that_is_done_twice_sends_what_was_not_sent_once(two: Two) -> None:
    """The second run finds the reply withdrawn at its source, which says nothing of the one at the target."""
    two.here.faults.armed = "turn.committed"
    with pytest.raises((CrashError, BaseExceptionGroup)):
        await say(two.here, "um")
    for _ in range(2):
        assert await two.migration().cut_over(C1) is Moved.CUT_OVER
    await sent_from_there_alone(two)
    assert await two.here.store.outbox.to_escalate(limit=10) == []


async def test_the_way_back_carries_what_was_said_meanwhile(two: Two) -> None:
    await say(two.here, "um")
    await two.migration().cut_over(C1)
    await say(two.there, "dois")
    assert await two.migration(back=True).cut_over(C1) is Moved.CUT_OVER
    await say(two.here, "três")
    assert await texts_of(two.here) == ["um", "dois", "três"]
    await say(two.there, "quatro")
    assert await texts_of(two.there) == ["um", "dois"]


async def test_a_cut_over_that_was_interrupted_is_taken_up(two: Two) -> None:
    await say(two.here, "um")
    migration = two.migration()
    await migration._seal(C1)
    await two.here.inbox.append([inbound("dois")])
    assert await migration.cut_over(C1) is Moved.CUT_OVER
    await drain(C1, two.there.engine.drain)
    assert await texts_of(two.there) == ["um", "dois"]


async def test_a_target_that_fills_up_in_the_middle_is_nowhere_ahead(tmp_path: Path) -> None:
    clock = SteppingClock()
    with redis_server(tmp_path) as server:
        database = server.open()
        here, there = open_backend("memory", tmp_path), (RedisInbox(database), RedisStore(database))
        async with here as first:
            two = Two(engine_bed(*first, clock=clock), engine_bed(*there, clock=clock))
            await say(two.here, "um")
            whole = await archive_of(C1, two.here.store)
            assert whole
            said = whole.utterances[0].model_copy(update={"text": "x" * 10_000})
            await two.here.store.conversations.restore(whole.model_copy(update={"utterances": (said,) * 2_000}))
            used = int((await database.command("INFO", "memory")).split(b"used_memory:")[1].split()[0])
            await database.command("CONFIG", "SET", "maxmemory", str(used + 10_000_000))
            with pytest.raises(StoreUnavailableError):
                await two.migration().cut_over(C1)
            head = await two.there.store.conversations.load(C1)
            assert head
            assert head.moved_to == RESTORING
            assert await two.migration(back=True).cut_over(C1) is Moved.AHEAD, "half of it is not carried back"
            await database.command("CONFIG", "SET", "maxmemory", "0")
            assert await two.migration().cut_over(C1) is Moved.CUT_OVER
            await say(two.there, "dois")
            assert await texts_of(two.there) == ["um", "dois"]
            assert len(await two.there.store.conversations.transcript(C1)) > 2_000
        await database.close()


async def test_every_conversation_is_found_also_when_many_share_a_moment(two: Two) -> None:
    names = [f"c-{number}" for number in range(1_200)]
    for name in names[:600]:
        await two.here.inbox.append([inbound(conversation=name, at=START)])
        await drain(conversation_id(name), two.here.engine.drain)
    two.here.clock.move(timedelta(seconds=1))
    for name in names[600:]:
        await two.here.inbox.append([inbound(conversation=name, at=START)])
        await drain(conversation_id(name), two.here.engine.drain)
    found = [one.id async for one in all_conversations(two.here.store.conversations)]
    assert sorted(found) == sorted(conversation_id(name) for name in names)


async def test_a_thread_moves_with_what_was_joined_into_it(two: Two) -> None:
    await say(two.here, "um")
    other = conversation_id("c-2")
    await two.here.inbox.append([inbound("dois", conversation="c-2", at=two.here.clock.now())])
    await drain(other, two.here.engine.drain)
    head = await two.here.engine.turn.threads.merge(C1, other, by="agent")
    joined = next(iter({C1, other} - {head.id}))
    assert await two.migration().cut_over(head.id) is Moved.CUT_OVER
    assert (await thread_of(joined, two.there.store.conversations)).id == head.id
    (appended,) = await two.there.inbox.append([inbound("três", conversation=joined.partition(":")[2])])
    assert appended.conversation_id == head.id
    assert (await two.there.engine.turn.threads.part(joined)).turns == 1
