"""A collector that is unavailable, slow, silent or unwilling costs spans and nothing else."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider

from cli.tracing import traced
from contracts.errors import ConfigurationError
from contracts.settings import Settings
from observability.logs import configure_logs
from observability.metrics import REGISTRY
from observability.span_export import BatchExport
from observability.tracing import flush_spans, span, tracing_with
from tests.adapters.certificates import Certificates
from tests.collector import Collector, collecting
from tests.real_services import free_port

CAPACITY = 2_000
LONG, SHORT = timedelta(seconds=30), timedelta(milliseconds=50)


def dropped(*reasons: str) -> float:
    return sum(
        REGISTRY.get_sample_value("tracing_spans_dropped_total", {"reason": reason}) or 0.0
        for reason in reasons or ("full", "lost", "closed")
    )


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.01)


def settings(url: str, **changes: Any) -> Settings:
    given: dict[str, Any] = {"PROMPTER_USE_TRACING": True, "OTEL_EXPORTER_OTLP_ENDPOINT": url}
    return Settings(**given | changes)


@contextmanager
def exporting(url: str, *, timeout: float = 0.3, capacity: int = CAPACITY) -> Iterator[BatchExport]:
    export = BatchExport(OTLPSpanExporter(f"{url}/v1/traces", timeout=timeout), capacity=capacity)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(export)
    try:
        with tracing_with(provider.get_tracer("test"), export.flush):
            yield export
    finally:
        export.close(timedelta(seconds=5))


def work(count: int, name: str = "work") -> None:
    for _ in range(count):
        with span(name):
            pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def test_everything_arrives_once_with_what_the_collector_asks_for(collector: Collector) -> None:
    given = settings(f"{collector.url}/", OTEL_EXPORTER_OTLP_HEADERS="X-Key=a%20key", OTEL_SERVICE_NAME="webhook")
    with traced(given):
        work(600)
    assert len(collector.spans) == len({one.span_id for one in collector.spans}) == 600
    assert collector.headers[0]["x-key"] == "a key"
    assert collector.headers[0]["content-type"] == "application/x-protobuf"
    resource = collector.spans[0].resource
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("webhook", "development")
    assert resource["service.instance.id"]


def test_variables_of_opentelemetry_hold(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=tasks,cloud.region=here")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    with traced(settings(collector.url)):
        work(3)
        until(lambda: len(collector.spans) == 3)
    assert collector.headers[0]["content-encoding"] == "gzip"
    resource = collector.spans[0].resource
    assert (resource["service.name"], resource["cloud.region"]) == ("tasks", "here")


def test_an_address_for_traces_alone_is_taken_as_it_is(collector: Collector) -> None:
    given = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-key=traces",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-key=all",
    }
    with traced(settings("http://127.0.0.1:1", **given)):
        work(1)
    assert collector.headers[0]["x-key"] == "traces"


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "OTEL_EXPORTER_OTLP_CERTIFICATE"])
def test_a_collector_of_a_private_authority_is_trusted_by_its_file(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Certificates.made_in(tmp_path)
    with collecting(tls=made.context()) as collector:
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.delenv(name, raising=False)
        with traced(settings(collector.url)):
            work(1)
        assert collector.spans == []
        monkeypatch.setenv(variable, str(made.authority))
        named = {variable: str(made.authority)} if variable.startswith("OTEL") else {}
        with traced(settings(collector.url, **named)):
            work(1)
        assert len(collector.spans) == 1


def test_variables_that_contradict_each_other_are_named() -> None:
    with (
        pytest.raises(ConfigurationError, match=r"OTEL_BSP_\*.*max_export_batch_size"),
        traced(settings("http://127.0.0.1:1", OTEL_BSP_MAX_QUEUE_SIZE=10)),
    ):
        pass


def test_a_connection_that_the_collector_closed_is_opened_again(collector: Collector) -> None:
    collector.closes = True
    with exporting(collector.url) as export:
        for number in range(3):
            work(1, f"work {number}")
            export.force_flush()
    assert len(collector.spans) == 3


async def test_a_flush_returns_when_the_collector_has_it(collector: Collector) -> None:
    with exporting(collector.url):
        work(3)
        await flush_spans(LONG)
        assert len(collector.spans) == 3
        began = time.monotonic()
        await flush_spans(LONG)
        assert time.monotonic() - began < 20


async def test_a_flush_ends_with_its_limit_and_costs_nothing_while_the_collector_is_unavailable() -> None:
    with collecting(silent=True) as collector, exporting(collector.url, timeout=30):
        work(1)
        began = time.monotonic()
        await flush_spans(SHORT)
        assert time.monotonic() - began < 20
        collector.released.set()
    with exporting(f"http://127.0.0.1:{free_port()}") as export:
        work(1)
        export.force_flush()
        assert export.is_failing
        work(1)
        began = time.monotonic()
        await flush_spans(timedelta(seconds=40))
        assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "behaviour", [{"silent": True}, {"delay_seconds": 2.0}, {"status": 500}, {"status": 503}, None]
)
def test_every_span_that_did_not_arrive_is_counted(behaviour: dict[str, Any] | None) -> None:
    """Silent, slower than its time-out, defect, overloaded, refused: nobody waits, and memory is bounded."""
    with collecting(**(behaviour or {})) as collector:
        url = collector.url if behaviour is not None else f"http://127.0.0.1:{free_port()}"
        before = dropped()
        with exporting(url) as export:
            began = time.monotonic()
            work(3 * CAPACITY)
            assert time.monotonic() - began < 20
            until(lambda: export.is_failing)
        collector.released.set()
    # The processor takes a batch out before it hands it over: a span that ends in between may be counted as dropped.
    assert 3 * CAPACITY <= dropped() - before <= 3 * CAPACITY + 50


def test_an_outage_is_one_line_and_then_another_when_it_ends() -> None:
    stream = io.StringIO()
    configure_logs(stream=stream)
    with collecting(status=500) as collector, traced(settings(collector.url)):
        for _ in range(1_500):
            work(3)
        until(lambda: bool(stream.getvalue()))
        collector.status = 200
        work(1_000)
        until(lambda: "recovered" in stream.getvalue())
    lines = [orjson.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert lines == ["tracing.failing", "tracing.recovered"]


def test_what_is_refused_for_now_arrives_later_and_only_once() -> None:
    with collecting(status=503) as collector, exporting(collector.url, timeout=30) as export:
        work(600)
        until(lambda: len(collector.refused) > 0)
        collector.status = 200
        export.force_flush()
        assert len(collector.spans) == 600


def test_what_is_refused_for_good_is_counted_and_does_not_stand_in_the_way() -> None:
    before = dropped("lost")
    with collecting(status=400) as collector, exporting(collector.url) as export:
        work(10)
        export.force_flush()
        collector.status = 200
        work(1, "after")
        export.force_flush()
        assert [one.name for one in collector.spans] == ["after"]
        assert not export.is_failing
    assert dropped("lost") - before == 10


def test_a_process_that_ends_does_not_wait_long_for_a_silent_collector() -> None:
    before = dropped("closed")
    with collecting(silent=True) as collector:
        began = time.monotonic()
        with traced(settings(collector.url)):
            work(5)
        assert time.monotonic() - began < 8
        assert dropped("closed") - before == 5
        collector.released.set()
