"""Firestore inbox, for the Cloud Tasks engine.

    inbox_conversations/{id}                          box: numbering, lease, due time, number waiting, attempts
    inbox_conversations/{id}/inbox_entries/{sequence} a waiting message
    inbox_seen/{deduplication key}                    a received message, for as long as a platform may repeat it

Every change of a conversation also writes its box, on condition that the box is unchanged since it was read. So
deduplicating, appending and arming are one atomic step, and so is every other method, without transactions and their
locks (see `adapters/firestore/database.py`). Within a process the steps of one conversation take turns, and messages
that arrive during a step share the next: a burst costs a few writes, and only processes compete.

Every read and write of a document costs money (`python -m tests.bench.firestore` counts them), so a step writes the box
and only what it does not contain. Attempts are counted in the box rather than in each message; earlier releases counted
them in the message, and the two are added.

The box has no time to live: its numbering must not restart below the head's cursor.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Generic, Self, TypeVar

from adapters.firestore.database import (
    BATCH_LIMIT,
    DOCUMENT_BYTES,
    Delete,
    Document,
    FirestoreDatabase,
    Guarded,
    Put,
    Write,
    WriteRefusedError,
    chunks,
    document_id,
)
from contracts.delivery import Ages, Appended, Arrival, InboxEntry, Lease
from contracts.errors import ConversationJoinedError, InboxUnavailableError, LeaseLostError, PermanentError, WorkerError
from contracts.messages import InboundMessage
from contracts.ports import MAX_JOINS
from contracts.values import ConversationId

T = TypeVar("T")

BOXES = "inbox_conversations"
ENTRIES = "inbox_entries"
SEEN = "inbox_seen"

# Longer than the redelivery of any platform.
SEEN_FOR = timedelta(days=9)
# A sequence below that of every entry.
ANSWERED_ELSEWHERE = 0
# Attempts of a step that loses the race against other processes.
ATTEMPTS = 12
# Beyond this age another process has usually changed the box: a read costs less than a refused write. A box without a
# lease is claimed next, and not by the webhook that appended to it.
REMEMBERED_SECONDS, UNHELD_SECONDS = 1.5, 0.05
LANES = 10_000
APPENDED_AT_ONCE = 100
# Together they fit into one write, whatever their size.
MOVED_AT_ONCE = 10
BYTES_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class _Box:
    """State of a conversation's inbox, apart from its messages; `attempts` are by sequence of a waiting one."""

    conversation_id: ConversationId
    last_sequence: int = 0
    lease_token: int = 0
    lease_expires_at: datetime | None = None
    due_at: datetime | None = None
    pending: int = 0
    is_tried: bool = False
    """Whether something that waits may have been taken before."""
    attempts: Mapping[int, int] = field(default_factory=dict)
    joined_to: ConversationId | None = None

    @classmethod
    def read(cls, conversation_id: ConversationId, document: Document | None) -> Self:
        if document is None:
            return cls(conversation_id)
        fields = document.fields
        attempts = fields.get("attempts", [])
        return cls(
            conversation_id,
            last_sequence=fields["last_sequence"],
            lease_token=fields["lease_token"],
            lease_expires_at=fields.get("lease_expires_at"),
            due_at=fields.get("due_at"),
            pending=fields["pending"],
            is_tried=fields["is_tried"],
            attempts=dict(zip(attempts[::2], attempts[1::2], strict=True)),
            joined_to=fields.get("joined_to"),
        )

    @property
    def fields(self) -> Mapping[str, Any]:
        return {
            "conversation_id": self.conversation_id,
            "last_sequence": self.last_sequence,
            "lease_token": self.lease_token,
            "lease_expires_at": self.lease_expires_at,
            "due_at": self.due_at,
            "pending": self.pending,
            "is_tried": self.is_tried,
            "attempts": [number for pair in self.attempts.items() for number in pair] or None,
            "takable_at": self.takable_at,
            "joined_to": self.joined_to,
        }

    @property
    def takable_at(self) -> datetime | None:
        """The time from which another worker may take it; None when nothing waits. `due` queries this field."""
        if self.due_at is None or self.pending == 0:
            return None
        return max(self.due_at, self.lease_expires_at or self.due_at)

    def is_held(self, at: datetime) -> bool:
        return self.lease_expires_at is not None and self.lease_expires_at > at

    def due_by(self, at: datetime) -> Self:
        return replace(self, due_at=min(self.due_at or at, at))

    def with_pending(self, pending: int) -> Self:
        if pending == 0:
            return replace(self, pending=0, due_at=None, is_tried=False, attempts={})
        return replace(self, pending=pending)

    def without(self, sequences: Collection[int]) -> Self:
        """Return the box without these messages."""
        attempts = {sequence: count for sequence, count in self.attempts.items() if sequence not in sequences}
        return replace(self, attempts=attempts).with_pending(self.pending - len(sequences))

    def spared(self, sequences: Collection[int]) -> Self:
        """Return the box with one attempt of each of these taken back, as far as it counted any."""
        attempts = {name: max(0, count - (name in sequences)) for name, count in self.attempts.items()}
        return replace(self, attempts=attempts)

    def require(self, lease: Lease) -> None:
        if self.lease_token != lease.token:
            raise LeaseLostError(lease.conversation_id)


