"""What every store guarantees of its small documents, on each of them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.delivery import Record
from contracts.ports import Store
from tests.builders import BACKENDS, START, conversation_id, open_backend

SECOND = timedelta(seconds=1)


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with open_backend(request.param, tmp_path) as (_, store):
        yield store


def record(key: str = "a", collection: str = "notes", **changes: Any) -> Record:
    given: dict[str, Any] = {"body": {"text": "Olá 👋", "n": [1, None, 2.5]}, "updated_at": START} | changes
    return Record(collection=collection, key=key, **given)


async def test_a_record_is_read_back_whole(store: Store) -> None:
    saved = await store.records.put(record(due_at=START, expires_at=START + SECOND, owner=conversation_id()))
    assert saved
    assert saved.version == 1
    assert await store.records.get("notes", "a", at=START) == saved
    assert await store.records.get("notes", "b", at=START) is None
    assert await store.records.get("other", "a", at=START) is None


@pytest.mark.parametrize("key", ["a/b", "..", "__x__", "á é", "a:b|c", "x" * 500])
async def test_any_text_can_be_a_key(store: Store, key: str) -> None:
    saved = await store.records.put(record(key))
    assert saved
    assert await store.records.get("notes", key, at=START) == saved
    assert await store.records.page("notes", at=START) == [saved]
    assert await store.records.drop("notes", key)


async def test_of_many_writers_of_one_version_one_wins(store: Store) -> None:
    for version in (0, 1):
        attempts = [store.records.put(record(version=version, body={"n": n})) for n in range(10)]
        written = [one for one in await asyncio.gather(*attempts) if one]
        assert len(written) == 1
        assert await store.records.get("notes", "a", at=START) == written[0]
    assert await store.records.put(record(version=7)) is None
    assert await store.records.put(record("new", version=1)) is None


async def test_records_are_listed_by_key_and_page(store: Store) -> None:
    for key in ("b", "a", "d", "c"):
        await store.records.put(record(key))
    await store.records.put(record("z", "other"))
    assert [one.key for one in await store.records.page("notes", at=START)] == ["a", "b", "c", "d"]
    assert [one.key for one in await store.records.page("notes", at=START, after="b", limit=1)] == ["c"]


async def test_an_expired_record_is_not_there(store: Store) -> None:
    await store.records.put(record("old", expires_at=START + SECOND, due_at=START))
    await store.records.put(record("kept"))
    later = START + SECOND
    assert await store.records.get("notes", "old", at=later) is None
    assert [one.key for one in await store.records.page("notes", at=later)] == ["kept"]
    assert await store.records.due("notes", at=later, limit=10) == []
    await store.records.prune(at=later)
    assert [one.key for one in await store.records.page("notes", at=START)] == ["kept"]


async def test_due_records_come_longest_waiting_first(store: Store) -> None:
    await store.records.put(record("late", due_at=START + 2 * SECOND))
    await store.records.put(record("early", due_at=START + SECOND))
    saved = await store.records.put(record("done", due_at=START))
    assert saved
    await store.records.put(saved.model_copy(update={"due_at": None}))
    assert await store.records.due("notes", at=START, limit=10) == []
    assert [one.key for one in await store.records.due("notes", at=START + SECOND, limit=10)] == ["early"]
    due = await store.records.due("notes", at=START + 2 * SECOND, limit=10)
    assert [one.key for one in due] == ["early", "late"]
    assert len(await store.records.due("notes", at=START + 2 * SECOND, limit=1)) == 1


async def test_a_conversation_s_records_are_erased_with_it(store: Store) -> None:
    await store.records.put(record("mine", owner=conversation_id("c-1"), due_at=START))
    await store.records.put(record("other", owner=conversation_id("c-2")))
    await store.records.put(record("of nobody"))
    await store.conversations.erase(conversation_id("c-1"), at=START)
    assert [one.key for one in await store.records.page("notes", at=START)] == ["of nobody", "other"]
    assert await store.records.due("notes", at=START, limit=10) == []


async def test_dropping_twice_is_harmless(store: Store) -> None:
    await store.records.put(record(due_at=START))
    assert await store.records.drop("notes", "a")
    assert not await store.records.drop("notes", "a")
    assert await store.records.due("notes", at=START, limit=10) == []
    assert await store.records.put(record())
