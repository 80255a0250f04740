"""SQLite inbox, for the embedded engine."""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from adapters.clock import micros, readable
from adapters.sqlite.database import Database
from contracts.delivery import Ages, Appended, Arrival, InboxEntry, Lease
from contracts.errors import InboxUnavailableError, LeaseLostError
from contracts.messages import InboundMessage
from contracts.ports import MAX_JOINS
from contracts.values import ConversationId

T = TypeVar("T")

# A sequence below that of every entry.
ANSWERED_ELSEWHERE = 0

SCHEMA = """
CREATE TABLE IF NOT EXISTS inbox_conversations (
    conversation_id TEXT PRIMARY KEY,
    last_sequence INTEGER NOT NULL DEFAULT 0,
    lease_token INTEGER NOT NULL DEFAULT 0,
    lease_expires_at INTEGER,
    due_at INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS inbox_due ON inbox_conversations (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS inbox_entries (
    conversation_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    message TEXT NOT NULL,
    PRIMARY KEY (conversation_id, sequence)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS inbox_seen (
    dedup_key TEXT PRIMARY KEY,
    conversation_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    received_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS inbox_seen_age ON inbox_seen (received_at);
CREATE TABLE IF NOT EXISTS inbox_joined (
    conversation_id TEXT PRIMARY KEY,
    joined_to TEXT NOT NULL
) WITHOUT ROWID;
"""


def prepare_inbox(c: sqlite3.Connection) -> None:
    for statement in SCHEMA.split(";"):
        c.execute(statement)


