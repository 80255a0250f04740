"""A new store is one folder and one line of the registry: settings, processes and the doctor read it there."""

from pathlib import Path

import pytest

from cli.doctor import examine
from cli.runtime import open_runtime
from cli.settings import read_settings
from contracts.backends import BACKENDS, BackendEntry
from contracts.errors import ConfigurationError
from contracts.settings import Settings
from tests.playing import play

ENTRY = BackendEntry("tests.extension.sample_store.backend", ("embedded",), form="scratch:NAME")


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "scratch", ENTRY)


def settings(folder: Path, **given: str) -> Settings:
    return read_settings({"PROSA_DATA_DIR": str(folder), "PORT": "0"} | given, env_file=None)


async def test_a_message_is_answered_from_the_new_store(tmp_path: Path) -> None:
    async with open_runtime(settings(tmp_path, PROSA_STORE="scratch:shelf")) as runtime:
        (turn,) = await play(runtime, "ana", ["Oi, bom dia"])
        assert turn.replies
        await runtime.queue.idle()
        (head,) = (await runtime.backend.store.conversations.find()).items
        assert [row.state for row in await runtime.backend.store.outbox.rows(head.id)] == ["sent"]
    assert not (tmp_path / "prosa.sqlite").exists()


async def test_without_its_setting_nothing_changes(tmp_path: Path) -> None:
    assert settings(tmp_path).store_kind == "sqlite"
    assert settings(tmp_path, PROSA_ENGINE="celery", REDIS_URL="redis://127.0.0.1:1").store_kind == "redis"


def test_settings_name_it_where_the_store_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"say sqlite:PATH, redis, firestore or scratch:NAME"):
        settings(tmp_path, PROSA_STORE="nowhere")
    with pytest.raises(ConfigurationError, match=r"scratch does not go with PROSA_ENGINE=celery|scratch:a does not go"):
        settings(tmp_path, PROSA_STORE="scratch:a", PROSA_ENGINE="celery", REDIS_URL="redis://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match=r"PROSA_STORE=scratch:: say|PROSA_STORE=scratch: say"):
        settings(tmp_path, PROSA_STORE="scratch")


async def test_what_it_refuses_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="one word"):
        async with open_runtime(settings(tmp_path, PROSA_STORE="scratch:two words")):
            pass


async def test_the_doctor_looks_at_it(tmp_path: Path) -> None:
    findings = {one.check: one for one in await examine(settings(tmp_path, PROSA_STORE="scratch:shelf"))}
    assert findings["store"].detail.startswith("scratch:shelf: 0 dead letters")
