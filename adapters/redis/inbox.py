"""Redis inbox, for the Celery engine. `inbox.lua` defines its layout and its operations."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from adapters.clock import micros, readable
from adapters.redis.database import PREFIX, Argument, RedisDatabase, Script
from contracts.delivery import Ages, Appended, Arrival, InboxEntry, Lease
from contracts.errors import InboxUnavailableError, LeaseLostError
from contracts.messages import InboundMessage
from contracts.values import ConversationId

SCRIPT = Script.read(Path(__file__).with_suffix(".lua"))
KEYS = f"{PREFIX}inbox:"
# Longer than the redelivery of any platform (WhatsApp: seven days).
REDELIVERY = timedelta(days=9)
# A millisecond or two of Redis's time.
LOOKED_AT_ONCE = 100
ADVANCED_AT_ONCE = 1_000


T = TypeVar("T")


class RedisInbox:
    """Satisfies the `Inbox` port; every method is one script or one command, so each is atomic.

    Sequences and tokens are microseconds of Redis's clock, or the last one plus 1 if that is more: after a failover or
    a complete loss Redis never reuses a number that the store has already passed.
    """

    def __init__(self, database: RedisDatabase, *, redelivery: timedelta = REDELIVERY) -> None:
        self._database = database
        self._keep_ms = round(redelivery / timedelta(milliseconds=1))

    async def ping(self) -> None:
        await self._database.ping(unavailable=InboxUnavailableError)

    async def append(self, messages: Sequence[InboundMessage]) -> list[Appended]:
        if not messages:
            return []
        arguments: list[Argument] = []
        for one in messages:
            arguments += (one.conversation_id, one.dedup_key, micros(one.received_at), one.model_dump_json())
        appended = [one.decode() for one in await self._run("append", *arguments)]
        pairs = zip(appended[::2], appended[1::2], strict=True)
        return [Appended(Arrival(arrival), ConversationId(thread)) for arrival, thread in pairs]

    async def join(self, conversation_id: ConversationId, into: ConversationId | None, *, after: int = 0) -> None:
        await self._run("join", conversation_id, into or "", after)

    async def claim(self, conversation_id: ConversationId, *, ttl: timedelta, at: datetime) -> Lease | None:
        claimed = await self._run("claim", conversation_id, micros(at), micros(at + ttl))
        if claimed is None:
            return None
        token, oldest_attempts = claimed
        return Lease(conversation_id=conversation_id, token=token, expires_at=at + ttl, oldest_attempts=oldest_attempts)

    async def renew(self, lease: Lease, *, ttl: timedelta, at: datetime) -> Lease:
        if not await self._run("renew", lease.conversation_id, lease.token, micros(at + ttl)):
            raise LeaseLostError(lease.conversation_id)
        return lease.model_copy(update={"expires_at": at + ttl})

    async def take(self, lease: Lease, *, isolate_after: int) -> list[InboxEntry]:
        taken = await self._run("take", lease.conversation_id, lease.token, isolate_after)
        if taken is None:
            raise LeaseLostError(lease.conversation_id)
        return _entries(lease.conversation_id, taken)

    async def refund_attempts(self, conversation_id: ConversationId, sequences: Sequence[int]) -> None:
        await self._run("refund_attempts", conversation_id, *sequences)

    async def has_newer(self, conversation_id: ConversationId, sequence: int) -> bool:
        return bool(await self._command("ZCOUNT", f"{KEYS}entries:{conversation_id}", f"({sequence}", "+inf"))

    async def remove(self, conversation_id: ConversationId, sequences: Sequence[int]) -> None:
        await self._run("remove", conversation_id, *sequences)

    async def release(self, lease: Lease, *, answered: Sequence[int] = ()) -> bool:
        return bool(await self._run("release", lease.conversation_id, lease.token, *answered))

    async def abandon(self, lease: Lease, *, due_at: datetime) -> None:
        await self._run("abandon", lease.conversation_id, lease.token, micros(due_at))

    async def due(self, *, at: datetime, limit: int) -> list[ConversationId]:
        found = await self._command("ZRANGEBYSCORE", f"{KEYS}due", "-inf", micros(at), "LIMIT", 0, limit)
        return [ConversationId(conversation_id.decode()) for conversation_id in found]

    async def pending(self, conversation_id: ConversationId) -> list[InboxEntry]:
        return _entries(conversation_id, await self._run("pending", conversation_id))

    async def depth(self) -> int:
        return int(await self._command("GET", f"{KEYS}depth") or 0)

    async def ages(self, *, overdue_before: datetime) -> Ages:
        """Return the ages as the port requires; a few conversations at a time, to not delay other commands."""
        conversations = await self._command("ZRANGE", f"{KEYS}due", 0, -1)
        received: list[bytes] = []
        for some in _chunks(conversations, LOOKED_AT_ONCE):
            received += await self._run("received", *some)
        return Ages.of(readable(received), overdue_before=overdue_before)

    async def forget(self, conversation_id: ConversationId) -> int:
        return int(await self._run("forget", conversation_id))

    async def advance(
        self, conversation_id: ConversationId, *, past: int, answered: Sequence[InboundMessage] = ()
    ) -> None:
        keys = [message.dedup_key for message in answered]
        for some in _chunks(keys, ADVANCED_AT_ONCE) if keys else ([],):
            await self._run("advance", conversation_id, past, *some)

    async def prune(self, *, before: datetime) -> int:
        """Do nothing: deduplication keys expire by themselves, `redelivery` after their message arrived."""
        return 0

    async def _run(self, method: str, *arguments: Argument) -> Any:
        return await self._database.run(SCRIPT, method, self._keep_ms, *arguments, unavailable=InboxUnavailableError)

    async def _command(self, *parts: Argument) -> Any:
        return await self._database.command(*parts, unavailable=InboxUnavailableError)


def _entries(conversation_id: ConversationId, listed: Sequence[Any]) -> list[InboxEntry]:
    """Return the entries of a reply that lists attempts, sequence and `sequence:message` in turn."""
    return [
        InboxEntry.read(conversation_id, int(sequence), attempts, entry.removeprefix(sequence + b":"))
        for attempts, sequence, entry in zip(listed[::3], listed[1::3], listed[2::3], strict=True)
    ]


def _chunks(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
