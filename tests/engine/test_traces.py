"""One message, one trace: from the webhook to the platform's statuses, on the embedded engine, at a real collector."""

import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from adapters.channels.whatsapp import SANDBOX_PHONE_NUMBER_ID
from cli.runtime import Runtime, open_runtime
from cli.sandboxed import SANDBOX_SECRET
from cli.trace import trace
from contracts.errors import ConversationConflictError
from contracts.messages import DeliveryState
from contracts.settings import Settings
from contracts.values import ConversationId
from observability.logs import configure_logs
from observability.tracing import NO_PARENT, current_traceparent, span
from sandbox.whatsapp_webhooks import envelope, inbound_text, signed, status
from tests.builders import DOCUMENTS, conversation_id, engine_bed, inbound, open_backend, scripted
from tests.collector import Collector, Received, collecting
from tests.real_services import free_port
from tests.spans import keeping
from worker.drain import drain

PHONE = "5511987654321"
DELIVERED = {DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.READ}
STEPS = ("pre_hooks", "cache.check", "ai.execute", "validation", "post_hooks")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@asynccontextmanager
async def traced_runtime(folder: Path, collector: Collector, **changes: Any) -> AsyncIterator[Runtime]:
    settings = Settings(
        PROSA_DATA_DIR=folder,
        PROSA_INSTITUTION=DOCUMENTS / "pyloto",
        PORT=0,
        PROSA_QUIET_WINDOW_S="0",
        PROMPTER_USE_TRACING=True,
        PROMPTER_USE_CACHE=True,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_SERVICE_NAME="prosa-test",
        **changes,
    )
    async with open_runtime(settings) as runtime:
        yield runtime


