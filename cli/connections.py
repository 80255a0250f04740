"""Connections of the HTTP server: the bounds that uvicorn's protocol does not set."""

import asyncio
import heapq

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from observability.metrics import HTTP_LIMITED

# What is not a body: the head of a request, the sizes of its chunks, its trailers.
MAX_FRAMING = 64 * 1024
MAX_PIPELINED = 16
HEAD_SECONDS = 10.0
UNREAD_SECONDS = 30.0


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits for size and time of a head, for the pipeline, and for answers left unread.

    A server that is full ends its oldest connections that wait for a request or its body: connections that only exist
    take no room from requests. The time for a body is the application's.
    """

    since = 0.0
    _framing = 0
    _is_in_body = False
    _reason = "unreadable"
    _head_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether no complete request is being answered."""
        return not self.pipeline and (self.cycle is None or self.cycle.response_complete or self.cycle.more_body)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.since = self.loop.time()
        self._expect_head()
        room = self.config.limit_concurrency
        if room is not None and len(self.connections) >= room:
            waiting = [one for one in self.connections if isinstance(one, BoundedProtocol) and one.is_waiting]
            waiting.remove(self)
            # Several at once, so that a flood is not searched for each of its connections.
            for one in heapq.nsmallest(max(1, room // 20), waiting, key=lambda one: one.since):
                self.connections.discard(one)
                one.cut("full")

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._framing += len(data)
        if not self._is_in_body:
            self._expect_head()
        super().data_received(data)
        if self._framing > MAX_FRAMING and not self.transport.is_closing():
            self._reason = "head_size"
            self.send_400_response(f"The head of a request may have {MAX_FRAMING} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.since = self.loop.time()
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._is_in_body = True
        if sum(name == b"host" for name, _ in self.headers) > 1:
            # A proxy may have looked at the other one.
            self._refuse("hosts")
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_FRAMING:
            self._refuse("head_size")
        super().on_headers_complete()
        if len(self.pipeline) > MAX_PIPELINED:
            self._refuse("pipeline")

    def on_body(self, body: bytes) -> None:
        self._framing = max(0, self._framing - len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_in_body, self._framing = False, 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        HTTP_LIMITED.labels(self._reason).inc()
        super().send_400_response(msg)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.since = self.loop.time()
        if self.pipeline:
            # Else each answer would let in one more piece of an endless pipeline.
            self.flow.pause_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_timer = self.loop.call_later(UNREAD_SECONDS, self.cut, "unread")

    def resume_writing(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
        super().resume_writing()

    def cut(self, reason: str) -> None:
        """End the connection without an answer."""
        HTTP_LIMITED.labels(reason).inc()
        self.transport.abort()

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._miss_head)

    def _miss_head(self) -> None:
        self._head_timer = None
        if self.flow.read_paused:
            self._expect_head()
        else:
            self.cut("head_time")

    def _refuse(self, reason: str) -> None:
        """Have the parser fail, which uvicorn answers with 400 and the end of the connection."""
        self._reason = reason
        raise ValueError(reason)
