"""`prosa release smoke` at a running Prosa, and at an address where none is."""

from datetime import timedelta
from pathlib import Path

from adapters.http.client import open_client
from adapters.http.listener import listen
from cli.release import examine
from cli.runtime import open_runtime
from cli.sandboxed import imitating_everything
from cli.serving import server_of
from cli.settings import read_settings
from contracts.findings import Finding, Health
from tests.real_services import free_port

TOKEN = "the console's own"
WITHIN = timedelta(seconds=10)


async def found_at(url: str, token: str) -> dict[str, Finding]:
    async with open_client(within=WITHIN, base_url=url, is_direct=True) as client:
        return {one.check: one for one in await examine(client, token)}


async def test_a_running_release_passes_and_a_wrong_token_does_not(
    tmp_path: Path,
) -> None:
    listener = listen("127.0.0.1", 0)
    given = {"PROSA_DATA_DIR": str(tmp_path), "PROSA_CONSOLE_TOKEN": TOKEN, "PORT": str(listener.getsockname()[1])}
    settings = imitating_everything(read_settings(given, env_file=None))
    async with open_runtime(settings) as runtime, server_of(runtime.webhook).running(listener) as url:
        assert {one.health for one in (await found_at(url, TOKEN)).values()} == {Health.OK}
        wrong = await found_at(url, "another token")
    assert {name for name, one in wrong.items() if one.health is Health.FAILED} == {"ready", "metrics"}


async def test_nothing_there() -> None:
    found = await found_at(f"http://127.0.0.1:{free_port()}", TOKEN)
    assert {one.health for one in found.values()} == {Health.FAILED}
    assert set(found) == {"ready", "metrics", "unsigned post", "metrics are closed", "chat"}
