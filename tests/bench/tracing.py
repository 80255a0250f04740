"""What traces and metrics cost a worker: `python -m tests.bench.tracing`, or `make bench`.

The same turns with and without them, in rounds side by side of one process whose order changes: a worker as it runs
behind Celery, on a real Redis, with its logs, asking the sandbox's model and replying to its WhatsApp over HTTP. What
counts is the processor time of the thread that works and of the one that takes the spans to a collector; sandbox and
collector are other processes. Times are of this machine at this moment; the shares are what to compare.
"""

import asyncio
import io
import itertools
import multiprocessing
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import patch

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Tracer
from prometheus_client import Counter, Gauge, Histogram
from rich.console import Console
from rich.progress import track
from rich.table import Table

from adapters.channels.whatsapp.inbound import parse
from adapters.event_loop import keep_what_is_loaded, run_serving
from contracts.settings import Settings
from contracts.values import ConversationId
from observability.logs import configure_logs
from observability.span_export import BatchExport
from observability.tracing import NO_PARENT, span, tracing_with
from sandbox.whatsapp_webhooks import envelope, inbound_text, to_bytes
from tests.collector import collecting
from tests.real_services import accepts, free_port, redis_url, start_server
from tests.spans import Kept, tracer
from webhook.receive import receiving
from worker.backends import open_backend
from worker.drain import drain
from worker.service import Worker, open_worker

ROUNDS = 150
TURNS_A_ROUND = 4
SAMPLED = 0.1
PHONE_NUMBER_ID = "100000000000001"

console = Console(highlight=False)
_numbers = itertools.count()


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


class Export:
    """A tracer whose spans go to a collector, and the threads that take them there."""

    def __init__(self, url: str, *, sample: float) -> None:
        before = set(threading.enumerate())
        self.batches = BatchExport(OTLPSpanExporter(f"{url}/v1/traces"), capacity=8_192)
        self._threads = [one for one in threading.enumerate() if one not in before]
        provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(sample)), shutdown_on_exit=False)
        provider.add_span_processor(self.batches)
        self.tracer = provider.get_tracer("bench")

    @property
    def cpu_ms(self) -> float:
        clocks = [time.pthread_getcpuclockid(one.ident or 0) for one in self._threads]
        return sum(map(time.clock_gettime, clocks)) * 1000


@dataclass
class Mode:
    """What is recorded in some of the rounds: the processor milliseconds of a turn in each of them."""

    name: str
    recording: Callable[[], AbstractContextManager[None]]
    export: Export | None = None
    rounds: list[float] = field(default_factory=list)

    @property
    def export_ms(self) -> float:
        """Of the threads that take the spans away, for one turn."""
        return self.export.cpu_ms / (len(self.rounds) * TURNS_A_ROUND) if self.export else 0.0

    @property
    def turn_ms(self) -> float:
        # The lower quartile: whatever else the machine does can only add to a round.
        return statistics.quantiles(self.rounds, n=4)[0] + self.export_ms


async def arrive(worker: Worker, count: int) -> list[ConversationId]:
    """Messages in the inbox, received as by the webhook: those of a turn that is traced name their trace."""
    # A new person each time: who writes twenty times in a minute is answered by a rule.
    phones = [f"55119{next(_numbers):08d}" for _ in range(count)]
    events = [inbound_text(phone, "Oi, bom dia", phone_number_id=PHONE_NUMBER_ID) for phone in phones]
    messages = parse(to_bytes(envelope(*events)), id_salt="bench", at=datetime.now(UTC)).messages
    with receiving(messages) as reception:
        await worker.backend.inbox.append(reception.messages)
    return [message.conversation_id for message in messages]


async def turns(worker: Worker, arrived: Sequence[ConversationId]) -> None:
    await asyncio.gather(*(drain(conversation_id, worker.engine.drain) for conversation_id in arrived))


async def measure(worker: Worker, collector_url: str) -> None:
    whole, share = Export(collector_url, sample=1.0), Export(collector_url, sample=SAMPLED)
    modes = [
        Mode("neither", uncounted),
        Mode("metrics", nullcontext),
        Mode("metrics, every turn traced", lambda: tracing_with(whole.tracer), whole),
        Mode(f"metrics, {SAMPLED:.0%} of the turns traced", lambda: tracing_with(share.tracer), share),
    ]
    chance = random.Random(0)
    for _ in range(5):
        await turns(worker, await arrive(worker, TURNS_A_ROUND))
    keep_what_is_loaded()
    for _ in track(range(ROUNDS), description="Turns", console=console, transient=True):
        for mode in chance.sample(modes, len(modes)):
            with mode.recording():
                arrived = await arrive(worker, TURNS_A_ROUND)
                began = time.thread_time()
                await turns(worker, arrived)
                mode.rounds.append((time.thread_time() - began) * 1000 / TURNS_A_ROUND)
    for export in (whole, share):
        await export.batches.flush(timedelta(seconds=5))
    report(modes)
    for export in (whole, share):
        export.batches.close(timedelta(seconds=2))
    console.print()
    report_spans(await spans_of_a_turn(worker))


