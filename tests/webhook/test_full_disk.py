"""A disk that is full: posts are refused, and `/readyz` says so before them."""

import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest
from webhook_bed import webhook_bed

from adapters.sqlite.database import Database
from contracts.errors import InboxUnavailableError, StoreUnavailableError
from sandbox import whatsapp_webhooks as meta

ANA = "5511900000001"


async def test_readyz_says_no_while_posts_are_refused_and_yes_again(tmp_path: Path) -> None:
    async with webhook_bed("sqlite", tmp_path) as bed:
        assert (await bed.http.get("/readyz")).status_code == 200
        database: Database = bed.inbox._database
        await _limit_pages(database, full=True)
        statuses = [
            (await bed.post(meta.inbound_text(ANA, "x" * 3_000, id=f"wamid.{number}"))).status_code
            for number in range(60)
        ]
        assert statuses[-1] == 503
        assert (await bed.http.get("/readyz")).status_code == 503
        await _limit_pages(database, full=False)
        assert (await bed.http.get("/readyz")).status_code == 200
        assert (await bed.post(meta.inbound_text(ANA, "Oi", id="wamid.last"))).status_code == 200


@pytest.mark.parametrize("error", [InboxUnavailableError, StoreUnavailableError])
async def test_room_is_proved_again_and_again_without_growing(tmp_path: Path, error: type[Exception]) -> None:
    database = Database(tmp_path / "one.sqlite")
    for _ in range(3):
        await database.prove_writable(unavailable=error)  # type: ignore[arg-type]
    pages = await database.run(_pages)
    for _ in range(20):
        await database.prove_writable(unavailable=error)  # type: ignore[arg-type]
    assert await database.run(_pages) == pages
    await _limit_pages(database, full=True)
    await database.run(lambda c: c.execute("CREATE TABLE taken (filler BLOB)"))
    with suppress(StoreUnavailableError):
        while True:
            await database.run(lambda c: c.execute("INSERT INTO taken VALUES (zeroblob(4000))"))
    with pytest.raises(error):
        await database.prove_writable(unavailable=error)  # type: ignore[arg-type]
    database.close()


def _pages(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA page_count").fetchone()[0])


async def _limit_pages(database: Database, *, full: bool) -> None:
    """As SQLite behaves on a disk without room: SQLITE_FULL for whatever needs a new page."""
    await database.run(lambda c: c.execute(f"PRAGMA max_page_count={_pages(c) + 8 if full else 2**30}"))