class SqliteInbox:
    """Satisfies the `Inbox` port. Shares its database, and so its group commits, with the SQLite store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ping(self) -> None:
        await self._database.prove_writable(unavailable=InboxUnavailableError)

    async def append(self, messages: Sequence[InboundMessage]) -> list[Appended]:
        rows = [(message, message.model_dump_json()) for message in messages]
        return await self._run(lambda c: [_append(c, message, row) for message, row in rows])

    async def join(self, conversation_id: ConversationId, into: ConversationId | None, *, after: int = 0) -> None:
        def work(c: sqlite3.Connection) -> None:
            c.execute("DELETE FROM inbox_joined WHERE conversation_id = ?", (conversation_id,))
            if into is not None:
                c.execute("INSERT INTO inbox_joined VALUES (?, ?)", (conversation_id, into))
                for entry in _pending(c, conversation_id):
                    if entry.sequence > after:
                        message = entry.message.model_copy(update={"conversation_id": into})
                        row = message.model_dump_json() if entry.raw is None else entry.raw
                        _add(c, into, row, micros(message.received_at))
                c.execute("DELETE FROM inbox_entries WHERE conversation_id = ?", (conversation_id,))

        await self._run(work)

    async def claim(self, conversation_id: ConversationId, *, ttl: timedelta, at: datetime) -> Lease | None:
        def work(c: sqlite3.Connection) -> Lease | None:
            c.execute("INSERT OR IGNORE INTO inbox_conversations (conversation_id) VALUES (?)", (conversation_id,))
            token = c.execute(
                "UPDATE inbox_conversations SET lease_token = lease_token + 1, lease_expires_at = ? "
                "WHERE conversation_id = ? AND (lease_expires_at IS NULL OR lease_expires_at <= ?) "
                "RETURNING lease_token",
                (micros(at + ttl), conversation_id, micros(at)),
            ).fetchone()
            if token is None:
                return None
            oldest = "SELECT attempts FROM inbox_entries WHERE conversation_id = ? ORDER BY sequence LIMIT 1"
            attempts = sum(row[0] for row in c.execute(oldest, (conversation_id,)))
            return Lease(conversation_id=conversation_id, token=token[0], expires_at=at + ttl, oldest_attempts=attempts)

        return await self._run(work)

    async def renew(self, lease: Lease, *, ttl: timedelta, at: datetime) -> Lease:
        def work(c: sqlite3.Connection) -> None:
            _require_mine(c, lease)
            c.execute(
                "UPDATE inbox_conversations SET lease_expires_at = ? WHERE conversation_id = ?",
                (micros(at + ttl), lease.conversation_id),
            )

        await self._run(work)
        return lease.model_copy(update={"expires_at": at + ttl})

    async def take(self, lease: Lease, *, isolate_after: int) -> list[InboxEntry]:
        def work(c: sqlite3.Connection) -> list[InboxEntry]:
            _require_mine(c, lease)
            entries = _pending(c, lease.conversation_id)
            if entries and entries[0].attempts >= isolate_after:
                entries = entries[:1]
            c.executemany(
                "UPDATE inbox_entries SET attempts = attempts + 1 WHERE conversation_id = ? AND sequence = ?",
                [(lease.conversation_id, entry.sequence) for entry in entries],
            )
            return [entry.model_copy(update={"attempts": entry.attempts + 1}) for entry in entries]

        return await self._run(work)

    async def refund_attempts(self, conversation_id: ConversationId, sequences: Sequence[int]) -> None:
        def work(c: sqlite3.Connection) -> None:
            c.executemany(
                "UPDATE inbox_entries SET attempts = max(0, attempts - 1) WHERE conversation_id = ? AND sequence = ?",
                [(conversation_id, sequence) for sequence in sequences],
            )

        await self._run(work)

    async def has_newer(self, conversation_id: ConversationId, sequence: int) -> bool:
        query = "SELECT 1 FROM inbox_entries WHERE conversation_id = ? AND sequence > ? LIMIT 1"
        return await self._run(lambda c: c.execute(query, (conversation_id, sequence)).fetchone() is not None)

    async def remove(self, conversation_id: ConversationId, sequences: Sequence[int]) -> None:
        await self._run(lambda c: _remove(c, conversation_id, sequences))

    async def release(self, lease: Lease, *, answered: Sequence[int] = ()) -> bool:
        def work(c: sqlite3.Connection) -> bool:
            _remove(c, lease.conversation_id, answered)
            return (
                c.execute(
                    "UPDATE inbox_conversations SET lease_expires_at = NULL, due_at = NULL "
                    "WHERE conversation_id = ?1 AND lease_token = ?2 "
                    "AND NOT EXISTS (SELECT 1 FROM inbox_entries WHERE conversation_id = ?1)",
                    (lease.conversation_id, lease.token),
                ).rowcount
                == 1
            )

        return await self._run(work)

    async def abandon(self, lease: Lease, *, due_at: datetime) -> None:
        def work(c: sqlite3.Connection) -> None:
            c.execute(
                "UPDATE inbox_conversations SET lease_expires_at = NULL, due_at = ? "
                "WHERE conversation_id = ? AND lease_token = ?",
                (micros(due_at), lease.conversation_id, lease.token),
            )

        await self._run(work)

    async def due(self, *, at: datetime, limit: int) -> list[ConversationId]:
        query = (
            "SELECT conversation_id FROM inbox_conversations WHERE due_at <= ?1 "
            "AND (lease_expires_at IS NULL OR lease_expires_at <= ?1) ORDER BY due_at LIMIT ?2"
        )
        return await self._run(lambda c: [ConversationId(row[0]) for row in c.execute(query, (micros(at), limit))])

    async def pending(self, conversation_id: ConversationId) -> list[InboxEntry]:
        return await self._run(lambda c: _pending(c, conversation_id))

    async def depth(self) -> int:
        return await self._run(lambda c: int(c.execute("SELECT count(*) FROM inbox_entries").fetchone()[0]))

    async def ages(self, *, overdue_before: datetime) -> Ages:
        query = (
            "SELECT CASE WHEN json_valid(message) THEN CAST(json_extract(message, '$.received_at') AS BLOB) END "
            "FROM inbox_entries"
        )
        rows = await self._run(lambda c: c.execute(query).fetchall())
        return Ages.of(readable(row[0] for row in rows), overdue_before=overdue_before)

    async def forget(self, conversation_id: ConversationId) -> int:
        def work(c: sqlite3.Connection) -> int:
            c.execute("DELETE FROM inbox_entries WHERE conversation_id = ?", (conversation_id,))
            query = "SELECT last_sequence FROM inbox_conversations WHERE conversation_id = ?"
            row = c.execute(query, (conversation_id,)).fetchone()
            return row[0] if row else 0

        return await self._run(work)

    async def advance(
        self, conversation_id: ConversationId, *, past: int, answered: Sequence[InboundMessage] = ()
    ) -> None:
        def work(c: sqlite3.Connection) -> None:
            c.execute(
                "INSERT INTO inbox_conversations (conversation_id, last_sequence) VALUES (?1, ?2) "
                "ON CONFLICT (conversation_id) DO UPDATE SET last_sequence = max(last_sequence, ?2)",
                (conversation_id, past),
            )
            c.executemany(
                "INSERT OR IGNORE INTO inbox_seen VALUES (?, ?, ?, ?)",
                [
                    (message.dedup_key, conversation_id, ANSWERED_ELSEWHERE, micros(message.received_at))
                    for message in answered
                ],
            )

        await self._run(work)

    async def prune(self, *, before: datetime) -> int:
        query = "DELETE FROM inbox_seen WHERE received_at < ?"
        return await self._run(lambda c: c.execute(query, (micros(before),)).rowcount)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._database.run(work, unavailable=InboxUnavailableError)


def _append(c: sqlite3.Connection, message: InboundMessage, row: str) -> Appended:
    conversation_id, at = message.conversation_id, micros(message.received_at)
    for _ in range(MAX_JOINS):
        joined = c.execute(
            "SELECT joined_to FROM inbox_joined WHERE conversation_id = ?", (conversation_id,)
        ).fetchone()
        if joined is None:
            break
        conversation_id = ConversationId(joined[0])
    if conversation_id != message.conversation_id:
        row = message.model_copy(update={"conversation_id": conversation_id}).model_dump_json()
    seen = c.execute(
        "SELECT conversation_id, sequence FROM inbox_seen WHERE dedup_key = ?", (message.dedup_key,)
    ).fetchone()
    if seen is not None:
        pending = c.execute("SELECT 1 FROM inbox_entries WHERE conversation_id = ? AND sequence = ?", seen).fetchone()
        if pending is not None:
            c.execute(
                "UPDATE inbox_conversations SET due_at = min(coalesce(due_at, ?1), ?1) WHERE conversation_id = ?2",
                (at, seen[0]),
            )
        arrival = Arrival.DUPLICATE_DONE if pending is None else Arrival.DUPLICATE_PENDING
        return Appended(arrival, ConversationId(seen[0]))
    sequence = _add(c, conversation_id, row, at)
    c.execute("INSERT INTO inbox_seen VALUES (?, ?, ?, ?)", (message.dedup_key, conversation_id, sequence, at))
    return Appended(Arrival.ACCEPTED, conversation_id)


def _add(c: sqlite3.Connection, conversation_id: ConversationId, row: str, at: int) -> int:
    (sequence,) = c.execute(
        "INSERT INTO inbox_conversations (conversation_id, last_sequence, due_at) VALUES (?1, 1, ?2) "
        "ON CONFLICT (conversation_id) DO UPDATE SET last_sequence = last_sequence + 1, "
        "due_at = min(coalesce(due_at, ?2), ?2) RETURNING last_sequence",
        (conversation_id, at),
    ).fetchone()
    c.execute("INSERT INTO inbox_entries VALUES (?, ?, 0, ?)", (conversation_id, sequence, row))
    return int(sequence)


def _require_mine(c: sqlite3.Connection, lease: Lease) -> None:
    row = c.execute(
        "SELECT lease_token FROM inbox_conversations WHERE conversation_id = ?", (lease.conversation_id,)
    ).fetchone()
    if row is None or row[0] != lease.token:
        raise LeaseLostError(lease.conversation_id)


def _remove(c: sqlite3.Connection, conversation_id: ConversationId, sequences: Sequence[int]) -> None:
    c.executemany(
        "DELETE FROM inbox_entries WHERE conversation_id = ? AND sequence = ?",
        [(conversation_id, sequence) for sequence in sequences],
    )


def _pending(c: sqlite3.Connection, conversation_id: ConversationId) -> list[InboxEntry]:
    rows = c.execute(
        "SELECT sequence, attempts, CAST(message AS BLOB) FROM inbox_entries "
        "WHERE conversation_id = ? ORDER BY sequence",
        (conversation_id,),
    )
    return [InboxEntry.read(conversation_id, *row) for row in rows]
