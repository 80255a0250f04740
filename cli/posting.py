"""Minimal HTTP client for load tests: posts to one or several servers over persistent connections.

A client on the server's own machine takes CPU from it, which would distort the measurement.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httptools

from contracts.errors import ConfigurationError

ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class Target:
    """Address of a server, and the first lines of every post to it."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    head: bytes

    @classmethod
    def of(cls, url: str) -> "Target":
        """Parse an http or https address. Raises ConfigurationError: it is none."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"{url} is not an http or https address")
        secure = parts.scheme == "https"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = f"POST {path} HTTP/1.1\r\nhost: {parts.netloc}\r\n".encode()
        tls = ssl.create_default_context() if secure else None
        return cls(parts.hostname, parts.port or (443 if secure else 80), tls, head)


class Poster:
    """Pool of up to `connections`, which take turns among the servers; each post goes over a connection of its own."""

    def __init__(self, urls: Sequence[str], *, connections: int) -> None:
        """Take the servers' addresses. Raises ConfigurationError: one of them is none."""
        self._targets = [Target.of(url) for url in urls]
        self._room = asyncio.Semaphore(connections)
        self._idle: deque[_Connection] = deque()
        self._opened = 0

    async def open(self, count: int) -> None:
        """Open so many connections before they are needed. Raises OSError: a server is not there."""
        self._idle += [await self._connected() for _ in range(count)]

    async def post(self, body: bytes, headers: dict[str, str]) -> str:
        """Return the response's status, or the name of the error that prevented it."""
        async with self._room:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    connection = self._take() or await self._connected()
                    try:
                        status = await connection.post(body, headers)
                    except BaseException:
                        connection.close()
                        raise
            except (OSError, TimeoutError, httptools.HttpParserError) as exc:
                return type(exc).__name__
            if connection.is_open:
                self._idle.append(connection)
            return str(status)

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _take(self) -> "_Connection | None":
        while self._idle:
            # The oldest first, so that all of them are in use and none is idle until its server closes it.
            connection = self._idle.popleft()
            if connection.is_open:
                return connection
        return None

    async def _connected(self) -> "_Connection":
        target = self._targets[self._opened % len(self._targets)]
        self._opened += 1
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: _Connection(target.head), target.host, target.port, ssl=target.tls
        )
        return connection


class _Connection(asyncio.Protocol):
    """One post after the other; httptools calls `on_message_complete` and the other callbacks."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._transport: Any = None
        self._answer: asyncio.Future[int] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self.is_open = True

    async def post(self, body: bytes, headers: dict[str, str]) -> int:
        """Return the status of the answer.

        Raises:
            ConnectionError: the connection ended before the answer did.
            HttpParserError: it is no HTTP.
        """
        if self._transport is None or not self.is_open:
            raise ConnectionResetError("closed")
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(b"%b%bcontent-length: %d\r\n\r\n%b" % (self._head, fields.encode(), len(body), body))
        return await self._answer

    def close(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self._end(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc if isinstance(exc, OSError) else ConnectionResetError("closed"))

    def on_message_complete(self) -> None:
        self.is_open = self.is_open and self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(self._parser.get_status_code())
        if not self.is_open:
            self.close()

    def _end(self, exc: Exception) -> None:
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc)
