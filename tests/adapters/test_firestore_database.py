"""Deadlines, lost answers, a server that is away and comes back; ids that Firestore would refuse."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from google.api_core import exceptions as google
from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient
from hypothesis import given
from hypothesis import strategies as st

from adapters.firestore import database as firestore_database
from adapters.firestore.database import (
    Delete,
    Documents,
    FirestoreDatabase,
    Guarded,
    Put,
    WriteRefusedError,
    document_id,
)
from adapters.firestore.inbox import FirestoreInbox
from adapters.firestore.store import FirestoreStore
from contracts.errors import InboxUnavailableError, PermanentError, StoreUnavailableError
from contracts.values import ConversationId
from tests.builders import START, inbound, open_firestore
from tests.real_services import firestore_host, free_port

HOSTILE = ["", ".", "..", "__x__", "__", "a/b", "/", "á é 👋", "\0", "%", "%2E", "\ud800", "x" * 3_000, "x" * 3_001]
Commit = Callable[..., Awaitable[Any]]


@pytest.fixture
async def database() -> AsyncIterator[FirestoreDatabase]:
    async with open_firestore() as database:
        yield database


@pytest.fixture
def documents(database: FirestoreDatabase) -> Documents:
    return database.documents(StoreUnavailableError)


async def created(documents: Documents, path: str = "things/one") -> datetime:
    return await documents.commit(Guarded(path, {"n": 1}, unchanged_since=None))


async def number(documents: Documents, path: str = "things/one") -> int | None:
    document = await documents.get(path)
    return document.fields["n"] if document else None


async def test_a_write_is_refused_when_somebody_else_wrote_in_between(documents: Documents) -> None:
    since = await created(documents)
    await documents.commit(Guarded("things/one", {"n": 2}, since), Put("things/other", {"n": 2}))
    with pytest.raises(WriteRefusedError):
        await documents.commit(Guarded("things/one", {"n": 3}, since), Put("things/other", {"n": 3}))
    with pytest.raises(WriteRefusedError):
        await created(documents)
    with pytest.raises(WriteRefusedError):
        await documents.commit(Guarded("things/new", {"n": 1}, None), Delete("things/missing", must_exist=True))
    assert [await number(documents, f"things/{name}") for name in ("one", "other", "new")] == [2, 2, None]


async def test_a_field_that_becomes_none_is_gone(documents: Documents) -> None:
    since = await created(documents)
    await documents.commit(Guarded("things/one", {"n": None, "m": 1}, since))
    document = await documents.get("things/one")
    assert document
    assert document.fields.keys() - {"stamp"} == {"m"}


@pytest.mark.parametrize("raw", HOSTILE)
async def test_any_text_names_a_document(documents: Documents, raw: str) -> None:
    path = f"things/{document_id(raw)}"
    await documents.apply([Put(path, {"n": 1})])
    assert await number(documents, path) == 1
    await documents.apply([Delete(path)])


def test_hostile_ids_stay_different() -> None:
    assert len({document_id(raw) for raw in HOSTILE}) == len(HOSTILE)


@given(st.text(), st.text())
def test_different_texts_have_different_ids(one: str, other: str) -> None:
    assert (document_id(one) == document_id(other)) == (one == other)


async def test_a_document_that_is_too_big_is_refused_for_good(documents: Documents) -> None:
    with pytest.raises(PermanentError):
        await documents.commit(Guarded("things/big", {"text": "x" * 1_100_000}, None))


def losing_answers(arriving: list[bool], error: type[Exception]) -> Callable[[FirestoreAsyncClient], Awaitable[Any]]:
    """Commits whose answers get lost: those that are True arrive before, those that are False never do."""
    commit: Commit = FirestoreAsyncClient.commit

    async def lost(client: FirestoreAsyncClient, *args: Any, **kwargs: Any) -> Any:
        if not arriving:
            return await commit(client, *args, **kwargs)
        if arriving.pop(0):
            await commit(client, *args, **kwargs)
        raise error("lost")

    return lost


@pytest.mark.parametrize("error", [google.ServiceUnavailable, google.DeadlineExceeded])
async def test_a_write_whose_answer_got_lost_is_recognised(
    documents: Documents, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    since = await created(documents)
    monkeypatch.setattr(FirestoreAsyncClient, "commit", losing_answers([True], error))
    written = await documents.commit(Guarded("things/one", {"n": 2}, since))
    document = await documents.get("things/one")
    assert document
    assert (document.update_time, document.fields["n"]) == (written, 2)


async def test_a_write_that_never_arrived_is_made_again(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    since = await created(documents)
    monkeypatch.setattr(FirestoreAsyncClient, "commit", losing_answers([False, False], google.ServiceUnavailable))
    await documents.commit(Guarded("things/one", {"n": 2}, since))
    assert await number(documents) == 2


async def test_a_write_that_arrives_after_it_was_looked_for_counts_once(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt is still on its way when the document is read; the second one is then refused."""
    since = await created(documents)
    commit: Commit = FirestoreAsyncClient.commit
    late: list[Any] = []

    async def slow(client: FirestoreAsyncClient, *args: Any, **kwargs: Any) -> Any:
        if not late:
            late.extend(args)
            raise google.ServiceUnavailable("lost")
        await commit(client, *late, **kwargs)
        return await commit(client, *args, **kwargs)

    monkeypatch.setattr(FirestoreAsyncClient, "commit", slow)
    written = await documents.commit(Guarded("things/one", {"n": 2}, since))
    document = await documents.get("things/one")
    assert document
    assert document.update_time == written


