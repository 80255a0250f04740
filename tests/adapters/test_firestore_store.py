"""What only Firestore's store has to get right: competing processes, ids, sizes, times to live, an erasure in parts."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from google.api_core import exceptions as google
from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient

from adapters.firestore import store as firestore_store
from adapters.firestore.database import FirestoreDatabase, Put, Write, document_id
from adapters.firestore.store import HEAD_BYTES, FirestoreStore
from contracts.conversation import RESTORING, Conversation, Speaker, Utterance
from contracts.delivery import ConversationArchive, DeadLetter, OutboxRow, Receipt, Record
from contracts.errors import ConversationConflictError, PermanentError, StoreUnavailableError
from contracts.messages import DeliveryState, StatusUpdate
from contracts.values import ConversationId, MessageId, OutboxId
from tests.builders import START, SteppingClock, conversation_id, inbound, open_firestore, pyloto
from tests.contract.test_store import turn_commit

C1 = conversation_id("c-1")
SECOND = timedelta(seconds=1)
REPORTED = (DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.READ)
SECRET = "um segredo que ninguém mais pode ler"


@pytest.fixture
async def databases() -> AsyncIterator[tuple[FirestoreDatabase, FirestoreDatabase]]:
    """Two connections to the same data, as two processes have them."""
    async with AsyncExitStack() as stack:
        mine = await stack.enter_async_context(open_firestore())
        theirs = await stack.enter_async_context(open_firestore(mine.project))
        yield mine, theirs


@pytest.fixture
def stores(databases: tuple[FirestoreDatabase, FirestoreDatabase]) -> tuple[FirestoreStore, FirestoreStore]:
    mine, theirs = (FirestoreStore(database, clock=SteppingClock()) for database in databases)
    return mine, theirs


@pytest.fixture
def store(stores: tuple[FirestoreStore, FirestoreStore]) -> FirestoreStore:
    return stores[0]


async def everything(database: FirestoreDatabase) -> list[tuple[str, dict[str, Any]]]:
    """Every document of the project with its path, wherever it is."""
    client, documents = database.client(), database.documents(StoreUnavailableError)
    root = f"{database.name}/documents"
    found: list[tuple[str, dict[str, Any]]] = []

    async def walk(parent: str) -> None:
        async for collection in await client.list_collection_ids({"parent": parent}, metadata=database.metadata):
            asked = {"parent": parent, "collection_id": collection, "show_missing": True}
            async for each in await client.list_documents(asked, metadata=database.metadata):
                if document := await documents.get(each.name.removeprefix(f"{root}/")):
                    found.append((document.path, dict(document.fields)))
                await walk(each.name)

    await walk(root)
    return found


async def receipts_alone(database: FirestoreDatabase, conversation: ConversationId) -> None:
    """Keep the receipts of a conversation as earlier releases did: each in a document of its own."""
    documents = database.documents(StoreUnavailableError)
    head = firestore_store._head_path(conversation)
    for document in await documents.find(f"{head}/{firestore_store.HISTORY}"):
        kept = {name: document.fields[name] for name in ("version", "expires_at")}
        for text in document.fields.get("receipts", []):
            receipt = Receipt.model_validate_json(text)
            mine = {"conversation_id": conversation, "message_key": document_id(receipt.message.id), "record": text}
            await documents.apply([Put(f"{head}/{firestore_store.RECEIPTS}/{receipt.sequence:020}", kept | mine)])
        now = {"receipts", "message_keys", "conversation_id"}
        before = {name: value for name, value in document.fields.items() if name not in now}
        await documents.apply([Put(document.path, before)])


async def test_what_earlier_releases_wrote_is_read_and_erased_with_what_is_new(
    store: FirestoreStore, databases: tuple[FirestoreDatabase, FirestoreDatabase]
) -> None:
    old, new = inbound("antes", id="m-old"), inbound("agora", id="m-new")
    head = await store.conversations.commit(turn_commit(message=old))
    await receipts_alone(databases[0], C1)
    await store.conversations.commit(turn_commit(head, new))
    receipts = await store.conversations.receipts(C1)
    assert [receipt.message for receipt in receipts] == [old, new]
    for receipt in receipts:
        assert await store.conversations.receipt(C1, receipt.message.id) == receipt
        assert await store.conversations.turn_of(receipt)
        assert await store.conversations.find_message(receipt.message.id) == [C1]
    assert await store.conversations.receipt(C1, MessageId("m-other")) is None
    assert await store.conversations.erase(C1, at=START)
    assert not await store.conversations.receipts(C1)
    assert not [path for path, _ in await everything(databases[0]) if "/receipts/" in path or "/history/" in path]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Firestore is asked."""
    asked: list[str] = []

    def noted(name: str) -> Any:
        method = getattr(FirestoreAsyncClient, name)

        def call(*args: Any, **options: Any) -> Any:
            asked.append(name)
            return method(*args, **options)

        return call

    for name in ("commit", "batch_get_documents", "run_query"):
        monkeypatch.setattr(FirestoreAsyncClient, name, noted(name))
    return asked


