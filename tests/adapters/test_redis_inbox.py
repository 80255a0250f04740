"""The inbox in Redis: in every history as the one in memory, through restarts and losses; nothing is kept for ever."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from adapters.redis.database import RedisDatabase
from adapters.redis.inbox import RedisInbox
from adapters.sqlite.inbox import SqliteInbox
from contracts.delivery import Arrival, InboxEntry, Lease
from contracts.errors import InboxUnavailableError, LeaseLostError
from contracts.messages import InboundMessage
from contracts.ports import Inbox
from contracts.values import ConversationId
from tests.adapters.redis_server import redis_server
from tests.builders import PATIENCE, START, arrivals_of, conversation_id, inbound, open_redis, sqlite_database
from tests.real_services import redis_url

C1 = conversation_id("c-1")
TTL = timedelta(seconds=1.5)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def redis() -> AsyncIterator[RedisDatabase]:
    async with open_redis() as redis:
        yield redis


@pytest.fixture
def inbox(redis: RedisDatabase) -> RedisInbox:
    return RedisInbox(redis)


async def claimed(inbox: Inbox, at: datetime = START) -> Lease:
    lease = await inbox.claim(C1, ttl=TTL, at=at)
    assert lease
    return lease


async def answer_all(inbox: Inbox, at: datetime = START) -> list[int]:
    """What a drain does: returns the sequences it answered."""
    lease = await claimed(inbox, at)
    sequences = [entry.sequence for entry in await inbox.take(lease, isolate_after=2)]
    await inbox.remove(C1, sequences)
    assert await inbox.release(lease)
    return sequences


async def keys_without_end(redis: RedisDatabase) -> set[str]:
    keys = await redis.command("KEYS", "*")
    return {key.decode() for key in keys if await redis.command("PTTL", key) == -1}


async def test_two_hundred_appends_at_once_share_their_flushes(redis: RedisDatabase, inbox: RedisInbox) -> None:
    before = redis.flushes
    await asyncio.gather(*(inbox.append([inbound(conversation=f"c-{number}")]) for number in range(200)))
    assert redis.flushes - before == 1
    assert await inbox.depth() == 200


async def test_thousands_of_messages_of_one_append_are_one_round_trip(redis: RedisDatabase, inbox: RedisInbox) -> None:
    messages = [inbound(conversation=f"c-{number % 100}") for number in range(5_000)]
    before = redis.flushes
    assert set(arrivals_of(await inbox.append(messages))) == {Arrival.ACCEPTED}
    assert redis.flushes - before == 1
    assert await inbox.depth() == 5_000


async def test_nothing_of_an_answered_message_stays_for_ever(redis: RedisDatabase, inbox: RedisInbox) -> None:
    for number in range(20):
        await inbox.append([inbound(conversation=f"c-{number}")])
    await inbox.append([inbound()])
    assert f"prosa:inbox:head:{C1}" in await keys_without_end(redis)
    await answer_all(inbox)
    for number in range(20):
        await inbox.forget(conversation_id(f"c-{number}"))
    assert await keys_without_end(redis) == {"prosa:inbox:depth"}
    # A claim for the outbox alone, whose worker dies.
    await inbox.claim(C1, ttl=TTL, at=START + SECOND)
    assert await keys_without_end(redis) == {"prosa:inbox:depth"}


async def test_deduplication_keys_expire_by_themselves(redis: RedisDatabase) -> None:
    inbox = RedisInbox(redis, redelivery=timedelta(milliseconds=20))
    message = inbound()
    await inbox.append([message])
    while await redis.command("KEYS", "prosa:inbox:seen:*"):  # noqa: ASYNC110 - Redis tells nobody
        await asyncio.sleep(0.005)
    assert arrivals_of(await inbox.append([message])) == [Arrival.ACCEPTED]
    assert await inbox.prune(before=START) == 0


async def test_numbers_grow_though_everything_is_lost(redis: RedisDatabase, inbox: RedisInbox) -> None:
    """What the store has passed must not come again, or the message would count as answered."""
    await inbox.append([inbound()])
    first = await claimed(inbox)
    sequences = await answer_all(inbox, START + TTL)
    await redis.command("FLUSHALL")
    await inbox.append([inbound()])
    second = await claimed(inbox)
    assert second.token > first.token
    assert [entry.sequence for entry in await inbox.pending(C1)] > sequences
    with pytest.raises(LeaseLostError):
        await inbox.renew(first, ttl=TTL, at=START)


async def test_numbers_that_lead_the_clock_are_kept(redis: RedisDatabase) -> None:
    """The clock would not pass them before their key expired."""
    inbox = RedisInbox(redis, redelivery=timedelta(milliseconds=5))
    far = 4_000_000_000_000_000
    await inbox.advance(C1, past=far)
    await inbox.append([inbound()])
    await answer_all(inbox)
    await asyncio.sleep(0.02)
    await inbox.append([inbound()])
    assert (await inbox.pending(C1))[0].sequence == far + 2


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        redis = server.open()
        inbox = RedisInbox(redis)
        accepted: list[InboundMessage] = []

        async def deliver(number: int) -> None:
            message = inbound(id=f"m-{number}", conversation=f"c-{number % 7}")
            await inbox.append([message])
            accepted.append(message)

        deliveries = [asyncio.create_task(deliver(number)) for number in range(3_000)]
        while not accepted:  # noqa: ASYNC110 - whichever is the first
            await asyncio.sleep(0)
        server.kill()
        outcomes = await asyncio.gather(*deliveries, return_exceptions=True)
        assert all(one is None or isinstance(one, InboxUnavailableError) for one in outcomes)
        with pytest.raises(InboxUnavailableError):
            await inbox.append([inbound()])
        server.start()
        again = await inbox.append(accepted)
        assert set(arrivals_of(again)) == {Arrival.DUPLICATE_PENDING}
        # Who was refused comes again, as platforms do; what got through without an answer is recognised.
        everything = [inbound(id=f"m-{number}", conversation=f"c-{number % 7}") for number in range(3_000)]
        await inbox.append(everything)
        assert await inbox.depth() == 3_000
        assert len(await inbox.due(at=START, limit=10)) == 7
        await redis.close()


CONVERSATIONS = ("a", "b")


class TwoInboxes(RuleBasedStateMachine):
    """The same calls on the inbox in memory and on the one in Redis; their numbers differ, but mean the same."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.redis = self.run(_empty_redis())
        self.database = sqlite_database()
        self.model, self.real = SqliteInbox(self.database), RedisInbox(self.redis)
        self.at = START
        self.messages: list[InboundMessage] = []
        self.sequences: dict[tuple[ConversationId, int], int] = {}
        self.leases: list[tuple[Lease, Lease]] = []
        self.was_leased = False

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def both(self, step: Callable[[Inbox], Any]) -> tuple[Any, Any]:
        return self.run(_outcome(step(self.model))), self.run(_outcome(step(self.real)))

    def match(self, model: list[InboxEntry], real: list[InboxEntry]) -> None:
        """The same messages and attempts, and sequences that mean the same."""
        assert [(one.message, one.attempts) for one in model] == [(one.message, one.attempts) for one in real]
        for mine, theirs in zip(model, real, strict=True):
            key = (mine.message.conversation_id, mine.sequence)
            assert self.sequences.setdefault(key, theirs.sequence) == theirs.sequence

    @rule(names=st.lists(st.sampled_from(CONVERSATIONS), max_size=3), late=st.integers(-3, 3))
    def append(self, names: list[str], late: int) -> None:
        messages = [inbound(conversation=name, at=self.at + late * SECOND) for name in names]
        model, real = self.both(lambda inbox: inbox.append(messages))
        assert model == real
        self.messages += messages

    @precondition(lambda self: self.messages)
    @rule(data=st.data(), late=st.integers(-3, 3))
    def append_again(self, data: st.DataObject, late: int) -> None:
        message = data.draw(st.sampled_from(self.messages))
        repeated = message.model_copy(update={"received_at": self.at + late * SECOND})
        model, real = self.both(lambda inbox: inbox.append([repeated]))
        assert model == real

    @rule(name=st.sampled_from(CONVERSATIONS), ttl=st.integers(1, 3))
    def claim(self, name: str, ttl: int) -> None:
        at = self.at
        model, real = self.both(lambda inbox: inbox.claim(conversation_id(name), ttl=ttl * SECOND, at=at))
        assert (model is None) == (real is None)
        if model:
            self.was_leased = True
            assert (model.oldest_attempts, model.expires_at) == (real.oldest_attempts, real.expires_at)
            earlier = [lease for _, lease in self.leases if lease.conversation_id == real.conversation_id]
            assert all(real.token > lease.token for lease in earlier)
            self.leases.append((model, real))

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), ttl=st.integers(1, 3))
    def renew(self, data: st.DataObject, ttl: int) -> None:
        mine, theirs = data.draw(st.sampled_from(self.leases))
        model = self.run(_outcome(self.model.renew(mine, ttl=ttl * SECOND, at=self.at)))
        real = self.run(_outcome(self.real.renew(theirs, ttl=ttl * SECOND, at=self.at)))
        assert getattr(model, "expires_at", model) == getattr(real, "expires_at", real)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), isolate_after=st.integers(1, 3))
    def take(self, data: st.DataObject, isolate_after: int) -> None:
        mine, theirs = data.draw(st.sampled_from(self.leases))
        model = self.run(_outcome(self.model.take(mine, isolate_after=isolate_after)))
        real = self.run(_outcome(self.real.take(theirs, isolate_after=isolate_after)))
        if isinstance(model, list):
            self.match(model, real)
        else:
            assert model == real

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), chosen=st.sets(st.integers(0, 4), max_size=3))
    def release(self, data: st.DataObject, chosen: set[int]) -> None:
        mine, theirs = data.draw(st.sampled_from(self.leases))
        released = [
            self.run(inbox.release(lease, answered=self.waiting_at(inbox, lease.conversation_id, chosen)))
            for inbox, lease in ((self.model, mine), (self.real, theirs))
        ]
        assert released[0] == released[1]

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), wait=st.integers(0, 5))
    def abandon(self, data: st.DataObject, wait: int) -> None:
        mine, theirs = data.draw(st.sampled_from(self.leases))
        due_at = self.at + wait * SECOND
        self.run(self.model.abandon(mine, due_at=due_at))
        self.run(self.real.abandon(theirs, due_at=due_at))

    @rule(name=st.sampled_from(CONVERSATIONS), chosen=st.sets(st.integers(0, 4), max_size=3))
    def remove(self, name: str, chosen: set[int]) -> None:
        for inbox in (self.model, self.real):
            removed = self.waiting_at(inbox, conversation_id(name), chosen)
            self.run(inbox.remove(conversation_id(name), [*removed, *removed]))

    def waiting_at(self, inbox: Inbox, name: ConversationId, chosen: set[int]) -> list[int]:
        """The messages in these places of the queue: the two inboxes number them differently."""
        waiting = self.run(inbox.pending(name))
        return [entry.sequence for number, entry in enumerate(waiting) if number in chosen]

    @rule(name=st.sampled_from(CONVERSATIONS))
    def forget(self, name: str) -> None:
        model, real = self.both(lambda inbox: inbox.forget(conversation_id(name)))
        assert (model == 0) == (real == 0)

    @rule(seconds=st.integers(0, 4))
    def time_passes(self, seconds: int) -> None:
        self.at += seconds * SECOND

    @invariant()
    def the_same_waits(self) -> None:
        for name in CONVERSATIONS:
            model, real = self.both(lambda inbox, name=name: inbox.pending(conversation_id(name)))
            self.match(model, real)
            sequences = [entry.sequence for entry in real]
            assert sequences == sorted(set(sequences))
            for mine, theirs in zip(model, real, strict=True):
                newer = self.run(self.model.has_newer(conversation_id(name), mine.sequence))
                assert self.run(self.real.has_newer(conversation_id(name), theirs.sequence)) == newer
        assert self.run(self.model.depth()) == self.run(self.real.depth())

    @invariant()
    def the_same_is_due(self) -> None:
        """Whoever was leased may have another place among the due: it waits since its lease ended."""
        at = self.at
        model, real = self.both(lambda inbox: inbox.due(at=at, limit=10))
        waiting = [name for name in model if self.run(self.model.pending(name))]
        assert set(real) == set(waiting)
        if not self.was_leased:
            assert real == waiting

    @invariant()
    def sequences_keep_the_order_of_the_model(self) -> None:
        for name in CONVERSATIONS:
            mine = {key[1]: real for key, real in self.sequences.items() if key[0] == conversation_id(name)}
            assert [mine[number] for number in sorted(mine)] == sorted(set(mine.values()))

    def teardown(self) -> None:
        self.run(self.redis.close())
        self.database.close()
        self.loop.close()


async def _empty_redis() -> RedisDatabase:
    redis = RedisDatabase(redis_url(), connect_timeout=PATIENCE, command_timeout=PATIENCE)
    await redis.command("FLUSHALL")
    return redis


async def _outcome(call: Any) -> Any:
    """What the call returns, or the kind of error it raises."""
    try:
        return await call
    except LeaseLostError as exc:
        return type(exc)


TestTwoInboxes = TwoInboxes.TestCase
TestTwoInboxes.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