@dataclass(frozen=True, slots=True)
class _Step(Generic[T]):
    """Outcome of a method: its result, and the writes that must succeed first. No box: no writes.

    `holds_anyway` marks a result without a write that stays valid even if the box changed since it was read.
    """

    answer: T
    box: _Box | None = None
    writes: Sequence[Write] = ()
    holds_anyway: bool = False


# Takes the box, and whether this is the first try, which may assume what a refused write would disprove.
Decide = Callable[[_Box, bool], Awaitable[_Step[T]]]


@dataclass(slots=True, eq=False)
class _Waiting:
    """A message being appended, and its outcome."""

    message: InboundMessage
    text: str
    outcome: Arrival | WorkerError | None = None

    def follow_join(self) -> bool:
        """Go on to the thread that the message's conversation was joined to; False: it was not."""
        if not isinstance(self.outcome, ConversationJoinedError):
            return False
        self.message = self.message.model_copy(update={"conversation_id": ConversationId(self.outcome.into)})
        self.text, self.outcome = self.message.model_dump_json(), None
        return True


@dataclass(slots=True)
class _Lane:
    """Serialised steps of one conversation in this process, with the box after the last step."""

    conversation_id: ConversationId
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    box: _Box | None = None
    update_time: datetime | None = None
    remembered_at: float = 0.0
    waiting: list[_Waiting] = field(default_factory=list)

    @property
    def is_idle(self) -> bool:
        return not self.lock.locked() and not self.waiting

    def forget(self) -> None:
        self.box = self.update_time = None

    def remember(self, box: _Box, update_time: datetime | None) -> None:
        self.box, self.update_time = box, update_time
        self.remembered_at = asyncio.get_running_loop().time()

    def forget_if_old(self) -> None:
        seconds = REMEMBERED_SECONDS if self.box and self.box.lease_expires_at else UNHELD_SECONDS
        if asyncio.get_running_loop().time() > self.remembered_at + seconds:
            self.forget()


