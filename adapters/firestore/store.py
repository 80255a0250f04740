"""Firestore store: conversations, outbox, dead letters, institutions and records.

    conversations/{id}                    the head: small, one conditional write for each turn
    conversations/{id}/history/{version}  additions of one commit: its transitions, utterances, turn and receipts
    conversations/{id}/receipts/{sequence}, as earlier releases wrote them
    outbox/{row id}                       outside the conversations, so that a row is found by its id alone
    parked_statuses/{hash}                statuses whose row is not known yet
    dead_letters/{id}
    institutions/{version}, its parts/{n}, and published/institution, which points at the current one
    records/{collection}/record_entries/{key}

Values are the JSON text of their models, plus the few fields that queries need. A field without a value is absent, and
so in no index. A `..._key` is an id in the form of `document_id`, since a condition may not contain a value of more
than 1,500 bytes. A person's data carries `expires_at`, for Firestore's TTL policy, which deletes a day late or more;
reads therefore skip expired documents too.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial, reduce
from itertools import zip_longest
from typing import Any, Self, TypeVar

from pydantic import BaseModel

from adapters.clock import SystemClock
from adapters.firestore.database import (
    BATCH_LIMIT,
    DOCUMENT_BYTES,
    Condition,
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
from adapters.row_changes import RowChanges
from contracts.conversation import Conversation, TransitionRecord, TurnRecord, Utterance
from contracts.delivery import ConversationArchive, DeadLetter, OutboxRow, Receipt, Record, TurnCommit, row_of
from contracts.errors import ConversationConflictError, PermanentError, StoreUnavailableError
from contracts.institution import Institution
from contracts.listing import (
    EVERYTHING,
    ConversationPage,
    ConversationQuery,
    Order,
    Place,
    facets_of,
    index_words,
    waiting_since,
)
from contracts.messages import ChannelName, StatusUpdate, digest
from contracts.ports import Clock
from contracts.values import ConversationId, MessageId, OutboxId

M = TypeVar("M", bound=BaseModel)
K = TypeVar("K")
V = TypeVar("V")

CONVERSATIONS = "conversations"
HISTORY = "history"
RECEIPTS = "receipts"
OUTBOX = "outbox"
PARKED = "parked_statuses"
DEAD_LETTERS = "dead_letters"
INSTITUTIONS = "institutions"
PARTS = "parts"
PUBLISHED = "published/institution"
RECORDS = "record_entries"
PINGS = "pings"

HEAD_BYTES = 100_000
# A status that matches no row after this long is about a message that Prosa did not send.
PARKED_FOR = timedelta(days=1)
# Heads, rows and records that a process remembers, to write them without reading them first.
REMEMBERED = 5_000
# Attempts of a change that loses the race against another writer.
ATTEMPTS = 12
# Turns after which only the words of the window are kept for searches, and what is added begins again.
WORDS_FOR_TURNS = 20
# As many of the longest lines that a platform allows as fit into a document.
LINES_IN_A_DOCUMENT = 10
# Firestore compares a field with at most this many values at once.
VALUES_IN_A_CONDITION = 30
PAGE = 200
# Reads of one search, after which its page may have fewer conversations than asked.
FIND_ROUNDS = 10
FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A row of the outbox as last read or written, and the commit that added it."""

    row: OutboxRow
    version: int
    expires_at: datetime
    update_time: datetime

    @classmethod
    def read(cls, document: Document) -> Self:
        fields = document.fields
        return cls(_read(OutboxRow, document), fields["version"], fields["expires_at"], document.update_time)


