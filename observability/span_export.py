"""Ended spans, taken to a collector behind everybody's back: OTLP over HTTP, from a thread of its own.

The thread knows no event loop, so that it serves every kind of process. Nothing here is waited for, and nothing is
unbounded: a collector that is away, slow or silent costs spans, which are counted, and nothing else. Source of the
answers' meaning: https://opentelemetry.io/docs/specs/otlp/#otlphttp-response.
"""

import asyncio
import http.client
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from enum import Enum, auto
from urllib.parse import urlsplit

import certifi

from observability.logs import logger
from observability.metrics import note_spans_dropped
from observability.otlp import trace_request
from observability.tracing import Attribute, Span

log = logger(__name__)

CAPACITY = 8_192
BATCH = 512
# As OpenTelemetry waits between two batches (OTEL_BSP_SCHEDULE_DELAY).
EVERY_SECONDS = 5.0
TIMEOUT_SECONDS = 3.0
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
TELL_EVERY_SECONDS = 60.0
AGAIN_LATER = frozenset({429, 502, 503, 504})


class _Answer(Enum):
    """What became of a batch: the collector has it, may be asked again, or it is gone."""

    TAKEN = auto()
    LATER = auto()
    LOST = auto()


class SpanExporter:
    """Satisfies the tracer's `Exporter`. `endpoint` is what `OTEL_EXPORTER_OTLP_ENDPOINT` says: `/v1/traces` is added.

    Spans leave every five seconds, or when half of `capacity` wait; at most `capacity` do, then the oldest are dropped.
    A batch without an answer is not sent again, since the collector may have it. `chance` gives a number in [0, 1) for
    the jitter of the pauses.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        resource: Mapping[str, Attribute],
        headers: Mapping[str, str],
        chance: Callable[[], float],
        capacity: int = CAPACITY,
        every_seconds: float = EVERY_SECONDS,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._collector = _Collector(endpoint, headers, timeout_seconds)
        self._resource = resource
        self._chance = chance
        self._capacity = capacity
        self._half = capacity // 2
        self._every = every_seconds
        self._ended: deque[Span] = deque(maxlen=capacity)
        self._bell = threading.Event()
        self._closing = False
        self._failures = 0
        self._told_at = float("-inf")
        self._flushes: deque[Callable[[], object]] = deque()
        self._thread = threading.Thread(target=self._live, name="spans", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(self, span: Span) -> None:
        waiting = len(self._ended)
        if waiting == self._capacity:
            note_spans_dropped("full", 1)
        elif waiting == self._half and not self._failures:
            self._bell.set()
        self._ended.append(span)

    async def flush(self, limit: timedelta) -> None:
        if self._failures or not self._thread.is_alive():
            return
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        self._flushes.append(lambda: loop.call_soon_threadsafe(done.set))
        self._bell.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(limit.total_seconds()):
                await done.wait()

    def close(self, limit: timedelta) -> None:
        """Send what waits, if that is quick, and end; the rest is dropped."""
        self._closing = True
        self._bell.set()
        self._thread.join(limit.total_seconds())
        note_spans_dropped("closed", len(self._ended))

    def _live(self) -> None:
        closing = False
        while not closing:
            self._bell.wait(self._pause())
            self._bell.clear()
            closing = self._closing
            flushes = [self._flushes.popleft() for _ in range(len(self._flushes))]
            self._send_waiting()
            for is_done in flushes:
                # Its loop may be closed by now, and then nobody waits any more.
                with suppress(RuntimeError):
                    is_done()
        self._collector.close()

    def _pause(self) -> float:
        if not self._failures:
            return self._every
        ceiling: float = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(self._failures - 1, 10))
        return ceiling * (0.5 + self._chance() / 2)

    def _send_waiting(self) -> None:
        """Send what has ended until now. The oldest come first; those that may be sent again go back to their place."""
        left = len(self._ended)
        while left > 0:
            batch = self._take(min(left, BATCH))
            left -= BATCH
            answer = self._collector.post(trace_request(self._resource, batch))
            if answer is _Answer.TAKEN:
                self._recover()
                continue
            if answer is _Answer.LATER:
                self._put_back(batch)
            else:
                note_spans_dropped("lost", len(batch))
            self._fail()
            return

    def _take(self, count: int) -> list[Span]:
        batch: list[Span] = []
        # Those that were dropped meanwhile are not there any more.
        with suppress(IndexError):
            batch.extend(self._ended.popleft() for _ in range(count))
        return batch

    def _put_back(self, batch: list[Span]) -> None:
        room = self._capacity - len(self._ended)
        kept = batch[max(0, len(batch) - room) :]
        note_spans_dropped("full", len(batch) - len(kept))
        self._ended.extendleft(reversed(kept))

    def _fail(self) -> None:
        """Say it once a minute at most: an outage of the collector is one event."""
        self._failures += 1
        if time.monotonic() - self._told_at >= TELL_EVERY_SECONDS:
            self._told_at = time.monotonic()
            log.warning("tracing.failing", count=self._failures)

    def _recover(self) -> None:
        if self._failures:
            log.info("tracing.recovered", count=self._failures)
            self._failures = 0


class _Collector:
    """One kept connection to the collector."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], timeout_seconds: float) -> None:
        parts = urlsplit(endpoint)
        self._is_secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._path = f"{parts.path.rstrip('/')}/v1/traces"
        self._headers = {"Content-Type": "application/x-protobuf", "User-Agent": "Prosa", **headers}
        self._timeout = timeout_seconds
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes) -> _Answer:
        was_open = self._connection is not None
        answer = self._try(body)
        # A connection that was kept may be closed at the other end; what was sent into it did not arrive.
        if answer is None and was_open:
            answer = self._try(body)
        return answer or _Answer.LATER

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _try(self, body: bytes) -> _Answer | None:
        """What the collector answered; None when it did not get the batch."""
        try:
            connection = self._opened()
            connection.request("POST", self._path, body, self._headers)
        except OSError:
            self.close()
            return None
        try:
            response = connection.getresponse()
            response.read()
        except (ConnectionError, http.client.RemoteDisconnected):
            self.close()
            return None
        except (OSError, http.client.HTTPException):
            self.close()
            return _Answer.LOST
        if 200 <= response.status < 300:
            return _Answer.TAKEN
        self.close()
        return _Answer.LATER if response.status in AGAIN_LATER else _Answer.LOST

    def _opened(self) -> http.client.HTTPConnection:
        if self._connection is None:
            self._connection = self._new()
            self._connection.connect()
        return self._connection

    def _new(self) -> http.client.HTTPConnection:
        if not self._is_secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        context = ssl.create_default_context(cafile=certifi.where())
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=context)