class FirestoreInbox:
    """Satisfies the `Inbox` port, for any number of processes."""

    def __init__(self, database: FirestoreDatabase) -> None:
        self._database = database
        self._documents = database.documents(InboxUnavailableError)
        self._lanes: OrderedDict[ConversationId, _Lane] = OrderedDict()

    async def ping(self) -> None:
        # A write that leaves nothing behind.
        await self._documents.apply([Delete("pings/inbox")])

    async def append(self, messages: Sequence[InboundMessage]) -> list[Appended]:
        waiting = [_Waiting(message, message.model_dump_json()) for message in messages]
        if any(len(one.text.encode()) > DOCUMENT_BYTES for one in waiting):
            raise PermanentError(f"a message has more than {DOCUMENT_BYTES} bytes")
        left = waiting
        for _ in range(MAX_JOINS):
            by_conversation: dict[ConversationId, list[_Waiting]] = {}
            for one in left:
                by_conversation.setdefault(one.message.conversation_id, []).append(one)
            await asyncio.gather(*(self._append(name, mine) for name, mine in by_conversation.items()))
            left = [one for one in left if one.follow_join()]
        arrivals = []
        for one in waiting:
            if isinstance(one.outcome, WorkerError):
                raise one.outcome
            assert one.outcome is not None, "chain of joins"  # noqa: S101 - `_append` returns when each has one
            arrivals.append(Appended(one.outcome, one.message.conversation_id))
        return arrivals

    async def join(self, conversation_id: ConversationId, into: ConversationId | None, *, after: int = 0) -> None:
        """Join as the port requires; of `MOVED_AT_ONCE` or more that wait, the first ones move before it, in steps."""
        if into is None:

            async def part(box: _Box, is_first: bool) -> _Step[None]:
                return _Step(None, replace(box, joined_to=None) if box.joined_to else None)

            await self._change(conversation_id, part)
            return

        async def move(box: _Box, is_first: bool) -> _Step[bool]:
            waiting = await self._entries(box, limit=MOVED_AT_ONCE)
            is_last = len(waiting) < MOVED_AT_ONCE
            path = _box_path(into)
            document = await self._documents.get(path)
            target = _Box.read(into, document)
            writes: list[Write] = [*_deletes(box, [entry.sequence for entry in waiting])]
            for entry in waiting:
                if entry.sequence > after:
                    message = entry.message.model_copy(update={"conversation_id": into})
                    target = target.due_by(message.received_at)
                    target = replace(target, last_sequence=target.last_sequence + 1, pending=target.pending + 1)
                    writes.append(_put(target, message.received_at, entry.raw or message.model_dump_json()))
            if any(entry.sequence > after for entry in waiting):
                writes.append(Guarded(path, target.fields, document.update_time if document else None))
            left = replace(box, joined_to=into if is_last else None)
            left = left.with_pending(0 if is_last else box.pending - len(waiting))
            return _Step(is_last, left if left != box or waiting else None, writes)

        while not await self._change(conversation_id, move):
            pass
        self._lane(into).forget()

    async def claim(self, conversation_id: ConversationId, *, ttl: timedelta, at: datetime) -> Lease | None:
        async def decide(box: _Box, is_first: bool) -> _Step[Lease | None]:
            if box.is_held(at):
                return _Step(None)
            oldest = await self._entries(box, limit=1) if box.is_tried else []
            lease = Lease(
                conversation_id=conversation_id,
                token=box.lease_token + 1,
                expires_at=at + ttl,
                oldest_attempts=oldest[0].attempts if oldest else 0,
            )
            return _Step(lease, replace(box, lease_token=lease.token, lease_expires_at=lease.expires_at))

        return await self._change(conversation_id, decide)

    async def renew(self, lease: Lease, *, ttl: timedelta, at: datetime) -> Lease:
        """Extend the lease with a write at half its time: the next heartbeat makes up for a failed one."""
        renewed = lease.model_copy(update={"expires_at": at + ttl})

        async def decide(box: _Box, is_first: bool) -> _Step[Lease]:
            box.require(lease)
            if box.lease_expires_at is not None and box.lease_expires_at > at + ttl / 2:
                # The next write, and every commit, detects a claim of another process.
                return _Step(lease.model_copy(update={"expires_at": box.lease_expires_at}), holds_anyway=True)
            return _Step(renewed, replace(box, lease_expires_at=at + ttl))

        return await self._change(lease.conversation_id, decide)

    async def take(self, lease: Lease, *, isolate_after: int) -> list[InboxEntry]:
        """Take messages as the port requires, at most `BATCH_LIMIT` at once: the rest makes another turn."""

        async def decide(box: _Box, is_first: bool) -> _Step[list[InboxEntry]]:
            box.require(lease)
            entries = await self._entries(box, limit=BATCH_LIMIT)
            # Counted again where all are loaded, so that a wrong count cannot keep a worker at an empty inbox.
            pending = box.pending if len(entries) == BATCH_LIMIT else len(entries)
            if entries and entries[0].attempts >= isolate_after:
                entries = entries[:1]
            if not entries and pending == box.pending:
                # A worker that finds nothing releases the lease next, which is refused if a message arrived.
                return _Step([], holds_anyway=True)
            tries = {entry.sequence: box.attempts.get(entry.sequence, 0) + 1 for entry in entries}
            changed = replace(box, is_tried=True, attempts={**box.attempts, **tries}).with_pending(pending)
            return _Step([entry.model_copy(update={"attempts": entry.attempts + 1}) for entry in entries], changed)

        return await self._change(lease.conversation_id, decide)

    async def refund_attempts(self, conversation_id: ConversationId, sequences: Sequence[int]) -> None:
        async def decide(box: _Box, is_first: bool) -> _Step[None]:
            changed = box.spared(sequences)
            return _Step(None, changed if changed != box else None)

        await self._change(conversation_id, decide)

    async def has_newer(self, conversation_id: ConversationId, sequence: int) -> bool:
        newer = ("sequence", ">", sequence)
        return bool(await self._documents.find(_entries_path(conversation_id), newer, limit=1, fields=("sequence",)))

    async def remove(self, conversation_id: ConversationId, sequences: Sequence[int]) -> None:
        for some in chunks(sequences, BATCH_LIMIT):

            async def decide(box: _Box, is_first: bool, some: Sequence[int] = some) -> _Step[None]:
                there = await self._waiting(box, some, are_there=is_first)
                return _Step(None, box.without(there) if there else None, _deletes(box, there))

            await self._change(conversation_id, decide)

    async def release(self, lease: Lease, *, answered: Sequence[int] = ()) -> bool:
        *first, last = chunks(answered, BATCH_LIMIT) or [()]
        for some in first:
            await self.remove(lease.conversation_id, some)

        async def decide(box: _Box, is_first: bool) -> _Step[bool]:
            there = await self._waiting(box, last, are_there=is_first)
            left = box.without(there)
            if box.lease_token == lease.token and not left.pending:
                return _Step(True, replace(left, lease_expires_at=None, due_at=None), _deletes(box, there))
            return _Step(False, left if there else None, _deletes(box, there))

        return await self._change(lease.conversation_id, decide)

    async def abandon(self, lease: Lease, *, due_at: datetime) -> None:
        async def decide(box: _Box, is_first: bool) -> _Step[None]:
            if box.lease_token != lease.token:
                return _Step(None)
            return _Step(None, replace(box, lease_expires_at=None, due_at=due_at))

        await self._change(lease.conversation_id, decide)

    async def due(self, *, at: datetime, limit: int) -> list[ConversationId]:
        found = await self._documents.find(
            BOXES, ("takable_at", "<=", at), order_by="takable_at", limit=limit, fields=("conversation_id",)
        )
        return [ConversationId(document.fields["conversation_id"]) for document in found]

    async def pending(self, conversation_id: ConversationId) -> list[InboxEntry]:
        box = _Box.read(conversation_id, await self._documents.get(_box_path(conversation_id)))
        found = await self._documents.find(_entries_path(conversation_id))
        return [_entry(document, box) for document in found]

    async def depth(self) -> int:
        return await self._documents.count(ENTRIES, everywhere=True)

    async def ages(self, *, overdue_before: datetime) -> Ages:
        """Return the ages as the port requires, for messages of this release or a later one."""
        oldest = await self._documents.find(
            ENTRIES, order_by="received_at", limit=1, fields=("received_at",), everywhere=True
        )
        overdue = await self._documents.count(ENTRIES, ("received_at", "<", overdue_before), everywhere=True)
        return Ages(oldest_received_at=oldest[0].fields["received_at"] if oldest else None, overdue=overdue)

    async def forget(self, conversation_id: ConversationId) -> int:
        async def decide(box: _Box, is_first: bool) -> _Step[tuple[int, bool]]:
            path = _entries_path(conversation_id)
            found = await self._documents.find(path, limit=BATCH_LIMIT, fields=("sequence",))
            is_last = len(found) < BATCH_LIMIT
            answer = (box.last_sequence, is_last)
            if not found and not box.pending:
                return _Step(answer)
            left = 0 if is_last else box.pending - len(found)
            return _Step(answer, box.with_pending(left), [Delete(document.path) for document in found])

        while True:
            last_sequence, is_last = await self._change(conversation_id, decide)
            if is_last:
                return last_sequence

    async def advance(
        self, conversation_id: ConversationId, *, past: int, answered: Sequence[InboundMessage] = ()
    ) -> None:
        for some in chunks(answered, BATCH_LIMIT) or [()]:

            async def decide(box: _Box, is_first: bool, some: Sequence[InboundMessage] = some) -> _Step[None]:
                marks = {_seen_path(message): _mark(message, ANSWERED_ELSEWHERE) for message in some}
                known = await self._documents.get_all(marks, fields=("sequence",))
                missing = [mark for path, mark in marks.items() if path not in known]
                if box.last_sequence >= past and not missing:
                    return _Step(None)
                return _Step(None, replace(box, last_sequence=max(box.last_sequence, past)), missing)

            await self._change(conversation_id, decide)

    async def prune(self, *, before: datetime) -> int:
        # Only one of a message's times needs an index, and the TTL policy requires this one.
        return await self._documents.delete_all(SEEN, ("expires_at", "<", before + SEEN_FOR))

    # Arrivals

    async def _append(self, conversation_id: ConversationId, mine: Sequence[_Waiting]) -> None:
        """Wait for the lane; its holder writes everything waiting there, mostly the caller's too."""
        lane = self._lane(conversation_id)
        lane.waiting += mine
        try:
            async with lane.lock:
                while any(one.outcome is None for one in mine):
                    await self._append_next(lane)
        finally:
            lane.waiting = [one for one in lane.waiting if one not in mine]

    async def _append_next(self, lane: _Lane) -> None:
        # The first messages, as many as fit into one write.
        batch, size = list[_Waiting](), 0
        for one in lane.waiting[:APPENDED_AT_ONCE]:
            size += len(one.text)
            if batch and size > BYTES_AT_ONCE:
                break
            batch.append(one)

        async def decide(box: _Box, is_first: bool) -> _Step[list[Arrival]]:
            return await self._arrive(box, batch, take_for_new=is_first)

        try:
            arrivals = await self._change_alone(lane, decide)
        except WorkerError as exc:
            for one in batch:
                one.outcome = exc
        else:
            for one, arrival in zip(batch, arrivals, strict=True):
                one.outcome = arrival
        # A cancellation leaves the batch in place: the next holder of the lane writes it.
        lane.waiting = [one for one in lane.waiting if one.outcome is None]

    async def _arrive(self, box: _Box, batch: Sequence[_Waiting], *, take_for_new: bool) -> _Step[list[Arrival]]:
        """Append the new messages, and re-arm the wake-up for duplicates that still wait.

        Nearly all messages are new. The first try assumes so; a duplicate's mark is refused, and the next try reads.
        """
        if box.joined_to is not None:
            raise ConversationJoinedError(box.joined_to)
        paths = [] if take_for_new else [_seen_path(one.message) for one in batch]
        seen = await self._documents.get_all(paths)
        where = {
            path: f"{_entries_path(ConversationId(mark.fields['conversation_id']))}/{mark.fields['sequence']:020}"
            for path, mark in seen.items()
        }
        still_there = await self._documents.get_all(where.values(), fields=("sequence",))
        new: set[str] = set()
        arrivals: list[Arrival] = []
        writes: list[Write] = []
        changed = box
        for one in batch:
            path, at = _seen_path(one.message), one.message.received_at
            if path in seen and where[path] not in still_there:
                arrivals.append(Arrival.DUPLICATE_DONE)
                continue
            if path in seen or path in new:
                arrivals.append(Arrival.DUPLICATE_PENDING)
                # One in another conversation (by an earlier scheme of ids) has its own due time.
                changed = changed.due_by(at) if changed.pending else changed
                continue
            new.add(path)
            arrivals.append(Arrival.ACCEPTED)
            sequence = changed.last_sequence + 1
            changed = replace(changed.due_by(at), last_sequence=sequence, pending=changed.pending + 1)
            writes += (_put(changed, at, one.text), _mark(one.message, sequence))
        return _Step(arrivals, changed if changed != box else None, writes)

    # Steps

    async def _change(self, conversation_id: ConversationId, decide: Decide[T]) -> T:
        lane = self._lane(conversation_id)
        async with lane.lock:
            return await self._change_alone(lane, decide)

    async def _change_alone(self, lane: _Lane, decide: Decide[T]) -> T:
        """Decide on the box and write the outcome, again until the box was unchanged at the write.

        The box as this process left it is enough for a first try, since a write proves it; an outcome without a write
        needs a freshly read box.
        """
        path = _box_path(lane.conversation_id)
        lane.forget_if_old()
        for attempt in range(ATTEMPTS):
            is_fresh = lane.box is None
            if lane.box is None:
                document = await self._documents.get(path)
                box = _Box.read(lane.conversation_id, document)
                lane.remember(box, document.update_time if document else None)
            else:
                box = lane.box
            since = lane.update_time
            try:
                step = await decide(box, attempt == 0)
            except LeaseLostError:
                if is_fresh:
                    raise
                lane.forget()
                continue
            lane.forget()
            if step.box is None:
                if is_fresh or step.holds_anyway:
                    lane.box, lane.update_time = box, since
                    return step.answer
                continue
            try:
                written = await self._documents.commit(Guarded(path, step.box.fields, since), *step.writes)
            except WriteRefusedError:
                await self._database.pause(attempt)
                continue
            lane.remember(step.box, written)
            return step.answer
        raise InboxUnavailableError(f"{lane.conversation_id} keeps changing")

    def _lane(self, conversation_id: ConversationId) -> _Lane:
        lane = self._lanes.get(conversation_id)
        if lane is None:
            lane = self._lanes[conversation_id] = _Lane(conversation_id)
            if len(self._lanes) > LANES:
                idle = next((name for name, one in self._lanes.items() if one.is_idle and one is not lane), None)
                if idle is not None:
                    del self._lanes[idle]
        self._lanes.move_to_end(conversation_id)
        return lane

    async def _entries(self, box: _Box, *, limit: int) -> list[InboxEntry]:
        if box.pending == 0:
            return []
        found = await self._documents.find(_entries_path(box.conversation_id), limit=limit)
        return [_entry(document, box) for document in found]

    async def _waiting(self, box: _Box, sequences: Sequence[int], *, are_there: bool) -> Collection[int]:
        """Return the waiting ones. `are_there` assumes that all wait; a refused deletion then triggers a read."""
        if are_there and len(sequences) <= box.pending:
            return set(sequences)
        paths = {_entry_path(box, sequence): sequence for sequence in sequences}
        return {paths[path] for path in await self._documents.get_all(paths, fields=("sequence",))}


