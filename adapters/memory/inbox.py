"""In-memory inbox, for unit tests and as the reference for the others."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from contracts.delivery import Ages, Appended, Arrival, InboxEntry, Lease
from contracts.errors import LeaseLostError
from contracts.messages import InboundMessage
from contracts.ports import MAX_JOINS
from contracts.values import ConversationId

# A sequence below that of every entry.
ANSWERED_ELSEWHERE = 0


@dataclass
class _Box:
    entries: dict[int, InboxEntry] = field(default_factory=dict)
    last_sequence: int = 0
    lease_token: int = 0
    lease_expires_at: datetime | None = None
    due_at: datetime | None = None

    def is_held(self, at: datetime) -> bool:
        return self.lease_expires_at is not None and self.lease_expires_at > at

    def add(self, message: InboundMessage) -> None:
        self.last_sequence += 1
        self.entries[self.last_sequence] = InboxEntry(sequence=self.last_sequence, attempts=0, message=message)
        self.due_at = min(self.due_at or message.received_at, message.received_at)


@dataclass(frozen=True)
class _Seen:
    conversation_id: ConversationId
    sequence: int
    received_at: datetime


class MemoryInbox:
    """Satisfies the `Inbox` port; no method awaits between its first read and its last write, so each is atomic."""

    def __init__(self) -> None:
        self._boxes: dict[ConversationId, _Box] = {}
        self._seen: dict[str, _Seen] = {}
        self._joined: dict[ConversationId, ConversationId] = {}

    async def ping(self) -> None:
        return

    async def append(self, messages: Sequence[InboundMessage]) -> list[Appended]:
        return [self._append(message) for message in messages]

    async def join(self, conversation_id: ConversationId, into: ConversationId | None, *, after: int = 0) -> None:
        self._joined.pop(conversation_id, None)
        if into is None:
            return
        self._joined[conversation_id] = into
        waiting = self._box(conversation_id).entries
        for entry in [entry for sequence, entry in waiting.items() if sequence > after]:
            self._box(into).add(entry.message.model_copy(update={"conversation_id": into}))
        waiting.clear()

    async def claim(self, conversation_id: ConversationId, *, ttl: timedelta, at: datetime) -> Lease | None:
        box = self._box(conversation_id)
        if box.is_held(at):
            return None
        box.lease_token += 1
        box.lease_expires_at = at + ttl
        oldest = next(iter(box.entries.values()), None)
        return Lease(
            conversation_id=conversation_id,
            token=box.lease_token,
            expires_at=at + ttl,
            oldest_attempts=oldest.attempts if oldest else 0,
        )

    async def renew(self, lease: Lease, *, ttl: timedelta, at: datetime) -> Lease:
        self._mine(lease).lease_expires_at = at + ttl
        return lease.model_copy(update={"expires_at": at + ttl})

    async def take(self, lease: Lease, *, isolate_after: int) -> list[InboxEntry]:
        box = self._mine(lease)
        entries = list(box.entries.values())
        if entries and entries[0].attempts >= isolate_after:
            entries = entries[:1]
        counted = [entry.model_copy(update={"attempts": entry.attempts + 1}) for entry in entries]
        box.entries.update({entry.sequence: entry for entry in counted})
        return counted

    async def refund_attempts(self, conversation_id: ConversationId, sequences: Sequence[int]) -> None:
        entries = self._box(conversation_id).entries
        for sequence in entries.keys() & set(sequences):
            entry = entries[sequence]
            entries[sequence] = entry.model_copy(update={"attempts": max(0, entry.attempts - 1)})

    async def has_newer(self, conversation_id: ConversationId, sequence: int) -> bool:
        return any(waiting > sequence for waiting in self._box(conversation_id).entries)

    async def remove(self, conversation_id: ConversationId, sequences: Sequence[int]) -> None:
        for sequence in sequences:
            self._box(conversation_id).entries.pop(sequence, None)

    async def release(self, lease: Lease, *, answered: Sequence[int] = ()) -> bool:
        await self.remove(lease.conversation_id, answered)
        box = self._box(lease.conversation_id)
        if box.lease_token != lease.token or box.entries:
            return False
        box.lease_expires_at = box.due_at = None
        return True

    async def abandon(self, lease: Lease, *, due_at: datetime) -> None:
        box = self._box(lease.conversation_id)
        if box.lease_token == lease.token:
            box.lease_expires_at, box.due_at = None, due_at

    async def due(self, *, at: datetime, limit: int) -> list[ConversationId]:
        waiting = [
            (box.due_at, conversation_id)
            for conversation_id, box in self._boxes.items()
            if box.due_at is not None and box.due_at <= at and not box.is_held(at)
        ]
        return [conversation_id for _, conversation_id in sorted(waiting)[:limit]]

    async def pending(self, conversation_id: ConversationId) -> list[InboxEntry]:
        return list(self._box(conversation_id).entries.values())

    async def depth(self) -> int:
        return sum(len(box.entries) for box in self._boxes.values())

    async def ages(self, *, overdue_before: datetime) -> Ages:
        received = (entry.message.received_at for box in self._boxes.values() for entry in box.entries.values())
        return Ages.of(received, overdue_before=overdue_before)

    async def forget(self, conversation_id: ConversationId) -> int:
        box = self._box(conversation_id)
        box.entries.clear()
        return box.last_sequence

    async def advance(
        self, conversation_id: ConversationId, *, past: int, answered: Sequence[InboundMessage] = ()
    ) -> None:
        box = self._box(conversation_id)
        box.last_sequence = max(box.last_sequence, past)
        for message in answered:
            self._seen.setdefault(message.dedup_key, _Seen(conversation_id, ANSWERED_ELSEWHERE, message.received_at))

    async def prune(self, *, before: datetime) -> int:
        old = [key for key, seen in self._seen.items() if seen.received_at < before]
        for key in old:
            del self._seen[key]
        return len(old)

    def _box(self, conversation_id: ConversationId) -> _Box:
        return self._boxes.setdefault(conversation_id, _Box())

    def _mine(self, lease: Lease) -> _Box:
        box = self._box(lease.conversation_id)
        if box.lease_token != lease.token:
            raise LeaseLostError(lease.conversation_id)
        return box

    def _append(self, message: InboundMessage) -> Appended:
        if message.dedup_key in self._seen:
            seen = self._seen[message.dedup_key]
            box = self._box(seen.conversation_id)
            if seen.sequence not in box.entries:
                return Appended(Arrival.DUPLICATE_DONE, seen.conversation_id)
            box.due_at = min(box.due_at or message.received_at, message.received_at)
            return Appended(Arrival.DUPLICATE_PENDING, seen.conversation_id)
        thread = message.conversation_id
        for _ in range(MAX_JOINS):
            thread = self._joined.get(thread, thread)
        if thread != message.conversation_id:
            message = message.model_copy(update={"conversation_id": thread})
        box = self._box(thread)
        box.add(message)
        self._seen[message.dedup_key] = _Seen(message.conversation_id, box.last_sequence, message.received_at)
        return Appended(Arrival.ACCEPTED, thread)
