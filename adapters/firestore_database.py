"""Firestore behind a thin typed layer: documents, conditional writes, queries, with deadlines and retries of our own.

**Preconditions, not transactions.** A read-write transaction locks what it reads, and Firestore lets writers of one hot
document queue for those locks: 20 writers on one document took more than 100 s on the emulator. The same 20 took under
a second with a batch that says which version of the document it was worked out from. The batch is as atomic, and a
writer who was overtaken finds out at once and works it out again.
"""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

from google.api_core import exceptions as google
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud.firestore_v1 import DELETE_FIELD, AsyncClient, AsyncWriteBatch, DocumentSnapshot
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcAsyncIOTransport
from grpc import aio  # type: ignore[import-untyped]

from contracts.errors import ConfigurationError, PermanentError, TransientError
from contracts.messages import digest

T = TypeVar("T")

# What a batch may hold at most; Firestore takes 10 MiB in all and counts every index entry.
BATCH_LIMIT = 400
# A document may have 1 MiB, its other fields and its name included.
DOCUMENT_BYTES = 900_000
ID_CHARACTERS = 1_000
# Left alone, gRPC lets up to two minutes pass before it looks for a lost server again.
CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    # This one is how long an attempt to connect may take.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)
STAMP = "stamp"

# Nothing was written or read, and the next attempt may pass.
_BUSY = (google.Aborted, google.ResourceExhausted)
# The answer got lost: a write may have been made or not.
_NO_ANSWER = (google.ServerError, google.Cancelled, google.Unknown)
_REFUSED = (google.FailedPrecondition, google.Conflict, google.NotFound)