async def spans_of_a_turn(worker: Worker) -> list[ReadableSpan]:
    kept = Kept()
    with tracing_with(tracer(kept)):
        await turns(worker, await arrive(worker, 1))
    return [one for one in kept.exporter.get_finished_spans() if one.name != "webhook.receive"]


def report(modes: Sequence[Mode]) -> None:
    table = Table(title=f"Processor time of a worker's turn: {ROUNDS} rounds of {TURNS_A_ROUND} turns", box=None)
    for column in ("recorded", "ms a turn", "of it export", "over neither"):
        table.add_column(column, justify="left" if column == "recorded" else "right")
    bare = modes[0].turn_ms
    for mode in modes:
        share = "" if mode is modes[0] else f"{mode.turn_ms / bare - 1:+.1%}"
        table.add_row(mode.name, f"{mode.turn_ms:.2f}", f"{mode.export_ms:.2f}" if mode.export else "", share)
    console.print(table)


def report_spans(spans: Sequence[ReadableSpan]) -> None:
    """The spans of one turn made again, sampled and not, and written as they go to the collector."""

    def make(recorder: Tracer | None) -> None:
        with tracing_with(recorder) if recorder else nullcontext(), span("webhook.receive", parent=NO_PARENT):
            for one in spans:
                with span(one.name, one.attributes or {}):  # type: ignore[arg-type]
                    pass

    def of_share(share: float) -> Tracer:
        return TracerProvider(sampler=ParentBased(TraceIdRatioBased(share)), shutdown_on_exit=False).get_tracer("bench")

    every, none = of_share(1.0), of_share(0.0)
    rows: dict[str, Callable[[], object]] = {
        "made, tracing off": lambda: make(None),
        "made, not sampled": lambda: make(none),
        "made, sampled": lambda: make(every),
        "written, in the thread that exports": lambda: encode_spans(spans).SerializeToString(),
    }
    size = len(encode_spans(spans).SerializeToString())
    table = Table(title=f"The {len(spans)} spans of a turn, {size} bytes of OTLP", box=None)
    for column in ("work", "us a span"):
        table.add_column(column, justify="left" if column == "work" else "right")
    for name, work in rows.items():
        table.add_row(name, f"{_microseconds(work) / len(spans):.1f}")
    console.print(table)


def _microseconds(work: Callable[[], object], times: int = 300) -> float:
    samples = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        samples.append((time.perf_counter() - began) * 1e6)
    return statistics.median(samples)


def _collect(ready: Connection) -> None:
    with collecting() as collector:
        ready.send(collector.url)
        ready.recv()


def worker_settings(folder: Path, sandbox_url: str, **changes: Any) -> Settings:
    """Of a worker that asks the sandbox's model and replies to its WhatsApp; on the Redis of this process."""
    given: dict[str, Any] = {
        "PROSA_ENGINE": "celery",
        "REDIS_URL": redis_url(),
        "PROSA_DATA_DIR": folder,
        "PROSA_QUIET_WINDOW_S": "0",
        "ANTHROPIC_API_KEY": "sandbox",
        "ANTHROPIC_BASE_URL": f"{sandbox_url}/anthropic",
        "WHATSAPP_APP_SECRET": "sandbox",
        "WHATSAPP_VERIFY_TOKEN": "sandbox",
        "WHATSAPP_ACCESS_TOKEN": "sandbox",
        "WHATSAPP_PHONE_NUMBER_ID": PHONE_NUMBER_ID,
        "WHATSAPP_API_URL": f"{sandbox_url}/graph/v26.0",
    }
    return Settings(**given | changes)


async def _work(folder: Path, sandbox_url: str, collector_url: str) -> None:
    settings = worker_settings(folder, sandbox_url)
    async with open_backend(settings) as backend, open_worker(settings, backend) as worker:
        await measure(worker, collector_url)


def main() -> None:
    configure_logs(stream=io.StringIO())
    ours, theirs = multiprocessing.Pipe()
    collector = multiprocessing.get_context("spawn").Process(target=_collect, args=(theirs,))
    collector.start()
    port = free_port()
    start_server([sys.executable, "-m", "sandbox", "--port", str(port)], ready=lambda: accepts(port), name="sandbox")
    try:
        with tempfile.TemporaryDirectory(prefix="prosa-bench-") as folder:
            run_serving(_work(Path(folder), f"http://127.0.0.1:{port}", ours.recv()))
    finally:
        ours.send("done")
        collector.join()


if __name__ == "__main__":
    main()
