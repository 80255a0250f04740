"""The store in Redis: many writers of one row, statuses that come too early, erasure without a trace, flat costs."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

import adapters.redis.store as redis_store
from adapters.redis.database import RedisDatabase
from adapters.redis.store import RedisStore
from contracts.conversation import Conversation, State
from contracts.delivery import ConversationArchive, DeadLetter, OutboxRow, Record
from contracts.listing import ConversationQuery
from contracts.messages import DeliveryState
from tests.builders import START, conversation_id, inbound, open_redis
from tests.contract.test_store import status, turn_commit

C1 = conversation_id("c-1")
SECOND = timedelta(seconds=1)
MARKER = "zebra-azul-4711"


@pytest.fixture
async def redis() -> AsyncIterator[RedisDatabase]:
    async with open_redis() as redis:
        yield redis


@pytest.fixture
def store(redis: RedisDatabase) -> RedisStore:
    return RedisStore(redis)


async def whole_content(redis: RedisDatabase) -> dict[str, bytes]:
    """Every key with its value as Redis would write it to its own file, strings as they are."""
    reading = {b"string": ("GET",), b"hash": ("HGETALL",), b"set": ("SMEMBERS",)}
    ranges = {b"list": "LRANGE", b"zset": "ZRANGE"}
    content = {}
    for key in await redis.command("KEYS", "*"):
        kind = await redis.command("TYPE", key)
        parts = (ranges[kind], key, 0, -1) if kind in ranges else (*reading[kind], key)
        value = await redis.command(*parts)
        content[key.decode()] = value if isinstance(value, bytes) else b"\n".join(value)
    return content


async def one_row(store: RedisStore) -> OutboxRow:
    await store.conversations.commit(turn_commit())
    (row,) = await store.outbox.unsent(C1)
    return row


async def test_after_an_erasure_nothing_of_the_person_is_in_any_key(redis: RedisDatabase, store: RedisStore) -> None:
    other = turn_commit(Conversation(id=conversation_id("other")), inbound(conversation="other", id="kept"))
    await store.conversations.commit(other)
    before = await whole_content(redis)

    message = inbound(f"Sou {MARKER}", id=f"m-{MARKER}", person_name=MARKER)
    commit = turn_commit(message=message, replies=3)
    head = commit.conversation.model_copy(
        update={"person_name": MARKER, "fields": {"name": MARKER}, "times_out_at": START}
    )
    saved = await store.conversations.commit(commit.model_copy(update={"conversation": head}))
    await store.conversations.commit(turn_commit(saved, inbound(MARKER, id="second")))
    sent, failed, _, pending = await store.outbox.unsent(C1)
    await store.outbox.mark_sent(sent, platform_message_id=f"wamid.{MARKER}", at=START)
    report = status(sent, DeliveryState.READ, reference=None)
    # A status that came before its row's platform id, and one that came after it was taken.
    early = report.model_copy(update={"platform_message_id": f"early.{MARKER}"})
    assert await store.outbox.apply_status(early) is None
    await store.outbox.mark_sent(failed, platform_message_id=f"early.{MARKER}", at=START)
    await store.outbox.apply_status(report.model_copy(update={"platform_message_id": f"wamid.{MARKER}"}))
    await store.outbox.mark_failed(pending.id, error_code="131047", at=START)
    letter = DeadLetter(
        id="letter", conversation_id=C1, message_id=None, channel="web", reason="x", attempts=1, raw=MARKER, at=START
    )
    await store.dead_letters.add(letter)
    note = Record(collection="notes", key=MARKER, body={"text": MARKER}, owner=C1, due_at=START, updated_at=START)
    await store.records.put(note.model_copy(update={"expires_at": START}))
    assert any(MARKER.encode() in value for value in (await whole_content(redis)).values())

    await store.conversations.erase(C1, at=START)
    after = await whole_content(redis)
    assert not [key for key, value in after.items() if MARKER in key or MARKER.encode() in value]
    assert set(after) - set(before) == {f"prosa:store:head:{C1}"}
    assert all(after[key] == value for key, value in before.items())


async def test_every_one_of_many_changes_of_a_row_is_kept(store: RedisStore) -> None:
    """Statuses and the worker's mark come at the same moment, from several processes, each based on what it read."""
    row = await one_row(store)
    sending = await store.outbox.begin_send(row, deadline=START + SECOND, at=START)
    assert sending
    states = [DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.READ, DeliveryState.FAILED] * 5
    statuses = [store.outbox.apply_status(status(row, state, reference=row.id)) for state in states]
    mark = store.outbox.mark_sent(row, platform_message_id="p-1", at=START)
    reported = await asyncio.gather(*statuses, mark)
    assert all(reported[:-1])
    (stored,) = await store.outbox.rows(C1)
    assert (stored.state, stored.platform_message_id, stored.attempts) == (DeliveryState.READ, "p-1", 1)


