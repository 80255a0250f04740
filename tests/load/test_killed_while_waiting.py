"""kill -9 in the quiet window of a burst: real processes, and still one reply to all of it."""

import asyncio
import time
from pathlib import Path

import httpx
import pytest

from cli.load import Collector
from sandbox.whatsapp_webhooks import envelope, inbound_text, signed
from tests.load.counts import settled
from tests.load.installation import PHONE_NUMBER_ID, SECRET, EngineName, installed, warmed
from worker.backends import open_backend

PERSON = "5511977770001"
BURST = ("oi", "então, eu queria saber")
# The greeting is waited with for 4 s; after a gap the wait is 1.8 times as long.
GAP_S = 2.0
SILENCE_S = 1.8 * GAP_S


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["embedded", "celery"])
async def test_a_burst_gets_one_reply_when_the_process_that_waits_is_killed(engine: EngineName, tmp_path: Path) -> None:
    quiet = {"PROSA_QUIET_WINDOW_S": "8"}
    async with installed(engine, tmp_path, workers=1, environment=quiet) as installation:
        await warmed(installation)
        collector = Collector(installation.sandbox_url)
        await collector.skip_to_now()
        async with httpx.AsyncClient() as client:
            for number, text in enumerate(BURST):
                await asyncio.sleep(GAP_S * number)
                change = inbound_text(PERSON, text, phone_number_id=PHONE_NUMBER_ID)
                body, headers = signed(envelope(change), SECRET)
                answer = await client.post(f"{installation.url}/webhooks/whatsapp", content=body, headers=headers)
                assert answer.status_code == 200
        written = time.monotonic()
        # The model answers at once here: what is not answered now is waited with.
        await asyncio.sleep(SILENCE_S / 4)
        installation.workers[0].kill()
        assert time.monotonic() - written < SILENCE_S
        async with open_backend(installation.settings) as backend:
            assert await backend.inbox.depth() == len(BURST)
        await collector.look()
        assert collector.replies == []

        await installation.workers[0].start()
        await settled(installation, seconds=60)
        await collector.look()
        assert len(collector.replies) == 1, installation.workers[0].tail()
        async with open_backend(installation.settings) as backend:
            turns = [
                turn
                for head in (await backend.store.conversations.find(limit=20)).items
                if head.address is not None and head.address.person == PERSON
                for turn in await backend.store.conversations.turns(head.id)
            ]
        assert [len(turn.message_ids) for turn in turns] == [len(BURST)]
