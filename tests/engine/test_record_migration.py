"""Flags, experiments and ledgers go along when conversations move between stores."""

import ast
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from contracts import analysis, turn
from contracts.delivery import Record
from contracts.ports import Store
from tests.builders import BACKENDS, START, open_backend
from worker.migration.conversations import Moved
from worker.migration.everything import COLLECTIONS, copy_records

ROOT = Path(__file__).parents[2]
LATER = START + timedelta(hours=1)


@pytest.fixture(params=BACKENDS)
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Store, Store]]:
    async with AsyncExitStack() as stack:
        _, here = await stack.enter_async_context(open_backend("memory", tmp_path))
        _, there = await stack.enter_async_context(open_backend(request.param, tmp_path))
        yield here, there


def record(collection: str, key: str = "one", *, says: str = "a", hours: int = 0, version: int = 0) -> Record:
    at = START + timedelta(hours=hours)
    return Record(
        collection=collection,
        key=key,
        version=version,
        body={"says": says, "nested": {"ação": [1, 2.5, None]}},
        expires_at=START + timedelta(days=400),
        updated_at=at,
    )


async def copied(here: Store, there: Store) -> Counter[Moved]:
    return Counter([moved async for moved in copy_records(here.records, there.records, at=LATER)])


async def body(store: Store, collection: str, key: str = "one") -> object:
    found = await store.records.get(collection, key, at=LATER)
    return found and found.body["says"]


async def test_everything_arrives_as_it_was_and_is_not_written_twice(stores: tuple[Store, Store]) -> None:
    here, there = stores
    for collection in COLLECTIONS:
        for number in range(3):
            await here.records.put(record(collection, f"{number}", says=f"{collection} {number}"))
    assert await copied(here, there) == {Moved.COPIED: 3 * len(COLLECTIONS)}
    for collection in COLLECTIONS:
        for number in range(3):
            was = await here.records.get(collection, f"{number}", at=LATER)
            assert await there.records.get(collection, f"{number}", at=LATER) == was
    assert await copied(here, there) == {Moved.UNCHANGED: 3 * len(COLLECTIONS)}


async def test_what_changed_here_is_brought_up_to_date_there(stores: tuple[Store, Store]) -> None:
    here, there = stores
    await here.records.put(record("flags"))
    await copied(here, there)
    await here.records.put(record("flags", says="b", hours=1, version=1))
    assert await copied(here, there) == {Moved.COPIED: 1}
    assert await body(there, "flags") == "b"


async def test_what_went_on_there_is_left_alone_and_comes_back_the_other_way(stores: tuple[Store, Store]) -> None:
    here, there = stores
    await here.records.put(record("flags"))
    await copied(here, there)
    await there.records.put(record("flags", says="after the move", hours=1, version=1))
    assert await copied(here, there) == {Moved.AHEAD: 1}
    assert await body(there, "flags") == "after the move"
    assert await copied(there, here) == {Moved.COPIED: 1}
    assert await body(here, "flags") == "after the move"


async def test_what_has_expired_does_not_go_along(stores: tuple[Store, Store]) -> None:
    here, there = stores
    await here.records.put(record("ledger").model_copy(update={"expires_at": START + timedelta(minutes=1)}))
    assert await copied(here, there) == {}
    assert await body(there, "ledger") is None


async def test_an_analysis_stays_since_it_is_asked_for_anew(stores: tuple[Store, Store]) -> None:
    here, there = stores
    await here.records.put(record(analysis.COLLECTION))
    assert await copied(here, there) == {}


def test_no_collection_is_forgotten() -> None:
    """Whoever adds a collection decides whether it moves: all of them are named where they are made."""
    named = set()
    for folder in ("contracts", "flags", "worker", "reports", "prompts", "adapters"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if not isinstance(node, ast.Assign):
                    continue
                targets = [each for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)]
                values = [each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant)]
                named |= {
                    value
                    for target, value in zip(targets, values, strict=False)
                    if target.id in ("COLLECTION", "EXCHANGES", "FLAGS", "OLDER") and isinstance(value, str)
                }
    # Analyses and kept prompts stay where they are, and expire there.
    assert named == {*COLLECTIONS, analysis.COLLECTION, turn.EXCHANGES}