@asynccontextmanager
async def whatsapp(runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(runtime.webhook)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


async def post(client: httpx.AsyncClient, *changes: Any) -> None:
    body, headers = signed(envelope(*changes), SANDBOX_SECRET)
    assert (await client.post("/webhooks/whatsapp", content=body, headers=headers)).status_code == 200


def text(words: str, phone: str = PHONE) -> Any:
    return inbound_text(phone, words, name="Ana", phone_number_id=SANDBOX_PHONE_NUMBER_ID)


def only(spans: list[Received], name: str) -> Received:
    (found,) = [span for span in spans if span.name == name]
    return found


def children(spans: list[Received], parent: Received) -> list[str]:
    found = [span for span in spans if span.parent_id == parent.span_id]
    return [span.name for span in sorted(found, key=lambda span: span.start_ns)]


async def test_one_trace_has_the_whole_way_of_a_message(tmp_path: Path, collector: Collector) -> None:
    async with traced_runtime(tmp_path, collector) as runtime, whatsapp(runtime) as client:
        await post(client, text("Oi, bom dia, quero saber do CRM"))
        await runtime.queue.idle()
        (listed,) = (await runtime.backend.store.conversations.find(limit=1)).items
        (row, *_) = await runtime.backend.store.outbox.rows(listed.id)
        for state in ("delivered", "read"):
            told = status(
                row.platform_message_id or "",
                state,
                PHONE,
                client_reference=row.id,
                phone_number_id=SANDBOX_PHONE_NUMBER_ID,
            )
            await post(client, told)
        events = await trace(listed.id, runtime.backend.inbox, runtime.backend.store)
    spans = collector.spans

    (trace_id,) = {span.trace_id for span in spans}
    received = only(spans, "webhook.receive")
    assert (received.parent_id, received.kind) == ("", "SERVER")
    assert received.attributes["prosa.outcome"] == "accepted"
    assert children(spans, received) == ["inbox.append", "queue.wake"]
    turn = only(spans, "turn")
    # The sweep may have looked once more meanwhile.
    (drained,) = [span for span in spans if span.span_id == turn.parent_id]
    assert (drained.name, drained.parent_id) == ("drain", only(spans, "queue.wake").span_id)
    assert turn.attributes["prosa.outcome"] == "replied"
    executions = [span for span in spans if span.name == "prompter.execute"]
    assert {span.parent_id for span in executions} == {turn.span_id}
    # The sentence of the sandbox that is not the documents' own is read by the judge.
    assert {span.attributes["prosa.usage_type"] for span in executions} == {
        "state",
        "response",
        "message_type",
        "judge",
    }
    for executed in executions:
        steps = [name for name in children(spans, executed) if name != "cache.store"]
        assert steps == [name for name in STEPS if name in steps]
        assert {"pre_hooks", "ai.execute", "validation", "post_hooks"} <= set(steps)
        assert executed.attributes["gen_ai.request.model"] == "claude-haiku-5-5"
        assert executed.attributes["gen_ai.usage.input_tokens"] > 0
        assert executed.attributes["prosa.cost_usd"] > 0
        assert executed.attributes["prosa.attempts"] == 1
        assert 0 < executed.attributes["prosa.quality_score"] <= 1
        assert executed.attributes["gen_ai.conversation.id"] == listed.id
    assert [span for span in spans if span.name in ("cache.check", "cache.store")]
    called = next(span for span in spans if span.name == "ai.execute")
    assert (called.kind, called.attributes["gen_ai.operation.name"]) == ("CLIENT", "chat")
    assert called.attributes["gen_ai.provider.name"] == "anthropic"
    assert called.attributes["gen_ai.response.finish_reasons"] == ("end_turn",)
    assert only(spans, "store.commit").parent_id == turn.span_id
    assert only(spans, "outbox.send").parent_id == turn.span_id
    states = [span for span in spans if span.name == "status.apply"]
    assert {span.parent_id for span in states} == {turn.span_id}
    assert {"delivered", "read"} <= {span.attributes["prosa.state"] for span in states}
    assert {span.resource["service.name"] for span in spans} == {"prosa-test"}
    assert all(span.start_ns <= span.end_ns for span in spans)
    assert all(span.attributes["prosa.correlation_id"] for span in spans if span.name != "status.apply")
    assert {event.what for event in events if trace_id in event.detail} == {"received, durable", "outbox read"}


async def test_one_request_with_two_people_has_two_traces(tmp_path: Path, collector: Collector) -> None:
    async with traced_runtime(tmp_path, collector) as runtime, whatsapp(runtime) as client:
        await post(client, text("Oi"), text("Olá", "5511912345678"))
        await runtime.queue.idle()
    traces = {span.trace_id for span in collector.spans}
    assert len(traces) == 2
    for trace_id in traces:
        names = [span.name for span in collector.spans if span.trace_id == trace_id]
        assert names.count("turn") == names.count("webhook.receive") == 1


async def test_not_sampled_nothing_leaves_and_everything_is_answered(tmp_path: Path, collector: Collector) -> None:
    async with traced_runtime(tmp_path, collector, PROSA_TRACE_SAMPLE=0.0) as runtime, whatsapp(runtime) as client:
        await post(client, text("Oi"))
        await runtime.queue.idle()
        (listed,) = (await runtime.backend.store.conversations.find(limit=1)).items
        assert await runtime.backend.store.conversations.turns(listed.id)
    assert collector.spans == []


async def test_messages_that_are_answered_together_are_linked_to_the_turn_of_the_first(tmp_path: Path) -> None:
    with keeping() as kept:
        traceparents = []
        for _ in range(3):
            with span("webhook.receive", parent=NO_PARENT):
                traceparents.append(current_traceparent())
        async with open_backend("memory", tmp_path) as (inbox, store):
            bed = engine_bed(inbox, store)
            await bed.inbox.append([inbound("Oi", traceparent=name) for name in traceparents])
            # The sweep found it: nobody's wake-up came along.
            await drain(conversation_id(), bed.engine.drain)
            (row,) = await bed.store.outbox.rows(conversation_id())
    first, second, third = (span for span in kept.spans if span.name == "webhook.receive")
    turn = kept.named("turn")
    assert (turn.trace_id, turn.parent_id) == (first.trace_id, first.span_id)
    assert turn.links == (second.trace_id, third.trace_id)
    assert row.traceparent is not None
    assert f"{turn.trace_id}-{turn.span_id}" in row.traceparent
    assert "drain" not in {span.name for span in kept.spans}


async def test_a_turn_that_failed_says_so_and_not_why(tmp_path: Path) -> None:
    model = scripted(state="no JSON: zebra-azul-4711")
    with keeping() as kept:
        async with open_backend("memory", tmp_path) as (inbox, store):
            bed = engine_bed(inbox, store, model=model)
            await bed.inbox.append([inbound("Oi")])
            await drain(conversation_id(), bed.engine.drain)
    executed = next(span for span in kept.spans if span.name == "prompter.execute")
    assert executed.failure == "UnusableModelOutputError"
    assert executed.attributes["prosa.outcome"] == "failed"
    validations = [span for span in kept.spans if span.name == "validation"]
    assert [span.failure for span in validations if span.failure] == ["ValidationError"] * 2
    assert "zebra" not in repr(kept.spans)


async def test_a_draft_that_somebody_else_overtook_is_a_turn_that_failed(tmp_path: Path) -> None:
    with keeping() as kept:
        async with open_backend("memory", tmp_path) as (inbox, store):
            commit, conflicts = store.conversations.commit, [True]

            async def overtaken(turn: Any) -> Any:
                if conflicts.pop() if conflicts else False:
                    raise ConversationConflictError("c-1")
                return await commit(turn)

            bed = engine_bed(inbox, _Overtaken(store, overtaken))
            await bed.inbox.append([inbound("Oi")])
            await drain(conversation_id(), bed.engine.drain)
    overtaken_turn, answered = (span for span in kept.spans if span.name == "turn")
    assert overtaken_turn.failure == "ConversationConflictError"
    assert (answered.failure, answered.attributes["prosa.outcome"]) == (None, "replied")


@pytest.mark.parametrize("behaviour", [{"silent": True}, {"delay_seconds": 10.0}, {"status": 503}, None])
async def test_no_message_is_lost_while_the_collector_is_away(tmp_path: Path, behaviour: dict[str, Any] | None) -> None:
    """Silent, slower than its time-out, overloaded, and refused."""
    people = [f"55119{number:08d}" for number in range(20)]
    with collecting(**(behaviour or {})) as collector:
        if behaviour is None:
            collector.url = f"http://127.0.0.1:{free_port()}"
        async with traced_runtime(tmp_path, collector) as runtime, whatsapp(runtime) as client:
            for person in people:
                await post(client, text("Oi, bom dia", person))
            await runtime.queue.idle()
            store = runtime.backend.store
            listed = (await store.conversations.find(limit=100)).items
            assert len(listed) == len(people)
            for one in listed:
                assert await store.conversations.turns(one.id)
                assert {row.state for row in await store.outbox.rows(one.id)} <= DELIVERED
        collector.released.set()
    assert collector.spans == []


class _Overtaken:
    """A store whose commits are made by somebody else's function."""

    def __init__(self, store: Any, commit: Any) -> None:
        self._inner, self._conversations, self.commit = store, store.conversations, commit

    @property
    def conversations(self) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conversations, name, None) or getattr(self._inner, name)


