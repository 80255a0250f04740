"""Which documents are in force: those of the folder, or the published version to which they were rolled back."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from cli.settings import read_settings
from context.loader import load_institution
from contracts.institution import Institution
from contracts.ports import Store
from tests.builders import BACKENDS, DOCUMENTS, START, open_backend, pyloto
from worker import backends
from worker.publishing import ROLLBACK, publish, roll_back
from worker.service import open_worker

MINUTE = timedelta(minutes=1)
FIRST, SECOND, THIRD = (pyloto().model_copy(update={"version": version}) for version in ("first", "second", "third"))


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with open_backend(request.param, tmp_path) as (_, store):
        yield store


async def read(store: Store, folder: Institution, minute: int) -> str:
    """Return the version in force in a process that finds this in its folder; it is the current one too."""
    institution = await publish(store, folder, at=START + minute * MINUTE)
    assert await store.institutions.current() == institution
    return institution.version


async def test_a_rollback_holds_against_the_folder_until_other_documents_come(store: Store) -> None:
    assert await roll_back(store, "first", at=START) is None
    assert [await read(store, one, minute) for minute, one in enumerate((FIRST, SECOND))] == ["first", "second"]
    assert await roll_back(store, "first", at=START + 2 * MINUTE) == FIRST
    assert await store.institutions.current() == FIRST
    # A process that has the earlier documents already ends nothing for the others.
    assert [await read(store, one, 3) for one in (SECOND, FIRST, SECOND)] == ["first"] * 3
    assert [await read(store, THIRD, 4), await read(store, SECOND, 5)] == ["third", "second"]


async def test_of_two_rollbacks_the_last_one_holds(store: Store) -> None:
    for minute, one in enumerate((FIRST, SECOND, THIRD)):
        await read(store, one, minute)
    await roll_back(store, "second", at=START + 3 * MINUTE)
    await roll_back(store, "first", at=START + 4 * MINUTE)
    assert [await read(store, one, 5) for one in (THIRD, SECOND)] == ["first", "first"]
    await roll_back(store, "third", at=START + 6 * MINUTE)
    assert [await read(store, one, 7) for one in (THIRD, SECOND)] == ["third", "third"]
    # What `prosa context publish` does.
    await store.records.drop(*ROLLBACK)
    assert await read(store, SECOND, 8) == "second"


async def test_a_worker_takes_a_rollback_up_at_its_next_start_and_its_end_at_a_signal(tmp_path: Path) -> None:
    folder = tmp_path / "company"
    shutil.copytree(DOCUMENTS / "pyloto", folder)
    given = {"PROSA_DATA_DIR": str(tmp_path), "PROSA_INSTITUTION": str(folder), "ANTHROPIC_API_KEY": "unused"}
    settings = read_settings(given, env_file=None)
    page = folder / "principles.md"

    def edit() -> str:
        page.write_text(page.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        return load_institution(folder).version

    async with backends.open_backend(settings) as backend:
        earlier = load_institution(folder)
        await publish(backend.store, earlier, at=START)
        edit()
        await publish(backend.store, load_institution(folder), at=START + MINUTE)
        assert await roll_back(backend.store, earlier.version, at=START + 2 * MINUTE)
        async with open_worker(settings, backend) as worker, asyncio.timeout(20):
            while worker.engine.rulebooks.current().institution.version != earlier.version:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await worker.reload()
            assert worker.engine.rulebooks.current().institution.version == earlier.version
            edited = edit()
            await worker.reload()
            assert worker.engine.rulebooks.current().institution.version == edited
