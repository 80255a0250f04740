"""Group commit: what waits together is written together, and one function's mistake is its own."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.sqlite.database import Database
from contracts.errors import ConfigurationError, InboxUnavailableError, StoreUnavailableError


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "x.sqlite")
    await database.run(lambda c: c.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)").rowcount)
    yield database
    database.close()


def insert(number: int) -> object:
    return lambda c: c.execute("INSERT INTO t VALUES (?)", (number,)).rowcount


async def numbers(database: Database) -> list[int]:
    return await database.run(lambda c: [row[0] for row in c.execute("SELECT n FROM t ORDER BY n")])


async def test_one_mistake_takes_nothing_of_the_others_with_it(database: Database) -> None:
    def mistaken(c: sqlite3.Connection) -> None:
        c.execute("INSERT INTO t VALUES (100)")
        raise ConfigurationError("mine")

    results = await asyncio.gather(
        database.run(insert(1)),  # type: ignore[arg-type]
        database.run(mistaken),
        database.run(insert(1)),  # type: ignore[arg-type]
        database.run(insert(2)),  # type: ignore[arg-type]
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [int, ConfigurationError, sqlite3.IntegrityError, int]
    assert await numbers(database) == [1, 2]


async def test_what_concerns_the_file_is_unavailability_for_all(database: Database, tmp_path: Path) -> None:
    results = await asyncio.gather(
        database.run(lambda c: c.execute("SELECT * FROM nowhere"), unavailable=InboxUnavailableError),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [InboxUnavailableError]


async def test_who_stopped_waiting_does_not_disturb_the_group(database: Database) -> None:
    waiting = asyncio.ensure_future(database.run(insert(7)))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    waiting.cancel()
    await database.run(insert(8))  # type: ignore[arg-type]
    assert 8 in await numbers(database)


async def test_a_closed_database_is_unavailable(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.sqlite")
    database.close()
    database.close()
    with pytest.raises(StoreUnavailableError):
        await database.run(lambda c: c.execute("SELECT 1"))


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"not a database, but long enough to look like one" * 100)
    with pytest.raises(StoreUnavailableError, match=r"x\.sqlite"):
        Database(path)
