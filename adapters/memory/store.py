"""In-memory store, for unit tests: conversations, outbox, dead letters, institutions and records."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from contracts.conversation import Conversation, TransitionRecord, TurnRecord, Utterance
from contracts.delivery import (
    ConversationArchive,
    DeadLetter,
    OutboxRow,
    Receipt,
    Record,
    TurnCommit,
    row_of,
)
from contracts.errors import ConversationConflictError
from contracts.institution import Institution
from contracts.listing import (
    EVERYTHING,
    ConversationPage,
    ConversationQuery,
    Order,
    Place,
    facets_of,
    index_words,
)
from contracts.messages import StatusUpdate
from contracts.values import ConversationId, MessageId, OutboxId


@dataclass
class _Tables:
    """Rows of every repository, by id."""

    heads: dict[ConversationId, Conversation] = field(default_factory=dict)
    words: dict[ConversationId, set[str]] = field(default_factory=dict)
    transitions: dict[ConversationId, list[TransitionRecord]] = field(default_factory=dict)
    utterances: dict[ConversationId, list[Utterance]] = field(default_factory=dict)
    turns: dict[ConversationId, list[TurnRecord]] = field(default_factory=dict)
    receipts: dict[ConversationId, dict[MessageId, Receipt]] = field(default_factory=dict)
    outbox: dict[OutboxId, OutboxRow] = field(default_factory=dict)
    parked: list[StatusUpdate] = field(default_factory=list)
    dead_letters: dict[str, DeadLetter] = field(default_factory=dict)
    institutions: dict[str, tuple[datetime, Institution]] = field(default_factory=dict)
    records: dict[tuple[str, str], Record] = field(default_factory=dict)


class _Repository:
    """A repository over the tables; no method awaits between its first read and its last write, so each is atomic."""

    def __init__(self, tables: _Tables | None = None) -> None:
        self._tables = tables or _Tables()


class MemoryConversations(_Repository):
    """Satisfies the `ConversationStore` port."""

    async def load(self, conversation_id: ConversationId) -> Conversation | None:
        return self._tables.heads.get(conversation_id)

    async def commit(self, commit: TurnCommit) -> Conversation:
        head = commit.conversation
        stored = self._tables.heads.get(head.id)
        is_current = head.version == (stored.version if stored else 0)
        if not is_current or any(self._tables.outbox.get(row.id) != row for row in commit.unchanged):
            raise ConversationConflictError(head.id)
        self._tables.heads[head.id] = saved = head.model_copy(update={"version": head.version + 1})
        self._tables.words.setdefault(head.id, set()).update(index_words(head, commit.utterances))
        self._tables.transitions.setdefault(head.id, []).extend(commit.transitions)
        self._tables.utterances.setdefault(head.id, []).extend(commit.utterances)
        if commit.turn is not None:
            self._tables.turns.setdefault(head.id, []).append(commit.turn)
            known = self._tables.receipts.setdefault(head.id, {})
            for receipt in commit.receipts:
                known.setdefault(receipt.message.id, receipt)
        self._tables.outbox.update({row.id: row for row in commit.outbox})
        for record in commit.records:
            self._tables.records[record.collection, record.key] = record.model_copy(update={"version": 1})
        return saved

    async def transitions(self, conversation_id: ConversationId) -> list[TransitionRecord]:
        return list(self._tables.transitions.get(conversation_id, ()))

    async def transcript(self, conversation_id: ConversationId) -> list[Utterance]:
        return list(self._tables.utterances.get(conversation_id, ()))

    async def turns(self, conversation_id: ConversationId, *, limit: int | None = None) -> list[TurnRecord]:
        turns = self._tables.turns.get(conversation_id, [])
        return list(turns if limit is None else turns[len(turns) - min(limit, len(turns)) :])

    async def receipt(self, conversation_id: ConversationId, message_id: MessageId) -> Receipt | None:
        return self._tables.receipts.get(conversation_id, {}).get(message_id)

    async def receipts(self, conversation_id: ConversationId) -> list[Receipt]:
        return sorted(self._tables.receipts.get(conversation_id, {}).values(), key=lambda receipt: receipt.sequence)

    async def turn_of(self, receipt: Receipt) -> TurnRecord | None:
        turns = self._tables.turns.get(receipt.message.conversation_id, [])
        return next((turn for turn in turns if turn.id == receipt.turn_id), None)

    async def find_message(self, message_id: MessageId) -> list[ConversationId]:
        return sorted(holder for holder, receipts in self._tables.receipts.items() if message_id in receipts)

    async def find(
        self, query: ConversationQuery = EVERYTHING, *, limit: int = 50, cursor: str | None = None
    ) -> ConversationPage:
        place, is_newest_first = Place.read(cursor), query.order is Order.UPDATED
        found = [
            (at, head.id, head)
            for head in self._tables.heads.values()
            if (at := query.order.instant(head)) is not None and self._fits(head, at, query)
        ]
        if place is not None:
            last = (place.at, place.id)
            found = [one for one in found if (one[:2] < last if is_newest_first else one[:2] > last)]
        first = heapq.nlargest if is_newest_first else heapq.nsmallest
        page = first(limit + 1, found, key=lambda one: one[:2])
        return ConversationPage.of([head for *_, head in page], limit, query.order)

    def _fits(self, head: Conversation, at: datetime, query: ConversationQuery) -> bool:
        if query.words and not self._tables.words[head.id].issuperset(query.words):
            return False
        if (query.since and at < query.since) or (query.until and at >= query.until):
            return False
        facets = facets_of(head) if query.conditions else {}
        return all(facets[name] in values for name, values in query.conditions.items())

    async def timed_out(self, *, at: datetime, limit: int) -> list[ConversationId]:
        limits = [(head.times_out_at, head.id) for head in self._tables.heads.values() if head.times_out_at]
        return [conversation_id for ends, conversation_id in sorted(limits) if ends <= at][:limit]

    async def expired(self, *, updated_before: datetime, limit: int) -> list[ConversationId]:
        heads = sorted(self._started(), key=_touched)
        return [head.id for head in heads if _touched(head) < updated_before][:limit]

    async def erase(self, conversation_id: ConversationId, *, at: datetime, answered_up_to: int = 0) -> bool:
        head = self._tables.heads.get(conversation_id) or Conversation(id=conversation_id)
        tables = self._tables
        for rows in (tables.words, tables.transitions, tables.utterances, tables.turns, tables.receipts):
            rows.pop(conversation_id, None)
        self._tables.outbox = {
            key: row for key, row in self._tables.outbox.items() if row.conversation_id != conversation_id
        }
        self._tables.dead_letters = {
            key: letter
            for key, letter in self._tables.dead_letters.items()
            if letter.conversation_id != conversation_id
        }
        self._tables.records = {
            key: record for key, record in self._tables.records.items() if record.owner != conversation_id
        }
        self._tables.heads[conversation_id] = head.emptied(at, answered_up_to=answered_up_to)
        return head.turns > 0

    async def restore(self, archive: ConversationArchive) -> None:
        head = archive.head
        await self.erase(head.id, at=_touched(head))
        self._tables.heads[head.id] = head
        self._tables.words[head.id] = index_words(head, archive.utterances)
        self._tables.transitions[head.id] = list(archive.transitions)
        self._tables.utterances[head.id] = list(archive.utterances)
        self._tables.turns[head.id] = list(archive.turns)
        self._tables.receipts[head.id] = {receipt.message.id: receipt for receipt in archive.receipts}
        self._tables.outbox.update({row.id: row for row in archive.outbox})
        self._tables.dead_letters.update({letter.id: letter for letter in archive.dead_letters})

    def _started(self) -> list[Conversation]:
        return [head for head in self._tables.heads.values() if head.turns > 0]


class MemoryOutbox(_Repository):
    """Satisfies the `Outbox` port."""

    async def rows(self, conversation_id: ConversationId) -> list[OutboxRow]:
        rows = [row for row in self._tables.outbox.values() if row.conversation_id == conversation_id]
        return sorted(rows, key=lambda row: row.number)

    async def unsent(self, conversation_id: ConversationId) -> list[OutboxRow]:
        return [row for row in await self.rows(conversation_id) if row.is_unsent]

    async def begin_send(self, row: OutboxRow, *, deadline: datetime, at: datetime) -> OutboxRow | None:
        if self._tables.outbox.get(row.id) != row:
            return None
        self._tables.outbox[row.id] = sending = row.sending(deadline=deadline, at=at)
        return sending

    async def mark_sent(self, row: OutboxRow, *, platform_message_id: str, at: datetime) -> None:
        stored = self._tables.outbox.get(row.id)
        if stored is None:
            return
        row = stored.sent(platform_message_id=platform_message_id, at=at)
        for update in [update for update in self._tables.parked if _is_about(update, row)]:
            self._tables.parked.remove(update)
            row = row.reported(update)
        self._tables.outbox[row.id] = row

    async def postpone(self, row_id: OutboxId, *, not_before: datetime, error_code: str, at: datetime) -> None:
        row = self._tables.outbox.get(row_id)
        if row is not None and row.is_unsent:
            self._tables.outbox[row_id] = row.postponed(not_before=not_before, error_code=error_code, at=at)

    async def mark_failed(
        self, row_id: OutboxId, *, error_code: str, at: datetime, in_any_form: bool = True
    ) -> OutboxRow | None:
        row = self._tables.outbox.get(row_id)
        if row is None or not row.is_unsent:
            return None
        self._tables.outbox[row_id] = row = row.failed(error_code=error_code, at=at, in_any_form=in_any_form)
        return row

    async def apply_status(self, update: StatusUpdate) -> OutboxRow | None:
        row = self._tables.outbox.get(row_of(update.client_reference))
        if row is None or row.address.channel is not update.channel:
            row = next((row for row in self._tables.outbox.values() if _is_about(update, row)), None)
        if row is None:
            self._tables.parked.append(update)
            return None
        self._tables.outbox[row.id] = row = row.reported(update)
        return row

    async def unsent_count(self) -> int:
        return sum(1 for row in self._tables.outbox.values() if row.is_unsent)

    async def sendable(self, *, at: datetime, limit: int) -> list[ConversationId]:
        first: dict[ConversationId, OutboxRow] = {}
        for row in sorted(self._tables.outbox.values(), key=lambda row: row.number):
            if row.is_unsent:
                first.setdefault(row.conversation_id, row)
        ready = sorted((row.sendable_at, row.conversation_id) for row in first.values() if row.sendable_at <= at)
        return [conversation_id for _, conversation_id in ready[:limit]]

    async def to_escalate(self, *, limit: int) -> list[OutboxRow]:
        return [row for row in self._tables.outbox.values() if row.needs_escalation][:limit]

    async def escalation_done(self, row_id: OutboxId) -> None:
        row = self._tables.outbox.get(row_id)
        if row is not None:
            self._tables.outbox[row_id] = row.model_copy(update={"needs_escalation": False})


class MemoryDeadLetters(_Repository):
    """Satisfies the `DeadLetters` port."""

    async def add(self, letter: DeadLetter) -> None:
        self._tables.dead_letters.setdefault(letter.id, letter)

    async def letters(
        self, *, conversation_id: ConversationId | None = None, until: datetime | None = None, limit: int = 100
    ) -> list[DeadLetter]:
        letters = [
            letter
            for letter in self._tables.dead_letters.values()
            if conversation_id in (None, letter.conversation_id) and (until is None or letter.at <= until)
        ]
        return sorted(letters, key=lambda letter: letter.at, reverse=True)[:limit]

    async def get(self, letter_id: str) -> DeadLetter | None:
        return self._tables.dead_letters.get(letter_id)

    async def drop(self, letter_id: str) -> bool:
        return self._tables.dead_letters.pop(letter_id, None) is not None

    async def forget(self, addresses: Sequence[str]) -> int:
        held = [key for key, one in self._tables.dead_letters.items() if not set(addresses).isdisjoint(one.addresses)]
        for key in held:
            del self._tables.dead_letters[key]
        return len(held)

    async def prune(self, *, before: datetime) -> int:
        kept = {key: letter for key, letter in self._tables.dead_letters.items() if letter.at >= before}
        dropped = len(self._tables.dead_letters) - len(kept)
        self._tables.dead_letters = kept
        return dropped


class MemoryInstitutions(_Repository):
    """Satisfies the `Institutions` port."""

    async def publish(self, institution: Institution, *, at: datetime) -> bool:
        newest = await self.current()
        if newest is not None and newest.version == institution.version:
            return False
        self._tables.institutions[institution.version] = (at, institution)
        return True

    async def current(self) -> Institution | None:
        newest = max(self._tables.institutions.values(), key=lambda published: published[0], default=None)
        return newest[1] if newest else None

    async def versions(self) -> list[tuple[str, datetime]]:
        versions = [(version, at) for version, (at, _) in self._tables.institutions.items()]
        return sorted(versions, key=lambda version: version[1], reverse=True)


class MemoryRecords(_Repository):
    """Satisfies the `Records` port."""

    async def get(self, collection: str, key: str, *, at: datetime) -> Record | None:
        record = self._tables.records.get((collection, key))
        return record if record and _is_kept(record, at) else None

    async def put(self, record: Record) -> Record | None:
        name = (record.collection, record.key)
        stored = self._tables.records.get(name)
        if record.version != (stored.version if stored else 0):
            return None
        self._tables.records[name] = saved = record.model_copy(update={"version": record.version + 1})
        return saved

    async def page(self, collection: str, *, at: datetime, after: str = "", limit: int = 100) -> list[Record]:
        return sorted((one for one in self._kept(collection, at) if one.key > after), key=lambda one: one.key)[:limit]

    async def due(self, collection: str, *, at: datetime, limit: int) -> list[Record]:
        due = [(one.due_at, one.key, one) for one in self._kept(collection, at) if one.due_at and one.due_at <= at]
        return [record for _, _, record in sorted(due)[:limit]]

    async def drop(self, collection: str, key: str) -> bool:
        return self._tables.records.pop((collection, key), None) is not None

    async def prune(self, *, at: datetime) -> int:
        kept = {name: record for name, record in self._tables.records.items() if _is_kept(record, at)}
        pruned = len(self._tables.records) - len(kept)
        self._tables.records = kept
        return pruned

    def _kept(self, collection: str, at: datetime) -> list[Record]:
        return [one for one in self._tables.records.values() if one.collection == collection and _is_kept(one, at)]


class MemoryStore:
    """Satisfies the `Store` port."""

    def __init__(self) -> None:
        tables = _Tables()
        self.conversations = MemoryConversations(tables)
        self.outbox = MemoryOutbox(tables)
        self.dead_letters = MemoryDeadLetters(tables)
        self.institutions = MemoryInstitutions(tables)
        self.records = MemoryRecords(tables)

    async def ping(self) -> None:
        return

    async def close(self) -> None:
        return


def _is_kept(record: Record, at: datetime) -> bool:
    return record.expires_at is None or record.expires_at > at


def _touched(head: Conversation) -> datetime:
    assert head.updated_at is not None  # noqa: S101 - every started conversation was updated by a turn
    return head.updated_at


def _is_about(update: StatusUpdate, row: OutboxRow) -> bool:
    return (row.address.channel, row.address.account, row.platform_message_id) == (
        update.channel,
        update.account,
        update.platform_message_id,
    )
