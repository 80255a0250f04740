"""SQLite store: conversations, outbox, dead letters, institutions and records."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel

from adapters.clock import from_micros, micros, micros_or_none
from adapters.row_changes import RowChanges
from adapters.sqlite.database import Database
from contracts.conversation import Conversation, TransitionRecord, TurnRecord, Utterance
from contracts.delivery import ConversationArchive, DeadLetter, OutboxRow, Receipt, Record, TurnCommit, row_of
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
    waiting_since,
)
from contracts.messages import InboundMessage, StatusUpdate
from contracts.values import ConversationId, MessageId, OutboxId, TurnId

M = TypeVar("M", bound=BaseModel)

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS conversations (
        id TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        state TEXT NOT NULL,
        turns INTEGER NOT NULL,
        updated_at INTEGER,
        times_out_at INTEGER,
        head TEXT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS conversations_timeout ON conversations (times_out_at) WHERE times_out_at IS NOT NULL",
    """CREATE TABLE IF NOT EXISTS listing (
        conversation_id TEXT PRIMARY KEY,
        updated_at INTEGER NOT NULL,
        waiting_at INTEGER,
        state TEXT NOT NULL,
        owner TEXT NOT NULL,
        agent TEXT NOT NULL,
        channel TEXT NOT NULL
    ) WITHOUT ROWID""",
    # They hold all that conditions ask for, so that a list reads nothing else but its own heads.
    """CREATE INDEX IF NOT EXISTS listing_updated ON listing
        (updated_at, conversation_id, state, owner, agent, channel)""",
    """CREATE INDEX IF NOT EXISTS listing_waiting ON listing
        (waiting_at, conversation_id, state, owner, agent, channel) WHERE waiting_at IS NOT NULL""",
    """CREATE TABLE IF NOT EXISTS words (
        word TEXT NOT NULL, conversation_id TEXT NOT NULL, PRIMARY KEY (word, conversation_id)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS words_conversation ON words (conversation_id)",
    """CREATE TABLE IF NOT EXISTS transitions (
        n INTEGER PRIMARY KEY, conversation_id TEXT NOT NULL, record TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS transitions_conversation ON transitions (conversation_id, n)",
    """CREATE TABLE IF NOT EXISTS utterances (
        n INTEGER PRIMARY KEY, conversation_id TEXT NOT NULL, record TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS utterances_conversation ON utterances (conversation_id, n)",
    """CREATE TABLE IF NOT EXISTS turns (
        n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, conversation_id TEXT NOT NULL, record TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS turns_conversation ON turns (conversation_id, n)",
    """CREATE TABLE IF NOT EXISTS receipts (
        conversation_id TEXT NOT NULL,
        message_id TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        turn_id TEXT NOT NULL,
        answered_at INTEGER NOT NULL,
        message TEXT NOT NULL,
        PRIMARY KEY (conversation_id, message_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS receipts_message ON receipts (message_id)",
    """CREATE TABLE IF NOT EXISTS outbox (
        id TEXT PRIMARY KEY,
        conversation_id TEXT NOT NULL,
        number INTEGER NOT NULL,
        unsent INTEGER NOT NULL,
        sendable_at INTEGER NOT NULL,
        needs_escalation INTEGER NOT NULL,
        platform_key TEXT,
        row TEXT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS outbox_conversation ON outbox (conversation_id, number)",
    "CREATE INDEX IF NOT EXISTS outbox_unsent ON outbox (sendable_at) WHERE unsent = 1",
    # Without it every turn reads all earlier replies of its conversation.
    "CREATE INDEX IF NOT EXISTS outbox_unsent_of ON outbox (conversation_id, number) WHERE unsent = 1",
    "CREATE INDEX IF NOT EXISTS outbox_escalation ON outbox (id) WHERE needs_escalation = 1",
    "CREATE INDEX IF NOT EXISTS outbox_platform ON outbox (platform_key) WHERE platform_key IS NOT NULL",
    """CREATE TABLE IF NOT EXISTS parked_statuses (
        n INTEGER PRIMARY KEY, platform_key TEXT NOT NULL, at INTEGER NOT NULL, record TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS parked_platform ON parked_statuses (platform_key)",
    """CREATE TABLE IF NOT EXISTS dead_letters (
        id TEXT PRIMARY KEY, conversation_id TEXT, at INTEGER NOT NULL, record TEXT NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS institutions (
        version TEXT PRIMARY KEY, published_at INTEGER NOT NULL, record TEXT NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS records (
        collection TEXT NOT NULL,
        key TEXT NOT NULL,
        version INTEGER NOT NULL,
        conversation_id TEXT,
        due_at INTEGER,
        expires_at INTEGER,
        record TEXT NOT NULL,
        PRIMARY KEY (collection, key)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS records_due ON records (collection, due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS records_expiry ON records (expires_at) WHERE expires_at IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS records_owner ON records (conversation_id) WHERE conversation_id IS NOT NULL",
)

# `user_version` of a file whose conversations are in `listing` and `words`.
LISTED = 1
# With fewer conversations that have all words, those are sorted; with more, the list is read in its order.
FEW = 2_000

# A status without a row after this many later ones is about a message that Prosa did not send.
PARKED_LIMIT = 10_000

RECEIPT = "INSERT OR IGNORE INTO receipts VALUES (?, ?, ?, ?, ?, ?)"
TURN = "INSERT INTO turns (id, conversation_id, record) VALUES (?, ?, ?)"
ROW = "INSERT OR REPLACE INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
DEAD_LETTER = "INSERT OR IGNORE INTO dead_letters VALUES (?, ?, ?, ?)"
INSERT_RECORD = (
    "INSERT OR IGNORE INTO records (version, conversation_id, due_at, expires_at, record, collection, key) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)

CONVERSATION_TABLES = (
    "listing",
    "words",
    "transitions",
    "utterances",
    "turns",
    "receipts",
    "outbox",
    "dead_letters",
    "records",
)


def prepare_store(c: sqlite3.Connection) -> None:
    for statement in SCHEMA:
        c.execute(statement)
    if c.execute("PRAGMA user_version").fetchone()[0] < LISTED:
        for (head,) in c.execute("SELECT head FROM conversations WHERE turns > 0"):
            _list(c, Conversation.model_validate_json(head))
        c.execute("DROP INDEX IF EXISTS conversations_updated")
        c.execute(f"PRAGMA user_version = {LISTED}")


class _Repository:
    def __init__(self, database: Database) -> None:
        self._run = database.run

    async def _rows(self, query: str, *given: object) -> list[Any]:
        return await self._run(lambda c: c.execute(query, given).fetchall())

    async def _all(self, model: type[M], query: str, *given: object) -> list[M]:
        """Return the models whose JSON text is the first column."""
        return [model.model_validate_json(row[0]) for row in await self._rows(query, *given)]

    async def _one(self, model: type[M], query: str, *given: object) -> M | None:
        return next(iter(await self._all(model, query, *given)), None)

    async def _ids(self, query: str, *given: object) -> list[ConversationId]:
        return [ConversationId(row[0]) for row in await self._rows(query, *given)]

    async def _written(self, query: str, *given: object) -> int:
        """Return the number of rows that a statement has changed."""
        return await self._run(lambda c: c.execute(query, given).rowcount)


class SqliteConversations(_Repository):
    """Satisfies the `ConversationStore` port."""

    async def load(self, conversation_id: ConversationId) -> Conversation | None:
        return await self._one(Conversation, "SELECT head FROM conversations WHERE id = ?", conversation_id)

    async def commit(self, commit: TurnCommit) -> Conversation:
        head = commit.conversation
        saved = head.model_copy(update={"version": head.version + 1})

        def work(c: sqlite3.Connection) -> None:
            if any(_outbox_row(c, row.id) != row for row in commit.unchanged):
                raise ConversationConflictError(head.id)
            _write_head(c, saved, expected_version=head.version)
            _list(c, saved, commit.utterances)
            _insert_records(c, "transitions", head.id, commit.transitions)
            _insert_records(c, "utterances", head.id, commit.utterances)
            c.executemany(INSERT_RECORD, map(_record_values, commit.records))
            if commit.turn is not None:
                c.execute(TURN, _turn_row(commit.turn))
                c.executemany(RECEIPT, map(_receipt_row, commit.receipts))
            c.executemany(ROW, map(_outbox_values, commit.outbox))

        await self._run(work)
        return saved

    async def transitions(self, conversation_id: ConversationId) -> list[TransitionRecord]:
        query = "SELECT record FROM transitions WHERE conversation_id = ? ORDER BY n"
        return await self._all(TransitionRecord, query, conversation_id)

    async def transcript(self, conversation_id: ConversationId) -> list[Utterance]:
        query = "SELECT record FROM utterances WHERE conversation_id = ? ORDER BY n"
        return await self._all(Utterance, query, conversation_id)

    async def turns(self, conversation_id: ConversationId, *, limit: int | None = None) -> list[TurnRecord]:
        query = (
            "SELECT record FROM (SELECT n, record FROM turns WHERE conversation_id = ? ORDER BY n DESC LIMIT ?) "
            "ORDER BY n"
        )
        return await self._all(TurnRecord, query, conversation_id, -1 if limit is None else limit)

    async def receipt(self, conversation_id: ConversationId, message_id: MessageId) -> Receipt | None:
        query = "SELECT * FROM receipts WHERE conversation_id = ? AND message_id = ?"
        return next(map(_receipt, await self._rows(query, conversation_id, message_id)), None)

    async def receipts(self, conversation_id: ConversationId) -> list[Receipt]:
        query = "SELECT * FROM receipts WHERE conversation_id = ? ORDER BY sequence"
        return [_receipt(row) for row in await self._rows(query, conversation_id)]

    async def turn_of(self, receipt: Receipt) -> TurnRecord | None:
        return await self._one(TurnRecord, "SELECT record FROM turns WHERE id = ?", receipt.turn_id)

    async def find_message(self, message_id: MessageId) -> list[ConversationId]:
        query = "SELECT conversation_id FROM receipts WHERE message_id = ? ORDER BY conversation_id LIMIT 100"
        return await self._ids(query, message_id)

    async def find(
        self, query: ConversationQuery = EVERYTHING, *, limit: int = 50, cursor: str | None = None
    ) -> ConversationPage:
        place = Place.read(cursor)
        heads = await self._run(lambda c: _find(c, query, place, limit + 1))
        return ConversationPage.of(heads, limit, query.order)

    async def timed_out(self, *, at: datetime, limit: int) -> list[ConversationId]:
        query = "SELECT id FROM conversations WHERE times_out_at <= ? ORDER BY times_out_at LIMIT ?"
        return await self._ids(query, micros(at), limit)

    async def expired(self, *, updated_before: datetime, limit: int) -> list[ConversationId]:
        query = "SELECT conversation_id FROM listing WHERE updated_at < ? ORDER BY updated_at LIMIT ?"
        return await self._ids(query, micros(updated_before), limit)

    async def erase(self, conversation_id: ConversationId, *, at: datetime, answered_up_to: int = 0) -> bool:
        def work(c: sqlite3.Connection) -> bool:
            row = c.execute("SELECT head FROM conversations WHERE id = ?", (conversation_id,)).fetchone()
            head = Conversation.model_validate_json(row[0]) if row else Conversation(id=conversation_id)
            _delete_content(c, conversation_id)
            _write_head(c, head.emptied(at, answered_up_to=answered_up_to), expected_version=head.version)
            return head.turns > 0

        return await self._run(work)

    async def restore(self, archive: ConversationArchive) -> None:
        head = archive.head

        def work(c: sqlite3.Connection) -> None:
            _delete_content(c, head.id)
            c.execute("DELETE FROM conversations WHERE id = ?", (head.id,))
            _write_head(c, head, expected_version=0)
            _list(c, head, archive.utterances)
            _insert_records(c, "transitions", head.id, archive.transitions)
            _insert_records(c, "utterances", head.id, archive.utterances)
            c.executemany(TURN, map(_turn_row, archive.turns))
            c.executemany(RECEIPT, map(_receipt_row, archive.receipts))
            c.executemany(ROW, map(_outbox_values, archive.outbox))
            c.executemany(DEAD_LETTER, map(_letter_row, archive.dead_letters))

        await self._run(work)


class SqliteOutbox(_Repository, RowChanges):
    """Satisfies the `Outbox` port."""

    async def rows(self, conversation_id: ConversationId) -> list[OutboxRow]:
        query = "SELECT row FROM outbox WHERE conversation_id = ? ORDER BY number"
        return await self._all(OutboxRow, query, conversation_id)

    async def unsent(self, conversation_id: ConversationId) -> list[OutboxRow]:
        query = "SELECT row FROM outbox WHERE conversation_id = ? AND unsent = 1 ORDER BY number"
        return await self._all(OutboxRow, query, conversation_id)

    async def mark_sent(
        self, row: OutboxRow, *, platform_message_id: str, at: datetime, reported_by: datetime | None = None
    ) -> OutboxRow | None:
        def work(c: sqlite3.Connection) -> OutboxRow | None:
            stored = _outbox_row(c, row.id)
            if stored is None:
                return None
            sent = stored.sent(platform_message_id=platform_message_id, at=at, reported_by=reported_by)
            parked = "DELETE FROM parked_statuses WHERE platform_key = ? RETURNING record"
            for (text,) in c.execute(parked, (_platform_key_of(sent),)).fetchall():
                sent = sent.reported(StatusUpdate.model_validate_json(text))
            c.execute(ROW, _outbox_values(sent))
            return sent

        return await self._run(work)

    async def apply_status(self, update: StatusUpdate) -> OutboxRow | None:
        def work(c: sqlite3.Connection) -> OutboxRow | None:
            row = _outbox_row(c, row_of(update.client_reference)) if update.client_reference else None
            if row is None or row.address.channel != update.channel:
                key = _platform_key(update.channel, update.account, update.platform_message_id)
                found = c.execute("SELECT row FROM outbox WHERE platform_key = ?", (key,)).fetchone()
                row = OutboxRow.model_validate_json(found[0]) if found else None
            if row is None:
                c.execute(
                    "INSERT INTO parked_statuses (platform_key, at, record) VALUES (?, ?, ?)",
                    (key, micros(update.at), update.model_dump_json()),
                )
                c.execute(
                    "DELETE FROM parked_statuses WHERE n <= (SELECT max(n) FROM parked_statuses) - ?", (PARKED_LIMIT,)
                )
                return None
            row = row.reported(update)
            c.execute(ROW, _outbox_values(row))
            return row

        return await self._run(work)

    async def unsent_count(self) -> int:
        return int((await self._rows("SELECT count(*) FROM outbox WHERE unsent = 1"))[0][0])

    async def sendable(self, *, at: datetime, limit: int) -> list[ConversationId]:
        query = (
            "SELECT conversation_id FROM outbox AS o WHERE unsent = 1 AND sendable_at <= ?1 AND NOT EXISTS "
            "(SELECT 1 FROM outbox WHERE conversation_id = o.conversation_id AND unsent = 1 AND number < o.number) "
            "ORDER BY sendable_at LIMIT ?2"
        )
        return await self._ids(query, micros(at), limit)

    async def to_escalate(self, *, limit: int) -> list[OutboxRow]:
        return await self._all(OutboxRow, "SELECT row FROM outbox WHERE needs_escalation = 1 LIMIT ?", limit)

    async def _change(self, row_id: OutboxId, change: Callable[[OutboxRow], OutboxRow | None]) -> OutboxRow | None:
        def work(c: sqlite3.Connection) -> OutboxRow | None:
            row = _outbox_row(c, row_id)
            changed = change(row) if row is not None else None
            if changed is not None:
                c.execute(ROW, _outbox_values(changed))
            return changed

        return await self._run(work)


class SqliteDeadLetters(_Repository):
    """Satisfies the `DeadLetters` port."""

    async def add(self, letter: DeadLetter) -> None:
        await self._written(DEAD_LETTER, *_letter_row(letter))

    async def letters(
        self, *, conversation_id: ConversationId | None = None, until: datetime | None = None, limit: int = 100
    ) -> list[DeadLetter]:
        query = (
            "SELECT record FROM dead_letters WHERE (?1 IS NULL OR conversation_id = ?1) AND (?3 IS NULL OR at <= ?3) "
            "ORDER BY at DESC, id LIMIT ?2"
        )
        return await self._all(DeadLetter, query, conversation_id, limit, micros(until) if until else None)

    async def get(self, letter_id: str) -> DeadLetter | None:
        return await self._one(DeadLetter, "SELECT record FROM dead_letters WHERE id = ?", letter_id)

    async def drop(self, letter_id: str) -> bool:
        return await self._written("DELETE FROM dead_letters WHERE id = ?", letter_id) == 1

    async def forget(self, addresses: Sequence[str]) -> int:
        # Letters are few, and an erasure is rare: they are read one by one.
        query = (
            "DELETE FROM dead_letters WHERE EXISTS (SELECT 1 FROM json_each(record, '$.addresses') AS held "
            "WHERE held.value IN (SELECT value FROM json_each(?)))"
        )
        return await self._written(query, json.dumps(list(addresses)))

    async def prune(self, *, before: datetime) -> int:
        return await self._written("DELETE FROM dead_letters WHERE at < ?", micros(before))


class SqliteInstitutions(_Repository):
    """Satisfies the `Institutions` port."""

    async def publish(self, institution: Institution, *, at: datetime) -> bool:
        def work(c: sqlite3.Connection) -> bool:
            newest = c.execute("SELECT version FROM institutions ORDER BY published_at DESC LIMIT 1").fetchone()
            if newest and newest[0] == institution.version:
                return False
            c.execute(
                "INSERT OR REPLACE INTO institutions VALUES (?, ?, ?)",
                (institution.version, micros(at), institution.model_dump_json()),
            )
            return True

        return await self._run(work)

    async def current(self) -> Institution | None:
        return await self._one(Institution, "SELECT record FROM institutions ORDER BY published_at DESC LIMIT 1")

    async def get(self, version: str) -> Institution | None:
        return await self._one(Institution, "SELECT record FROM institutions WHERE version = ?", version)

    async def versions(self) -> list[tuple[str, datetime]]:
        rows = await self._rows("SELECT version, published_at FROM institutions ORDER BY published_at DESC")
        return [(version, from_micros(at)) for version, at in rows]


class SqliteRecords(_Repository):
    """Satisfies the `Records` port."""

    async def get(self, collection: str, key: str, *, at: datetime) -> Record | None:
        query = "SELECT record FROM records WHERE collection = ? AND key = ? AND coalesce(expires_at > ?, 1)"
        return await self._one(Record, query, collection, key, micros(at))

    async def put(self, record: Record) -> Record | None:
        saved, values = record.model_copy(update={"version": record.version + 1}), _record_values(record)
        update = (
            "UPDATE records SET version = ?, conversation_id = ?, due_at = ?, expires_at = ?, record = ? "
            "WHERE collection = ? AND key = ? AND version = ?"
        )
        query, given = (update, (*values, record.version)) if record.version else (INSERT_RECORD, values)
        return saved if await self._written(query, *given) == 1 else None

    async def page(self, collection: str, *, at: datetime, after: str = "", limit: int = 100) -> list[Record]:
        query = (
            "SELECT record FROM records WHERE collection = ? AND key > ? AND coalesce(expires_at > ?, 1) "
            "ORDER BY key LIMIT ?"
        )
        return await self._all(Record, query, collection, after, micros(at), limit)

    async def due(self, collection: str, *, at: datetime, limit: int) -> list[Record]:
        query = (
            "SELECT record FROM records WHERE collection = ?1 AND due_at <= ?2 AND coalesce(expires_at > ?2, 1) "
            "ORDER BY due_at, key LIMIT ?3"
        )
        return await self._all(Record, query, collection, micros(at), limit)

    async def drop(self, collection: str, key: str) -> bool:
        return await self._written("DELETE FROM records WHERE collection = ? AND key = ?", collection, key) == 1

    async def prune(self, *, at: datetime) -> int:
        return await self._written("DELETE FROM records WHERE expires_at <= ?", micros(at))


class SqliteStore:
    """Satisfies the `Store` port on a file that one or several processes of a machine open."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.conversations = SqliteConversations(database)
        self.outbox = SqliteOutbox(database)
        self.dead_letters = SqliteDeadLetters(database)
        self.institutions = SqliteInstitutions(database)
        self.records = SqliteRecords(database)

    async def ping(self) -> None:
        await self._database.prove_writable()

    async def close(self) -> None:
        self._database.close()


def _write_head(c: sqlite3.Connection, saved: Conversation, *, expected_version: int) -> None:
    values = (
        saved.version,
        saved.state.value,
        saved.turns,
        micros_or_none(saved.updated_at),
        micros_or_none(saved.times_out_at),
        saved.model_dump_json(),
        saved.id,
    )
    if expected_version == 0:
        written = c.execute(
            "INSERT OR IGNORE INTO conversations (version, state, turns, updated_at, times_out_at, head, id) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            values,
        ).rowcount
    else:
        written = c.execute(
            "UPDATE conversations SET version = ?, state = ?, turns = ?, updated_at = ?, times_out_at = ?, head = ? "
            "WHERE id = ? AND version = ?",
            (*values, expected_version),
        ).rowcount
    if written != 1:
        raise ConversationConflictError(saved.id)


def _list(c: sqlite3.Connection, head: Conversation, said: Sequence[Utterance] = ()) -> None:
    if head.updated_at is None or not head.turns:
        if head.joined_to is not None:
            c.execute("DELETE FROM listing WHERE conversation_id = ?", (head.id,))
            c.execute("DELETE FROM words WHERE conversation_id = ?", (head.id,))
        return
    facets = facets_of(head)
    c.execute(
        "REPLACE INTO listing (conversation_id, updated_at, waiting_at, state, owner, agent, channel) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            head.id,
            micros(head.updated_at),
            micros_or_none(waiting_since(head)),
            *(str(facets[name]) for name in ("state", "owner", "agent", "channel")),
        ),
    )
    c.executemany("INSERT OR IGNORE INTO words VALUES (?, ?)", [(word, head.id) for word in index_words(head, said)])


def _find(c: sqlite3.Connection, query: ConversationQuery, place: Place | None, limit: int) -> list[Conversation]:
    column, direction, beyond = (
        ("updated_at", "DESC", "<") if query.order is Order.UPDATED else ("waiting_at", "ASC", ">")
    )
    conditions, given = [f"{column} IS NOT NULL"], list[object]()
    for condition, moment in ((f"{column} >= ?", query.since), (f"{column} < ?", query.until)):
        if moment is not None:
            conditions.append(condition)
            given.append(micros(moment))
    for name, values in query.conditions.items():
        conditions.append(f"{name} IN (SELECT value FROM json_each(?))")  # noqa: S608 - a constant name
        given.append(json.dumps(values))
    if place is not None:
        conditions.append(f"({column}, conversation_id) {beyond} (?, ?)")
        given += [micros(place.at), place.id]
    if query.words:
        size = f"SELECT count(*) FROM (SELECT 1 FROM words WHERE word = ? LIMIT {FEW})"  # noqa: S608
        rarest_first = sorted(query.words, key=lambda word: int(c.execute(size, (word,)).fetchone()[0]))
        has_word = "EXISTS (SELECT 1 FROM words WHERE word = ? AND conversation_id = one.conversation_id)"
        others = "".join(f" AND {has_word}" for _ in query.words[1:])
        having = f"SELECT conversation_id FROM words AS one WHERE word = ?{others} LIMIT {FEW}"  # noqa: S608
        few = [row[0] for row in c.execute(having, rarest_first)]
        if len(few) < FEW:
            conditions.append("conversation_id IN (SELECT value FROM json_each(?))")
            given.append(json.dumps(few))
        else:
            conditions += [has_word] * len(query.words)
            given += rarest_first
    page = (
        f"SELECT head FROM (SELECT conversation_id, {column} AS at FROM listing AS one "  # noqa: S608 - constant names
        f"WHERE {' AND '.join(conditions)} ORDER BY {column} {direction}, conversation_id {direction} LIMIT ?) "
        f"CROSS JOIN conversations ON id = conversation_id ORDER BY at {direction}, id {direction}"
    )
    return [Conversation.model_validate_json(row[0]) for row in c.execute(page, (*given, limit))]


def _insert_records(
    c: sqlite3.Connection,
    table: str,
    conversation_id: ConversationId,
    records: Iterable[TransitionRecord] | Iterable[Utterance],
) -> None:
    c.executemany(
        f"INSERT INTO {table} (conversation_id, record) VALUES (?, ?)",  # noqa: S608 - a constant name
        [(conversation_id, record.model_dump_json()) for record in records],
    )


def _turn_row(turn: TurnRecord) -> tuple[object, ...]:
    return (turn.id, turn.conversation_id, turn.model_dump_json())


def _receipt_row(receipt: Receipt) -> tuple[object, ...]:
    message, at = receipt.message, micros(receipt.answered_at)
    return (message.conversation_id, message.id, receipt.sequence, receipt.turn_id, at, message.model_dump_json())


def _record_values(record: Record) -> tuple[object, ...]:
    """Return the row of the record one version higher."""
    saved = record.model_copy(update={"version": record.version + 1})
    due_at, expires_at = micros_or_none(saved.due_at), micros_or_none(saved.expires_at)
    return (saved.version, saved.owner, due_at, expires_at, saved.model_dump_json(), saved.collection, saved.key)


def _letter_row(letter: DeadLetter) -> tuple[object, ...]:
    return (letter.id, letter.conversation_id, micros(letter.at), letter.model_dump_json())


def _receipt(row: Sequence[object]) -> Receipt:
    _, _, sequence, turn_id, answered_at, message = row
    return Receipt(
        message=InboundMessage.model_validate_json(str(message)),
        sequence=int(str(sequence)),
        turn_id=TurnId(str(turn_id)),
        answered_at=from_micros(int(str(answered_at))),
    )


def _platform_key(channel: str, account: str, platform_message_id: str) -> str:
    return f"{channel}\0{account}\0{platform_message_id}"


def _platform_key_of(row: OutboxRow) -> str | None:
    if row.platform_message_id is None:
        return None
    return _platform_key(row.address.channel, row.address.account, row.platform_message_id)


def _outbox_row(c: sqlite3.Connection, row_id: OutboxId) -> OutboxRow | None:
    found = c.execute("SELECT row FROM outbox WHERE id = ?", (row_id,)).fetchone()
    return OutboxRow.model_validate_json(found[0]) if found else None


def _outbox_values(row: OutboxRow) -> tuple[object, ...]:
    due, key, text = micros(row.sendable_at), _platform_key_of(row), row.model_dump_json()
    return (row.id, row.conversation_id, row.number, row.is_unsent, due, row.needs_escalation, key, text)


def _delete_content(c: sqlite3.Connection, conversation_id: ConversationId) -> None:
    """Delete everything of the conversation but its head."""
    c.execute(
        "DELETE FROM parked_statuses WHERE platform_key IN (SELECT platform_key FROM outbox WHERE conversation_id = ?)",
        (conversation_id,),
    )
    for table in CONVERSATION_TABLES:
        c.execute(f"DELETE FROM {table} WHERE conversation_id = ?", (conversation_id,))  # noqa: S608 - a constant name
