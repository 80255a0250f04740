"""`prosa channels list|check|setup` as processes, against the sandbox and a running webhook."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.http.listener import listen
from cli.runtime import open_runtime
from cli.serving import server_of
from cli.settings import read_settings
from sandbox.app import SandboxSettings, create_app
from tests.builders import ROOT, pyloto
from tests.cli.test_commands import own_environment

pytestmark = pytest.mark.slow


class Prosa:
    """The command, with the settings of two platforms of the sandbox."""

    def __init__(self, folder: Path, sandbox_url: str, app: Any) -> None:
        self.app = app
        self.given = {
            "TELEGRAM_BOT_TOKEN": "1000001:t",
            "TELEGRAM_SECRET_TOKEN": "s",
            "TELEGRAM_API_URL": f"{sandbox_url}/telegram",
            "WHATSAPP_APP_SECRET": "sandbox",
            "WHATSAPP_VERIFY_TOKEN": "v",
            "WHATSAPP_ACCESS_TOKEN": "t",
            "WHATSAPP_PHONE_NUMBER_ID": "100000000000001",
            "WHATSAPP_API_URL": f"{sandbox_url}/graph/v26.0",
        }
        self.environ = own_environment(folder) | self.given

    async def __call__(self, *arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "cli.main", "channels", *arguments]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=self.environ, stdout=pipe, stderr=pipe)
        out, err = await process.communicate()
        return process.returncode or 0, out.decode() + err.decode()


@pytest.fixture
async def prosa(tmp_path: Path) -> AsyncIterator[Prosa]:
    app = create_app(SandboxSettings(institution=pyloto()))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        yield Prosa(tmp_path, url, app)


async def test_they_are_listed_with_what_each_needs(prosa: Prosa) -> None:
    code, out = await prosa("list", "--json")
    listed = {one["channel"]: one for one in json.loads(out)}
    assert code == 0
    assert {name: one["set_up"] for name, one in listed.items()} == {
        **dict.fromkeys(("web", "whatsapp", "telegram"), True),
        **dict.fromkeys(("slack", "messenger", "instagram", "chatwoot"), False),
    }
    assert listed["slack"]["needs"] == ["SLACK_SIGNING_SECRET", "SLACK_BOT_TOKEN"]
    assert listed["telegram"]["webhook"] == "/webhooks/telegram"


async def test_a_platform_is_checked_and_set_up(prosa: Prosa) -> None:
    code, out = await prosa("check", "telegram")
    assert code == 1
    assert "no message arrives" in out
    code, out = await prosa("setup", "telegram", "--url", "https://prosa.example.com/")
    assert code == 0, out
    assert prosa.app.state.platforms["telegram"].webhook["url"] == "https://prosa.example.com/webhooks/telegram"
    code, out = await prosa("setup", "whatsapp", "--url", "https://prosa.example.com")
    assert code == 0, out
    assert "subscribed: 102289599326934" in out
    code, out = await prosa("check", "--json")
    assert (code, [one["check"] for one in json.loads(out)]) == (0, ["whatsapp", "telegram"])


async def test_the_webhook_is_asked_from_outside(prosa: Prosa, tmp_path: Path) -> None:
    await prosa("setup", "telegram", "--url", "https://prosa.example.com")
    settings = read_settings(prosa.given | {"PROSA_DATA_DIR": str(tmp_path / "other"), "PORT": "0"}, env_file=None)
    async with (
        open_runtime(settings) as runtime,
        server_of(runtime.webhook).running(listen("127.0.0.1", 0)) as url,
    ):
        code, out = await prosa("check", "telegram", "--url", url, "--json")
        assert (code, json.loads(out)[1]["health"]) == (0, "ok"), out
        code, out = await prosa("check", "telegram", "--url", f"{url}/elsewhere", "--json")
        assert (code, json.loads(out)[1]["health"]) == (1, "failed"), out


async def test_wrong_usage_is_said(prosa: Prosa) -> None:
    assert (await prosa("check", "fax"))[0] == 2
    assert (await prosa("setup", "telegram"))[0] == 2
    code, out = await prosa("setup", "slack", "--url", "https://prosa.example.com")
    assert code == 1
    assert "SLACK_SIGNING_SECRET, SLACK_BOT_TOKEN" in out
