"""A cache before the store: it may be gone, emptied, slow or wrong, and nothing is lost or answered twice by it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.redis.cached_store import CachedStore
from adapters.redis.database import RedisDatabase
from adapters.sqlite.store import SqliteConversations, SqliteInstitutions, SqliteStore
from contracts.conversation import Conversation
from contracts.delivery import ConversationArchive, TurnCommit
from contracts.errors import ConversationConflictError, StoreUnavailableError
from contracts.values import ConversationId
from tests.adapters.redis_server import redis_server
from tests.builders import (
    PATIENCE,
    START,
    CrashAt,
    conversation_id,
    engine_bed,
    inbound,
    memory_store,
    open_redis,
    open_sqlite,
    pyloto,
    sqlite_database,
)
from tests.contract.test_store import turn_commit
from tests.real_services import free_port
from worker.drain import drain

C1 = conversation_id("c-1")
HEAD = f"prosa:cache:head:{C1}"
MARKER = "zebra-azul-4711"
HOUR = timedelta(hours=1)


class CountingConversations(SqliteConversations):
    """Counts the reads that reach it; may lose the answer of its next commit, or fail it."""

    loads = 0
    loses_next_answer = False

    async def load(self, conversation_id: ConversationId) -> Conversation | None:
        self.loads += 1
        return await super().load(conversation_id)

    async def commit(self, commit: TurnCommit) -> Conversation:
        saved = await super().commit(commit)
        if self.loses_next_answer:
            self.loses_next_answer = False
            raise StoreUnavailableError("no answer")
        return saved


class CountingStore(SqliteStore):
    def __init__(self) -> None:
        database = sqlite_database()
        super().__init__(database)
        self.conversations: CountingConversations = CountingConversations(database)


@dataclass
class CacheBed:
    """A store with a cache before it; `other` is another process with the same store and the same cache."""

    cache: RedisDatabase
    store: CountingStore = field(default_factory=CountingStore)
    away: int = 0

    def __post_init__(self) -> None:
        self.cached = self._open()
        self.other = self._open()

    def _open(self) -> CachedStore:
        return CachedStore(self.store, self.cache, patience=PATIENCE, on_away=self.count)

    def count(self) -> None:
        self.away += 1


@pytest.fixture
async def bed() -> AsyncIterator[CacheBed]:
    async with open_redis() as cache:
        yield CacheBed(cache)


async def test_a_head_is_read_from_the_store_once(bed: CacheBed) -> None:
    saved = await bed.store.conversations.commit(turn_commit())
    assert [
        await bed.cached.conversations.load(C1),
        await bed.cached.conversations.load(C1),
        await bed.other.conversations.load(C1),
    ] == [saved] * 3
    assert bed.store.conversations.loads == 1


async def test_after_a_commit_every_process_reads_the_new_head(bed: CacheBed) -> None:
    head = await bed.cached.conversations.commit(turn_commit())
    for _ in range(5):
        head = await bed.other.conversations.commit(turn_commit(await bed.cached.conversations.load(C1)))
    assert await bed.cached.conversations.load(C1) == head
    assert bed.store.conversations.loads == 0


async def test_what_is_not_there_is_asked_for_again(bed: CacheBed) -> None:
    assert await bed.cached.conversations.load(C1) is None
    saved = await bed.store.conversations.commit(turn_commit())
    assert await bed.cached.conversations.load(C1) == saved


async def test_a_delayed_writer_does_not_put_an_old_head_back(bed: CacheBed) -> None:
    first = await bed.cached.conversations.commit(turn_commit())
    second = await bed.cached.conversations.commit(turn_commit(first))
    await bed.other.conversations._put(first)
    assert await bed.cached.conversations.load(C1) == second


async def test_a_stale_cache_costs_one_conflict(bed: CacheBed) -> None:
    """Somebody committed past the cache, or its write there got lost."""
    first = await bed.cached.conversations.commit(turn_commit())
    second = await bed.store.conversations.commit(turn_commit(first))
    stale = await bed.cached.conversations.load(C1)
    assert stale == first
    with pytest.raises(ConversationConflictError):
        await bed.cached.conversations.commit(turn_commit(stale))
    assert await bed.cached.conversations.load(C1) == second


async def test_a_cache_that_is_ahead_of_the_store_costs_one_conflict(bed: CacheBed) -> None:
    """As after the store was put back to an earlier day."""
    saved = await bed.store.conversations.commit(turn_commit())
    ahead = saved.model_copy(update={"version": 9})
    await bed.cached.conversations._put(ahead)
    with pytest.raises(ConversationConflictError):
        await bed.cached.conversations.commit(turn_commit(await bed.cached.conversations.load(C1)))
    assert await bed.cached.conversations.load(C1) == saved


async def test_a_commit_without_an_answer_is_looked_up_in_the_store(bed: CacheBed) -> None:
    first = await bed.cached.conversations.commit(turn_commit())
    bed.store.conversations.loses_next_answer = True
    with pytest.raises(StoreUnavailableError):
        await bed.cached.conversations.commit(turn_commit(first))
    reread = await bed.cached.conversations.load(C1)
    assert reread
    assert reread.version == 2


async def test_what_cannot_be_read_is_not_there(bed: CacheBed) -> None:
    saved = await bed.cached.conversations.commit(turn_commit())
    await bed.cache.command("HSET", HEAD, "json", '{"id":"c-1","turns":"of another kind"}')
    assert await bed.cached.conversations.load(C1) == saved


async def test_an_erasure_leaves_nothing_personal_and_refuses_what_comes_late(bed: CacheBed) -> None:
    commit = turn_commit()
    personal = commit.conversation.model_copy(update={"person_name": MARKER})
    saved = await bed.cached.conversations.commit(commit.model_copy(update={"conversation": personal}))
    assert MARKER in (await bed.cache.command("HGET", HEAD, "json")).decode()
    await bed.cached.conversations.erase(C1, at=START, answered_up_to=7)
    # One that loaded it before and fills the cache only now.
    await bed.other.conversations._put(saved)
    assert MARKER not in (await bed.cache.command("HGET", HEAD, "json")).decode()
    empty = await bed.other.conversations.load(C1)
    assert empty
    assert (empty.version, empty.turns, empty.last_sequence) == (2, 0, 7)
    assert 0 < await bed.cache.command("PTTL", HEAD) <= 600_000


async def test_a_restored_head_takes_the_place_of_a_newer_one(bed: CacheBed) -> None:
    head = await bed.cached.conversations.commit(turn_commit())
    older = head.model_copy(update={"business_line": "restored"})
    await bed.cached.conversations.commit(turn_commit(head))
    await bed.cached.conversations.restore(ConversationArchive(head=older))
    assert await bed.other.conversations.load(C1) == older
    await bed.other.conversations.commit(turn_commit(older))


async def test_the_published_institution_is_read_once_and_replaced_at_once(bed: CacheBed) -> None:
    first = pyloto()
    assert await bed.cached.institutions.current() is None
    await bed.cached.institutions.publish(first, at=START)
    second = first.model_copy(update={"version": "second"})
    await bed.store.institutions.publish(second, at=START + HOUR)
    assert await bed.other.institutions.current() == first, (
        "somebody published past the cache; it is found when the key expires"
    )
    third = first.model_copy(update={"version": "third"})
    assert await bed.other.institutions.publish(third, at=START + 2 * HOUR)
    assert await bed.cached.institutions.current() == third
    assert 0 < await bed.cache.command("PTTL", "prosa:cache:institution") <= 600_000


async def test_who_read_before_a_publication_does_not_put_the_old_one_back(bed: CacheBed) -> None:
    first = pyloto()
    await bed.store.institutions.publish(first, at=START)
    second = first.model_copy(update={"version": "second"})

    class Overtaken(SqliteInstitutions):
        async def current(self) -> Any:
            found = await bed.store.institutions.current()
            await bed.cached.institutions.publish(second, at=START + HOUR)
            return found

    overtaken = memory_store()
    overtaken.institutions = Overtaken(sqlite_database())
    assert await CachedStore(overtaken, bed.cache, patience=PATIENCE).institutions.current() == first
    assert await bed.cached.institutions.current() == second


async def test_without_the_cache_everything_works_and_is_counted(tmp_path: Path) -> None:
    absent = RedisDatabase(f"redis://127.0.0.1:{free_port()}/0")
    bed = CacheBed(absent)
    saved = await bed.cached.conversations.commit(turn_commit())
    assert await bed.cached.conversations.load(C1) == saved
    with pytest.raises(ConversationConflictError):
        await bed.cached.conversations.commit(turn_commit())
    await bed.cached.conversations.erase(C1, at=START)
    await bed.cached.conversations.restore(ConversationArchive(head=saved))
    assert await bed.cached.institutions.publish(pyloto(), at=START)
    assert await bed.cached.institutions.current() == pyloto()
    # commit 1, load 2, refused commit 1, erase 1, restore 2, publish 1, published 2
    assert bed.away == 10
    await absent.close()


async def test_a_cache_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    """Its own time-outs are an hour long here; only the patience of the store ends the wait."""
    with redis_server(tmp_path) as server:
        hanging = RedisDatabase(server.url, command_timeout=HOUR)
        await hanging.ping()
        server.pause()
        away: list[int] = []
        store = CachedStore(memory_store(), hanging, patience=timedelta(milliseconds=5), on_away=lambda: away.append(1))
        saved = await store.conversations.commit(turn_commit())
        assert await store.conversations.load(C1) == saved
        assert len(away) == 3
        server.go_on()
        await hanging.close()


@pytest.mark.parametrize("point", ["drain.taken", "turn.thought", "turn.before_commit", "turn.committed"])
async def test_a_cache_that_is_emptied_in_the_middle_of_a_turn_breaks_nothing(tmp_path: Path, point: str) -> None:
    async with open_sqlite(tmp_path) as (inbox, store), open_redis() as cache:
        faults = CrashAt()
        bed = engine_bed(inbox, CachedStore(store, cache), faults=faults)
        for text in ("um", "dois", "três"):
            faults.pausing[point] = lambda: _empty(cache)
            await inbox.append([inbound(text)])
            await drain(C1, bed.engine.drain)
        assert [receipt.message.text for receipt in await store.conversations.receipts(C1)] == ["um", "dois", "três"]
        assert len(bed.channel.accepted) == 3


async def _empty(cache: RedisDatabase) -> None:
    await cache.command("FLUSHALL")


async def test_of_many_commits_through_several_processes_one_of_each_version_wins(bed: CacheBed) -> None:
    head: Conversation | None = None
    for version in range(1, 6):
        commits = [
            store.conversations.commit(turn_commit(head, inbound(id=f"m-{version}-{number}")))
            for number, store in enumerate((bed.cached, bed.other) * 5)
        ]
        results = await asyncio.gather(*commits, return_exceptions=True)
        (head,) = [one for one in results if isinstance(one, Conversation)]
        assert head.version == version
        # The losers have dropped what the winner put; whoever reads next has the newest all the same.
        assert await bed.other.conversations.load(C1) == head
