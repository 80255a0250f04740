"""This release and the one before it on one store: each reads, answers and writes what the other wrote."""

import asyncio
import io
import json
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from adapters.channels.web import web_conversation_id
from cli.suites import SUITES, Suite
from contracts.conversation import Owner, Speaker
from contracts.settings import Settings
from tests.adapters.redis_server import redis_server
from tests.builders import ROOT
from tests.cli.test_commands import own_environment
from tests.real_services import absent
from worker.backends import open_backend

pytestmark = pytest.mark.slow

# The last commit of 0.1.0, the release before this one. It runs on the libraries that this one locks.
PREVIOUS = "ddd89983b0ade066611cacf6b72e881987bb0f5e"
AGENT = "Quero falar com uma pessoa"


class Release(NamedTuple):
    """The code of a release, run by commands in processes of their own."""

    folder: Path
    environment: dict[str, str]

    async def prosa(self, *arguments: str) -> str:
        """Run a command; return its output.

        Raises:
            AssertionError: it failed.
        """
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", "from cli.main import app; app()", *arguments),
            cwd=self.folder,
            env=self.environment | {"PYTHONPATH": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        async with asyncio.timeout(180):
            out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode()

    async def play(self, messages: Sequence[tuple[str, str, str]]) -> None:
        """Answer messages of conversations, each with its id and text."""
        recording = Path(self.environment["PROSA_DATA_DIR"]) / f"{messages[0][1]}.jsonl"
        lines = ({"conversation": who, "id": message, "text": text} for who, message, text in messages)
        recording.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        played = await self.prosa("replay", str(recording), "--store", self.environment["PROSA_STORE"])
        answered = [each for line in played.splitlines() for each in json.loads(line)["message_ids"]]
        assert {message for _, message, _ in messages} <= set(answered)


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    packed = subprocess.run(["git", "archive", PREVIOUS], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        absent(f"commit {PREVIOUS[:7]}", "git fetch --unshallow")
    folder = tmp_path_factory.mktemp("previous")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize("store", ["sqlite", "redis"])
async def test_conversations_go_on_between_two_releases(store: str, previous: Path, tmp_path: Path) -> None:
    """Turn by turn in one release and the other, then in both at once: no message lost, none answered twice."""
    with redis_server(tmp_path) as redis:
        (tmp_path / "data").mkdir()
        where = {
            "PROSA_STORE": f"sqlite:{tmp_path}/both.sqlite" if store == "sqlite" else "redis",
            "REDIS_URL": redis.url,
        }
        environment = own_environment(tmp_path) | where
        before, now = Release(previous, environment), Release(ROOT, environment)
        assert not (previous / "adapters" / "redis").exists()

        suite = Suite.model_validate(yaml.safe_load((ROOT / SUITES / "portuguese.yaml").read_text(encoding="utf-8")))
        scripts = {script.name: [said.says for said in script.turns[:4]] for script in suite.conversations}
        scripts["handed_over_before"], scripts["handed_over_now"] = [AGENT, "Oi", "Oi"], ["Oi", AGENT, "Oi"]
        sent: Counter[tuple[str, str]] = Counter()
        for number, said in enumerate(zip_longest(*scripts.values())):
            messages = [(who, f"m{number}-{who}", text) for who, text in zip(scripts, said, strict=True) if text]
            await (before, now)[number % 2].play(messages)
            sent.update((who, message) for who, message, _ in messages)
        both = [[(who, f"{which}-{who}", "E qual é o horário?") for who in scripts] for which in ("before", "now")]
        await asyncio.gather(before.play(both[0]), now.play(both[1]))
        sent.update((who, message) for messages in both for who, message, _ in messages)

        answered: Counter[tuple[str, str]] = Counter()
        async with open_backend(Settings(PROSA_STORE=where["PROSA_STORE"], REDIS_URL=redis.url)) as backend:
            for who in scripts:
                turns = await backend.store.conversations.turns(web_conversation_id(who))
                answered.update((who, message) for turn in turns for message in turn.message_ids)
                lines = await backend.store.conversations.transcript(web_conversation_id(who))
                written = sum(line.speaker is Speaker.PERSON for line in lines)
                assert written == len(scripts[who]) + 2, who
            for who in ("handed_over_before", "handed_over_now"):
                head = await backend.store.conversations.load(web_conversation_id(who))
                assert head is not None
                assert head.owner is Owner.NOBODY
        assert answered == sent

        listed = [json.loads(await one.prosa("conversations", "list", "--json")) for one in (before, now)]
        shared = ("id", "state", "turns", "intent", "business_line", "updated_at")
        assert len(listed[0]) == len(scripts)
        assert [[one[name] for name in shared] for one in listed[0]] == [
            [one[name] for name in shared] for one in listed[1]
        ]
        for command in (("report", "cost", "--json"), ("conversations", "export", "web:handed_over_now")):
            read = [json.loads(await one.prosa(*command)) for one in (before, now)]
            assert all(read)