async def sent_row(store: FirestoreStore) -> OutboxRow:
    await store.conversations.commit(turn_commit())
    (row,) = await store.outbox.unsent(C1)
    await store.outbox.mark_sent(row, platform_message_id="p-1", at=START)
    return row


async def test_statuses_of_one_moment_share_a_write(
    stores: tuple[FirestoreStore, FirestoreStore], calls: list[str]
) -> None:
    sender, receiver = stores
    row = await sent_row(sender)
    updates = [status(row, state).model_copy(update={"client_reference": row.id}) for state in REPORTED]
    await receiver.outbox.apply_status(updates[0])
    calls.clear()
    rows = await asyncio.gather(*(receiver.outbox.apply_status(update) for update in updates))
    assert [one.state for one in rows if one] == [DeliveryState.READ] * 3
    assert calls == ["commit"]
    (stored,) = await sender.outbox.rows(C1)
    assert stored.state is DeliveryState.READ


async def test_of_statuses_that_follow_each_other_the_row_is_read_once(
    stores: tuple[FirestoreStore, FirestoreStore], calls: list[str]
) -> None:
    sender, receiver = stores
    row = await sent_row(sender)
    calls.clear()
    for state in (*REPORTED, *REPORTED):
        changed = await receiver.outbox.apply_status(status(row, state).model_copy(update={"client_reference": row.id}))
        assert changed
    assert calls == ["batch_get_documents", "commit", "commit"]


