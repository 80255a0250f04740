"""A new platform is one folder and one line of the registry: through the real webhook, worker, doctor and settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.channels.registry import PLATFORMS
from adapters.http.listener import listen
from cli.doctor import examine_channel
from cli.runtime import Runtime, open_runtime
from cli.serving import server_of
from cli.settings import read_settings
from contracts.errors import ConfigurationError
from contracts.findings import Health
from observability.metrics import REGISTRY
from tests.extension.sample_platform import Carrier
from tests.extension.sample_platform.double import SECRET, TOKEN, CarrierDouble, message, signed

HOOK = "/webhooks/carrier"


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one line."""
    monkeypatch.setitem(PLATFORMS, Carrier.name, Carrier())


class Whole:
    """Everything of one process, and the platform that it talks to."""

    def __init__(self, runtime: Runtime, http: httpx.AsyncClient, platform: CarrierDouble) -> None:
        self.runtime, self.http, self.platform = runtime, http, platform

    async def post(
        self, content: dict[str, Any], *, secret: str = SECRET, at: datetime | None = None
    ) -> httpx.Response:
        body, headers = signed(content, at or datetime.now(UTC), secret)
        response = await self.http.post(HOOK, content=body, headers=headers)
        await self.runtime.queue.idle()
        return response

    async def events(self, *events: dict[str, str]) -> httpx.Response:
        return await self.post({"account": "a-1", "events": list(events)})


@asynccontextmanager
async def opened(folder: Path, **settings: str) -> AsyncIterator[Whole]:
    platform = CarrierDouble()
    async with server_of(platform.app).running(listen("127.0.0.1", 0)) as platform_url:
        given = {
            "CARRIER_API_URL": f"{platform_url}/v1",
            "PROSA_DATA_DIR": str(folder),
            "PORT": "0",
            "PROSA_QUIET_WINDOW_S": "0",
        } | settings
        async with (
            open_runtime(read_settings(given, env_file=None)) as runtime,
            server_of(runtime.webhook).running(listen("127.0.0.1", 0)) as url,
            httpx.AsyncClient(base_url=url, timeout=30) as http,
        ):
            yield Whole(runtime, http, platform)


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    async with opened(tmp_path, CARRIER_SIGNING_SECRET=SECRET, CARRIER_TOKEN=TOKEN) as whole:
        yield whole


async def test_a_message_comes_in_and_its_reply_goes_out(whole: Whole) -> None:
    response = await whole.events(message("m-1", "ana", "Oi, bom dia"), {"kind": "typing"})
    assert (response.status_code, response.text) == (200, "ok")
    assert {sent["to"] for sent in whole.platform.accepted} == {"ana"}
    store = whole.runtime.backend.store
    (head,) = (await store.conversations.find()).items
    assert head.address
    assert head.address.channel == "carrier"
    rows = await store.outbox.rows(head.id)
    assert [sent["reference"] for sent in whole.platform.accepted] == [row.id for row in rows]
    assert [sent["text"] for sent in whole.platform.accepted] == [row.message.text for row in rows]
    assert {row.state for row in rows} == {"sent"}
    await whole.events(
        *({"kind": "receipt", "id": row.platform_message_id or "", "state": "delivered"} for row in rows)
    )
    assert {row.state for row in await store.outbox.rows(head.id)} == {"delivered"}
    counted = {"channel": "carrier", "outcome": "accepted"}
    assert REGISTRY.get_sample_value("webhook_messages_total", counted) == 1


async def test_a_second_delivery_is_answered_once(whole: Whole) -> None:
    for _ in range(3):
        assert (await whole.events(message("m-1", "ana", "Oi, bom dia"))).status_code == 200
    (head,) = (await whole.runtime.backend.store.conversations.find()).items
    assert head.turns == 1


async def test_its_challenge_by_post_is_answered(whole: Whole) -> None:
    response = await whole.post({"challenge": "3eZbrw1a"})
    assert (response.status_code, response.text) == (200, "3eZbrw1a")
    assert (await whole.http.get(HOOK)).status_code == 403


async def test_a_forged_or_old_post_is_refused(whole: Whole) -> None:
    event = {"account": "a-1", "events": [message("m-1", "ana", "Oi")]}
    assert (await whole.post(event, secret="other")).status_code == 401
    assert (await whole.post(event, at=datetime.now(UTC) - timedelta(hours=1))).status_code == 401
    assert (await whole.runtime.backend.store.conversations.find()).items == ()


async def test_an_unreadable_event_is_kept_and_its_neighbour_answered(whole: Whole) -> None:
    assert (await whole.events({"kind": "?"}, message("m-1", "ana", "Oi"))).status_code == 200
    (letter,) = await whole.runtime.backend.store.dead_letters.letters()
    assert (letter.channel, letter.raw) == ("carrier", '{"kind":"?"}')
    assert whole.platform.accepted


async def test_without_its_settings_it_is_not_there(tmp_path: Path) -> None:
    async with opened(tmp_path) as whole:
        for method in ("GET", "POST"):
            response = await whole.http.request(method, HOOK)
            assert (response.status_code, response.json()["title"]) == (404, "No Carrier here")


async def test_its_settings_are_checked_with_all_others() -> None:
    with pytest.raises(ConfigurationError, match=r"Carrier needs all of its settings; missing: CARRIER_TOKEN"):
        read_settings({"CARRIER_SIGNING_SECRET": "s"}, env_file=None)
    with pytest.raises(ConfigurationError, match=r"CARRIER_TOKN is not a setting; did you mean CARRIER_TOKEN\?"):
        read_settings({"CARRIER_TOKN": "s"}, env_file=None)


async def test_the_doctor_asks_it() -> None:
    given = {"CARRIER_SIGNING_SECRET": "s", "CARRIER_TOKEN": "t"}
    assert (await examine_channel(Carrier(), read_settings(given, env_file=None))).health is Health.OK
    found = await examine_channel(Carrier(), read_settings({}, env_file=None))
    assert (found.health, found.detail) == (Health.NOTE, "not connected")
    assert "CARRIER_SIGNING_SECRET, CARRIER_TOKEN" in found.next_step


async def test_the_documentation_lists_its_address(whole: Whole) -> None:
    assert {"get", "post"} <= set((await whole.http.get("/openapi.json")).json()["paths"][HOOK])