class WriteRefusedError(Exception):
    """A precondition does not hold: somebody else wrote in between. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read; `update_time` is what a later write of it may be made conditional on."""

    path: str
    fields: Mapping[str, Any]
    update_time: datetime
    _snapshot: DocumentSnapshot[Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Guarded:
    """Write `fields` if the document is as it was at `unchanged_since`; with None, if there is none. None deletes one
    field."""

    path: str
    fields: Mapping[str, Any]
    unchanged_since: datetime | None


@dataclass(frozen=True, slots=True)
class Put:
    """Write the document, whatever is there."""

    path: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Amend:
    """Change these fields of a document that has to be there."""

    path: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the document; with `must_exist`, on condition that it is there."""

    path: str
    must_exist: bool = False


Write = Guarded | Put | Amend | Delete
Condition = tuple[str, str, Any]


class FirestoreDatabase:
    """The connection: made at the first call, in the loop that is running then.

    Args:
        deadline: how long one call may take; a write whose answer got lost is looked up once, with as much again.
        attempts: how often a call is made in all while Firestore is busy or away.
        chance: in [0, 1), spreads the pauses in between.
        new_id: marks a write, so that it is recognised when its answer got lost.
    """

    def __init__(
        self,
        project: str | None,
        database: str = "(default)",
        *,
        deadline: timedelta = timedelta(seconds=2),
        attempts: int = 3,
        chance: Callable[[], float] = random.random,
        new_id: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self.deadline = deadline
        self.attempts = attempts
        self.new_id = new_id
        self._project = project
        self._database = database
        self._chance = chance
        self._client: AsyncClient | None = None

    def documents(self, unavailable: type[TransientError]) -> "Documents":
        """The calls of one adapter, which raise the error of its port when Firestore does not answer."""
        return Documents(self, unavailable)

    def client(self) -> AsyncClient:
        """The client, connected at the first call.

        Raises:
            ConfigurationError: there are no credentials.
        """
        if self._client is None:
            try:
                self._client = _connected(AsyncClient(project=self._project, database=self._database))
            except DefaultCredentialsError as exc:
                raise ConfigurationError(
                    "no credentials for Firestore: set GOOGLE_APPLICATION_CREDENTIALS, run on Google Cloud, or set "
                    "FIRESTORE_EMULATOR_HOST"
                ) from exc
        return self._client

    async def pause(self, attempt: int) -> None:
        """Wait before the next attempt: 10, 20, 40 ... at most 160 ms, and up to as much again."""
        await asyncio.sleep(0.01 * 2 ** min(attempt, 4) * (1 + self._chance()))

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            # The client's own `close` leaves its channel open.
            await client._firestore_api.transport.close()


class Documents:
    """Reads and writes of documents by their paths.

    Raises:
        `unavailable`: from every method, when Firestore did not answer within the deadline.
    """

    def __init__(self, database: FirestoreDatabase, unavailable: type[TransientError]) -> None:
        self._database = database
        self._unavailable = unavailable
        self._seconds = database.deadline.total_seconds()

    async def get(self, path: str) -> Document | None:
        async def read(client: AsyncClient) -> Document | None:
            return _document(await client.document(path).get(retry=None, timeout=self._seconds))

        return await self._call(read)

    async def get_all(self, paths: Iterable[str], *, fields: Sequence[str] | None = None) -> dict[str, Document]:
        """Those of the documents that are there, by path; `fields` says which are wanted of them."""
        wanted = list(dict.fromkeys(paths))
        if not wanted:
            return {}

        async def read(client: AsyncClient) -> dict[str, Document]:
            references = [client.document(path) for path in wanted]
            found = client.get_all(references, field_paths=fields, retry=None, timeout=self._seconds)
            documents = [_document(snapshot) async for snapshot in found]
            return {document.path: document for document in documents if document is not None}

        return await self._call(read)

    async def find(
        self,
        collection: str,
        *conditions: Condition,
        order_by: str | None = None,
        descending: bool = False,
        after: Document | None = None,
        limit: int | None = None,
        fields: Sequence[str] | None = None,
        everywhere: bool = False,
    ) -> list[Document]:
        """Documents of a collection that meet all conditions, by `order_by`, else by id.

        With `everywhere`, of all collections of that name, wherever they are.
        """

        async def read(client: AsyncClient) -> list[Document]:
            query: Any = client.collection_group(collection) if everywhere else client.collection(collection)
            for name, operator, value in conditions:
                query = query.where(filter=FieldFilter(name, operator, value))
            if order_by is not None:
                query = query.order_by(order_by, direction="DESCENDING" if descending else "ASCENDING")
            if fields is not None:
                query = query.select(fields)
            if after is not None:
                query = query.start_after(after._snapshot)
            if limit is not None:
                query = query.limit(limit)
            found = [_document(snapshot) async for snapshot in query.stream(retry=None, timeout=self._seconds)]
            return [document for document in found if document is not None]

        return await self._call(read)

    async def count(self, collection: str, *conditions: Condition, everywhere: bool = False) -> int:
        async def read(client: AsyncClient) -> int:
            query: Any = client.collection_group(collection) if everywhere else client.collection(collection)
            for name, operator, value in conditions:
                query = query.where(filter=FieldFilter(name, operator, value))
            ((result,),) = await query.count().get(retry=None, timeout=self._seconds)
            return int(result.value)

        return await self._call(read)

    async def commit(self, guard: Guarded, *others: Write) -> datetime:
        """Write all or nothing, if the guard's condition holds; return the update time of the guard's document.

        The guard is stamped. When the answer gets lost, the stamp in the document tells whether it was written.

        Raises:
            WriteRefusedError: the condition, or that of another write, does not hold.
            PermanentError: Firestore does not take such a document.
        """
        stamp = self._database.new_id()
        stamped = Guarded(guard.path, {**guard.fields, STAMP: stamp}, guard.unchanged_since)
        ends = asyncio.get_running_loop().time() + self._seconds
        answer_was_lost = False
        for attempt in range(self._database.attempts):
            try:
                return await self._commit_once(stamped, others)
            except _BUSY as exc:
                error: Exception = exc
            except (*_NO_ANSWER, GoogleAuthError) as exc:
                error, answer_was_lost = exc, True
                stored = await self.get(guard.path)
                if _bears(stored, stamp):
                    assert stored is not None  # noqa: S101 - what bears the stamp is there
                    return stored.update_time
                if (stored.update_time if stored else None) != guard.unchanged_since:
                    raise WriteRefusedError(guard.path) from exc
            except _REFUSED as exc:
                # The attempt before, whose answer got lost, may have arrived after all.
                stored = await self.get(guard.path) if answer_was_lost else None
                if stored is not None and _bears(stored, stamp):
                    return stored.update_time
                raise WriteRefusedError(guard.path) from exc
            except google.GoogleAPICallError as exc:
                raise self._translated(exc) from exc
            if asyncio.get_running_loop().time() >= ends:
                break
            await self._database.pause(attempt)
        raise self._translated(error) from error

    async def apply(self, writes: Iterable[Write]) -> None:
        """Write what may be written twice, and whatever is there; all or nothing for each `BATCH_LIMIT` of them."""
        for part in chunks(list(writes), BATCH_LIMIT):

            async def write(client: AsyncClient, part: Sequence[Write] = part) -> None:
                batch = client.batch()
                for one in part:
                    _add(batch, client, one)
                await batch.commit(retry=None, timeout=self._seconds)

            await self._call(write)

    async def delete_all(self, collection: str, *conditions: Condition, everywhere: bool = False) -> int:
        """Delete what meets the conditions, a batch at a time, so that it can be gone on with; return how many."""
        deleted = 0
        while True:
            found = await self.find(collection, *conditions, limit=BATCH_LIMIT, fields=(), everywhere=everywhere)
            await self.apply(Delete(document.path) for document in found)
            deleted += len(found)
            if len(found) < BATCH_LIMIT:
                return deleted

    async def _commit_once(self, guard: Guarded, others: Sequence[Write]) -> datetime:
        client = self._database.client()
        batch = client.batch()
        for one in (guard, *others):
            _add(batch, client, one)
        results = await batch.commit(retry=None, timeout=self._seconds)
        written: datetime = results[0].update_time
        return written

    async def _call(self, call: Callable[[AsyncClient], Awaitable[T]]) -> T:
        ends = asyncio.get_running_loop().time() + self._seconds
        for attempt in range(self._database.attempts):
            try:
                result = await call(self._database.client())
            except (*_BUSY, *_NO_ANSWER) as exc:
                error: Exception = exc
            except (google.GoogleAPICallError, GoogleAuthError) as exc:
                raise self._translated(exc) from exc
            else:
                return result
            if asyncio.get_running_loop().time() >= ends:
                break
            await self._database.pause(attempt)
        raise self._translated(error) from error

    def _translated(self, error: Exception) -> TransientError | PermanentError:
        """The port's error. It names the kind alone: Firestore's texts may quote what is stored."""
        kind = type(error).__name__
        if isinstance(error, google.InvalidArgument):
            return PermanentError(f"Firestore does not take it: {kind}")
        return self._unavailable(f"Firestore: {kind}")


def document_id(raw: str) -> str:
    """A legal id for any text: percent-encoded, so that it stays readable; what is too long ends in its hash.

    Firestore refuses `/`, `.`, `..`, `__x__` and more than 1,500 bytes.
    """
    encoded = quote(raw, safe=":@+=,", errors="surrogatepass")
    if encoded.startswith("__") or encoded in (".", ".."):
        encoded = f"%{ord(encoded[0]):02X}{encoded[1:]}"
    if len(encoded) > ID_CHARACTERS:
        encoded = f"{encoded[: ID_CHARACTERS // 2]}%%{digest(encoded, size=32)}"
    # A lone sign of percent stands for the empty text: in every other id two hexadecimal digits follow it.
    return encoded or "%"


def chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _add(batch: AsyncWriteBatch, client: AsyncClient, write: Write) -> None:
    reference = client.document(write.path)
    match write:
        case Guarded(fields=fields, unchanged_since=None):
            batch.create(reference, {name: value for name, value in fields.items() if value is not None})
        case Guarded(fields=fields, unchanged_since=since):
            given = {name: DELETE_FIELD if value is None else value for name, value in fields.items()}
            batch.update(reference, given, client.write_option(last_update_time=since))
        case Put(fields=fields):
            batch.set(reference, {name: value for name, value in fields.items() if value is not None})
        case Amend(fields=fields):
            batch.update(reference, dict(fields))
        case Delete(must_exist=must_exist):
            batch.delete(reference, client.write_option(exists=True) if must_exist else None)


def _document(snapshot: DocumentSnapshot[Any]) -> Document | None:
    if not snapshot.exists:
        return None
    return Document(snapshot.reference.path, snapshot.to_dict() or {}, snapshot.update_time, snapshot)


def _bears(document: Document | None, stamp: str) -> bool:
    return document is not None and document.fields.get(STAMP) == stamp


def _connected(client: AsyncClient) -> AsyncClient:
    """The client on a channel with our options, for which the library has no argument."""
    if client._emulator_host is not None:
        channel = aio.insecure_channel(client._emulator_host, options=CHANNEL_OPTIONS)
    else:
        channel = FirestoreGrpcAsyncIOTransport.create_channel(
            client._target, credentials=client._credentials, options=CHANNEL_OPTIONS
        )
    transport = FirestoreGrpcAsyncIOTransport(host=client._target, channel=channel)
    client._firestore_api_internal = FirestoreAsyncClient(transport=transport)
    return client
