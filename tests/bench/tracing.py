"""What traces and metrics cost a worker: `python -m tests.bench.tracing`, or `make bench`.

The same turns with and without them, in alternating rounds of one process, by its own processor time: the thread that
takes the spans to a collector is part of it, the collector is another process. The model is a scripted one in memory,
so that the engine's own work, which the share is of, is the least there is. Times are of this machine at this moment.
"""

import asyncio
import io
import itertools
import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import patch

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from prometheus_client import Counter, Gauge, Histogram
from rich.console import Console
from rich.progress import track
from rich.table import Table

from adapters.clock import SystemClock
from observability.logs import configure_logs
from observability.otlp import trace_request
from observability.span_export import SpanExporter
from observability.tracing import Span, Tracer, span, tracing_with
from tests.builders import EngineBed, engine_bed, inbound, open_backend
from tests.collector import collecting
from webhook.spans import receiving
from worker.drain import drain

_numbers = itertools.count()

ROUNDS = 12
TURNS_A_ROUND = 40
SAMPLED = 0.1

console = Console(highlight=False)


@contextmanager
def uncounted() -> Iterator[None]:
    """Metrics whose observations do nothing."""

    def nothing(*_: Any, **__: Any) -> None:
        return

    with (
        patch.object(Counter, "inc", nothing),
        patch.object(Gauge, "set", nothing),
        patch.object(Histogram, "observe", nothing),
    ):
        yield


class Nowhere:
    """Spans that go nowhere."""

    def add(self, span: Span) -> None:
        return

    async def flush(self, limit: timedelta) -> None:
        return


class Counting:
    """An exporter in front of another: how many spans there are."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self.spans: list[Span] = []

    def add(self, span: Span) -> None:
        self.spans.append(span)
        self._inner.add(span)

    async def flush(self, limit: timedelta) -> None:
        await self._inner.flush(limit)


async def turns(bed: EngineBed, count: int) -> None:
    """Each conversation says one thing, and is answered; the message names its trace as from the webhook."""
    for _ in range(count):
        # A new one each time: who writes twenty times in a minute is answered by a rule.
        message = inbound(conversation=f"c-{next(_numbers)}", at=bed.deps.clock.now())
        with receiving([message]) as reception:
            await bed.inbox.append(reception.messages)
            with reception.waking(message.conversation_id):
                await drain(message.conversation_id, bed.deps)


async def cpu_ms(folder: Path, exporter: SpanExporter) -> tuple[dict[str, list[float]], int]:
    """Processor milliseconds of a turn, by what was recorded, a median of each round; and the spans of one turn."""
    modes: dict[str, Callable[[], AbstractContextManager[None]]] = {
        "neither": uncounted,
        "metrics": nullcontext,
        "metrics, every turn traced": lambda: tracing_with(Tracer(exporter)),
        f"metrics, {SAMPLED:.0%} of the turns traced": lambda: tracing_with(Tracer(exporter, sample=SAMPLED)),
    }
    spent: dict[str, list[float]] = {mode: [] for mode in modes}
    chance = random.Random(0)
    async with open_backend("sqlite", folder) as (inbox, store):
        bed = engine_bed(inbox, store, clock=SystemClock())  # type: ignore[arg-type]
        await turns(bed, 20)
        for _ in track(range(ROUNDS), description="Turns", console=console, transient=True):
            for mode in chance.sample(list(modes), len(modes)):
                with modes[mode]():
                    began = time.process_time()
                    await turns(bed, TURNS_A_ROUND)
                    await exporter.flush(timedelta(seconds=5))
                    spent[mode].append((time.process_time() - began) * 1000 / TURNS_A_ROUND)
        counting = Counting(exporter)
        with tracing_with(Tracer(counting)):
            await turns(bed, 1)
        report_spans(counting.spans)
        return spent, len(counting.spans)


def report_spans(spans: list[Span]) -> None:
    """The spans of one turn made and written by us, and the same by OpenTelemetry's SDK, one after the other."""
    body = trace_request({}, spans)
    ours, sdk = Tracer(Nowhere()), TracerProvider().get_tracer("bench")
    made: list[ReadableSpan] = []

    def make_ours() -> None:
        with tracing_with(ours):
            for one in spans:
                with span(one.name, one.attributes):
                    pass

    def make_theirs() -> None:
        made.clear()
        for one in spans:
            with sdk.start_as_current_span(one.name, attributes=one.attributes) as opened:
                pass
            made.append(opened)  # type: ignore[arg-type]

    def generated() -> None:
        request = ExportTraceServiceRequest()
        scope = request.resource_spans.add().scope_spans.add()
        for one in spans:
            message = scope.spans.add(
                trace_id=one.trace_id.to_bytes(16, "big"),
                span_id=one.span_id.to_bytes(8, "big"),
                parent_span_id=one.parent_id.to_bytes(8, "big"),
                name=one.name,
                kind=one.kind,  # type: ignore[arg-type]
                start_time_unix_nano=one.start_ns,
                end_time_unix_nano=one.end_ns,
            )
            for name, value in (*one.attributes.items(), *one.inherited):
                attribute = message.attributes.add(key=name)
                if isinstance(value, str):
                    attribute.value.string_value = value
                elif isinstance(value, int):
                    attribute.value.int_value = value
                elif isinstance(value, float):
                    attribute.value.double_value = value
        request.SerializeToString()

    rows: dict[str, Callable[[], object]] = {
        "made: ours": make_ours,
        "made: OpenTelemetry's SDK": make_theirs,
        "written: ours": lambda: trace_request({}, spans),
        "written: opentelemetry-proto": generated,
        "written: the SDK's encoder": lambda: encode_spans(made).SerializeToString(),
    }
    table = Table(title=f"The {len(spans)} spans of a turn, {len(body)} bytes of OTLP", box=None)
    for column in ("work", "us a span"):
        table.add_column(column, justify="left" if column == "work" else "right")
    for name, work in rows.items():
        table.add_row(name, f"{_microseconds(work) / len(spans):.1f}")
    console.print(table)
    console.print()


