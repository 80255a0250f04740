"""One Redis; what is asked of it in the same moment, by whomever, shares one write and one read.

All of Prosa's keys begin with `prosa:`. Scripts make some of their keys themselves (a message's conversation is found
by its deduplication key), so this is one primary, with or without replicas, and not a Redis Cluster.
"""

import asyncio
import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import (
    ClusterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.maint_notifications import MaintNotificationsConfig

from contracts.errors import StoreUnavailableError, TransientError

PREFIX = "prosa:"
CONNECT_TIMEOUT = timedelta(milliseconds=500)
COMMAND_TIMEOUT = timedelta(seconds=1)
CONNECTIONS = 8
FLUSH_LIMIT = 512
# Finds out, without a round trip, that the other end of an idle connection is gone: Linux's option numbers
# TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT, in seconds and times.
KEEP_ALIVE = {4: 15, 5: 5, 6: 3}

# Answers that speak of the server's condition; any other error reply is a defect of ours and concerns one caller.
SERVER_CONDITIONS = (OutOfMemoryError, ReadOnlyError, NoPermissionError, ClusterDownError, TryAgainError)
SERVER_CONDITION_CODES = ("MISCONF", "NOREPLICAS", "BUSY")

Argument = str | bytes | int | float


@dataclass(frozen=True)
class Script:
    """Lua that runs as one step: nothing comes between its first look and its last write."""

    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> "Script":
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())

    @classmethod
    def read(cls, path: Path) -> "Script":
        return cls.of(path.read_text(encoding="utf-8"))


@dataclass(slots=True)
class _Call:
    packed: bytes
    script: Script | None
    unavailable: type[TransientError]
    future: "asyncio.Future[Any]"


class RedisDatabase:
    """Sends commands and scripts; calls that wait together leave together, in one flush on one connection.

    Nothing is sent a second time when its answer got lost: whether it ran is not known here, and what may be repeated
    (an append, which deduplicates; a commit, which compares) is repeated by who called. The one exception are scripts
    that the server answers not to know: they have not run, so they are sent again behind their text.
    """

    def __init__(
        self,
        url: str,
        *,
        connect_timeout: timedelta = CONNECT_TIMEOUT,
        command_timeout: timedelta = COMMAND_TIMEOUT,
        connections: int = CONNECTIONS,
    ) -> None:
        self._timeout = command_timeout.total_seconds()
        self._limit = connections
        source = ConnectionPool.from_url(
            url,
            protocol=2,
            driver_info=None,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
            # The time-out of a flush is one for all of it, below; one for each answer would cost as much as the answer.
            socket_timeout=None,
            socket_connect_timeout=connect_timeout.total_seconds(),
            socket_keepalive=True,
            socket_keepalive_options=KEEP_ALIVE,
        )
        self._make_connection: Callable[[], AbstractConnection] = source.make_connection
        self._idle: list[AbstractConnection] = []
        self._waiting: list[_Call] = []
        self._flushing: set[asyncio.Task[None]] = set()
        self._closed = False
        self.flushes = 0

    async def command(self, *parts: Argument, unavailable: type[TransientError] = StoreUnavailableError) -> Any:
        """Send one command; return its reply as it came (bytes, int, list or None).

        Raises:
            `unavailable`: no connection, no answer in time, or a server that cannot do its work now.
            ResponseError: the command itself is wrong.
        """
        return await self._call(parts, None, unavailable)

    async def run(
        self, script: Script, *arguments: Argument, unavailable: type[TransientError] = StoreUnavailableError
    ) -> Any:
        """Run the script with `arguments` as its ARGV; as `command` otherwise."""
        return await self._call(("EVALSHA", script.sha, 0, *arguments), script, unavailable)

    async def ping(self, *, unavailable: type[TransientError] = StoreUnavailableError) -> None:
        """Return when the server takes a write.

        Raises:
            `unavailable`: it does not.
        """
        await self.command("SET", f"{PREFIX}ping", "", "PX", 1000, unavailable=unavailable)

    async def problems(self) -> list[str]:
        """Why this server must not hold what has to last, each with the next step; empty when it may.

        Asks INFO alone, since managed servers refuse CONFIG.
        """
        info = _parse_info(await self.command("INFO"))
        checks = (
            (
                info.get("maxmemory_policy") == "noeviction",
                f"this Redis drops keys when its memory is full (maxmemory-policy is {info.get('maxmemory_policy')}), "
                "and messages with them: set maxmemory-policy to noeviction",
            ),
            (
                info.get("aof_enabled") == "1",
                "this Redis forgets what it took when it restarts: set appendonly to yes",
            ),
            (
                info.get("role") == "master",
                "this Redis is a read-only replica: give the address of its primary",
            ),
            (
                info.get("cluster_enabled", "0") == "0",
                "this Redis is a cluster, over which a script cannot be one step: give the address of a single primary",
            ),
        )
        return [problem for holds, problem in checks if not holds]

    async def connect(self) -> AbstractConnection:
        """A connection outside the flushes, for who listens; whoever asked for it disconnects it.

        Raises:
            RedisError, OSError: no connection.
        """
        connection = self._make_connection()
        async with asyncio.timeout(self._timeout):
            await connection.connect()  # type: ignore[no-untyped-call]
        return connection

    async def close(self) -> None:
        """Finish what is waiting and close the connections."""
        self._closed = True
        while self._flushing:
            await asyncio.wait(self._flushing)
        await self._drop_idle()

    async def _call(self, parts: Sequence[Argument], script: Script | None, unavailable: type[TransientError]) -> Any:
        if self._closed:
            raise unavailable("the connection to Redis is closed")
        loop = asyncio.get_running_loop()
        call = _Call(_pack(*parts), script, unavailable, loop.create_future())
        self._waiting.append(call)
        if len(self._waiting) == 1:
            # Not now but at the end of this tick of the loop, together with whoever else asks in it.
            loop.call_soon(self._start_flushes)
        return await call.future

    def _start_flushes(self) -> None:
        """As many flushes as there are connections; what is left over joins the next one that becomes free."""
        while self._waiting and len(self._flushing) < self._limit:
            calls, self._waiting = self._waiting[:FLUSH_LIMIT], self._waiting[FLUSH_LIMIT:]
            if wanted := [call for call in calls if not call.future.done()]:
                task = asyncio.create_task(self._flush(wanted))
                self._flushing.add(task)
                task.add_done_callback(self._flushed)

    def _flushed(self, task: "asyncio.Task[None]") -> None:
        self._flushing.discard(task)
        self._start_flushes()

    async def _flush(self, calls: list[_Call]) -> None:
        self.flushes += 1
        try:
            async with asyncio.timeout(self._timeout):
                connection = await self._take_connection()
                replies = await _exchange(connection, calls)
            self._idle.append(connection)
        except (RedisError, OSError) as exc:
            # The other connections were most likely cut by the same thing: let each failure be paid for once.
            await self._drop_idle()
            for call in calls:
                _fail(call, exc)
        else:
            for call, reply in zip(calls, replies, strict=True):
                _settle(call, reply)
        finally:
            for call in calls:
                _fail(call, ConnectionError("stopped"))

    async def _take_connection(self) -> AbstractConnection:
        while self._idle:
            connection = self._idle.pop()
            if not await connection.can_read():
                return connection
            # Nothing was asked yet, so what there is to read is its end.
            await connection.disconnect(nowait=True)
        return await self.connect()

    async def _drop_idle(self) -> None:
        dropped, self._idle = self._idle, []
        for connection in dropped:
            await connection.disconnect(nowait=True)


