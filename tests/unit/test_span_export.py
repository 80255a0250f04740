"""A collector that is away, slow, silent or unwilling costs spans and nothing else."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from observability.metrics import REGISTRY
from observability.span_export import BATCH, SpanExporter
from observability.tracing import Tracer, span, tracing_with
from tests.collector import Collector, collecting
from tests.real_services import free_port

CAPACITY = 2_000


def dropped(reason: str) -> float:
    return REGISTRY.get_sample_value("tracing_spans_dropped_total", {"reason": reason}) or 0.0


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.01)


@contextmanager
def exporting(url: str, **options: Any) -> Iterator[SpanExporter]:
    given: dict[str, Any] = {
        "resource": {"service.name": "test"},
        "headers": {"X-Key": "k"},
        "chance": lambda: 0.0,
        "capacity": CAPACITY,
        "every_seconds": 0.02,
        "timeout_seconds": 0.5,
    }
    exporter = SpanExporter(url, **(given | options))
    exporter.start()
    try:
        with tracing_with(Tracer(exporter)):
            yield exporter
    finally:
        exporter.close(timedelta(seconds=5))


def work(count: int, name: str = "work") -> None:
    for _ in range(count):
        with span(name):
            pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def test_everything_arrives_once_in_batches_with_what_the_collector_wants_to_be_told(collector: Collector) -> None:
    with exporting(f"{collector.url}/"):
        work(BATCH + 10)
    assert len(collector.spans) == BATCH + 10
    assert len({one.span_id for one in collector.spans}) == BATCH + 10
    assert collector.headers[0]["X-Key"] == "k"
    assert collector.headers[0]["Content-Type"] == "application/x-protobuf"


def test_a_connection_that_the_collector_closed_is_opened_again(collector: Collector) -> None:
    collector.closes = True
    with exporting(collector.url):
        for number in range(3):
            work(1, f"work {number}")
            collector.until(f"work {number}")
    assert len(collector.spans) == 3


async def test_a_flush_returns_when_the_collector_has_it(collector: Collector) -> None:
    with exporting(collector.url, every_seconds=60) as exporter:
        work(3)
        await exporter.flush(timedelta(seconds=30))
        assert len(collector.spans) == 3


async def test_a_flush_ends_with_its_limit_and_costs_nothing_while_the_collector_is_away() -> None:
    with collecting(silent=True) as collector, exporting(collector.url, timeout_seconds=30) as exporter:
        work(1)
        began = time.monotonic()
        await exporter.flush(timedelta(milliseconds=50))
        assert time.monotonic() - began < 20
        collector.released.set()
    with exporting(f"http://127.0.0.1:{free_port()}", every_seconds=0.01) as exporter:
        work(1)
        until(lambda: exporter._failures > 0)
        began = time.monotonic()
        await exporter.flush(timedelta(seconds=40))
        assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "behaviour", [{"silent": True}, {"delay_seconds": 2.0}, {"status": 500}, {"status": 503}, None]
)
def test_memory_is_bounded_and_nobody_waits(behaviour: dict[str, Any] | None) -> None:
    """Silent, slower than its time-out, defect, overloaded, refused."""
    with collecting(**(behaviour or {})) as collector:
        url = collector.url if behaviour is not None else f"http://127.0.0.1:{free_port()}"
        before = dropped("full") + dropped("lost") + dropped("closed")
        with exporting(url) as exporter:
            work(3 * CAPACITY)
            until(lambda: exporter._failures > 0)
            assert len(exporter._ended) <= CAPACITY
        assert dropped("full") + dropped("lost") + dropped("closed") - before >= 2 * CAPACITY


def test_what_was_refused_for_now_arrives_later_and_only_once() -> None:
    with collecting(status=503) as collector, exporting(collector.url) as exporter:
        work(10)
        until(lambda: exporter._failures > 0)
        collector.status = 200
        until(lambda: len(collector.spans) == 10)
        work(1, "after")
        collector.until("after")
        assert len(collector.spans) == 11
        assert exporter._failures == 0


def test_what_is_refused_for_good_is_counted_and_does_not_stand_in_the_way() -> None:
    before = dropped("lost")
    with collecting(status=400) as collector, exporting(collector.url) as exporter:
        work(10)
        until(lambda: exporter._failures > 0)
        collector.status = 200
        work(1, "after")
        collector.until("after")
        assert [one.name for one in collector.spans] == ["after"]
    assert dropped("lost") - before == 10


def test_the_oldest_make_room() -> None:
    with collecting(status=503) as collector, exporting(collector.url, capacity=10) as exporter:
        work(30, "old")
        until(lambda: exporter._failures > 0)
        work(10, "new")
        collector.status = 200
        collector.until("new")
        until(lambda: not exporter._ended)
    assert "old" not in {one.name for one in collector.spans}


def test_a_process_that_ends_sends_what_it_has(collector: Collector) -> None:
    with exporting(collector.url, every_seconds=60):
        work(5)
    assert len(collector.spans) == 5


def test_a_process_that_ends_does_not_wait_long_for_a_silent_collector() -> None:
    before = dropped("closed")
    with collecting(silent=True) as collector:
        exporter = SpanExporter(
            collector.url, resource={}, headers={}, chance=lambda: 0.0, every_seconds=0.01, timeout_seconds=600
        )
        exporter.start()
        with tracing_with(Tracer(exporter)):
            work(1)
            until(lambda: not exporter._ended)
            work(5)
        began = time.monotonic()
        exporter.close(timedelta(seconds=0.2))
        assert time.monotonic() - began < 60
        assert dropped("closed") - before == 5
        collector.released.set()
