"""`deploy/firestore` fits what the adapters write and ask; the emulator would answer without any index."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.firestore.database import Documents, FirestoreDatabase
from adapters.firestore.inbox import FirestoreInbox
from adapters.firestore.store import FirestoreStore
from contracts.conversation import Conversation, Owner, State
from contracts.delivery import Record
from contracts.listing import ConversationQuery, Order
from contracts.messages import ChannelName, DeliveryState
from contracts.values import MessageId
from tests.adapters.test_firestore_store import everything, letter, receipts_alone, status
from tests.builders import ROOT, START, SteppingClock, conversation_id, inbound, open_firestore, pyloto
from tests.contract.test_store import turn_commit

CONFIGURATION = json.loads((ROOT / "deploy" / "firestore" / "firestore.indexes.json").read_text())
FIELDS = {(one["collectionGroup"], one["fieldPath"]): one for one in CONFIGURATION["fieldOverrides"]}
COMPOSITES = {
    (one["collectionGroup"], *((field["fieldPath"], field.get("order", "CONTAINS")) for field in one["fields"]))
    for one in CONFIGURATION["indexes"]
}
C1 = conversation_id("c-1")
TTL = timedelta(seconds=1)
LATER = START + timedelta(hours=1)

Index = tuple[Any, ...]


@pytest.fixture
async def database() -> AsyncIterator[FirestoreDatabase]:
    async with open_firestore() as database:
        yield database


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> set[Index]:
    """The indexes that the queries need."""
    needed: set[Index] = set()
    find = Documents.find

    async def noted(documents: Documents, collection: str, *conditions: Any, **options: Any) -> Any:
        needed.update(indexes_for(collection.split("/")[-1], conditions, options))
        return await find(documents, collection, *conditions, **options)

    monkeypatch.setattr(Documents, "find", noted)
    return needed


def indexes_for(group: str, conditions: Any, options: dict[str, Any]) -> set[Index]:
    """Source: Firestore's documentation of index types. Equalities share indexes, with an order those of that order."""
    scope = "COLLECTION_GROUP" if options.get("everywhere") else "COLLECTION"
    equal = [name for name, operator, _ in conditions if operator in ("==", "in")]
    held = {name for name, operator, _ in conditions if operator == "array_contains"}
    ranged = {name for name, _, _ in conditions} - {*equal, *held}
    order = options.get("order_by") or next(iter(ranged), None)
    direction = "DESCENDING" if options.get("descending") else "ASCENDING"
    assert ranged <= {order}, "one range, and by that the order"
    if (equal or held) and order:
        kinds = [*((name, "ASCENDING") for name in equal), *((name, "CONTAINS") for name in held)]
        return {("composite", group, kind, (order, direction)) for kind in kinds}
    return (
        {("single", group, name, "ASCENDING", scope) for name in equal}
        | {("single", group, name, "CONTAINS", scope) for name in held}
        | ({("single", group, order, direction, scope)} if order else set())
    )


def declared() -> set[Index]:
    single = {
        ("single", group, field, index.get("order") or index["arrayConfig"], index["queryScope"])
        for (group, field), one in FIELDS.items()
        for index in one["indexes"]
    }
    return single | {("composite", *one) for one in COMPOSITES}


