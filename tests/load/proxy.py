"""A TCP proxy that misbehaves on command: it delays, throttles, cuts, resets, swallows and closes one half."""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto

CHUNK = 65_536
# Closing with this makes the other end see a reset instead of an orderly end.
RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Direction:
    """How bytes travel one way: late by `delay_s`, at most `bytes_per_s` of them, or, when `swallowed`, not at all."""

    delay_s: float = 0.0
    bytes_per_s: float | None = None
    swallowed: bool = False


SWALLOWED = Direction(swallowed=True)


@dataclass(frozen=True)
class Weather:
    """Both directions of every connection."""

    to_server: Direction = Direction()
    to_client: Direction = Direction()


CLEAR = Weather()


class Trouble(Enum):
    """What a part of a run brings over everybody."""

    REFUSING = auto()
    SILENT = auto()


class Proxy:
    """Listens on `port` and passes everything to a server, as `weather` says at each moment."""

    def __init__(self, host: str, port: int) -> None:
        self._server_host, self._server_port = host, port
        self._links: set[_Link] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Server | None = None
        self._troubles: Counter[Trouble] = Counter()
        self.weather = CLEAR
        self.port = 0

    async def open(self) -> None:
        self._listening = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.close()
        self.cut()
        if self._serving:
            await asyncio.wait(self._serving)

    def direction(self, *, to_server: bool) -> Direction:
        """How bytes travel now."""
        if self._troubles[Trouble.SILENT]:
            return SWALLOWED
        return self.weather.to_server if to_server else self.weather.to_client

    def cut(self) -> None:
        """End every connection in order, as a server that is shut down does."""
        for link in list(self._links):
            link.close()

    def reset(self) -> None:
        """End every connection with a reset, as a server that is killed, or a firewall, does."""
        for link in list(self._links):
            link.reset()

    def half_close(self, *, to_server: bool) -> None:
        """Send no more in one direction, and say so to who reads there; the other direction goes on."""
        for link in list(self._links):
            link.half_close(to_server=to_server)

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Inside nobody gets through: connections are reset, new ones closed at once."""
        self.reset()
        with self._while(Trouble.REFUSING):
            yield

    @asynccontextmanager
    async def silence(self) -> AsyncIterator[None]:
        """Inside connections stay open and nothing comes through; what was sent in it is lost, and they end with it."""
        with self._while(Trouble.SILENT):
            yield
        self.reset()

    @contextmanager
    def _while(self, trouble: Trouble) -> Iterator[None]:
        """Troubles may overlap: each ends when the last who brought it takes it away."""
        self._troubles[trouble] += 1
        try:
            yield
        finally:
            self._troubles[trouble] -= 1

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._troubles[Trouble.REFUSING]:
            _reset(writer)
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(self._server_host, self._server_port)
        except OSError:
            _reset(writer)
            return
        link = _Link(self, (reader, writer), (server_reader, server_writer))
        self._links.add(link)
        try:
            await link.carry()
        finally:
            self._links.discard(link)


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: Ends, server: Ends) -> None:
        self._proxy = proxy
        self._client, self._server = client, server
        self._closed_halves: set[bool] = set()

    async def carry(self) -> None:
        both = [
            asyncio.create_task(self._pump(self._client[0], self._server[1], to_server=True)),
            asyncio.create_task(self._pump(self._server[0], self._client[1], to_server=False)),
        ]
        try:
            await asyncio.wait(both)
        finally:
            for task in both:
                task.cancel()
            self.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to_server: bool) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                direction = self._proxy.direction(to_server=to_server)
                if direction.delay_s:
                    await asyncio.sleep(direction.delay_s)
                if direction.bytes_per_s:
                    await asyncio.sleep(len(chunk) / direction.bytes_per_s)
                if direction.swallowed or to_server in self._closed_halves:
                    continue
                writer.write(chunk)
                await writer.drain()
        with suppress(OSError, RuntimeError):
            if writer.can_write_eof() and to_server not in self._closed_halves:
                writer.write_eof()

    def half_close(self, *, to_server: bool) -> None:
        self._closed_halves.add(to_server)
        with suppress(OSError, RuntimeError):
            (self._server if to_server else self._client)[1].write_eof()

    def close(self) -> None:
        for _, writer in (self._client, self._server):
            writer.close()

    def reset(self) -> None:
        for _, writer in (self._client, self._server):
            _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
