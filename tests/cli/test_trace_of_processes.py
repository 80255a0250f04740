"""One WhatsApp message through the processes of an engine, and its trace read back from a real collector."""

import json
import time
from pathlib import Path

import httpx
import pytest
from redis import Redis

from sandbox.whatsapp_webhooks import envelope, inbound_text, signed
from tests.cli.test_engines import answers, cloud_tasks, double_of_queue, prosa, running
from tests.collector import Collector, Received, collecting
from tests.real_services import free_port, redis_url

pytestmark = pytest.mark.slow

ACCOUNT, SECRET, PEOPLE = "100000000000001", "secret", 5
WOKEN, SWEPT = ("turn", "drain", "queue.wake", "webhook.receive"), ("turn", "webhook.receive")
WHOLE_WAY = (
    "webhook.receive",
    "inbox.append",
    "queue.wake",
    "turn",
    "prompter.execute",
    "pre_hooks",
    "ai.execute",
    "validation",
    "post_hooks",
    "store.commit",
    "outbox.send",
    "status.apply",
)


def shared(collector: Collector, sandbox_url: str, port: int) -> dict[str, str]:
    return {
        "PORT": str(port),
        "PROSA_QUIET_WINDOW_S": "0",
        "PROMPTER_USE_TRACING": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "ANTHROPIC_API_KEY": "sandbox",
        "ANTHROPIC_BASE_URL": f"{sandbox_url}/anthropic",
        "WHATSAPP_APP_SECRET": SECRET,
        "WHATSAPP_VERIFY_TOKEN": "v",
        "WHATSAPP_ACCESS_TOKEN": "t",
        "WHATSAPP_PHONE_NUMBER_ID": ACCOUNT,
        "WHATSAPP_API_URL": f"{sandbox_url}/graph/v26.0",
    }


def write(url: str, person: str) -> None:
    body, headers = signed(envelope(inbound_text(person, "Oi, bom dia", phone_number_id=ACCOUNT)), SECRET)
    assert httpx.post(f"{url}/webhooks/whatsapp", content=body, headers=headers, timeout=10).status_code == 200


def traces_of(url: str, collector: Collector) -> dict[str, list[Received]]:
    """What five people's messages have left at the collector, by trace; the first has waited for the processes."""
    write(url, "5511900000000")
    until_read(collector, 1)
    for number in range(1, PEOPLE):
        write(url, f"551190000000{number}")
    until_read(collector, PEOPLE)
    traces: dict[str, list[Received]] = {}
    for span in collector.spans:
        traces.setdefault(span.trace_id, []).append(span)
    return traces


def until_read(collector: Collector, people: int) -> None:
    """Wait for the platform's last report, which comes when everything else is past, and for what was sent with it."""
    ends = time.monotonic() + 120

    def is_whole(trace: list[Received]) -> bool:
        names = {span.name for span in trace}
        return set(WHOLE_WAY) <= names and "read" in {span.attributes.get("prosa.state") for span in trace}

    while True:
        spans = collector.spans
        ids = {span.trace_id for span in spans}
        whole = [one for one in ids if is_whole([span for span in spans if span.trace_id == one])]
        if len(whole) == people:
            return
        assert time.monotonic() < ends, sorted({span.name for span in spans})
        time.sleep(0.1)


def assert_whole(spans: list[Received]) -> bool:
    """Every step of the way, parents right. Whether a wake-up brought it about, or the sweep, which was quicker."""
    by_id = {span.span_id: span for span in spans}

    def way_up(span: Received) -> tuple[str, ...]:
        return (span.name, *(way_up(by_id[span.parent_id]) if span.parent_id else ()))

    ways = {way_up(span) for span in spans}
    assert {("inbox.append", "webhook.receive"), ("queue.wake", "webhook.receive")} <= ways
    (turn,) = {way for way in ways if way[0] == "turn"}
    assert turn in (WOKEN, SWEPT)
    for step in ("pre_hooks", "ai.execute", "validation", "post_hooks"):
        assert (step, "prompter.execute", *turn) in ways
    for step in ("store.commit", "outbox.send", "status.apply"):
        assert (step, *turn) in ways
    executed = [span.attributes["prosa.usage_type"] for span in spans if span.name == "prompter.execute"]
    # The judge is asked only for a sentence that is not the documents' own.
    assert sorted(set(executed) - {"judge"}) == ["message_type", "response", "state"]
    assert len(executed) == len(set(executed))
    return turn == WOKEN


def sandbox(url: str, port: int, webhook_port: int) -> tuple[str, ...]:
    return (
        "sandbox",
        "--port",
        str(port),
        "--webhook-url",
        f"http://127.0.0.1:{webhook_port}/webhooks/whatsapp",
        "--app-secret",
        SECRET,
    )


def test_doctor_asks_the_collector(tmp_path: Path) -> None:
    def traces(endpoint: str) -> dict[str, str]:
        done = prosa(tmp_path, "doctor", "--json", PROMPTER_USE_TRACING="true", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        (found,) = [one for one in json.loads(done.stdout) if one["check"] == "traces"]
        return dict(found)

    with collecting() as collector:
        assert traces(collector.url)["health"] == "ok"
    away = traces(collector.url)
    assert away["health"] == "note"
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in away["next_step"]


def test_celery(tmp_path: Path) -> None:
    Redis.from_url(redis_url()).flushall()
    port, sandbox_port = free_port(), free_port()
    url, sandbox_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
    with collecting() as collector:
        settings = shared(collector, sandbox_url, port) | {"PROSA_ENGINE": "celery", "REDIS_URL": redis_url()}
        with (
            running(tmp_path, "sandbox", *sandbox(sandbox_url, sandbox_port, port)) as double,
            running(tmp_path, "webhook", "cli.main", "webhook", **settings) as webhook,
            running(tmp_path, "worker", "cli.main", "worker", **settings),
        ):
            answers(sandbox_url, double)
            answers(url, webhook)
            traces = traces_of(url, collector)
            listed = json.loads(prosa(tmp_path, "conversations", "list", "--json", **settings).stdout)
            told = prosa(tmp_path, "conversations", "trace", listed[0]["id"], "--json", **settings)
    woken = [assert_whole(spans) for spans in traces.values()]
    assert any(woken), "each was found by the sweep"
    assert any(trace_id in told.stdout for trace_id in traces), told.stdout + told.stderr
    for spans in traces.values():
        assert len({span.resource["service.instance.id"] for span in spans}) == 2


def test_cloud_tasks(tmp_path: Path) -> None:
    """What a request of the queue has recorded is with the collector when it is answered."""
    port, tasks_port, grpc_port, keys_port, sandbox_port = (free_port() for _ in range(5))
    url, sandbox_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
    with collecting() as collector:
        engine = cloud_tasks(tasks_port=tasks_port, grpc_port=grpc_port, keys_port=keys_port)
        settings = shared(collector, sandbox_url, port) | engine
        with (
            running(tmp_path, "sandbox", *sandbox(sandbox_url, sandbox_port, port)) as model,
            running(tmp_path, "double", *double_of_queue(grpc_port, keys_port)),
            running(tmp_path, "tasks", "cli.main", "tasks", **settings | {"PORT": str(tasks_port)}) as tasks,
            running(tmp_path, "webhook", "cli.main", "webhook", **settings) as webhook,
        ):
            answers(sandbox_url, model)
            answers(f"http://127.0.0.1:{tasks_port}", tasks)
            answers(url, webhook)
            traces = traces_of(url, collector)
    assert len(traces) == PEOPLE
    woken = [assert_whole(spans) for spans in traces.values()]
    assert any(woken), "each was found by the sweep"