async def test_a_write_that_stays_without_an_answer_is_unavailable(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = await created(documents)
    monkeypatch.setattr(FirestoreAsyncClient, "commit", losing_answers([False] * 1_000, google.ServiceUnavailable))
    with pytest.raises(StoreUnavailableError):
        await documents.commit(Guarded("things/one", {"n": 2}, since))
    assert await number(documents) == 1


async def test_a_write_that_was_overtaken_after_its_answer_got_lost_is_refused(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = await created(documents)
    monkeypatch.setattr(FirestoreAsyncClient, "commit", losing_answers([False], google.ServiceUnavailable))
    get = documents.get

    async def overtaken(path: str) -> Any:
        await documents.apply([Put("things/one", {"n": 7})])
        return await get(path)

    monkeypatch.setattr(documents, "get", overtaken)
    with pytest.raises(WriteRefusedError):
        await documents.commit(Guarded("things/one", {"n": 2}, since))


async def test_busy_is_tried_again(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FirestoreAsyncClient, "commit", losing_answers([False, False], google.Aborted))
    await created(documents)
    assert await number(documents) == 1


@asynccontextmanager
async def connection_to(host: str, **options: Any) -> AsyncIterator[FirestoreDatabase]:
    database = FirestoreDatabase("prosa-away", emulator_host=host, **options)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """Takes connections and never answers, as a network that swallows packets."""
    gone = asyncio.Event()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as server:
        try:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            gone.set()


@asynccontextmanager
async def nobody() -> AsyncIterator[str]:
    yield f"127.0.0.1:{free_port()}"


@pytest.mark.parametrize("server", [nobody, silent_server])
async def test_without_an_answer_every_port_raises_its_own_error(server: Any) -> None:
    """Long before the library's own retries, of one to five minutes, would give up."""
    conversation_id = ConversationId("c")
    async with server() as host, connection_to(host, deadline=timedelta(milliseconds=200)) as database:
        inbox, store = FirestoreInbox(database), FirestoreStore(database)
        async with asyncio.timeout(30):
            with pytest.raises(StoreUnavailableError):
                await store.ping()
            with pytest.raises(StoreUnavailableError):
                await store.conversations.load(conversation_id)
            with pytest.raises(StoreUnavailableError):
                await store.conversations.erase(conversation_id, at=START)
            with pytest.raises(StoreUnavailableError):
                await store.outbox.sendable(at=START, limit=1)
            with pytest.raises(StoreUnavailableError):
                await store.conversations.find_message(inbound().id)
            with pytest.raises(InboxUnavailableError):
                await inbox.append([inbound()])
            with pytest.raises(InboxUnavailableError):
                await inbox.claim(conversation_id, ttl=timedelta(seconds=1), at=START)
            with pytest.raises(InboxUnavailableError):
                await inbox.depth()


async def test_a_server_that_comes_back_is_found_again() -> None:
    emulator, port = firestore_host(), free_port()
    async with connection_to(f"127.0.0.1:{port}", deadline=timedelta(seconds=60)) as database:
        documents = database.documents(StoreUnavailableError)
        with pytest.raises(StoreUnavailableError):
            await documents.get("things/one")
        async with relay(port, emulator):
            await until_it_answers(documents)
            await documents.apply([Put("things/one", {"n": 1})])
            assert await number(documents) == 1


async def until_it_answers(documents: Documents) -> None:
    while True:
        try:
            await documents.get("things/one")
        except StoreUnavailableError:
            continue
        return


async def test_a_read_that_fails_at_once_is_made_again_and_one_that_was_slow_is_not(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that has too much to do must not get more; what is left of the deadline bounds each attempt."""
    await created(documents)
    get = FirestoreAsyncClient.batch_get_documents
    timeouts: list[float] = []

    def failing(pause: float, times: int) -> Any:
        async def fail(client: FirestoreAsyncClient, *args: Any, **options: Any) -> Any:
            timeouts.append(options["timeout"])
            if len(timeouts) > times:
                return await get(client, *args, **options)
            await asyncio.sleep(pause)
            raise google.ServiceUnavailable("lost")

        return fail

    monkeypatch.setattr(FirestoreAsyncClient, "batch_get_documents", failing(0.0, 2))
    assert await number(documents) == 1
    assert timeouts == sorted(timeouts, reverse=True)
    assert timeouts.pop(0) <= 60
    timeouts.clear()
    monkeypatch.setattr(FirestoreAsyncClient, "batch_get_documents", failing(1.1, 9))
    with pytest.raises(StoreUnavailableError, match="ServiceUnavailable"):
        await number(documents)
    assert len(timeouts) == 1


async def test_a_lost_server_is_looked_for_again_within_a_second() -> None:
    """What gRPC does by itself after a long outage, two minutes, is too long to be waited for here."""
    aio = firestore_database.aio
    async with connection_to(f"127.0.0.1:{free_port()}") as database:
        with patch.object(aio, "insecure_channel", wraps=aio.insecure_channel) as made:
            database.client()
    assert dict(made.call_args.kwargs["options"])["grpc.max_reconnect_backoff_ms"] <= 1_000


@asynccontextmanager
async def relay(port: int, to: str) -> AsyncIterator[None]:
    """Passes on to another address whatever comes to the port."""
    host, _, target = to.partition(":")
    open_writers: list[asyncio.StreamWriter] = []

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while part := await reader.read(65_536):
                writer.write(part)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(target))
        open_writers.extend((writer, back))
        await asyncio.gather(copy(reader, back), copy(there, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", port):
        try:
            yield
        finally:
            for writer in open_writers:
                writer.close()
