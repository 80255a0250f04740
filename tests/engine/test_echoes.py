"""Sends whose answer is lost, where the platform posts what it accepted: settled by that post, and not made again."""

import asyncio
from pathlib import Path

import httpx
import pytest

from adapters.http.listener import listen
from cli.runtime import open_runtime
from cli.sandboxed import SANDBOX_SECRET
from cli.serving import server_of
from cli.settings import read_settings
from cli.traffic import Load
from contracts.delivery import OutboxRow
from contracts.messages import ChannelName, DeliveryState
from tests.load.platforms import TRAFFIC, webhook_of
from tests.real_services import free_port


@pytest.mark.parametrize("name", ["messenger", "instagram", "chatwoot"])
async def test_the_echo_of_a_message_settles_its_send(name: str, tmp_path: Path) -> None:
    channel, port = ChannelName(name), free_port()
    environ = {"PROSA_DATA_DIR": str(tmp_path), "PORT": str(port), "PROSA_QUIET_WINDOW_S": "0"}
    async with (
        open_runtime(read_settings(environ, env_file=None)) as runtime,
        server_of(runtime.webhook).running(listen("127.0.0.1", port)) as url,
        httpx.AsyncClient(base_url=f"{runtime.sandbox_url}/{name}/sandbox") as double,
    ):
        (await double.put("/behaviour", json={"script": [{"fault": "cut_after_accepting"}]})).raise_for_status()
        address = webhook_of(channel, url, SANDBOX_SECRET)
        traffic = TRAFFIC[channel](address, secret=SANDBOX_SECRET, phone_number_id="1", run="1000001")
        await traffic.drive(Load(messages=1, people=1, rate=None, duplicates=0))
        store = runtime.backend.store

        async def settled() -> OutboxRow:
            while True:
                for head in (await store.conversations.find(limit=5)).items:
                    rows = await store.outbox.rows(head.id)
                    if rows and not rows[0].is_unsent:
                        return rows[0]
                await asyncio.sleep(0.05)

        async with asyncio.timeout(60):
            row = await settled()
        assert (row.state, row.attempts) == (DeliveryState.SENT, 1)
        assert len((await double.get("/messages")).json()["messages"]) == 1