async def use_everything(database: FirestoreDatabase) -> None:
    """Every method that reads or writes documents of its own kind, some of them twice."""
    inbox, store = FirestoreInbox(database), FirestoreStore(database, clock=SteppingClock())
    await inbox.append([inbound(), inbound()])
    assert await inbox.due(at=START, limit=1)
    lease = await inbox.claim(C1, ttl=TTL, at=START)
    assert lease
    await inbox.take(lease, isolate_after=2)
    await inbox.has_newer(C1, 1)
    await inbox.depth()
    await inbox.ages(overdue_before=START)
    await inbox.advance(C1, past=9)
    await inbox.forget(C1)
    await inbox.append([inbound()])
    await inbox.prune(before=START)

    commit = turn_commit(message=inbound(id="m-1"), replies=2)
    waits = {"times_out_at": START, "state": State.ESCALATING}
    timed = commit.conversation.model_copy(update=waits)
    await store.conversations.commit(commit.model_copy(update={"conversation": timed}))
    await receipts_alone(database, C1)
    await store.conversations.turns(C1, limit=1)
    receipt = await store.conversations.receipt(C1, MessageId("m-1"))
    assert receipt
    assert await store.conversations.turn_of(receipt)
    await store.conversations.find_message(receipt.message.id)
    for order in Order:
        for conditions in ({}, {"states": {State.ESCALATING}}, {"owner": Owner.NOBODY, "agent": "a"}, {"until": LATER}):
            query = ConversationQuery(order=order, text="dia", channel=ChannelName.WEB, **conditions)  # type: ignore[arg-type]
            await store.conversations.find(query)
        assert await store.conversations.find(ConversationQuery(order=order))
    assert await store.conversations.timed_out(at=START, limit=1)
    assert await store.conversations.expired(updated_before=LATER, limit=1)
    assert await store.outbox.sendable(at=LATER, limit=1)
    await store.outbox.unsent_count()
    first, second = await store.outbox.unsent(C1)
    await store.outbox.apply_status(status(first).model_copy(update={"platform_message_id": "parked"}))
    await store.outbox.mark_sent(first, platform_message_id="p-1", at=START)
    await store.outbox.apply_status(status(first, DeliveryState.READ))
    await store.outbox.begin_send(second, deadline=LATER, at=START)
    await store.outbox.mark_failed(second.id, error_code="x", at=START)
    assert await store.outbox.to_escalate(limit=1)
    await store.outbox.rows(C1)
    await store.dead_letters.add(letter().model_copy(update={"addresses": ("a",)}))
    assert await store.dead_letters.forget(["b"]) == 0
    for owner in (None, C1):
        assert await store.dead_letters.letters(conversation_id=owner)
    await store.dead_letters.prune(before=START)
    await store.institutions.publish(pyloto(), at=START)
    await store.institutions.current()
    await store.institutions.versions()
    note = Record(collection="notes", key="k", body={}, owner=C1, due_at=START, expires_at=LATER, updated_at=START)
    await store.records.put(note)
    assert await store.records.page("notes", at=START)
    assert await store.records.due("notes", at=START, limit=1)
    await store.records.prune(at=START)
    await store.ping()
    await store.conversations.commit(turn_commit(Conversation(id=conversation_id("erased"))))
    lease = await inbox.claim(C1, ttl=TTL, at=LATER)
    assert lease
    await inbox.take(lease, isolate_after=2)


async def test_every_query_has_its_index_and_every_index_its_query(
    database: FirestoreDatabase, asked: set[Index]
) -> None:
    await use_everything(database)
    await FirestoreStore(database, clock=SteppingClock()).conversations.erase(C1, at=START)
    assert asked - declared() == set()
    assert declared() - asked == set()


async def test_every_field_that_is_written_is_declared_and_no_other(database: FirestoreDatabase) -> None:
    await use_everything(database)
    written = {(path.split("/")[-2], field) for path, fields in await everything(database) for field in fields}
    assert written == FIELDS.keys()


def test_every_time_to_live_has_its_policy() -> None:
    policies = {group for (group, field), one in FIELDS.items() if one.get("ttl")}
    assert policies == {group for group, field in FIELDS if field == "expires_at"}
    assert not policies & {"inbox_conversations", "inbox_entries", "institutions", "parts", "published"}


def test_the_rules_let_nobody_in() -> None:
    rules = Path(ROOT / "deploy" / "firestore" / "firestore.rules").read_text()
    assert [line.strip() for line in rules.splitlines() if "allow" in line] == ["allow read, write: if false;"]
