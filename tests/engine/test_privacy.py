"""Nothing a person wrote goes into logs or metrics, whatever happens to their message."""

import io
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest
from prometheus_client import generate_latest

from adapters.models.scripted import ScriptedModel
from adapters.waiting import wait_for_receipt
from cli.runtime import Runtime, open_runtime
from cli.sandboxed import SANDBOX_PHONE_NUMBER_ID, SANDBOX_SECRET
from contracts.ports import ModelRequest
from contracts.settings import Settings
from contracts.values import ConversationId, MessageId
from observability.logs import configure_logs, logger
from observability.metrics import REGISTRY
from sandbox.whatsapp_webhooks import envelope, inbound_text, signed
from tests.builders import DOCUMENTS, conversation_id, engine_bed, inbound, open_backend
from worker.drain import drain

MARKER = "zebra-azul-4711"
PHONE = "5511987654321"
SECRETS = (MARKER, PHONE, "ana.souza@example.com", "123.456.789-09", "Ana Souza da Silva")


@pytest.fixture
def logs() -> io.StringIO:
    stream = io.StringIO()
    configure_logs(level="DEBUG", stream=stream)
    return stream


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    settings = Settings(PROSA_DATA_DIR=tmp_path, PROSA_INSTITUTION=DOCUMENTS / "pyloto", PORT=0)
    async with open_runtime(settings) as runtime:
        yield runtime


def assert_clean(logs: io.StringIO) -> list[dict[str, object]]:
    written = logs.getvalue()
    metrics = generate_latest(REGISTRY).decode()
    for secret in SECRETS:
        assert secret not in written
        assert secret not in metrics
    return [orjson.loads(line) for line in written.splitlines()]


async def test_a_message_with_personal_data_leaves_none_in_logs_and_metrics(
    logs: io.StringIO, runtime: Runtime
) -> None:
    text = f"Sou {SECRETS[4]}, cpf {SECRETS[3]}, e-mail {SECRETS[2]}, {MARKER}"
    transport = httpx.ASGITransport(runtime.webhook, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        event = inbound_text(PHONE, text, name=SECRETS[4], phone_number_id=SANDBOX_PHONE_NUMBER_ID)
        body, headers = signed(envelope(event), SANDBOX_SECRET)
        assert (await client.post("/webhooks/whatsapp", content=body, headers=headers)).status_code == 200
        assert (await client.post("/webhooks/whatsapp", content=body + b" ", headers=headers)).status_code == 401
        broken, headers = signed(envelope({"field": "messages", "value": {"messages": [MARKER]}}), SANDBOX_SECRET)
        assert (await client.post("/webhooks/whatsapp", content=broken, headers=headers)).status_code == 200
        written = await client.post("/chat/c/messages", json={"text": text, "name": SECRETS[4]})
        refused = await client.post("/chat/c/messages", json={"text": MARKER * 1_000})
        assert MARKER not in refused.text
    (conversation,) = [
        ConversationId(one["conversation_id"])
        for one in assert_clean(logs)
        if one.get("channel") == "whatsapp" and "conversation_id" in one
    ]
    store, events = runtime.deps.store, runtime.deps.events
    message_id = MessageId(written.json()["message_id"])
    assert await wait_for_receipt(store, events, conversation_id("c"), message_id, seconds=20)
    await runtime.queue.idle()
    assert (await store.turns(conversation))[0].message_ids
    events_logged = {str(line["event"]) for line in assert_clean(logs)}
    assert {"message.received", "turn.ended", "outbox.sent", "message.unreadable"} <= events_logged


async def test_one_id_leads_from_the_webhook_to_the_reply(logs: io.StringIO, runtime: Runtime) -> None:
    transport = httpx.ASGITransport(runtime.webhook)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        await client.post("/chat/c/messages", json={"text": "Oi", "id": "follow-me"})
    assert await wait_for_receipt(
        runtime.deps.store, runtime.deps.events, conversation_id("c"), MessageId("follow-me"), seconds=20
    )
    await runtime.queue.idle()
    followed = [line["event"] for line in assert_clean(logs) if line.get("correlation_id") == "follow-me"]
    assert followed == ["message.received", "turn.ended", "outbox.sent"]


async def test_a_defect_is_logged_without_the_words_it_quotes(logs: io.StringIO, tmp_path: Path) -> None:
    async def quoting(request: ModelRequest) -> str:
        raise ValueError(f"cannot read {MARKER}")

    async with open_backend("memory", tmp_path) as (inbox, store):
        bed = engine_bed(inbox, store, model=ScriptedModel(quoting))
        await bed.inbox.append([inbound(MARKER)])
        await drain(conversation_id(), bed.deps)
    (defect,) = [line for line in assert_clean(logs) if line["event"] == "drain.defect"]
    assert "ValueError at test_privacy.py" in str(defect["exception"])


def test_a_key_that_nobody_listed_is_not_written(logs: io.StringIO) -> None:
    logger("test").info("something.happened", text=MARKER, conversation_id="c")
    (line,) = assert_clean(logs)
    assert (line["text"], line["conversation_id"]) == ("[redacted]", "c")


def test_a_library_says_that_it_spoke_but_not_what(logs: io.StringIO) -> None:
    logging.getLogger("some.library").warning("got %s", MARKER)
    (line,) = assert_clean(logs)
    assert (line["event"], line["module"]) == ("library.warning", "some.library")