@dataclass(slots=True, eq=False)
class _Reports:
    """Statuses of one row that wait for their turn in this process, and the row after the last of them.

    A status whose write failed stays in the list: writing it again does no harm.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: list[StatusUpdate] = field(default_factory=list)
    callers: int = 0
    row: OutboxRow | None = None


class _Documents:
    """Shared parts of the repositories: unexpired documents, and the form of rows, letters and heads.

    Args:
        retention: time for which a person's data is kept after it was written.
    """

    def __init__(self, database: FirestoreDatabase, clock: Clock, retention: timedelta) -> None:
        self.database = database
        self.all = database.documents(StoreUnavailableError)
        self.clock = clock
        self._retention = retention
        self.rows: OrderedDict[OutboxId, _Stored] = OrderedDict()

    async def find(self, collection: str, *conditions: Condition, **options: Any) -> list[Document]:
        """Return matching documents that have not expired."""
        return [one for one in await self.all.find(collection, *conditions, **options) if self.is_alive(one)]

    async def drop(self, path: str) -> bool:
        was_there = await self.all.get(path) is not None
        await self.all.apply([Delete(path)])
        return was_there

    def expires_at(self) -> datetime:
        return self.clock.now() + self._retention

    def is_alive(self, document: Document) -> bool:
        return _is_kept(document, self.clock.now())

    async def stored_row(self, row_id: OutboxId) -> _Stored | None:
        document = await self.all.get(_row_path(row_id))
        return _Stored.read(document) if document is not None else None

    def row(self, row: OutboxRow, version: int) -> Put:
        fields = {
            "conversation_id": row.conversation_id,
            "conversation_key": document_id(row.conversation_id),
            "version": version,
            "unsent": True if row.is_unsent else None,
            "sendable_at": row.sendable_at if row.is_unsent else None,
            "needs_escalation": True if row.needs_escalation else None,
            "platform_key": _platform_key_of(row),
            "record": row.model_dump_json(),
            "expires_at": self.expires_at(),
        }
        return Put(_row_path(row.id), fields)

    def letter(self, letter: DeadLetter) -> Put:
        fields = {
            "conversation_key": document_id(letter.conversation_id) if letter.conversation_id is not None else None,
            "at": letter.at,
            "addresses": list(letter.addresses) or None,
            "record": letter.model_dump_json(),
            "expires_at": self.expires_at(),
        }
        return Put(_letter_path(letter.id), fields)


class _Repository:
    def __init__(self, documents: _Documents) -> None:
        self._documents = documents


class FirestoreConversations(_Repository):
    """Satisfies the `ConversationStore` port."""

    def __init__(self, documents: _Documents) -> None:
        super().__init__(documents)
        # The update time of heads read or written here, by their version.
        self._heads: OrderedDict[ConversationId, tuple[int, datetime]] = OrderedDict()

    async def load(self, conversation_id: ConversationId) -> Conversation | None:
        document = await self._documents.all.get(_head_path(conversation_id))
        if document is None:
            self._heads.pop(conversation_id, None)
            return None
        if not self._documents.is_alive(document):
            # A new conversation's first commit replaces an expired head that the TTL policy has not deleted yet.
            _keep(self._heads, conversation_id, (0, document.update_time))
            return None
        head = _read(Conversation, document)
        _keep(self._heads, conversation_id, (head.version, document.update_time))
        return head

    async def commit(self, commit: TurnCommit) -> Conversation:
        head = commit.conversation
        saved = head.model_copy(update={"version": head.version + 1})
        turns = (commit.turn,) if commit.turn else ()
        others = [
            *self._additions(saved, turns, commit.transitions, commit.utterances, commit.receipts),
            *[await self._row(row, saved.version, commit) for row in commit.outbox],
            *(_record_put(record) for record in commit.records),
        ]
        return await self._write_head(saved, await self._unchanged_since(head), *others, said=commit.utterances)

    async def _row(self, row: OutboxRow, version: int, commit: TurnCommit) -> Write:
        """Return the write of a row, on the condition that it is as the commit has read it.

        Raises:
            ConversationConflictError: it was changed since.
        """
        before = next((one for one in commit.unchanged if one.id == row.id), None)
        if before is None:
            return self._documents.row(row, version)
        stored = await self._documents.stored_row(row.id)
        if stored is None or stored.row != before:
            raise ConversationConflictError(commit.conversation.id)
        self._documents.rows.pop(row.id, None)
        write = self._documents.row(row, stored.version)
        return Guarded(write.path, write.fields, stored.update_time)

    async def transitions(self, conversation_id: ConversationId) -> list[TransitionRecord]:
        texts = await self._history(conversation_id, "transitions")
        return [TransitionRecord.model_validate_json(text) for text in texts]

    async def transcript(self, conversation_id: ConversationId) -> list[Utterance]:
        return [Utterance.model_validate_json(text) for text in await self._history(conversation_id, "utterances")]

    async def turns(self, conversation_id: ConversationId, *, limit: int | None = None) -> list[TurnRecord]:
        # Documents without a turn have no `turn_order`, and an order leaves out documents without the field.
        found = await self._documents.find(
            f"{_head_path(conversation_id)}/{HISTORY}", order_by="turn_order", descending=True, limit=limit
        )
        return [_read(TurnRecord, document, "turn") for document in reversed(found)]

    async def receipt(self, conversation_id: ConversationId, message_id: MessageId) -> Receipt | None:
        head, key = _head_path(conversation_id), document_id(message_id)
        receipts = _receipts(
            *await asyncio.gather(
                self._documents.find(f"{head}/{HISTORY}", ("message_keys", "array_contains", key)),
                self._documents.find(f"{head}/{RECEIPTS}", ("message_key", "==", key)),
            )
        )
        return next((receipt for receipt in receipts if receipt.message.id == message_id), None)

    async def receipts(self, conversation_id: ConversationId) -> list[Receipt]:
        head = _head_path(conversation_id)
        return _receipts(
            *await asyncio.gather(
                self._documents.find(f"{head}/{HISTORY}", fields=("receipts", "expires_at")),
                self._documents.find(f"{head}/{RECEIPTS}"),
            )
        )

    async def turn_of(self, receipt: Receipt) -> TurnRecord | None:
        path = f"{_head_path(receipt.message.conversation_id)}/{HISTORY}"
        found = await self._documents.find(path, ("turn_id", "==", receipt.turn_id), limit=1)
        return next((_read(TurnRecord, document, "turn") for document in found), None)

    async def find_message(self, message_id: MessageId) -> list[ConversationId]:
        key = document_id(message_id)
        found = await asyncio.gather(
            self._documents.find(HISTORY, ("message_keys", "array_contains", key), limit=100, everywhere=True),
            self._documents.find(RECEIPTS, ("message_key", "==", key), limit=100, everywhere=True),
        )
        return sorted({_conversation_of(document) for documents in found for document in documents})

    async def find(
        self, query: ConversationQuery = EVERYTHING, *, limit: int = 50, cursor: str | None = None
    ) -> ConversationPage:
        is_newest_first = query.order is Order.UPDATED
        order_by = "listed_at" if is_newest_first else "waiting_at"
        # One array condition is all that Firestore takes: the other words are looked for in what it returns.
        conditions: list[Condition] = [("words", "array_contains", word) for word in query.words[:1]]
        conditions += [(name, "in", list(values)) for name, values in query.conditions.items()]
        bounds = ((">=", query.since), ("<", query.until))
        conditions += [(order_by, operator, moment) for operator, moment in bounds if moment]
        place = Place.read(cursor)
        last = Document(_head_path(place.id), {order_by: place.at}, place.at) if place else None
        others, heads, size = {*query.words[1:]}, list[Conversation](), limit + 1
        for _ in range(FIND_ROUNDS):
            found = await self._documents.all.find(
                CONVERSATIONS, *conditions, order_by=order_by, descending=is_newest_first, after=last, limit=size
            )
            alive = [document for document in found if self._documents.is_alive(document)]
            heads += [_read(Conversation, one) for one in alive if others.issubset(one.fields.get("words", ()))]
            if len(found) < size or len(heads) > limit:
                return ConversationPage.of(heads, limit, query.order)
            last, size = found[-1], PAGE
        at = Place(at=last.fields[order_by], id=_conversation_of(last)) if last else None
        return ConversationPage(items=tuple(heads), next_cursor=at.cursor if at else None)

    async def timed_out(self, *, at: datetime, limit: int) -> list[ConversationId]:
        condition = ("times_out_at", "<=", at)
        found = await self._documents.find(CONVERSATIONS, condition, order_by="times_out_at", limit=limit)
        return [_conversation_of(document) for document in found]

    async def expired(self, *, updated_before: datetime, limit: int) -> list[ConversationId]:
        condition = ("listed_at", "<", updated_before)
        # Including expired documents: an erasure deletes everything at once.
        found = await self._documents.all.find(CONVERSATIONS, condition, order_by="listed_at", limit=limit)
        return [_conversation_of(document) for document in found]

    async def erase(self, conversation_id: ConversationId, *, at: datetime, answered_up_to: int = 0) -> bool:
        emptied, erased = await self._replace_head(
            conversation_id, lambda stored: stored.emptied(at, answered_up_to=answered_up_to)
        )
        deleted = await self._delete_everything(conversation_id, up_to=emptied.version)
        return erased.turns > 0 or deleted > 0

    async def restore(self, archive: ConversationArchive) -> None:
        head = archive.head
        unfinished, _ = await self._replace_head(head.id, lambda stored: head.being_restored(over=stored.version))
        await self._delete_everything(head.id, up_to=unfinished.version)
        await self._documents.all.apply(
            [
                *self._additions(head, archive.turns, archive.transitions, archive.utterances, archive.receipts),
                *(self._documents.row(row, head.version) for row in archive.outbox),
                *(self._documents.letter(letter) for letter in archive.dead_letters),
            ]
        )
        await self._write_head(head, await self._unchanged_since(unfinished), said=archive.utterances)

    async def _unchanged_since(self, head: Conversation) -> datetime | None:
        """Return the update time of the stored head, the precondition for replacing it by `head`; None when there is
        none.

        Raises:
            ConversationConflictError: the stored version is another one.
        """
        remembered = self._heads.get(head.id)
        if remembered is not None and remembered[0] == head.version:
            return remembered[1]
        if head.version == 0 and remembered is None:
            # If there is one after all, the write is refused.
            return None
        stored = await self.load(head.id)
        if head.version != (stored.version if stored else 0):
            raise ConversationConflictError(head.id)
        known = self._heads.get(head.id)
        return known[1] if known else None

    async def _write_head(
        self, head: Conversation, since: datetime | None, *others: Write, said: Sequence[Utterance] = ()
    ) -> Conversation:
        saved, record = head, head.model_dump_json()
        # Without the oldest lines of its window if they make it too big: the window only feeds the next prompt, and the
        # transcript keeps them.
        while len(record.encode()) > HEAD_BYTES:
            if not saved.window:
                raise PermanentError(f"the head of {head.id} has more than {HEAD_BYTES} bytes without its window")
            saved = saved.model_copy(update={"window": saved.window[1:]})
            record = saved.model_dump_json()
        words = sorted(index_words(saved, said))
        # The words are those of the window from time to time: an array without a limit would fill the document.
        is_whole = not said or saved.turns % WORDS_FOR_TURNS == 0
        if is_whole and said:
            words = sorted({*words, *index_words(saved)})
        fields = {
            "conversation_id": saved.id,
            **{name: str(value) for name, value in facets_of(saved).items()},
            **({"words": words or None} if is_whole else {}),
            "listed_at": Order.UPDATED.instant(saved),
            "waiting_at": waiting_since(saved),
            "times_out_at": saved.times_out_at,
            "record": record,
            "expires_at": self._documents.expires_at(),
        }
        self._heads.pop(saved.id, None)
        guard = Guarded(_head_path(saved.id), fields, since, added={} if is_whole else {"words": words})
        try:
            written = await self._documents.all.commit(guard, *others)
        except WriteRefusedError as exc:
            raise ConversationConflictError(saved.id) from exc
        _keep(self._heads, saved.id, (saved.version, written))
        return saved

    async def _replace_head(
        self, conversation_id: ConversationId, replacement: Callable[[Conversation], Conversation]
    ) -> tuple[Conversation, Conversation]:
        """Replace the stored head by a value derived from it; return the new and the previous head."""
        for attempt in range(ATTEMPTS):
            document = await self._documents.all.get(_head_path(conversation_id))
            stored = _read(Conversation, document) if document else Conversation(id=conversation_id)
            head = replacement(stored)
            try:
                await self._write_head(head, document.update_time if document else None)
            except ConversationConflictError:
                await self._documents.database.pause(attempt)
                continue
            return head, stored
        raise StoreUnavailableError(f"{conversation_id} keeps changing")

    async def _delete_everything(self, conversation_id: ConversationId, *, up_to: int) -> int:
        """Delete the writes of commits up to that version: a new conversation may have begun since the head was
        emptied.

        After a crash, a repetition continues from there.
        """
        for row_id in [
            row_id for row_id, one in self._documents.rows.items() if one.row.conversation_id == conversation_id
        ]:
            del self._documents.rows[row_id]
        head, old = _head_path(conversation_id), ("version", "<=", up_to)
        mine = ("conversation_key", "==", document_id(conversation_id))
        last: Document | None = None
        while True:
            found = await self._documents.all.find(
                OUTBOX, mine, after=last, limit=BATCH_LIMIT, fields=("platform_key",)
            )
            keys = [key for document in found if (key := document.fields.get("platform_key"))]
            for some in chunks(keys, VALUES_IN_A_CONDITION):
                await self._documents.all.delete_all(PARKED, ("platform_key", "in", list(some)))
            if len(found) < BATCH_LIMIT:
                break
            last = found[-1]
        return (
            await self._documents.all.delete_all(f"{head}/{HISTORY}", old)
            + await self._documents.all.delete_all(f"{head}/{RECEIPTS}", old)
            + await self._documents.all.delete_all(OUTBOX, mine, old)
            + await self._documents.all.delete_all(DEAD_LETTERS, mine)
            + await self._documents.all.delete_all(
                RECORDS, ("owner_key", "==", document_id(conversation_id)), everywhere=True
            )
        )

    def _additions(
        self,
        head: Conversation,
        turns: Sequence[TurnRecord],
        transitions: Sequence[TransitionRecord],
        utterances: Sequence[Utterance],
        receipts: Sequence[Receipt],
    ) -> list[Put]:
        """Return documents of the history, usually one; the ids of later commits sort later."""
        size = LINES_IN_A_DOCUMENT
        parts = zip_longest(
            turns, chunks(transitions, size), chunks(utterances, size), chunks(receipts, size), fillvalue=None
        )
        puts = []
        for number, (turn, moved, said, received) in enumerate(parts):
            order = f"{head.version:012}-{number:06}"
            fields = {
                "conversation_id": head.id,
                "version": head.version,
                "transitions": [record.model_dump_json() for record in moved or ()],
                "utterances": [one.model_dump_json() for one in said or ()],
                "turn": turn.model_dump_json() if turn else None,
                "turn_id": turn.id if turn else None,
                "turn_order": order if turn else None,
                "receipts": [receipt.model_dump_json() for receipt in received or ()] or None,
                "message_keys": [document_id(receipt.message.id) for receipt in received or ()] or None,
                "expires_at": self._documents.expires_at(),
            }
            puts.append(Put(f"{_head_path(head.id)}/{HISTORY}/{order}", fields))
        return puts

    async def _history(self, conversation_id: ConversationId, kind: str) -> Iterable[str]:
        found = await self._documents.find(f"{_head_path(conversation_id)}/{HISTORY}", fields=(kind, "expires_at"))
        return [text for document in found for text in document.fields[kind]]


class FirestoreOutbox(_Repository, RowChanges):
    """Satisfies the `Outbox` port."""

    def __init__(self, documents: _Documents) -> None:
        super().__init__(documents)
        self._reports: dict[OutboxId, _Reports] = {}

    async def rows(self, conversation_id: ConversationId) -> list[OutboxRow]:
        found = await self._documents.find(OUTBOX, ("conversation_key", "==", document_id(conversation_id)))
        return sorted((_read(OutboxRow, document) for document in found), key=lambda row: row.number)

    async def unsent(self, conversation_id: ConversationId) -> list[OutboxRow]:
        # Two equality conditions need no index of their own; an order would.
        mine = ("conversation_key", "==", document_id(conversation_id))
        found = await self._documents.find(OUTBOX, mine, ("unsent", "==", True))
        stored = sorted((_Stored.read(document) for document in found), key=lambda one: one.row.number)
        for one in stored:
            _keep(self._documents.rows, one.row.id, one)
        return [one.row for one in stored]

    async def mark_sent(
        self, row: OutboxRow, *, platform_message_id: str, at: datetime, reported_by: datetime | None = None
    ) -> OutboxRow | None:
        accepted = partial(OutboxRow.sent, platform_message_id=platform_message_id, at=at, reported_by=reported_by)
        sent = await self._change(row.id, accepted)
        if sent is None:
            return None
        # From here on a status finds the row by its platform id; one that did not is parked, or looks once more after
        # parking. Either way one of the two sees the other.
        for document in await self._documents.find(PARKED, ("platform_key", "==", _platform_key_of(sent))):
            sent = await self._report(row.id, _read(StatusUpdate, document))
            await self._documents.all.apply([Delete(document.path)])
        return sent

    async def apply_status(self, update: StatusUpdate) -> OutboxRow | None:
        """Apply a status as the port requires; concurrent ones of one row share the next write."""
        row_id = await self._row_for(update)
        if row_id is None:
            key = _platform_key(update.channel, update.account, update.platform_message_id)
            expires_at = self._documents.clock.now() + PARKED_FOR
            fields = {"platform_key": key, "record": update.model_dump_json(), "expires_at": expires_at}
            parked = Put(f"{PARKED}/{key}-{update.state.value}", fields)
            await self._documents.all.apply([parked])
            # `mark_sent` may have read the parked statuses just before this one was parked.
            row_id = await self._row_for(update)
            if row_id is None:
                return None
            await self._documents.all.apply([Delete(parked.path)])
        return await self._report(row_id, update)

    async def unsent_count(self) -> int:
        return await self._documents.all.count(OUTBOX, ("unsent", "==", True))

    async def sendable(self, *, at: datetime, limit: int) -> list[ConversationId]:
        """Return conversations as the port requires. A row behind one that is not due costs a read each time."""
        ready: dict[ConversationId, None] = {}
        looked_at: set[ConversationId] = set()
        last: Document | None = None
        while len(ready) < limit:
            found = await self._documents.all.find(
                OUTBOX,
                ("sendable_at", "<=", at),
                order_by="sendable_at",
                after=last,
                limit=PAGE,
                fields=("conversation_id", "sendable_at", "expires_at"),
            )
            candidates = dict.fromkeys(
                _conversation_of(document) for document in found if self._documents.is_alive(document)
            )
            unknown = [one for one in candidates if one not in looked_at]
            looked_at.update(unknown)
            unsent = await asyncio.gather(*(self.unsent(one) for one in unknown))
            ready.update(
                (one, None) for one, rows in zip(unknown, unsent, strict=True) if rows and rows[0].sendable_at <= at
            )
            if len(found) < PAGE:
                break
            last = found[-1]
        return list(ready)[:limit]

    async def to_escalate(self, *, limit: int) -> list[OutboxRow]:
        found = await self._documents.find(OUTBOX, ("needs_escalation", "==", True), limit=limit)
        return [_read(OutboxRow, document) for document in found]

    async def _change(
        self, row_id: OutboxId, change: Callable[[OutboxRow], OutboxRow | None], *, only_forward: bool = False
    ) -> OutboxRow | None:
        """Replace the row by the result of `change`; return None without a row, or when `change` returns None.

        With `only_forward` a remembered row that is ahead of the change needs no read.
        """
        for attempt in range(ATTEMPTS):
            # A remembered row is enough for a conditional write; a result without a write needs a fresh read.
            stored = self._documents.rows.pop(row_id, None)
            is_fresh = stored is None
            if stored is None:
                stored = await self._documents.stored_row(row_id)
            if stored is None or stored.expires_at <= self._documents.clock.now():
                return None
            changed = change(stored.row)
            if changed is None or changed == stored.row:
                if is_fresh or only_forward:
                    _keep(self._documents.rows, row_id, stored)
                    return changed
                continue
            write = self._documents.row(changed, stored.version)
            try:
                written = await self._documents.all.commit(Guarded(write.path, write.fields, stored.update_time))
            except WriteRefusedError:
                await self._documents.database.pause(attempt)
                continue
            expires_at = write.fields["expires_at"]
            _keep(self._documents.rows, row_id, _Stored(changed, stored.version, expires_at, written))
            return changed
        raise StoreUnavailableError(f"the outbox row {row_id} keeps changing")

    async def _report(self, row_id: OutboxId, update: StatusUpdate) -> OutboxRow | None:
        """Wait for the row's turn; its holder writes every waiting status, mostly the caller's too."""
        reports = self._reports.setdefault(row_id, _Reports())
        reports.waiting.append(update)
        reports.callers += 1
        try:
            async with reports.lock:
                # The statuses of one webhook request start one after the other: all of them join the row's turn.
                await asyncio.sleep(0)
                if batch := tuple(reports.waiting):
                    # A status about the row in words may be new to one that was remembered before its refusal.
                    is_forward = all(update.client_reference in (None, row_id) for update in batch)
                    reports.row = await self._change(
                        row_id, lambda row: reduce(OutboxRow.reported, batch, row), only_forward=is_forward
                    )
                    del reports.waiting[: len(batch)]
                return reports.row
        finally:
            reports.callers -= 1
            if not reports.callers:
                del self._reports[row_id]

    async def _row_for(self, update: StatusUpdate) -> OutboxId | None:
        if row_id := row_of(update.client_reference):
            # A remembered row serves as well as the current one: its address never changes.
            remembered = self._documents.rows.get(row_id) or await self._documents.stored_row(row_id)
            if remembered is not None:
                _keep(self._documents.rows, row_id, remembered)
                is_alive = remembered.expires_at > self._documents.clock.now()
                if is_alive and remembered.row.address.channel == update.channel:
                    return row_id
        key = _platform_key(update.channel, update.account, update.platform_message_id)
        found = await self._documents.find(OUTBOX, ("platform_key", "==", key), limit=1)
        if not found:
            return None
        stored = _Stored.read(found[0])
        _keep(self._documents.rows, stored.row.id, stored)
        return stored.row.id


class FirestoreDeadLetters(_Repository):
    """Satisfies the `DeadLetters` port."""

    async def add(self, letter: DeadLetter) -> None:
        write = self._documents.letter(letter)
        try:
            await self._documents.all.commit(Guarded(write.path, write.fields, unchanged_since=None))
        except WriteRefusedError:
            return

    async def letters(
        self, *, conversation_id: ConversationId | None = None, until: datetime | None = None, limit: int = 100
    ) -> list[DeadLetter]:
        conditions: list[Condition] = [] if until is None else [("at", "<=", until)]
        if conversation_id is not None:
            conditions.append(("conversation_key", "==", document_id(conversation_id)))
        found = await self._documents.find(DEAD_LETTERS, *conditions, order_by="at", descending=True, limit=limit)
        return [_read(DeadLetter, document) for document in found]

    async def get(self, letter_id: str) -> DeadLetter | None:
        document = await self._documents.all.get(_letter_path(letter_id))
        return _read(DeadLetter, document) if document is not None and self._documents.is_alive(document) else None

    async def drop(self, letter_id: str) -> bool:
        return await self._documents.drop(_letter_path(letter_id))

    async def forget(self, addresses: Sequence[str]) -> int:
        conditions: list[Condition] = [("addresses", "array_contains", address) for address in addresses]
        return sum([await self._documents.all.delete_all(DEAD_LETTERS, condition) for condition in conditions])

    async def prune(self, *, before: datetime) -> int:
        return await self._documents.all.delete_all(DEAD_LETTERS, ("at", "<", before))


class FirestoreInstitutions(_Repository):
    """Satisfies the `Institutions` port. They contain no personal data, so none of them expires."""

    async def publish(self, institution: Institution, *, at: datetime) -> bool:
        path = f"{INSTITUTIONS}/{document_id(institution.version)}"
        about = {"version": institution.version, "published_at": at}
        text = institution.model_dump_json().encode()
        parts = [
            Put(f"{path}/{PARTS}/{number:04}", {"text": part})
            for number, part in enumerate(chunks(text, DOCUMENT_BYTES))
        ]
        for attempt in range(ATTEMPTS):
            current = await self._documents.all.get(PUBLISHED)
            if current is not None and current.fields["version"] == institution.version:
                return False
            try:
                since = current.update_time if current else None
                await self._documents.all.commit(Guarded(PUBLISHED, about, since), Put(path, about), *parts)
            except WriteRefusedError:
                await self._documents.database.pause(attempt)
                continue
            return True
        raise StoreUnavailableError("other processes keep publishing institutions")

    async def current(self) -> Institution | None:
        current = await self._documents.all.get(PUBLISHED)
        return None if current is None else await self.get(current.fields["version"])

    async def get(self, version: str) -> Institution | None:
        parts = await self._documents.all.find(f"{INSTITUTIONS}/{document_id(version)}/{PARTS}")
        return Institution.model_validate_json(b"".join(part.fields["text"] for part in parts)) if parts else None

    async def versions(self) -> list[tuple[str, datetime]]:
        found = await self._documents.all.find(INSTITUTIONS, order_by="published_at", descending=True)
        return [(document.fields["version"], document.fields["published_at"]) for document in found]


class FirestoreRecords(_Repository):
    """Satisfies the `Records` port."""

    def __init__(self, documents: _Documents) -> None:
        super().__init__(documents)
        # Of records written here: version, expiry, and time of the write.
        self._known: OrderedDict[str, tuple[int, datetime, datetime]] = OrderedDict()

    async def get(self, collection: str, key: str, *, at: datetime) -> Record | None:
        document = await self._documents.all.get(f"{_records_path(collection)}/{document_id(key)}")
        return _read(Record, document) if document is not None and _is_kept(document, at) else None

    async def put(self, record: Record) -> Record | None:
        path = f"{_records_path(record.collection)}/{document_id(record.key)}"
        remembered = self._known.pop(path, None)
        if remembered is not None and remembered[0] == record.version and remembered[1] > record.updated_at:
            since: datetime | None = remembered[2]
        else:
            stored = await self._documents.all.get(path)
            version = _read(Record, stored).version if stored and _is_kept(stored, record.updated_at) else 0
            if record.version != version:
                return None
            since = stored.update_time if stored else None
        saved, put = record.model_copy(update={"version": record.version + 1}), _record_put(record)
        try:
            written = await self._documents.all.commit(Guarded(path, put.fields, since))
        except WriteRefusedError:
            return None
        _keep(self._known, path, (saved.version, saved.expires_at or FOREVER, written))
        return saved

    async def page(self, collection: str, *, at: datetime, after: str = "", limit: int = 100) -> list[Record]:
        return await self._records(collection, ("key", ">", after), order_by="key", at=at, limit=limit)

    async def due(self, collection: str, *, at: datetime, limit: int) -> list[Record]:
        return await self._records(collection, ("due_at", "<=", at), order_by="due_at", at=at, limit=limit)

    async def drop(self, collection: str, key: str) -> bool:
        return await self._documents.drop(f"{_records_path(collection)}/{document_id(key)}")

    async def prune(self, *, at: datetime) -> int:
        return await self._documents.all.delete_all(RECORDS, ("expires_at", "<=", at), everywhere=True)

    async def _records(
        self, collection: str, condition: Condition, *, order_by: str, at: datetime, limit: int
    ) -> list[Record]:
        """Yield up to `limit` records, reading past expired ones."""
        kept: list[Record] = []
        last: Document | None = None
        while len(kept) < limit:
            found = await self._documents.all.find(
                _records_path(collection), condition, order_by=order_by, after=last, limit=min(limit, PAGE)
            )
            kept += [_read(Record, document) for document in found if _is_kept(document, at)]
            if len(found) < min(limit, PAGE):
                break
            last = found[-1]
        return kept[:limit]


class FirestoreStore:
    """Satisfies the `Store` port, for any number of processes.

    Args:
        retention: time for which a person's data is kept after it was written.
    """

    def __init__(
        self, database: FirestoreDatabase, *, clock: Clock | None = None, retention: timedelta = timedelta(days=90)
    ) -> None:
        self._database = database
        self._process = secrets.token_hex(8)
        self._documents = documents = _Documents(database, clock or SystemClock(), retention)
        self.conversations = FirestoreConversations(documents)
        self.outbox = FirestoreOutbox(documents)
        self.dead_letters = FirestoreDeadLetters(documents)
        self.institutions = FirestoreInstitutions(documents)
        self.records = FirestoreRecords(documents)

    async def ping(self) -> None:
        # A write that leaves nothing behind; one document for all processes would be contended.
        await self._documents.all.apply([Delete(f"{PINGS}/{self._process}")])

    async def close(self) -> None:
        await self._database.close()


def _head_path(conversation_id: ConversationId) -> str:
    return f"{CONVERSATIONS}/{document_id(conversation_id)}"


def _row_path(row_id: OutboxId) -> str:
    return f"{OUTBOX}/{document_id(row_id)}"


def _letter_path(letter_id: str) -> str:
    return f"{DEAD_LETTERS}/{document_id(letter_id)}"


def _record_put(record: Record) -> Put:
    """Return the write of the record one version higher."""
    saved = record.model_copy(update={"version": record.version + 1})
    fields = {
        "key": saved.key,
        "owner_key": document_id(saved.owner) if saved.owner is not None else None,
        "due_at": saved.due_at,
        "expires_at": saved.expires_at,
        "record": saved.model_dump_json(),
    }
    return Put(f"{_records_path(saved.collection)}/{document_id(saved.key)}", fields)


def _records_path(collection: str) -> str:
    return f"records/{document_id(collection)}/{RECORDS}"


def _is_kept(document: Document, at: datetime) -> bool:
    expires_at: datetime | None = document.fields.get("expires_at")
    return expires_at is None or expires_at > at


def _conversation_of(document: Document) -> ConversationId:
    return ConversationId(document.fields["conversation_id"])


def _read(model: type[M], document: Document, name: str = "record") -> M:
    return model.model_validate_json(document.fields[name])


def _keep(kept: OrderedDict[K, V], key: K, value: V) -> None:
    """Remember the newest `REMEMBERED` values."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)


def _receipts(additions: Iterable[Document], alone: Iterable[Document]) -> list[Receipt]:
    """Return receipts of both by sequence; the first of a message answered twice (a retried dead letter)."""
    texts = [text for document in additions for text in document.fields.get("receipts", ())]
    texts += [document.fields["record"] for document in alone]
    first: dict[MessageId, Receipt] = {}
    for receipt in sorted(map(Receipt.model_validate_json, texts), key=lambda one: one.sequence):
        first.setdefault(receipt.message.id, receipt)
    return list(first.values())


def _platform_key(channel: ChannelName, account: str, platform_message_id: str) -> str:
    return digest(channel, account, platform_message_id)


def _platform_key_of(row: OutboxRow) -> str | None:
    if row.platform_message_id is None:
        return None
    return _platform_key(row.address.channel, row.address.account, row.platform_message_id)