def _microseconds(work: Callable[[], object], times: int = 300) -> float:
    samples = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        samples.append((time.perf_counter() - began) * 1e6)
    return statistics.median(samples)


def report(spent: dict[str, list[float]], spans: int) -> None:
    table = Table(title=f"Processor time of a turn of {spans} spans, {ROUNDS} rounds of {TURNS_A_ROUND}", box=None)
    for column in ("recorded", "ms a turn", "over neither"):
        table.add_column(column, justify="left" if column == "recorded" else "right")
    for mode, samples in spent.items():
        # Of two rounds side by side, so that what else the machine does is in both.
        share = statistics.median(one / base - 1 for one, base in zip(samples, spent["neither"], strict=True))
        table.add_row(mode, f"{statistics.median(samples):.2f}", "" if mode == "neither" else f"{share:+.1%}")
    console.print(table)


def _collect(ready: Connection) -> None:
    with collecting() as collector:
        ready.send(collector.url)
        ready.recv()


def main() -> None:
    configure_logs(level="ERROR", stream=io.StringIO())
    ours, theirs = multiprocessing.Pipe()
    collector = multiprocessing.get_context("spawn").Process(target=_collect, args=(theirs,))
    collector.start()
    exporter = SpanExporter(ours.recv(), resource={"service.name": "bench"}, headers={}, chance=random.random)
    exporter.start()
    with tempfile.TemporaryDirectory(prefix="prosa-bench-") as folder:
        report(*asyncio.run(cpu_ms(Path(folder), exporter)))
    exporter.close(timedelta(seconds=2))
    ours.send("done")
    collector.join()


if __name__ == "__main__":
    main()
