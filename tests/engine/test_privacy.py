"""Nothing a person wrote goes into logs or metrics, whatever happens to their message."""

import io
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import patch

import httpx
import orjson
import pytest
from prometheus_client import generate_latest
from redis.asyncio import Redis

from adapters.channels.whatsapp import SANDBOX_PHONE_NUMBER_ID
from adapters.redis.database import RedisDatabase
from adapters.redis.standby_cache import StandbyCache
from adapters.waiting import wait_for_receipt
from cli.runtime import Runtime, open_runtime
from cli.sandboxed import SANDBOX_SECRET
from contracts.ports import ModelRequest
from contracts.settings import Settings
from contracts.values import ConversationId, MessageId
from observability.logs import configure_logs, logger
from observability.metrics import REGISTRY
from sandbox.whatsapp_webhooks import envelope, inbound_text, signed
from tests.builders import DOCUMENTS, PATIENCE, conversation_id, engine_bed, inbound, open_backend
from tests.collector import collecting
from tests.media_files import png
from tests.real_services import redis_url
from tests.scripted import ScriptedModel
from tests.whatsapp_kinds import inbound_image
from worker.drain import drain

MARKER = "zebra-azul-4711"
PHONE = "5511987654321"
SECRETS = (MARKER, PHONE, "ana.souza@example.com", "123.456.789-09", "Ana Souza da Silva")


# Eight kinds, and a word of the person's own: as they would stand in a message, in a sentence each.
PERSONAL = {
    "name": ("Quitéria Xavantes", "Meu nome é {}."),
    "phone": ("+55 11 98765-4321", "Me liga no {}."),
    "e-mail": ("quiteria.xavantes@example.com", "Meu e-mail é {}."),
    "CPF": ("529.982.247-25", "Meu CPF é {}."),
    "company": ("11.444.777/0001-61", "O CNPJ é {}."),
    "address": ("Rua das Jabuticabeiras 731", "Moro na {}."),
    "birth": ("17/08/1983", "Nasci em {}."),
    "card": ("4539 1488 0343 6467", "O cartão é {}."),
    "word": (MARKER, "O código é {}."),
}


@pytest.fixture
def logs() -> io.StringIO:
    stream = io.StringIO()
    configure_logs(level="DEBUG", stream=stream)
    return stream


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    settings = Settings(
        PROSA_DATA_DIR=tmp_path, PROSA_INSTITUTION=DOCUMENTS / "pyloto", PORT=0, PROSA_QUIET_WINDOW_S="0"
    )
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
    store, events = runtime.backend.store, runtime.backend.events
    message_id = MessageId(written.json()["message_id"])
    assert await wait_for_receipt(store.conversations, events, conversation_id("c"), message_id, seconds=20)
    await runtime.queue.idle()
    # A message with two names of a person is answered in the thread that they were joined to.
    (conversation,) = {
        ConversationId(str(one["conversation_id"]))
        for one in assert_clean(logs)
        if one["event"] == "turn.ended" and one["conversation_id"] != conversation_id("c")
    }
    assert (await store.conversations.turns(conversation))[0].message_ids
    events_logged = {str(line["event"]) for line in assert_clean(logs)}
    assert {"message.received", "turn.ended", "outbox.sent", "message.unreadable"} <= events_logged


async def test_a_photo_is_answered_by_what_it_says_and_leaves_nothing_in_logs_and_metrics(
    logs: io.StringIO, runtime: Runtime
) -> None:
    """From the webhook to the reply, over the stand-ins: WhatsApp's media API, and a model that sees."""
    picture = png(text=f"Quero uma entrega de moto {MARKER}")
    async with httpx.AsyncClient() as sandbox:
        put = await sandbox.put(f"{runtime.sandbox_url}/graph/sandbox/files/77", content=picture)
        assert put.is_success
    event = inbound_image(PHONE, "77", phone_number_id=SANDBOX_PHONE_NUMBER_ID)
    body, headers = signed(envelope(event), SANDBOX_SECRET)
    transport = httpx.ASGITransport(runtime.webhook)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        assert (await client.post("/webhooks/whatsapp", content=body, headers=headers)).status_code == 200
    await runtime.queue.idle()
    (conversation,) = {
        ConversationId(str(one["conversation_id"])) for one in assert_clean(logs) if one["event"] == "turn.ended"
    }
    (turn,) = await runtime.backend.store.conversations.turns(conversation)
    (said, *_) = await runtime.backend.store.conversations.transcript(conversation)
    assert said.content is not None
    assert (MARKER in said.content.text, turn.business_line, turn.fallback) == (True, "delivery", False)