async def test_every_line_of_a_message_stands_beside_its_span(tmp_path: Path, collector: Collector) -> None:
    stream = io.StringIO()
    configure_logs(stream=stream, project="p-1")
    async with traced_runtime(tmp_path, collector) as runtime, whatsapp(runtime) as client:
        await post(client, text("Oi, bom dia"))
        await runtime.queue.idle()
    lines = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    mine = [line for line in lines if line["event"] in ("message.received", "turn.ended", "outbox.sent")]
    assert [line["event"] for line in mine] == ["message.received", "turn.ended", "outbox.sent"]
    spans = {span.span_id: span for span in collector.spans}
    (trace_id,) = {span.trace_id for span in spans.values() if span.name == "turn"}
    for line in mine:
        assert line["severity"] == "INFO"
        assert line["logging.googleapis.com/trace"] == f"projects/p-1/traces/{trace_id}"
        assert line["logging.googleapis.com/spanId"] in spans
        assert line["logging.googleapis.com/trace_sampled"] is True
        assert line["correlation_id"] == mine[0]["correlation_id"]


async def test_what_the_product_logs_inside_a_turn_names_its_message(tmp_path: Path) -> None:
    stream = io.StringIO()
    configure_logs(stream=stream)

    async def defect(*_: Any) -> Any:
        raise RuntimeError("zebra-azul-4711")

    async with open_backend("memory", tmp_path) as (inbox, store):
        bed = engine_bed(inbox, _Overtaken(store, defect))
        await bed.inbox.append([inbound("Oi", id="m-first")])
        await drain(conversation_id(), bed.engine.drain)
    lines = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    assert {line["event"] for line in lines} >= {"drain.error", "drain.defect"}
    for line in lines:
        assert line["correlation_id"] == "m-first"
        assert line["conversation_id"] == ConversationId(conversation_id())
        assert "logging.googleapis.com/trace" not in line
