"""The drill: a backup of a store that goes on, and what was acknowledged before it after a restore."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.backup import DamagedBackupError, back_up, checksum_of, restore
from cli.settings import read_settings
from contracts.delivery import DeadLetter
from contracts.errors import ConfigurationError
from contracts.paging import all_conversations
from contracts.settings import Settings
from tests.builders import SteppingClock, conversation_id, engine_bed, inbound, open_redis
from tests.real_services import firestore_host, redis_url
from worker.backends import Backend, open_backend
from worker.drain import drain

PEOPLE = [f"person-{number}" for number in range(40)]


def settings_for(kind: str, folder: Path) -> Settings:
    given = {"PROSA_DATA_DIR": str(folder), "PROSA_STORE": f"sqlite:{folder}/live.sqlite"}
    if kind == "redis":
        given |= {"PROSA_STORE": "redis", "REDIS_URL": redis_url()}
    if kind == "firestore":
        project = f"backup-{folder.name.replace('_', '-')}"[:30].rstrip("-")
        given |= {
            "PROSA_STORE": "firestore",
            "GOOGLE_CLOUD_PROJECT": project,
            "FIRESTORE_EMULATOR_HOST": firestore_host(),
        }
    return read_settings(given, env_file=None)


@pytest.fixture(params=["sqlite", "redis", "firestore"])
async def settings(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Settings]:
    async with AsyncExitStack() as stack:
        if request.param == "redis":
            # Empties it before and after.
            await stack.enter_async_context(open_redis())
        yield settings_for(request.param, tmp_path)


@asynccontextmanager
async def emptied(settings: Settings, folder: Path) -> AsyncIterator[Settings]:
    """The same kind of store without anything in it: what is there after a loss."""
    async with AsyncExitStack() as stack:
        if settings.store_kind == "redis":
            await stack.enter_async_context(open_redis())
        yield settings_for(settings.store_kind, folder)


async def write(backend: Backend, name: str, text: str, clock: SteppingClock) -> str:
    message = inbound(text, conversation=name, at=clock.now())
    await backend.inbox.append([message])
    return message.dedup_key


async def kept(backend: Backend) -> tuple[list[str], list[str]]:
    """The keys of answered messages and of waiting ones."""
    answered, waiting = [], []
    async for head in all_conversations(backend.store.conversations):
        answered += [one.message.dedup_key for one in await backend.store.conversations.receipts(head.id)]
    for name in PEOPLE:
        waiting += [entry.message.dedup_key for entry in await backend.inbox.pending(conversation_id(name))]
    return answered, waiting


async def test_nothing_acknowledged_before_the_backup_is_lost(settings: Settings, tmp_path: Path) -> None:
    """People write and are answered before, during and after the copy; then the store is lost."""
    clock, file = SteppingClock(datetime.now(UTC)), tmp_path / "backup"
    async with open_backend(settings) as live:
        bed = engine_bed(live.inbox, live.store, clock=clock)
        before = [await write(live, name, f"Oi, sou {name}", clock) for name in PEOPLE]
        for name in PEOPLE[:20]:
            await drain(conversation_id(name), bed.engine.drain)
        before += [await write(live, name, "E o preço?", clock) for name in PEOPLE[10:30]]
        letter = DeadLetter(id="d-1", conversation_id=None, message_id=None, channel="whatsapp", reason="unreadable",
                            attempts=1, raw="{}", at=clock.now())  # fmt: skip
        await live.store.dead_letters.add(letter)

        async def go_on() -> None:
            clock.move(timedelta(seconds=10))
            for name in reversed(PEOPLE):
                await write(live, name, "Alô?", clock)
                await drain(conversation_id(name), bed.engine.drain)

        going_on = asyncio.create_task(go_on())
        counts = await back_up(settings, file, quiet=True)
        await going_on
    assert counts["conversations copied"] >= 20

    async with emptied(settings, tmp_path / "new") as new:
        restored = await restore(new, file, replace=False, quiet=True)
        assert not any(name.endswith("different") for name in restored)
        async with open_backend(new) as there:
            answered, waiting = await kept(there)
            assert set(before) <= {*answered, *waiting}
            bed = engine_bed(there.inbox, there.store, clock=clock)
            for name in PEOPLE:
                await drain(conversation_id(name), bed.engine.drain)
            answered, waiting = await kept(there)
            assert set(before) <= set(answered)
            assert len(answered) == len(set(answered)), "a message was answered twice"
            assert waiting == []
            assert [one.id for one in await there.store.dead_letters.letters()] == ["d-1"]


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    settings = settings_for("sqlite", tmp_path)
    async with open_backend(settings) as live:
        await write(live, "ana", "Oi", SteppingClock())
    await back_up(settings, tmp_path / "backup", quiet=True)
    return tmp_path / "backup"


async def test_a_store_in_use_is_not_overwritten_unasked(file: Path, tmp_path: Path) -> None:
    settings = settings_for("sqlite", tmp_path)
    with pytest.raises(ConfigurationError, match="--replace"):
        await restore(settings, file, replace=False, quiet=True)
    await restore(settings, file, replace=True, quiet=True)
    async with open_backend(settings) as live:
        assert len(await live.inbox.pending(conversation_id("ana"))) == 1


async def test_replace_puts_the_older_conversation_back(tmp_path: Path) -> None:
    settings, clock = settings_for("sqlite", tmp_path), SteppingClock(datetime.now(UTC))
    async with open_backend(settings) as live:
        bed = engine_bed(live.inbox, live.store, clock=clock)
        for text in ("Oi", "Mais"):
            if text == "Mais":
                await back_up(settings, tmp_path / "backup", quiet=True)
            await write(live, "ana", text, clock)
            await drain(conversation_id("ana"), bed.engine.drain)
    await restore(settings, tmp_path / "backup", replace=True, quiet=True)
    async with open_backend(settings) as live:
        receipts = await live.store.conversations.receipts(conversation_id("ana"))
    assert [one.message.text for one in receipts] == ["Oi"]


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


async def test_a_damaged_file_is_refused(file: Path, tmp_path: Path) -> None:
    new = settings_for("sqlite", tmp_path / "new")
    damage(file)
    with pytest.raises(DamagedBackupError):
        await restore(new, file, replace=False, quiet=True)
    checksum_of(file).unlink()
    with pytest.raises(DamagedBackupError):
        await restore(new, file, replace=False, quiet=True)


async def test_an_earlier_backup_is_kept(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="exists already"):
        await back_up(settings_for("sqlite", tmp_path), file, quiet=True)