async def test_one_id_leads_from_the_webhook_to_the_reply(logs: io.StringIO, runtime: Runtime) -> None:
    transport = httpx.ASGITransport(runtime.webhook)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        await client.post("/chat/c/messages", json={"text": "Oi", "id": "follow-me"})
    assert await wait_for_receipt(
        runtime.backend.store.conversations,
        runtime.backend.events,
        conversation_id("c"),
        MessageId("follow-me"),
        seconds=20,
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
        await drain(conversation_id(), bed.engine.drain)
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


async def test_personal_data_of_eight_kinds_goes_through_everything_and_is_found_nowhere(
    logs: io.StringIO, tmp_path: Path
) -> None:
    """Answered, cached, refused, failed and traced; then logs, spans, metrics, shared caches, answers are searched."""
    cache = Redis.from_url(redis_url())
    await cache.flushall()
    with collecting() as collector:
        settings = Settings(
            PROSA_DATA_DIR=tmp_path,
            PROSA_INSTITUTION=DOCUMENTS / "pyloto",
            PORT=0,
            REDIS_CACHE_URL=redis_url(),
            PROSA_QUIET_WINDOW_S="0",
            PROMPTER_USE_CACHE=True,
            PROMPTER_USE_BATCHING=True,
            PROSA_CACHE_TEMPLATE=True,
            PROMPTER_USE_TRACING=True,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        )
        # A busy machine must not make the process keep in its own memory what is to be searched for in Redis.
        with (
            patch.object(StandbyCache.__init__, "__defaults__", (PATIENCE, *StandbyCache.__init__.__defaults__[1:])),
            patch.dict(RedisDatabase.__init__.__kwdefaults__, command_timeout=PATIENCE),
        ):
            async with open_runtime(settings) as runtime:
                answers = await say_everything(runtime)
    kept = [piece async for piece in contents(cache)]
    await cache.aclose()
    places = {
        "logs": logs.getvalue().encode(),
        "spans": b"".join(collector.bodies),
        "metrics": generate_latest(REGISTRY),
        "caches": b"".join(kept),
        "answers": "".join(answers).encode(),
    }
    found = {(place, kind) for place, content in places.items() for kind in PERSONAL if holds(content, kind)}
    assert found == set()
    # All of it would have been found.
    assert all(holds(everything_personal().encode(), kind) for kind in PERSONAL)
    assert b"message.received" in places["logs"]
    assert b"turn.ended" in places["logs"]
    spans = collector.spans
    assert {"turn", "ai.execute", "cache.check", "cache.store", "outbox.send"} <= {span.name for span in spans}
    assert {"ValidationError"} <= {span.failure for span in spans}
    assert kept
    assert "[redacted]" not in logs.getvalue()


async def contents(cache: Redis) -> AsyncIterator[bytes]:
    """Every key of a Redis with everything that stands in it."""
    for key in await cache.keys("*"):
        yield key
        match await cache.type(key):
            case b"string":
                yield await cache.get(key) or b""
            case b"hash":
                for field, value in (await cache.hgetall(key)).items():
                    yield field + b" " + value
            case b"set":
                for member in await cache.smembers(key):
                    yield member
            case b"zset":
                for member in await cache.zrange(key, 0, -1):
                    yield member
            case other:
                raise AssertionError(f"nobody looks into a {other!r}")


def everything_personal() -> str:
    return " ".join(sentence.format(said) for said, sentence in PERSONAL.values())


def holds(content: bytes, kind: str) -> bool:
    """Whether it stands there as it was written, in small letters, or as its digits alone."""
    said, _ = PERSONAL[kind]
    digits = "".join(filter(str.isdigit, said))
    forms = {said, said.casefold(), *([digits] if len(digits) > 7 else []), orjson.dumps(said).decode()[1:-1]}
    return any(form.encode() in content or form.encode() in content.lower() for form in forms)


async def say_everything(runtime: Runtime) -> list[str]:
    """Every kind by every way in, with a model that answers and with one that does not; what was answered to it."""
    answers: list[str] = []
    whole = everything_personal()
    name = PERSONAL["name"][0]
    transport = httpx.ASGITransport(runtime.webhook, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:

        async def post(words: str, phone: str = PHONE, secret: str = SANDBOX_SECRET) -> None:
            event = inbound_text(phone, words, name=name, phone_number_id=SANDBOX_PHONE_NUMBER_ID)
            body, headers = signed(envelope(event), secret)
            answers.append((await client.post("/webhooks/whatsapp", content=body, headers=headers)).text)

        for number, (said, sentence) in enumerate(PERSONAL.values()):
            await post("Oi, bom dia", f"55119{number:08d}")
            await post(sentence.format(said), f"55119{number:08d}")
            await post(f"Vocês entregam em Campinas? {sentence.format(said)}", f"55118{number:08d}")
        await post(whole)
        await runtime.queue.idle()
        behaviour = f"{runtime.sandbox_url}/anthropic/sandbox/behaviour"
        async with httpx.AsyncClient() as sandbox:
            (await sandbox.put(behaviour, json={"invalid_json": 1.0})).raise_for_status()
        await post(whole, "5511900000099")
        await runtime.queue.idle()
        await post(whole, secret="wrong")
        wrong = ({"text": whole * 100}, {"text": {"deep": whole}}, {"id": whole, "text": "oi"}, {"txt": whole})
        refused = [
            *[await client.get(path) for path in (f"/chat/{whole}/messages/x", f"/chat/c/events?after={whole}")],
            await client.get(f"/{whole}"),
            *[await client.post("/chat/c/messages", json=content) for content in wrong],
            await client.post("/chat/c/messages", content=whole.encode()),
        ]
        assert all(answer.is_client_error for answer in refused)
    return [*answers, *(answer.text for answer in refused)]