def _pack(*parts: Argument) -> bytes:
    packed: bytes = hiredis.pack_command(parts)  # type: ignore[arg-type]  # its stub says a tuple of one
    return packed


async def _exchange(connection: AbstractConnection, calls: list[_Call]) -> list[Any]:
    replies = await _round_trip(connection, [call.packed for call in calls])
    unknown = [n for n, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if unknown:
        texts = {script.text for n in unknown if (script := calls[n].script)}
        loads = [_pack("SCRIPT", "LOAD", text) for text in texts]
        again = await _round_trip(connection, [*loads, *(calls[n].packed for n in unknown)])
        for n, reply in zip(unknown, again[len(loads) :], strict=True):
            replies[n] = reply
    return replies


async def _round_trip(connection: AbstractConnection, packed: Iterable[bytes]) -> list[Any]:
    packed = list(packed)
    await connection.send_packed_command(b"".join(packed), check_health=False)
    return [await _reply(connection) for _ in packed]


async def _reply(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response(timeout=math.inf)
    except ResponseError as exc:
        return exc


def _settle(call: _Call, reply: Any) -> None:
    if isinstance(reply, ResponseError):
        if isinstance(reply, SERVER_CONDITIONS) or str(reply).startswith(SERVER_CONDITION_CODES):
            _fail(call, reply)
        elif not call.future.done():
            call.future.set_exception(reply)
    elif not call.future.done():
        call.future.set_result(reply)


def _fail(call: _Call, exc: Exception) -> None:
    if not call.future.done():
        error = call.unavailable(f"Redis: {exc or type(exc).__name__}")
        error.__cause__ = exc
        call.future.set_exception(error)


def _parse_info(info: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in info.decode().splitlines() if not line.startswith("#"))
    return {name: value for name, _, value in pairs}
