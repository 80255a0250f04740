"""Export of ended spans by OpenTelemetry's batch processor, with counts of lost spans.

Imported only where traces are recorded. Nothing waits for it, and it is bounded: an unavailable, slow or silent
collector costs spans, which are counted, and nothing else.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from queue import SimpleQueue

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from observability.logs import logger
from observability.metrics import note_spans_dropped

log = logger(__name__)

LOG_EVERY_SECONDS = 60.0


class CountedExporter(SpanExporter):
    """Another exporter with counters of its spans, and one log line a minute while it fails.

    `taken` counts the spans handed to it, `settled` the exported and lost ones, `failures` the batches that failed in a
    row.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._logged_at = float("-inf")
        self.taken = 0
        self.settled = 0
        self.failures = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            note_spans_dropped("lost", len(spans))
            self.failures += 1
            # At most once a minute: an outage of the collector is one event.
            if time.monotonic() - self._logged_at >= LOG_EVERY_SECONDS:
                self._logged_at = time.monotonic()
                log.warning("tracing.failing", count=self.failures)
        elif self.failures:
            log.info("tracing.recovered", count=self.failures)
            self.failures = 0
        self.settled += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class BatchExport(BatchSpanProcessor):
    """OpenTelemetry's batch processor for `exporter`, with at most `capacity` waiting spans.

    When full it drops the oldest without a public count, so the difference of both counters is taken here; of spans
    that end in two threads at once one may be missed. The `OTEL_BSP_*` variables configure everything else.
    """

    def __init__(self, exporter: SpanExporter, *, capacity: int) -> None:
        self._counted = CountedExporter(exporter)
        self._capacity = capacity
        self._kept = 0
        self._flushes: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        super().__init__(self._counted, max_queue_size=capacity)
        threading.Thread(target=self._flush_forever, name="span-flush", daemon=True).start()

    @property
    def is_failing(self) -> bool:
        return self._counted.failures > 0

    def on_end(self, span: ReadableSpan) -> None:
        # A batch leaves the queue before it is counted: the difference may count it as dropped for a moment.
        self._kept = max(self._kept, self._counted.taken)
        if self._kept - self._counted.taken >= self._capacity:
            note_spans_dropped("full", 1)
        else:
            self._kept += 1
        super().on_end(span)

    async def flush(self, limit: timedelta) -> None:
        """Wait until all ended spans are exported, at most `limit`; return at once while the exporter fails."""
        if self.is_failing or self._kept <= self._counted.settled:
            return
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        self._flushes.put(lambda: loop.call_soon_threadsafe(done.set))
        with suppress(TimeoutError):
            async with asyncio.timeout(limit.total_seconds()):
                await done.wait()

    def close(self, limit: timedelta) -> None:
        """Export the waiting spans, if that is quick, and stop; the rest is dropped."""
        # The processor's own shutdown waits half a minute for a silent collector, and its threads end with the process.
        closing = threading.Thread(target=self.shutdown, name="span-shutdown", daemon=True)
        closing.start()
        closing.join(limit.total_seconds())
        if closing.is_alive():
            # Ends the exporter's wait for its next attempt, and with it the thread.
            self._counted.shutdown()
        self._flushes.put(None)
        note_spans_dropped("closed", max(0, self._kept - self._counted.settled))

    def _flush_forever(self) -> None:
        """Flush for one caller after the other, in a separate thread: the processor's flush blocks without limit."""
        while is_done := self._flushes.get():
            self.force_flush()
            # The loop of a caller that gave up may be closed.
            with suppress(RuntimeError):
                is_done()
