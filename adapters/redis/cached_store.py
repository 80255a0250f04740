"""A cache for the heads of conversations, and for the published institution, in front of another store."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from redis.exceptions import RedisError

from adapters.redis.database import PREFIX, Argument, RedisDatabase, Script
from contracts.conversation import Conversation
from contracts.delivery import ConversationArchive, TurnCommit
from contracts.errors import StoreUnavailableError, TransientError
from contracts.institution import Institution
from contracts.ports import Store
from contracts.values import ConversationId

PUT_IF_NEWER = Script.read(Path(__file__).with_suffix(".lua"))
KEYS = f"{PREFIX}cache:"
INSTITUTION = f"{KEYS}institution"
TTL = timedelta(minutes=10)
PATIENCE = timedelta(milliseconds=50)

M = TypeVar("M", bound=BaseModel)


def _count_nothing() -> None:
    return


class CachedStore:
    """Satisfies the `Store` port. What the cache says may be old, and nothing is lost by it.

    The store's compare-and-set refuses the commit of whoever began with an old head, and drops that head from the
    cache. A newer head is never replaced by an older one, so that a writer who was delayed, or one who loaded a
    conversation before it was erased, leaves nothing of it here; nor does anything stay longer than `ttl`. A cache that
    does not answer within `patience` is gone around and `on_away` is called.
    """

    def __init__(
        self,
        store: Store,
        cache: RedisDatabase,
        *,
        ttl: timedelta = TTL,
        patience: timedelta = PATIENCE,
        on_away: Callable[[], object] = _count_nothing,
    ) -> None:
        self._store = store
        self._cache = cache
        self._ttl_ms = round(ttl / timedelta(milliseconds=1))
        self._patience = patience.total_seconds()
        self._on_away = on_away

        # Everything else is the store's own.
        self.ping, self.close = store.ping, store.close
        self.transitions, self.transcript = store.transitions, store.transcript
        self.turns, self.turn_of = store.turns, store.turn_of
        self.receipt, self.receipts, self.find_message = store.receipt, store.receipts, store.find_message
        self.list_conversations = store.list_conversations
        self.timed_out, self.expired = store.timed_out, store.expired
        self.rows, self.unsent, self.sendable = store.rows, store.unsent, store.sendable
        self.unsent_count = store.unsent_count
        self.begin_send, self.mark_sent, self.mark_failed = store.begin_send, store.mark_sent, store.mark_failed
        self.postpone, self.apply_status = store.postpone, store.apply_status
        self.to_escalate, self.escalation_done = store.to_escalate, store.escalation_done
        self.add_dead_letter, self.drop_dead_letter = store.add_dead_letter, store.drop_dead_letter
        self.dead_letter, self.dead_letters = store.dead_letter, store.dead_letters
        self.prune_dead_letters = store.prune_dead_letters
        self.published_versions = store.published_versions
        self.record, self.records, self.due_records = store.record, store.records, store.due_records
        self.put_record, self.drop_record, self.prune_records = store.put_record, store.drop_record, store.prune_records

    async def load(self, conversation_id: ConversationId) -> Conversation | None:
        cached = _read(Conversation, await self._ask("HGET", _key(conversation_id), "json"))
        if cached is not None:
            return cached
        head = await self._store.load(conversation_id)
        if head is not None:
            await self._put(head)
        return head

    async def commit(self, commit: TurnCommit) -> Conversation:
        try:
            saved = await self._store.commit(commit)
        except TransientError:
            # A conflict: the head was old. No answer: it may be old now. Whoever looks next has to see the store's.
            await self._drop(commit.conversation.id)
            raise
        await self._put(saved)
        return saved

    async def erase(self, conversation_id: ConversationId, *, at: datetime, answered_up_to: int = 0) -> bool:
        try:
            erased = await self._store.erase(conversation_id, at=at, answered_up_to=answered_up_to)
            empty = await self._empty(conversation_id)
        except TransientError:
            await self._drop(conversation_id)
            raise
        if empty is None:
            await self._drop(conversation_id)
        else:
            await self._put(empty)
        return erased

    async def restore(self, archive: ConversationArchive) -> None:
        try:
            await self._store.restore(archive)
        finally:
            # Its version may be lower than that of what it replaces.
            await self._drop(archive.head.id)
        await self._put(archive.head)

    async def publish(self, institution: Institution, *, at: datetime) -> bool:
        try:
            is_fresh = await self._store.publish(institution, at=at)
        except TransientError:
            await self._ask("DEL", INSTITUTION)
            raise
        if is_fresh:
            await self._ask("SET", INSTITUTION, institution.model_dump_json(), "PX", self._ttl_ms)
        return is_fresh

    async def published(self) -> Institution | None:
        cached = _read(Institution, await self._ask("GET", INSTITUTION))
        if cached is not None:
            return cached
        institution = await self._store.published()
        if institution is not None:
            # Not over what somebody has published since we asked the store.
            await self._ask("SET", INSTITUTION, institution.model_dump_json(), "PX", self._ttl_ms, "NX")
        return institution

    async def _empty(self, conversation_id: ConversationId) -> Conversation | None:
        """The head that an erasure left; the erasure is done, whether or not the store answers once more."""
        try:
            return await self._store.load(conversation_id)
        except StoreUnavailableError:
            return None

    async def _put(self, head: Conversation) -> None:
        parts = (_key(head.id), head.version, head.model_dump_json(), self._ttl_ms)
        await self._patiently(self._cache.run(PUT_IF_NEWER, *parts))

    async def _drop(self, conversation_id: ConversationId) -> None:
        await self._ask("DEL", _key(conversation_id))

    async def _ask(self, *parts: Argument) -> Any:
        return await self._patiently(self._cache.command(*parts))

    async def _patiently(self, asking: Awaitable[Any]) -> Any:
        """What the cache says; None when it does not, or not in time."""
        try:
            async with asyncio.timeout(self._patience):
                return await asking
        except (StoreUnavailableError, RedisError, TimeoutError):
            self._on_away()
            return None


def _key(conversation_id: ConversationId) -> str:
    return f"{KEYS}head:{conversation_id}"


def _read(model: type[M], json: bytes | None) -> M | None:
    """The value; None when there is none, or one that a process of another version has put there."""
    try:
        return None if json is None else model.model_validate_json(json)
    except ValidationError:
        return None