@pytest.mark.parametrize("n", range(20))
async def test_a_status_beside_the_mark_of_its_row_is_never_lost(store: RedisStore, n: int) -> None:
    """By the platform's id alone: it finds the row, or is parked before the mark looks for what is parked."""
    row = await one_row(store)

    async def after(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await store.outbox.apply_status(status(row, DeliveryState.DELIVERED, reference=None))

    mark = store.outbox.mark_sent(row, platform_message_id="p-1", at=START)
    await asyncio.gather(mark, after(n), after(2 * n))
    (stored,) = await store.outbox.rows(C1)
    assert stored.state is DeliveryState.DELIVERED


async def test_statuses_of_foreign_messages_do_not_pile_up(
    redis: RedisDatabase, store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "PARKED_LIMIT", 5)
    row = await one_row(store)
    foreign = [
        status(row, DeliveryState.SENT, reference=None).model_copy(update={"platform_message_id": f"p-{number}"})
        for number in range(20)
    ]
    for update in foreign:
        assert await store.outbox.apply_status(update) is None
    assert len(await redis.command("KEYS", "prosa:store:parked:*")) == 5
    for _ in range(100):
        await store.outbox.apply_status(foreign[-1])
    lengths = [await redis.command("LLEN", key) for key in await redis.command("KEYS", "prosa:store:parked:*")]
    assert sum(lengths) == 4 + redis_store.PARKED_OF_ONE
    await store.outbox.mark_sent(row, platform_message_id="p-19", at=START)
    assert len(await redis.command("KEYS", "prosa:store:parked:*")) == 4


async def test_a_row_that_was_erased_meanwhile_is_not_written_back(redis: RedisDatabase, store: RedisStore) -> None:
    row = await one_row(store)
    await store.conversations.erase(C1, at=START)
    assert await store.outbox.begin_send(row, deadline=START, at=START) is None
    await store.outbox.mark_sent(row, platform_message_id="p-1", at=START)
    await store.outbox.mark_failed(row.id, error_code="x", at=START)
    await store.outbox.escalation_done(row.id)
    assert set(await whole_content(redis)) == {f"prosa:store:head:{C1}"}


async def test_a_status_that_came_before_its_row_was_restored_is_erased_with_it(
    redis: RedisDatabase, store: RedisStore
) -> None:
    commit = turn_commit()
    (row,) = commit.outbox
    await store.outbox.apply_status(status(row, DeliveryState.READ, reference=None))
    sent = row.sent(platform_message_id="p-1", at=START)
    await store.conversations.restore(ConversationArchive(head=commit.conversation, outbox=(sent,)))
    await store.conversations.erase(C1, at=START)
    assert set(await whole_content(redis)) == {f"prosa:store:head:{C1}"}


async def test_a_second_platform_id_replaces_the_first(store: RedisStore) -> None:
    row = await one_row(store)
    await store.outbox.mark_sent(row, platform_message_id="p-0", at=START)
    await store.outbox.mark_sent(row, platform_message_id="p-1", at=START)
    assert await store.outbox.apply_status(status(row, DeliveryState.READ, reference=None))
    old = status(row, DeliveryState.READ, reference=None).model_copy(update={"platform_message_id": "p-0"})
    assert await store.outbox.apply_status(old) is None


async def test_a_turn_costs_the_same_however_much_there_is(redis: RedisDatabase, store: RedisStore) -> None:
    """One command each for what a turn does, and the server's work in it does not grow with what was said before."""

    async def commands_of_a_turn(head: Conversation) -> tuple[int, Conversation]:
        before = await _commands(redis)
        loaded = await store.conversations.load(C1)
        saved = await store.conversations.commit(turn_commit(head))
        (row,) = await store.outbox.unsent(C1)
        await store.outbox.begin_send(row, deadline=START + SECOND, at=START)
        await store.outbox.mark_sent(row, platform_message_id=f"p-{saved.version}", at=START)
        assert loaded == head or head.version == 0
        return await _commands(redis) - before, saved

    _, head = await commands_of_a_turn(Conversation(id=C1))
    early, head = await commands_of_a_turn(head)
    for number in range(200):
        other = conversation_id(f"other-{number}")
        await store.conversations.commit(turn_commit(Conversation(id=other), inbound(conversation=f"other-{number}")))
        _, head = await commands_of_a_turn(head)
    late, _ = await commands_of_a_turn(head)
    assert late == early


async def _commands(redis: RedisDatabase) -> int:
    """How many commands the server has run so far, those inside scripts included."""
    stats = (await redis.command("INFO", "commandstats")).decode()
    return sum(int(line.partition("calls=")[2].partition(",")[0]) for line in stats.splitlines() if "calls=" in line)


ESCALATING, AWAITING = (
    ConversationQuery(states=frozenset({state})) for state in (State.ESCALATING, State.AWAITING_USER)
)


async def test_a_conversation_is_listed_in_its_newest_state_only(store: RedisStore) -> None:
    escalated = await store.conversations.commit(turn_commit(state=State.ESCALATING))
    assert [one.turns for one in (await store.conversations.find(ESCALATING)).items] == [1]
    await store.conversations.commit(turn_commit(escalated, state=State.AWAITING_USER))
    assert (await store.conversations.find(ESCALATING)).items == ()
    assert [one.turns for one in (await store.conversations.find(AWAITING)).items] == [2]
