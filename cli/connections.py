"""Connections of the HTTP server: the bounds that uvicorn does not set, around its protocol and in front of the app."""

import asyncio
import heapq
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from observability.metrics import HTTP_LIMITED

# What is not a body: the head of a request, the sizes of its chunks, its trailers.
MAX_FRAMING = 64 * 1024
# What comes while a request is being answered and is not its body.
MAX_AHEAD = 64 * 1024
HEAD_SECONDS = 10.0
UNREAD_SECONDS = 30.0
# Key of the connection in the state of a request.
CONNECTION = "prosa.connection"
BLANK_LINE = b"\r\n\r\n"
HEAD_TOO_LARGE = f"The head of a request may have {MAX_FRAMING} bytes."
TWO_HOSTS = "A request has one Host."


class Connections:
    """Limits of one server's connections: an ASGI app in front of `app`, and uvicorn's protocol made by `accept`.

    A server with `room` connections ends its oldest that wait for a request or its body: connections that only exist
    take no room from requests. The time for a body is the application's.
    """

    def __init__(self, app: ASGIApp, *, room: int) -> None:
        self._app = app
        self._room = room
        self._open: set[Connection] = set()

    def accept(self, **given: Any) -> "Connection":
        """Return the protocol of a new connection; `given` is what uvicorn gives to its own."""
        return Connection(self._open, self._room, given)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection: Connection = scope["state"][CONNECTION]
        refusal = connection.begin(scope)

        async def take(*, of: Receive = receive) -> Message:
            connection.feed_soon()
            message = await of()
            connection.took(message)
            return message

        async def answer(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                connection.end(scope)

        try:
            await (refusal or self._app)(scope, take if connection.is_chunked else receive, answer)
        finally:
            connection.end(scope)


class Connection(asyncio.Protocol):
    """One connection, in front of uvicorn's protocol: every byte reaches that in order, but one request at a time.

    A head is given up to its blank line; what follows waits until the app has it, which knows how long the body is,
    and what follows the body until the answer has ended. Nothing here depends on where a request ends for uvicorn.
    """

    def __init__(self, others: set["Connection"], room: int, given: dict[str, Any]) -> None:
        # The state of the lifespan, which the server copies into the scope of each request.
        self._state = {**given["app_state"], CONNECTION: self}
        self._server = HttpToolsProtocol(**given | {"app_state": self._state})
        self._others, self._room = others, room
        self._loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport
        self._answered: Scope | None = None
        self._ahead, self._tail = bytearray(), b""
        self._body_left = self._framing = 0
        # Whether what the server was given may have completed a request that the app does not have yet.
        self._may_begin = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self.is_chunked = False
        self.since = self._loop.time()

    @property
    def is_waiting(self) -> bool:
        """Whether no complete request is being answered."""
        return self._answered is None or self._body_left > 0 or self.is_chunked

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self._server.connection_made(transport)
        self._expect_head()
        if len(self._others) + 1 >= self._room:
            waiting = [one for one in self._others if one.is_waiting]
            # Several at once, so that a flood is not searched for each of its connections.
            for one in heapq.nsmallest(max(1, self._room // 20), waiting, key=lambda one: one.since):
                self._others.discard(one)
                one.cut("full")
        self._others.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._others.discard(self)
        for timer in (self._head_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        self._state.clear()
        self._server.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._ahead += data
        self._feed()

    def eof_received(self) -> None:
        self._server.eof_received()

    def pause_writing(self) -> None:
        self._server.pause_writing()
        self._unread_timer = self._loop.call_later(UNREAD_SECONDS, self.cut, "unread")

    def resume_writing(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
        self._server.resume_writing()

    def begin(self, request: Scope) -> ASGIApp | None:
        """Note that the app has a request; return the answer to one that is not to be served."""
        self._answered, self.since = request, self._loop.time()
        self._framing = self._body_left = 0
        self._may_begin = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        size, hosts = len(request["raw_path"]) + len(request["query_string"]), 0
        for name, value in request["headers"]:
            size += len(name) + len(value) + 4
            if name == b"content-length":
                self._body_left = int(value)
            elif name == b"transfer-encoding":
                self.is_chunked = True
            elif name == b"host":
                hosts += 1
        self._feed()
        if hosts <= 1 and size <= MAX_FRAMING:
            return None
        # With two hosts a proxy may have looked at the other one.
        reason, text = ("hosts", TWO_HOSTS) if hosts > 1 else ("head_size", HEAD_TOO_LARGE)
        HTTP_LIMITED.labels(reason).inc()
        return PlainTextResponse(text, 400, headers={"connection": "close"})

    def took(self, message: Message) -> None:
        """Note that the app took a piece of a body of unknown length."""
        self._framing -= len(message.get("body", b""))
        self.is_chunked = message.get("more_body", False)

    def end(self, request: Scope) -> None:
        """Note that the request is answered; a second time changes nothing."""
        if self._answered is request:
            self._answered, self.since = None, self._loop.time()
            self.is_chunked, self._framing = False, 0
            self._feed()

    def cut(self, reason: str) -> None:
        """End the connection without an answer."""
        HTTP_LIMITED.labels(reason).inc()
        self.transport.abort()

    def feed_soon(self) -> None:
        """Give more to the server in a moment: once it reads on, or the app has the request."""
        if self._ahead:
            self._loop.call_soon(self._feed_on)

    def _feed_on(self) -> None:
        self._may_begin = False
        self._feed()

    def _feed(self) -> None:
        """Give the server what it may have by now."""
        while self._ahead and not self._may_begin and not self.transport.is_closing():
            if self._body_left:
                size = min(self._body_left, len(self._ahead))
                self._body_left -= size
                self._give(size)
            elif self._answered is None or (self.is_chunked and self.transport.is_reading()):
                self._give_to_blank_line()
            elif self.is_chunked or len(self._ahead) <= MAX_AHEAD:
                break
            else:
                self.cut("pipeline")

    def _give_to_blank_line(self) -> None:
        """Give up to where a head ends, or a chunked body."""
        at = (self._tail + self._ahead if self._tail else self._ahead).find(BLANK_LINE)
        self._may_begin = at >= 0
        size = at + len(BLANK_LINE) - len(self._tail) if self._may_begin else len(self._ahead)
        self._framing += size
        self._tail = b"" if self._may_begin else (self._tail + self._ahead[-3:])[-3:]
        if self._answered is None:
            self._expect_head()
        self._give(size)
        if self._may_begin:
            self._loop.call_soon(self._feed_on)
        elif self._answered is None and self._framing > MAX_FRAMING and not self.transport.is_closing():
            HTTP_LIMITED.labels("head_size").inc()
            head = f"HTTP/1.1 400 Bad Request\r\ncontent-length: {len(HEAD_TOO_LARGE)}\r\nconnection: close\r\n\r\n"
            self.transport.write((head + HEAD_TOO_LARGE).encode())
            self.transport.close()
        # Of a body that the app has not taken the server keeps as much before it stops reading.
        elif self._framing > 2 * MAX_FRAMING and self.transport.is_reading():
            self.cut("head_size")

    def _give(self, size: int) -> None:
        piece = bytes(self._ahead[:size])
        del self._ahead[:size]
        self._server.data_received(piece)
        if self.transport.is_closing():
            # The one reason for which it closes here: it has answered 400.
            HTTP_LIMITED.labels("unreadable").inc()

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self._loop.call_later(HEAD_SECONDS, self.cut, "head_time")
