"""Redis store: conversations, outbox, dead letters, institutions and records; `store.lua` defines the layout."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from adapters.clock import from_micros, micros
from adapters.redis.database import PREFIX, Argument, RedisDatabase, Script
from adapters.row_changes import RowChanges
from contracts.conversation import Conversation, TransitionRecord, TurnRecord, Utterance
from contracts.delivery import ConversationArchive, DeadLetter, OutboxRow, Receipt, Record, TurnCommit, row_of
from contracts.errors import ConversationConflictError, StoreUnavailableError
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
from contracts.messages import StatusUpdate, digest
from contracts.values import ConversationId, MessageId, OutboxId

SCRIPT = Script.read(Path(__file__).with_suffix(".lua"))
KEYS = f"{PREFIX}store:"

# A status without a row after those of this many later messages is about a message that Prosa did not send.
PARKED_LIMIT = 10_000
# A message has four states, and each is reported a few times at most.
PARKED_OF_ONE = 16
# Every lost race means that another writer moved the row forward for good, so each round makes progress.
ATTEMPTS = 50
# A millisecond or two of Redis's time.
RESTORED_AT_ONCE = 200
NEVER = NOBODY = ""
# The greatest whole number that a score holds.
LAST_MOMENT = 2**53 - 1

M = TypeVar("M", bound=BaseModel)


class _Repository:
    """A repository in one Redis. An atomic operation is one script, which compares before it writes."""

    def __init__(self, database: RedisDatabase) -> None:
        self._database = database

    async def _first(self, index: str, highest: int | str, limit: int) -> list[ConversationId]:
        return _ids(await self._command("ZRANGEBYSCORE", f"{KEYS}{index}", "-inf", highest, "LIMIT", 0, limit))

    async def _run(self, step: str, *arguments: Argument) -> Any:
        return await self._database.run(SCRIPT, step, *arguments)

    async def _command(self, *parts: Argument) -> Any:
        return await self._database.command(*parts)


class RedisConversations(_Repository):
    """Satisfies the `ConversationStore` port."""

    async def load(self, conversation_id: ConversationId) -> Conversation | None:
        return _value(Conversation, await self._command("HGET", f"{KEYS}head:{conversation_id}", "json"))

    async def commit(self, commit: TurnCommit) -> Conversation:
        head = commit.conversation
        saved = head.model_copy(update={"version": head.version + 1})
        records = _records(
            commit.transitions,
            commit.utterances,
            () if commit.turn is None else (commit.turn,),
            commit.receipts,
            commit.outbox,
        )
        unchanged = _group([(row.id, _json(row)) for row in commit.unchanged])
        added = _group([_record_parts(record) for record in commit.records])
        if not await self._run(
            "commit", head.id, head.version, *unchanged, *_head(saved, commit.utterances), *records, *added
        ):
            raise ConversationConflictError(head.id)
        return saved

    async def transitions(self, conversation_id: ConversationId) -> list[TransitionRecord]:
        return _values(TransitionRecord, await self._command("LRANGE", f"{KEYS}transitions:{conversation_id}", 0, -1))

    async def transcript(self, conversation_id: ConversationId) -> list[Utterance]:
        return _values(Utterance, await self._command("LRANGE", f"{KEYS}utterances:{conversation_id}", 0, -1))

    async def turns(self, conversation_id: ConversationId, *, limit: int | None = None) -> list[TurnRecord]:
        if limit == 0:
            return []
        return _values(TurnRecord, await self._run("turns", conversation_id, 0 if limit is None else -limit))

    async def receipt(self, conversation_id: ConversationId, message_id: MessageId) -> Receipt | None:
        return _value(Receipt, await self._command("HGET", f"{KEYS}receipts:{conversation_id}", message_id))

    async def receipts(self, conversation_id: ConversationId) -> list[Receipt]:
        receipts = _values(Receipt, await self._command("HVALS", f"{KEYS}receipts:{conversation_id}"))
        return sorted(receipts, key=lambda receipt: receipt.sequence)

    async def turn_of(self, receipt: Receipt) -> TurnRecord | None:
        key = f"{KEYS}turn:{receipt.message.conversation_id}"
        return _value(TurnRecord, await self._command("HGET", key, receipt.turn_id))

    async def find_message(self, message_id: MessageId) -> list[ConversationId]:
        return _ids(await self._command("ZRANGE", f"{KEYS}message:{message_id}", 0, 99))

    async def find(
        self, query: ConversationQuery = EVERYTHING, *, limit: int = 50, cursor: str | None = None
    ) -> ConversationPage:
        place = Place.read(cursor)
        at, after = (micros(place.at), place.id) if place else (None, "")
        low, high = micros(query.since) if query.since else 0, micros(query.until) - 1 if query.until else LAST_MOMENT
        groups = [[f"{name}={value}" for value in values] for name, values in query.conditions.items()]
        groups += [[word] for word in query.words]
        conditions: list[Argument] = [len(groups)]
        for group in groups:
            conditions += [len(group), *group]
        heads: list[Conversation] = []
        while len(heads) <= limit:
            if query.order is Order.UPDATED:
                ends: tuple[Argument, ...] = ("updated", "ZREVRANGEBYSCORE", high if at is None else min(at, high), low)
            else:
                ends = ("waiting", "ZRANGEBYSCORE", low if at is None else max(at, low), high)
            last, moment, *found = await self._run("find", *ends, after, limit + 1 - len(heads), *conditions)
            heads += _values(Conversation, found)
            if not last:
                break
            at, after = int(moment), ConversationId(last.decode())
        return ConversationPage.of(heads, limit, query.order)

    async def timed_out(self, *, at: datetime, limit: int) -> list[ConversationId]:
        return await self._first("timeouts", micros(at), limit)

    async def expired(self, *, updated_before: datetime, limit: int) -> list[ConversationId]:
        return await self._first("updated", f"({micros(updated_before)}", limit)

    async def erase(self, conversation_id: ConversationId, *, at: datetime, answered_up_to: int = 0) -> bool:
        _, erased = await self._replace_all(
            conversation_id, lambda stored: stored.emptied(at, answered_up_to=answered_up_to)
        )
        return erased.turns > 0

    async def restore(self, archive: ConversationArchive) -> None:
        """Restore in batches: one script for a long conversation would block all other commands."""
        head = archive.head
        unfinished, _ = await self._replace_all(head.id, lambda stored: head.being_restored(over=stored.version))
        parts = (archive.transitions, archive.utterances, archive.turns, archive.receipts, archive.outbox)
        for position, records in enumerate(parts):
            for start in range(0, len(records), RESTORED_AT_ONCE):
                piece: list[tuple[Any, ...]] = [()] * len(parts)
                piece[position] = records[start : start + RESTORED_AT_ONCE]
                if not await self._run("add", head.id, unfinished.version, *_records(*piece)):
                    raise _contended(head.id)
        for letter in archive.dead_letters:
            await self._run("add_letter", *_letter(letter))
        if not await self._run("set_head", head.id, unfinished.version, *_head(head, archive.utterances)):
            raise _contended(head.id)

    async def _replace_all(
        self, conversation_id: ConversationId, replacement: Callable[[Conversation], Conversation]
    ) -> tuple[Conversation, Conversation]:
        """Replace everything by a head derived from the stored one; return the new and the previous head."""
        for _ in range(ATTEMPTS):
            stored = await self.load(conversation_id) or Conversation(id=conversation_id)
            head = replacement(stored)
            if await self._run("erase", conversation_id, stored.version, *_head(head)):
                return head, stored
        raise _contended(conversation_id)


class RedisOutbox(_Repository, RowChanges):
    """Satisfies the `Outbox` port."""

    async def rows(self, conversation_id: ConversationId) -> list[OutboxRow]:
        return _values(OutboxRow, await self._run("rows", "rows", conversation_id))

    async def unsent(self, conversation_id: ConversationId) -> list[OutboxRow]:
        return _values(OutboxRow, await self._run("rows", "unsent", conversation_id))

    async def begin_send(self, row: OutboxRow, *, deadline: datetime, at: datetime) -> OutboxRow | None:
        sending = row.sending(deadline=deadline, at=at)
        if await self._replace(_json(row).encode(), sending):
            return sending
        # It changed; or it is equal, serialised differently by another version.
        return await self._change(row.id, lambda stored: sending if stored == row else None)

    async def mark_sent(
        self, row: OutboxRow, *, platform_message_id: str, at: datetime, reported_by: datetime | None = None
    ) -> OutboxRow | None:
        # Usually the row is unchanged and no status arrived before its platform id: the script checks both.
        stored, before, parked = row, _json(row).encode(), list[StatusUpdate]()
        for _ in range(ATTEMPTS):
            sent = stored.sent(platform_message_id=platform_message_id, at=at, reported_by=reported_by)
            for update in parked:
                sent = sent.reported(update)
            if await self._replace(before, sent, parked=len(parked)):
                return sent
            found = await self._row(row.id)
            if found is None:
                return None
            stored, before = OutboxRow.model_validate_json(found), found
            parked = _values(StatusUpdate, await self._command("LRANGE", f"{KEYS}parked:{_platform_of(sent)}", 0, -1))
        raise _contended(row.id)

    async def apply_status(self, update: StatusUpdate) -> OutboxRow | None:
        platform = digest(update.channel, update.account, update.platform_message_id)
        for _ in range(ATTEMPTS):
            of_reference, of_platform = await self._run("find_row", row_of(update.client_reference), platform)
            before, row = of_reference, _value(OutboxRow, of_reference)
            if row is None or row.address.channel != update.channel:
                before, row = of_platform, _value(OutboxRow, of_platform)
            if before is None or row is None:
                if await self._run("park", platform, PARKED_LIMIT, PARKED_OF_ONE, _json(update)):
                    return None
                continue
            reported = row.reported(update)
            # A result without a change needs no write: it held at the time of the read.
            if reported is row or await self._replace(before, reported):
                return reported
        raise _contended(platform)

    async def unsent_count(self) -> int:
        return int(await self._run("unsent_count"))

    async def sendable(self, *, at: datetime, limit: int) -> list[ConversationId]:
        return await self._first("sendable", micros(at), limit)

    async def to_escalate(self, *, limit: int) -> list[OutboxRow]:
        return _values(OutboxRow, await self._run("to_escalate", limit))

    async def _row(self, row_id: OutboxId) -> bytes | None:
        row: bytes | None = await self._command("HGET", f"{KEYS}row:{row_id}", "json")
        return row

    async def _change(self, row_id: OutboxId, change: Callable[[OutboxRow], OutboxRow | None]) -> OutboxRow | None:
        """Write the result of `change` on the stored row, again after each conflict with another writer."""
        for _ in range(ATTEMPTS):
            before = await self._row(row_id)
            changed = change(OutboxRow.model_validate_json(before)) if before else None
            if before is None or changed is None:
                return None
            if await self._replace(before, changed):
                return changed
        raise _contended(row_id)

    async def _replace(self, before: bytes, row: OutboxRow, *, parked: int | str = "") -> bool:
        """Write the row if its stored text is still `before`; with `parked`, only if as many statuses wait for it."""
        return bool(await self._run("change_row", before, parked, row.conversation_id, *_row_parts(row)))


class RedisDeadLetters(_Repository):
    """Satisfies the `DeadLetters` port."""

    async def add(self, letter: DeadLetter) -> None:
        await self._run("add_letter", *_letter(letter))

    async def letters(
        self, *, conversation_id: ConversationId | None = None, until: datetime | None = None, limit: int = 100
    ) -> list[DeadLetter]:
        index = "letters" if conversation_id is None else f"letters:{conversation_id}"
        return _values(DeadLetter, await self._run("letters", index, limit, micros(until) if until else "+inf"))

    async def get(self, letter_id: str) -> DeadLetter | None:
        return _value(DeadLetter, await self._command("HGET", f"{KEYS}letter:{letter_id}", "json"))

    async def drop(self, letter_id: str) -> bool:
        return bool(await self._run("drop_letter", letter_id))

    async def forget(self, addresses: Sequence[str]) -> int:
        return int(await self._run("forget_letters", *_group([(address,) for address in addresses])))

    async def prune(self, *, before: datetime) -> int:
        return int(await self._run("prune_letters", f"({micros(before)}"))


class RedisInstitutions(_Repository):
    """Satisfies the `Institutions` port."""

    async def publish(self, institution: Institution, *, at: datetime) -> bool:
        return bool(await self._run("publish", institution.version, micros(at), _json(institution)))

    async def current(self) -> Institution | None:
        return _value(Institution, await self._run("published"))

    async def get(self, version: str) -> Institution | None:
        return _value(Institution, await self._command("HGET", f"{KEYS}institutions", version))

    async def versions(self) -> list[tuple[str, datetime]]:
        flat = await self._command("ZREVRANGE", f"{KEYS}published", 0, -1, "WITHSCORES")
        return [(version.decode(), from_micros(int(at))) for version, at in zip(flat[::2], flat[1::2], strict=True)]


class RedisRecords(_Repository):
    """Satisfies the `Records` port."""

    async def get(self, collection: str, key: str, *, at: datetime) -> Record | None:
        record = _value(Record, await self._command("HGET", f"{KEYS}record:{collection}\0{key}", "json"))
        return record if record and (record.expires_at is None or record.expires_at > at) else None

    async def put(self, record: Record) -> Record | None:
        saved = record.model_copy(update={"version": record.version + 1})
        return saved if await self._run("put_record", *_record_parts(record)) else None

    async def page(self, collection: str, *, at: datetime, after: str = "", limit: int = 100) -> list[Record]:
        return _values(Record, await self._run("records", collection, f"({after}", micros(at), limit))

    async def due(self, collection: str, *, at: datetime, limit: int) -> list[Record]:
        return _values(Record, await self._run("due_records", collection, micros(at), limit))

    async def drop(self, collection: str, key: str) -> bool:
        return bool(await self._run("drop_record", collection, key))

    async def prune(self, *, at: datetime) -> int:
        return int(await self._run("prune_records", micros(at)))


class RedisStore:
    """Satisfies the `Store` port."""

    def __init__(self, database: RedisDatabase) -> None:
        self._database = database
        self.conversations = RedisConversations(database)
        self.outbox = RedisOutbox(database)
        self.dead_letters = RedisDeadLetters(database)
        self.institutions = RedisInstitutions(database)
        self.records = RedisRecords(database)

    async def ping(self) -> None:
        await self._database.ping()

    async def close(self) -> None:
        await self._database.close()


def _contended(what: str) -> StoreUnavailableError:
    return StoreUnavailableError(f"{what} was changed by others {ATTEMPTS} times in a row")


def _head(head: Conversation, said: Sequence[Utterance] = ()) -> tuple[Argument, ...]:
    facets = "\n".join(f"{name}={value}" for name, value in facets_of(head).items()) if head.turns else ""
    return (
        head.version,
        head.state.value,
        _moment(Order.UPDATED.instant(head)),
        _moment(waiting_since(head)),
        _moment(head.times_out_at),
        facets,
        "\n".join(index_words(head, said)),
        _json(head),
    )


def _letter(letter: DeadLetter) -> tuple[Argument, ...]:
    return letter.conversation_id or NOBODY, letter.id, micros(letter.at), _json(letter), " ".join(letter.addresses)


def _record_parts(record: Record) -> tuple[Argument, ...]:
    """Return the arguments that write the record one version higher."""
    saved = record.model_copy(update={"version": record.version + 1})
    moments = _moment(saved.due_at), _moment(saved.expires_at)
    return saved.collection, saved.key, record.version, saved.version, saved.owner or NOBODY, *moments, _json(saved)


def _moment(moment: datetime | None) -> int | str:
    return NEVER if moment is None else micros(moment)


def _records(
    transitions: Iterable[TransitionRecord],
    utterances: Iterable[Utterance],
    turns: Iterable[TurnRecord],
    receipts: Iterable[Receipt],
    rows: Iterable[OutboxRow],
) -> list[Argument]:
    return [
        *_group([(_json(transition),) for transition in transitions]),
        *_group([(_json(utterance),) for utterance in utterances]),
        *_group([(turn.id, _json(turn)) for turn in turns]),
        *_group([(receipt.message.id, _json(receipt)) for receipt in receipts]),
        *_group([_row_parts(row) for row in rows]),
    ]


def _group(members: Sequence[tuple[Argument, ...]]) -> list[Argument]:
    return [len(members), *(part for member in members for part in member)]


def _row_parts(row: OutboxRow) -> tuple[Argument, ...]:
    return (
        row.id,
        row.number,
        int(row.is_unsent),
        micros(row.sendable_at),
        int(row.needs_escalation),
        _platform_of(row),
        _json(row),
    )


def _platform_of(row: OutboxRow) -> str:
    """Return the key by which a status finds the row, hashed: ids may carry phone numbers; '' before a send."""
    if row.platform_message_id is None:
        return ""
    return digest(row.address.channel, row.address.account, row.platform_message_id)


def _json(value: BaseModel) -> str:
    return value.model_dump_json()


def _value(model: type[M], json: bytes | None) -> M | None:
    return None if json is None else model.model_validate_json(json)


def _values(model: type[M], jsons: Iterable[bytes]) -> list[M]:
    return [model.model_validate_json(json) for json in jsons]


def _ids(members: Iterable[bytes]) -> list[ConversationId]:
    return [ConversationId(member.decode()) for member in members]
