"""`prosa doctor` looks at the flags of a real store, of a file, and at a store that is away."""

import asyncio
import socket
from pathlib import Path

import pytest

from adapters.clock import SystemClock
from cli.doctor import examine
from cli.settings import read_settings
from contracts.delivery import Record
from contracts.findings import Finding, Health
from flags.experiments.store import ExperimentStore
from flags.store import FLAGS, FlagStore
from tests.flags.making import flag
from tests.flags.test_experiments import SIGNED, draft
from worker.backends import open_backend

EXPIRES = "2099-01-01T00:00:00+00:00"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"PROSA_DATA_DIR": str(tmp_path), "PORT": "0"}


async def flags_of(environment: dict[str, str]) -> Finding:
    findings = await examine(read_settings(environment, env_file=None))
    (found,) = (finding for finding in findings if finding.check == "flags")
    return found


async def test_sound_flags_and_experiments_are_counted(environment: dict[str, str]) -> None:
    async with open_backend(read_settings(environment, env_file=None)) as backend:
        register = FlagStore(backend.store.records, backend.events, SystemClock())
        await register.put(flag("cache", expires_at=EXPIRES), expected=0, **SIGNED)
        laboratory = ExperimentStore(backend.store.records, backend.events, SystemClock())
        await laboratory.plan(draft())
        await laboratory.start("prompt-v2", **SIGNED)
    found = await flags_of(environment)
    assert (found.health, found.detail) == (Health.OK, "2 flags, 1 experiments under way")
    switched = await flags_of(environment | {"PROMPTER_USE_CACHE": "false"})
    assert (switched.health, switched.detail) == (Health.NOTE, "PROMPTER_USE_CACHE=false wins over cache")


async def test_what_cannot_be_read_fails_and_what_nobody_asks_for_is_noted(environment: dict[str, str]) -> None:
    async with open_backend(read_settings(environment, env_file=None)) as backend:
        register = FlagStore(backend.store.records, backend.events, SystemClock())
        await register.put(flag("cahce", expires_at=EXPIRES), expected=0, **SIGNED)
    noted = await flags_of(environment)
    assert (noted.health, noted.detail) == (Health.NOTE, "nothing asks for cahce; did you mean cache?")
    assert "prosa flags delete cahce" in noted.next_step
    async with open_backend(read_settings(environment, env_file=None)) as backend:
        body = {"key": "newer", "flag": {"status": "sideways"}}
        at = SystemClock().now()
        await backend.store.records.put(Record(collection=FLAGS, key="newer", body=body, updated_at=at))
    broken = await flags_of(environment)
    assert broken.health is Health.FAILED
    assert "newer cannot be read by this release; nothing asks for cahce" in broken.detail


async def test_a_file_with_a_mistake_is_named_with_its_line(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "flags.yaml"
    file.write_text("flags:\n  cache:\n    owner: team\n    expires_at: 2099-01-01\n    status: sideways\n")
    found = await flags_of(environment | {"PROSA_FLAGS_FILE": str(file)})
    assert found.health is Health.FAILED
    assert "flags.yaml:5: flags.cache.status" in found.detail
    file.write_text("flags:\n  cache:\n    owner: team\n    expires_at: 2020-01-01\n    status: enabled\n")
    expired = await flags_of(environment | {"PROSA_FLAGS_FILE": str(file)})
    assert (expired.health, expired.detail) == (Health.NOTE, "cache has expired: its default holds for everybody")


def test_a_store_that_is_away_is_said_with_what_holds_meanwhile(environment: dict[str, str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        away = {"PROSA_STORE": "redis", "REDIS_URL": f"redis://127.0.0.1:{free.getsockname()[1]}/0"}
        found = asyncio.run(flags_of(environment | away))
    assert found.health is Health.FAILED
    assert "cannot be read" in found.detail
    assert "a new process gives defaults" in found.next_step