def _box_path(conversation_id: ConversationId) -> str:
    return f"{BOXES}/{document_id(conversation_id)}"


def _entries_path(conversation_id: ConversationId) -> str:
    return f"{_box_path(conversation_id)}/{ENTRIES}"


def _entry_path(box: _Box, sequence: int) -> str:
    return f"{_entries_path(box.conversation_id)}/{sequence:020}"


def _seen_path(message: InboundMessage) -> str:
    return f"{SEEN}/{message.dedup_key}"


def _entry(document: Document, box: _Box) -> InboxEntry:
    fields = document.fields
    attempts = fields["attempts"] + box.attempts.get(fields["sequence"], 0)
    return InboxEntry.read(box.conversation_id, fields["sequence"], attempts, fields["message"])


def _deletes(box: _Box, sequences: Iterable[int]) -> list[Delete]:
    return [Delete(_entry_path(box, sequence), must_exist=True) for sequence in sequences]


def _put(box: _Box, received_at: datetime, text: str) -> Put:
    entry = {"sequence": box.last_sequence, "attempts": 0, "message": text, "received_at": received_at}
    return Put(_entry_path(box, box.last_sequence), entry)


def _mark(message: InboundMessage, sequence: int) -> Guarded:
    """Return the mark that identifies a second delivery; it must not exist yet."""
    fields = {
        "conversation_id": message.conversation_id,
        "sequence": sequence,
        "expires_at": message.received_at + SEEN_FOR,
    }
    return Guarded(_seen_path(message), fields, unchanged_since=None)
