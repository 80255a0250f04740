"""Read cache of conversation heads and of the published institution in front of another store."""

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
from contracts.ports import ConversationStore, Institutions, Store
from contracts.values import ConversationId

PUT_IF_NEWER = Script.read(Path(__file__).with_suffix(".lua"))
KEYS = f"{PREFIX}cache:"
INSTITUTION = f"{KEYS}institution"
TTL_MS = 600_000
PATIENCE = timedelta(milliseconds=50)

M = TypeVar("M", bound=BaseModel)


class _PatientCache:
    """The cache with a timeout: without an answer within `patience`, `on_away` is called and the store is read."""

    def __init__(self, redis: RedisDatabase, *, patience: timedelta, on_away: Callable[[], object]) -> None:
        self._redis = redis
        self._patience = patience.total_seconds()
        self._on_away = on_away

    async def put_if_newer(self, *parts: Argument) -> None:
        await self._patiently(self._redis.run(PUT_IF_NEWER, *parts))

    async def ask(self, *parts: Argument) -> Any:
        return await self._patiently(self._redis.command(*parts))

    async def _patiently(self, asking: Awaitable[Any]) -> Any:
        """Return the cache's reply; None on an error or a timeout."""
        try:
            async with asyncio.timeout(self._patience):
                return await asking
        except (StoreUnavailableError, RedisError, TimeoutError):
            self._on_away()
            return None


class _CachedConversations:
    """Satisfies the `ConversationStore` port."""

    def __init__(self, conversations: ConversationStore, cache: _PatientCache) -> None:
        self._conversations = conversations
        self._cache = cache
        # Everything but heads goes to the store directly.
        self.transitions, self.transcript = conversations.transitions, conversations.transcript
        self.turns, self.turn_of = conversations.turns, conversations.turn_of
        self.receipt, self.receipts = conversations.receipt, conversations.receipts
        self.find_message, self.find = conversations.find_message, conversations.find
        self.timed_out, self.expired = conversations.timed_out, conversations.expired

    async def load(self, conversation_id: ConversationId) -> Conversation | None:
        cached = _read(Conversation, await self._cache.ask("HGET", _key(conversation_id), "json"))
        if cached is not None:
            return cached
        head = await self._conversations.load(conversation_id)
        if head is not None:
            await self._put(head)
        return head

    async def commit(self, commit: TurnCommit) -> Conversation:
        try:
            saved = await self._conversations.commit(commit)
        except TransientError:
            # After a conflict the head was stale, without an answer it may be. The next reader must read the store's.
            await self._drop(commit.conversation.id)
            raise
        await self._put(saved)
        return saved

    async def erase(self, conversation_id: ConversationId, *, at: datetime, answered_up_to: int = 0) -> bool:
        try:
            erased = await self._conversations.erase(conversation_id, at=at, answered_up_to=answered_up_to)
        except TransientError:
            await self._drop(conversation_id)
            raise
        try:
            empty = await self._conversations.load(conversation_id)
        except StoreUnavailableError:
            # The erasure is done, whether or not this read succeeds.
            empty = None
        if empty is None:
            await self._drop(conversation_id)
        else:
            await self._put(empty)
        return erased

    async def restore(self, archive: ConversationArchive) -> None:
        try:
            await self._conversations.restore(archive)
        finally:
            # Its version may be lower than that of the conversation it replaces.
            await self._drop(archive.head.id)
        await self._put(archive.head)

    async def _put(self, head: Conversation) -> None:
        parts = (_key(head.id), head.version, head.model_dump_json(), TTL_MS)
        await self._cache.put_if_newer(*parts)

    async def _drop(self, conversation_id: ConversationId) -> None:
        await self._cache.ask("DEL", _key(conversation_id))


class _CachedInstitutions:
    """Satisfies the `Institutions` port."""

    def __init__(self, institutions: Institutions, cache: _PatientCache) -> None:
        self._institutions = institutions
        self._cache = cache
        self.get, self.versions = institutions.get, institutions.versions

    async def publish(self, institution: Institution, *, at: datetime) -> bool:
        try:
            is_fresh = await self._institutions.publish(institution, at=at)
        except TransientError:
            await self._cache.ask("DEL", INSTITUTION)
            raise
        if is_fresh:
            await self._cache.ask("SET", INSTITUTION, institution.model_dump_json(), "PX", TTL_MS)
        return is_fresh

    async def current(self) -> Institution | None:
        cached = _read(Institution, await self._cache.ask("GET", INSTITUTION))
        if cached is not None:
            return cached
        institution = await self._institutions.current()
        if institution is not None:
            # Never over an institution published since the store was read.
            await self._cache.ask("SET", INSTITUTION, institution.model_dump_json(), "PX", TTL_MS, "NX")
        return institution


class CachedStore:
    """Satisfies the `Store` port. Cached values may be stale, without any loss.

    The store's compare-and-set refuses a commit that began with a stale head, and drops that head from the cache. A
    newer head is never replaced by an older one, so that a delayed writer, or a reader of a conversation before its
    erasure, leaves nothing of it here; nor does anything stay longer than ten minutes.
    """

    def __init__(
        self,
        store: Store,
        cache: RedisDatabase,
        *,
        patience: timedelta = PATIENCE,
        on_away: Callable[[], object] = lambda: None,
    ) -> None:
        patient = _PatientCache(cache, patience=patience, on_away=on_away)
        self.conversations = _CachedConversations(store.conversations, patient)
        self.institutions = _CachedInstitutions(store.institutions, patient)
        self.outbox, self.dead_letters, self.records = store.outbox, store.dead_letters, store.records
        self.ping, self.close = store.ping, store.close


def _key(conversation_id: ConversationId) -> str:
    return f"{KEYS}head:{conversation_id}"


def _read(model: type[M], json: bytes | None) -> M | None:
    """Return the value; None when it is missing, or was written by a process of another version."""
    try:
        return None if json is None else model.model_validate_json(json)
    except ValidationError:
        return None