async def test_a_status_whose_write_failed_is_written_with_the_next(
    store: FirestoreStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await sent_row(store)

    async def away(*args: Any, **options: Any) -> None:
        raise google.ServiceUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(FirestoreAsyncClient, "commit", away)
        reports = (store.outbox.apply_status(status(row, state)) for state in REPORTED)
        results = await asyncio.gather(*reports, return_exceptions=True)
    assert StoreUnavailableError in [type(result) for result in results]
    changed = await store.outbox.apply_status(status(row))
    assert changed
    assert changed.state is DeliveryState.DELIVERED


async def test_a_record_that_was_written_here_is_not_read_before_the_next_write(
    stores: tuple[FirestoreStore, FirestoreStore], calls: list[str]
) -> None:
    mine, theirs = stores
    record = Record(collection="sums", key="k", body={}, updated_at=START)
    for _ in range(3):
        saved = await mine.records.put(record)
        assert saved
        record = saved
    assert calls == ["batch_get_documents", "commit", "commit", "commit"]
    assert await theirs.records.put(record)
    assert await mine.records.put(record) is None
    newest = await mine.records.get("sums", "k", at=START)
    assert newest
    assert await mine.records.put(newest)


def letter(raw: str = SECRET, conversation: ConversationId = C1) -> DeadLetter:
    return DeadLetter(
        id="l-1",
        conversation_id=conversation,
        message_id=None,
        channel="web",
        reason="x",
        attempts=1,
        raw=raw,
        at=START,
    )


def status(row: OutboxRow, state: DeliveryState = DeliveryState.DELIVERED) -> StatusUpdate:
    address = row.address
    return StatusUpdate(
        channel=address.channel, account=address.account, platform_message_id="p-1", state=state, at=START
    )


# Competing processes


async def test_of_the_commits_of_two_processes_one_wins(stores: tuple[FirestoreStore, FirestoreStore]) -> None:
    """Each remembers the head it saw last; what it remembers is no better than what it loaded."""
    mine, theirs = stores
    head: Conversation | None = None
    for _ in range(5):
        commits = [
            store.conversations.commit(turn_commit(head, inbound())) for store in (mine, theirs) for _ in range(3)
        ]
        results = await asyncio.gather(*commits, return_exceptions=True)
        (head,) = (result for result in results if isinstance(result, Conversation))
        assert all(isinstance(result, Conversation | ConversationConflictError) for result in results)
    assert len(await mine.conversations.turns(C1)) == len(await theirs.outbox.rows(C1)) == 5


async def test_a_process_that_remembers_an_old_head_can_go_on(stores: tuple[FirestoreStore, FirestoreStore]) -> None:
    mine, theirs = stores
    head = await mine.conversations.commit(turn_commit())
    newer = await theirs.conversations.commit(turn_commit(head))
    with pytest.raises(ConversationConflictError):
        await mine.conversations.commit(turn_commit(head))
    # Told the new version by somebody else, a cache for instance, it has not loaded it itself.
    assert (await mine.conversations.commit(turn_commit(newer))).version == 3


async def test_a_commit_whose_answer_got_lost_is_found_there(
    store: FirestoreStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = await store.conversations.commit(turn_commit())
    commit = FirestoreAsyncClient.commit

    async def lost(client: FirestoreAsyncClient, *args: Any, **options: Any) -> None:
        await commit(client, *args, **options)
        monkeypatch.undo()
        raise google.DeadlineExceeded("lost")

    monkeypatch.setattr(FirestoreAsyncClient, "commit", lost)
    saved = await store.conversations.commit(turn_commit(head))
    assert await store.conversations.load(C1) == saved
    assert (await store.conversations.commit(turn_commit(saved))).version == 3


async def test_a_commit_that_never_arrives_is_unavailable_and_leaves_nothing(
    store: FirestoreStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = await store.conversations.commit(turn_commit())

    async def lost(client: FirestoreAsyncClient, *args: Any, **options: Any) -> None:
        raise google.ServiceUnavailable("lost")

    with monkeypatch.context() as patched:
        patched.setattr(FirestoreAsyncClient, "commit", lost)
        with pytest.raises(StoreUnavailableError):
            await store.conversations.commit(turn_commit(head))
    assert await store.conversations.load(C1) == head
    assert len(await store.conversations.turns(C1)) == 1
    assert (await store.conversations.commit(turn_commit(head))).version == 2


async def test_a_row_is_begun_by_one_of_two_processes(stores: tuple[FirestoreStore, FirestoreStore]) -> None:
    await stores[0].conversations.commit(turn_commit())
    (row,) = await stores[0].outbox.unsent(C1)
    began = await asyncio.gather(
        *(store.outbox.begin_send(row, deadline=START + SECOND, at=START) for store in stores for _ in range(5))
    )
    assert sum(1 for one in began if one) == 1


async def test_a_row_that_another_process_changed_is_read_again(stores: tuple[FirestoreStore, FirestoreStore]) -> None:
    """What this process keeps in mind of it says that it is still to be sent."""
    mine, theirs = stores
    await mine.conversations.commit(turn_commit())
    (row,) = await mine.outbox.unsent(C1)
    await theirs.outbox.mark_sent(row, platform_message_id="p-1", at=START)
    assert await mine.outbox.begin_send(row, deadline=START + SECOND, at=START) is None
    await mine.outbox.postpone(row.id, not_before=START, error_code="busy", at=START)
    (stored,) = await mine.outbox.rows(C1)
    assert stored.state is DeliveryState.SENT


# Statuses that come before their message


async def test_a_status_that_parks_after_the_row_was_marked_looks_again(
    stores: tuple[FirestoreStore, FirestoreStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds no row; the row is marked sent and finds no status; only then the status is parked."""
    sender, receiver = stores
    await sender.conversations.commit(turn_commit())
    (row,) = await sender.outbox.unsent(C1)
    apply = receiver._documents.all.apply

    async def late(writes: Iterable[Write]) -> None:
        if (await sender.outbox.rows(C1))[0].state is DeliveryState.PENDING:
            await sender.outbox.mark_sent(row, platform_message_id="p-1", at=START)
        await apply(writes)

    monkeypatch.setattr(receiver._documents.all, "apply", late)
    changed = await receiver.outbox.apply_status(status(row))
    assert changed
    assert changed.state is DeliveryState.DELIVERED
    assert await receiver._documents.all.find(firestore_store.PARKED) == []


async def test_whoever_comes_first_a_status_reaches_its_row(stores: tuple[FirestoreStore, FirestoreStore]) -> None:
    sender, receiver = stores
    head: Conversation | None = None
    for _ in range(20):
        head = await sender.conversations.commit(turn_commit(head))
        (row,) = await sender.outbox.unsent(C1)
        update = status(row).model_copy(update={"platform_message_id": f"p-{row.id}"})
        await asyncio.gather(
            sender.outbox.mark_sent(row, platform_message_id=f"p-{row.id}", at=START),
            receiver.outbox.apply_status(update),
        )
    assert {row.state for row in await sender.outbox.rows(C1)} == {DeliveryState.DELIVERED}
    assert await receiver._documents.all.find(firestore_store.PARKED) == []


# Erasure


async def written_everywhere(store: FirestoreStore) -> Conversation:
    """A conversation of several turns with the secret in every kind of document."""
    head: Conversation | None = None
    for _ in range(3):
        commit = turn_commit(head, inbound(SECRET))
        said = Utterance(speaker=Speaker.PERSON, text=SECRET, at=START)
        rows = tuple(row.model_copy(update={"message": row.message.of_text(SECRET)}) for row in commit.outbox)
        head = await store.conversations.commit(
            commit.model_copy(update={"conversation": commit.conversation.says(said), "outbox": rows})
        )
    assert head
    await store.dead_letters.add(letter())
    first = (await store.outbox.rows(C1))[0]
    parked = status(first).model_copy(update={"error_code": SECRET})
    await store.outbox.apply_status(parked)
    # Marked by a process that died before it took up the parked status.
    sent = first.sent(platform_message_id="p-1", at=START)
    await store._documents.all.apply([store._documents.row(sent, 1)])
    return head


async def test_after_an_erasure_no_document_knows_what_was_said(
    store: FirestoreStore, databases: tuple[FirestoreDatabase, FirestoreDatabase]
) -> None:
    await written_everywhere(store)
    written = [path.split("/")[-2] for path, fields in await everything(databases[0]) if SECRET in str(fields)]
    assert set(written) == {"conversations", "history", "outbox", "dead_letters", "parked_statuses"}
    assert await store.conversations.erase(C1, at=START)
    left = await everything(databases[0])
    assert [path for path, fields in left if "segredo" in str(fields)] == []
    assert [path for path, _ in left] == [f"conversations/{C1}"]


@pytest.mark.parametrize("deletions", range(5))
async def test_an_erasure_that_broke_off_is_gone_on_with(
    stores: tuple[FirestoreStore, FirestoreStore],
    databases: tuple[FirestoreDatabase, FirestoreDatabase],
    monkeypatch: pytest.MonkeyPatch,
    deletions: int,
) -> None:
    """Whatever is gone by then, late commits are refused already."""
    dying, next_one = stores
    loaded = await written_everywhere(dying)
    delete_all, done = dying._documents.all.delete_all, []

    async def breaking(*args: Any, **options: Any) -> int:
        if len(done) == deletions:
            raise StoreUnavailableError("gone")
        done.append(args)
        return await delete_all(*args, **options)

    monkeypatch.setattr(dying._documents.all, "delete_all", breaking)
    with pytest.raises(StoreUnavailableError):
        await dying.conversations.erase(C1, at=START)
    with pytest.raises(ConversationConflictError):
        await next_one.conversations.commit(turn_commit(loaded))
    assert await next_one.conversations.erase(C1, at=START)
    assert [path for path, fields in await everything(databases[0]) if SECRET in str(fields)] == []


async def test_what_begins_while_an_erasure_deletes_is_left_alone(
    stores: tuple[FirestoreStore, FirestoreStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    erasing, answering = stores
    await erasing.conversations.commit(turn_commit())
    delete_all, begun = erasing._documents.all.delete_all, []

    async def slow(*args: Any, **options: Any) -> int:
        if not begun:
            begun.append(
                await answering.conversations.commit(
                    turn_commit(await answering.conversations.load(C1), inbound(id="new"))
                )
            )
        return await delete_all(*args, **options)

    monkeypatch.setattr(erasing._documents.all, "delete_all", slow)
    assert await erasing.conversations.erase(C1, at=START)
    assert await answering.conversations.load(C1) == begun[0]
    assert len(await answering.conversations.turns(C1)) == len(await answering.outbox.rows(C1)) == 1
    assert [receipt.message.id for receipt in await answering.conversations.receipts(C1)] == ["new"]


async def test_more_than_a_batch_is_erased(store: FirestoreStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.firestore.database.BATCH_LIMIT", 2)
    monkeypatch.setattr(firestore_store, "BATCH_LIMIT", 2)
    head = await store.conversations.commit(turn_commit(replies=5))
    await store.conversations.commit(turn_commit(head, replies=5))
    for row in await store.outbox.rows(C1):
        await store.outbox.apply_status(status(row).model_copy(update={"platform_message_id": f"p-{row.id}"}))
        await store._documents.all.apply(
            [store._documents.row(row.sent(platform_message_id=f"p-{row.id}", at=START), 1)]
        )
    assert await store.conversations.erase(C1, at=START)
    assert await store.outbox.rows(C1) == []
    assert await store._documents.all.find(firestore_store.PARKED) == []


async def test_a_restoration_that_broke_off_can_be_repeated(
    store: FirestoreStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In between the conversation counts as moved; nothing of the half that was written stays."""
    commit = turn_commit(replies=2)
    head = commit.conversation.model_copy(update={"version": 7})
    archive = ConversationArchive(
        head=head, utterances=commit.utterances * 25, transitions=commit.transitions * 25, outbox=commit.outbox
    )
    with monkeypatch.context() as patched:
        patched.setattr(store.conversations, "_unchanged_since", failing)
        with pytest.raises(StoreUnavailableError):
            await store.conversations.restore(archive)
    assert (await store.conversations.find()).items == ()
    unfinished = await store.conversations.load(C1)
    assert unfinished
    assert unfinished.moved_to == RESTORING
    await store.conversations.restore(archive)
    assert await store.conversations.load(C1) == head
    assert await store.conversations.transcript(C1) == list(archive.utterances)
    assert await store.conversations.transitions(C1) == list(archive.transitions)
    await store.conversations.erase(C1, at=START)
    assert await store.conversations.transcript(C1) == []


async def failing(*_: Any) -> None:
    raise StoreUnavailableError("gone")


# Sizes and ids


async def test_the_documents_of_a_long_conversation_stay_small(
    store: FirestoreStore, databases: tuple[FirestoreDatabase, FirestoreDatabase]
) -> None:
    """Three hundred turns of the longest lines that the channels let through."""
    head: Conversation | None = None
    line = Utterance(speaker=Speaker.PERSON, text="ã" * 4_096, at=START)
    for _ in range(300):
        commit = turn_commit(head, inbound(line.text))
        head = await store.conversations.commit(
            commit.model_copy(update={"conversation": commit.conversation.says(line), "utterances": (line,)})
        )
    assert head
    assert await store.conversations.load(C1) == head
    assert 0 < len(head.window) < 20
    assert len(await store.conversations.turns(C1)) == len(await store.conversations.transcript(C1)) == 300
    sizes = [len(str(fields).encode()) for _, fields in await everything(databases[0])]
    assert max(sizes) <= HEAD_BYTES + 1_000


async def test_a_head_that_is_too_big_without_its_window_is_refused_for_good(store: FirestoreStore) -> None:
    commit = turn_commit()
    fat = commit.conversation.model_copy(update={"fields": {"name": "x" * HEAD_BYTES}})
    with pytest.raises(PermanentError, match="has more than"):
        await store.conversations.commit(commit.model_copy(update={"conversation": fat}))


async def test_a_burst_of_long_messages_is_one_turn(store: FirestoreStore) -> None:
    """More than fits into one document: the lines of a commit are spread over several."""
    commit = turn_commit()
    said = tuple(Utterance(speaker=Speaker.PERSON, text="ã" * 20_000, at=START + n * SECOND) for n in range(60))
    await store.conversations.commit(commit.model_copy(update={"utterances": said}))
    assert await store.conversations.transcript(C1) == list(said)
    assert len(await store.conversations.turns(C1)) == 1


@pytest.mark.parametrize("name", ["a/b", "..", "__x__", "á é", "\0", "x" * 3_000, ""])
async def test_hostile_ids_are_ids_like_others(store: FirestoreStore, name: str) -> None:
    odd = ConversationId(name)
    message = inbound(id=name or "m").model_copy(update={"conversation_id": odd})
    head = await store.conversations.commit(turn_commit(Conversation(id=odd), message))
    assert await store.conversations.load(odd) == head
    assert await store.conversations.find_message(message.id) == [odd]
    assert await store.conversations.receipt(odd, message.id) is not None
    (row,) = await store.outbox.unsent(odd)
    assert await store.outbox.begin_send(row, deadline=START, at=START)
    assert await store.outbox.sendable(at=START + SECOND * 9, limit=1) == [odd]
    await store.dead_letters.add(letter(conversation=odd))
    assert len(await store.dead_letters.letters(conversation_id=odd)) == 1
    assert await store.conversations.erase(odd, at=START)
    assert await store.outbox.rows(odd) == await store.dead_letters.letters() == []


async def test_a_reference_that_no_platform_of_ours_made_names_no_row(store: FirestoreStore) -> None:
    await store.conversations.commit(turn_commit())
    (row,) = await store.outbox.unsent(C1)
    for reference in ("a/b", "..", "\0", "x" * 3_000):
        odd = status(row).model_copy(update={"client_reference": reference, "platform_message_id": reference})
        assert await store.outbox.apply_status(odd) is None
    assert await store.outbox.unsent(C1) == [row]


async def test_an_institution_of_more_than_a_document_is_published_whole(store: FirestoreStore) -> None:
    large = pyloto().model_copy(update={"documents": {"all.md": "ã" * 1_500_000}})
    assert await store.institutions.publish(large, at=START)
    assert await store.institutions.current() == large


async def test_two_processes_that_publish_at_once_publish_once(
    stores: tuple[FirestoreStore, FirestoreStore],
) -> None:
    published = await asyncio.gather(*(store.institutions.publish(pyloto(), at=START) for store in stores))
    assert sorted(published) == [False, True]


# What waits behind what


async def test_conversations_that_wait_do_not_hide_those_that_need_not(
    store: FirestoreStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firestore_store, "PAGE", 3)
    later = START + timedelta(hours=1)
    for number in range(5):
        waiting = Conversation(id=conversation_id(f"waits-{number}"))
        await store.conversations.commit(turn_commit(waiting, replies=2))
        first, _ = await store.outbox.unsent(waiting.id)
        await store.outbox.postpone(first.id, not_before=later, error_code="busy", at=START)
    ready = [Conversation(id=conversation_id(f"ready-{number}"), last_sequence=9) for number in range(2)]
    for head in ready:
        await store.conversations.commit(turn_commit(head))
    assert sorted(await store.outbox.sendable(at=START + timedelta(minutes=1), limit=10)) == sorted(
        one.id for one in ready
    )
    assert len(await store.outbox.sendable(at=START + timedelta(minutes=1), limit=1)) == 1


# Times to live


async def test_what_has_expired_is_not_there_though_nobody_deleted_it_yet(
    databases: tuple[FirestoreDatabase, FirestoreDatabase],
) -> None:
    clock = SteppingClock()
    store = FirestoreStore(databases[0], clock=clock, retention=timedelta(days=30))
    message = inbound(id="old")
    commit = turn_commit(message=message)
    timed = commit.conversation.model_copy(update={"times_out_at": START})
    await store.conversations.commit(commit.model_copy(update={"conversation": timed}))
    await store.dead_letters.add(letter())
    (row,) = await store.outbox.rows(C1)
    await store.outbox.apply_status(status(row))
    clock.move(timedelta(days=30))
    assert await store.conversations.load(C1) is None
    assert (await store.conversations.find()).items == ()
    assert await store.conversations.timed_out(at=clock.now(), limit=9) == []
    assert (
        await store.conversations.transcript(C1)
        == await store.conversations.transitions(C1)
        == await store.conversations.turns(C1)
        == []
    )
    assert await store.conversations.receipts(C1) == await store.conversations.find_message(MessageId("old")) == []
    assert await store.conversations.receipt(C1, MessageId("old")) is None
    assert (
        await store.outbox.rows(C1)
        == await store.outbox.unsent(C1)
        == await store.outbox.sendable(at=clock.now(), limit=9)
        == []
    )
    assert await store.outbox.begin_send(row, deadline=clock.now(), at=clock.now()) is None
    assert await store.outbox.apply_status(status(row).model_copy(update={"client_reference": row.id})) is None
    assert await store.dead_letters.letters() == []
    assert await store.dead_letters.get("l-1") is None
    # The sweeper still finds it, and its erasure leaves nothing for the TTL policy to do.
    assert await store.conversations.expired(updated_before=clock.now(), limit=9) == [C1]


async def test_a_conversation_begins_anew_in_the_place_of_an_expired_one(
    databases: tuple[FirestoreDatabase, FirestoreDatabase],
) -> None:
    clock = SteppingClock()
    store = FirestoreStore(databases[0], clock=clock)
    old = await store.conversations.commit(turn_commit())
    clock.move(timedelta(days=90))
    assert await store.conversations.load(C1) is None
    assert (await store.conversations.commit(turn_commit(message=inbound()))).version == 1
    with pytest.raises(ConversationConflictError):
        await FirestoreStore(databases[1], clock=clock).conversations.commit(
            turn_commit(old.model_copy(update={"version": 9}))
        )
    assert len(await store.conversations.turns(C1)) == 1


async def test_every_document_of_a_person_has_a_time_to_live(
    store: FirestoreStore, databases: tuple[FirestoreDatabase, FirestoreDatabase]
) -> None:
    await written_everywhere(store)
    assert [path for path, fields in await everything(databases[0]) if "expires_at" not in fields] == []


async def test_a_row_is_found_by_its_id_alone(store: FirestoreStore) -> None:
    """Whatever the worker makes of it: nothing is read out of an id."""
    commit = turn_commit()
    odd = tuple(row.model_copy(update={"id": OutboxId("no slash, no number")}) for row in commit.outbox)
    await store.conversations.commit(commit.model_copy(update={"outbox": odd}))
    await store.outbox.mark_sent(odd[0], platform_message_id="p-1", at=START)
    assert await store.outbox.unsent(C1) == []
