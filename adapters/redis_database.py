"""One Redis; what is asked of it in the same moment, by whomever, shares one write and one read.

All of Prosa's keys begin with `prosa:`. Scripts make some of their keys themselves (a message's conversation is found
by its deduplication key), so this is one primary, with or without replicas, and not a Redis Cluster.
"""

import asyncio
import hashlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.maint_notifications import MaintNotificationsConfig

from adapters.redis_wire import Call, Wire, pack
from contracts.errors import ConfigurationError, StoreUnavailableError, TransientError

PREFIX = "prosa:"
CONNECT_TIMEOUT = timedelta(milliseconds=500)
COMMAND_TIMEOUT = timedelta(seconds=1)
# Finds out, without a round trip, that the other end of an idle connection is gone: Linux's option numbers
# TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT, in seconds and times.
KEEP_ALIVE = {4: 15, 5: 5, 6: 3}

# How a server that hangs is told from one that is not there.
SILENCE = (TimeoutError, RedisTimeoutError)

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


class RedisDatabase:
    """Sends commands and scripts over one connection; calls that wait together leave together, in one flush.

    Nothing is sent a second time when its answer got lost: whether it ran is not known here, and what may be repeated
    (an append, which deduplicates; a commit, which compares) is repeated by who called. The one exception are scripts
    that the server answers not to know: they have not run, so they are sent again behind their text.

    With `refuse_after`, a server that has said nothing for so long while it was asked is not asked any more until it
    answers a ping: whoever calls meanwhile is refused at once, and only the first ones wait for their time-out. That is
    for who must say no quickly; others had better wait for a server that is slow.

    Raises:
        ConfigurationError: `url` names a file of certificates that is not there.
        ValueError: `url` is no address of a Redis.
    """

    def __init__(
        self,
        url: str,
        *,
        connect_timeout: timedelta = CONNECT_TIMEOUT,
        command_timeout: timedelta = COMMAND_TIMEOUT,
        refuse_after: timedelta | None = None,
    ) -> None:
        self._timeout = command_timeout.total_seconds()
        self._refuse_after = refuse_after.total_seconds() if refuse_after else None
        source = ConnectionPool.from_url(
            url,
            protocol=2,
            driver_info=None,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
            socket_timeout=None,
            socket_connect_timeout=connect_timeout.total_seconds(),
            socket_keepalive=True,
            socket_keepalive_options=KEEP_ALIVE,
        )
        authority = source.connection_kwargs.get("ssl_ca_certs")
        if authority is not None and not Path(authority).is_file():
            raise ConfigurationError(f"the address of Redis says ssl_ca_certs={authority}, and there is no such file")
        self._make_connection: Callable[[], AbstractConnection] = source.make_connection
        self._wire: Wire | None = None
        self._opening: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None
        self._waiting: list[Call] = []
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
        return await self._call(("EVALSHA", script.sha, 0, *arguments), script.text, unavailable)

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

    async def append_policy(self) -> str | None:
        """When the append-only file is written to disk: `always` (before the answer), `everysec` or `no`.

        None where the server does not say; managed ones know no CONFIG, or forbid it (NOPERM).
        """
        try:
            told = await self.command("CONFIG", "GET", "appendfsync")
        except (ResponseError, StoreUnavailableError):
            return None
        return str(told[1].decode()) if told else None

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
        """Finish what is waiting and close the connection."""
        self._closed = True
        self._flush()
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])
        if self._opening is not None:
            await asyncio.wait([self._opening])
        if self._wire is not None:
            await self._wire.close()

    async def _call(self, parts: Sequence[Argument], script: str | None, unavailable: type[TransientError]) -> Any:
        if self._closed:
            raise unavailable("the connection to Redis is closed")
        if self._probing is not None or (self._wire is not None and self._wire.silent):
            raise unavailable("Redis does not answer")
        loop = asyncio.get_running_loop()
        call = Call(pack(*parts), script, loop.create_future(), loop.time())
        self._waiting.append(call)
        if len(self._waiting) == 1:
            # Not now but at the end of this tick of the loop, together with whoever else asks in it.
            loop.call_soon(self._flush)
        try:
            return await call.future
        except ConnectionError as exc:
            raise unavailable(f"Redis: {exc}") from exc

    def _flush(self) -> None:
        """Send what waits, or have a connection opened for it."""
        if self._opening is not None:
            return
        if self._wire is not None and self._wire.is_open:
            self._send_waiting(self._wire)
        elif self._waiting:
            self._opening = asyncio.create_task(self._open_for_waiting())

    def _send_waiting(self, wire: Wire) -> None:
        calls, self._waiting = [call for call in self._waiting if not call.future.done()], []
        if calls:
            self.flushes += 1
            wire.send(calls)

    async def _open_for_waiting(self) -> None:
        try:
            self._wire = await self._open()
            self._send_waiting(self._wire)
        except (RedisError, OSError) as exc:
            for call in self._waiting:
                call.fail(_in_words(exc))
            self._waiting.clear()
            if isinstance(exc, SILENCE):
                self._go_silent()
        finally:
            self._opening = None

    async def _open(self) -> Wire:
        connection = await self.connect()
        return Wire(connection, timeout=self._timeout, refuse_after=self._refuse_after, on_lost=self._note_lost)

    def _note_lost(self, wire: Wire) -> None:
        if wire is self._wire:
            self._wire = None
            if wire.silent:
                self._go_silent()

    def _go_silent(self) -> None:
        if self._refuse_after is not None and self._probing is None and not self._closed:
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        """Ask over new connections until one is answered, which is then the one, or until nobody is there to ask."""
        try:
            while self._wire is None:
                try:
                    self._wire = await self._answering()
                except SILENCE:
                    continue
        except (RedisError, OSError):
            # It does not hang any more, it is away: whoever asks next finds that out as quickly.
            return
        finally:
            self._probing = None

    async def _answering(self) -> Wire:
        """A new connection over which a ping was answered.

        Raises:
            RedisError, OSError: one of `SILENCE` when it was not.
        """
        wire = await self._open()
        loop = asyncio.get_running_loop()
        ping = Call(pack("PING"), None, loop.create_future(), loop.time())
        wire.send([ping])
        try:
            # Sooner than the connection gives the ping up: that would look like a server that is away.
            async with asyncio.timeout(self._timeout / 2):
                await ping.future
        except BaseException:
            wire.drop("no answer to a ping")
            raise
        return wire


def _in_words(error: Exception) -> str:
    """Why there is no connection. Of a certificate that was refused, what to do: it does not mend itself."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"its certificate was refused ({cause.verify_message.rstrip('.')}): name the file with its authority "
                "in the address, rediss://...?ssl_ca_certs=FILE, and the host as the certificate does"
            )
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__


def _parse_info(info: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in info.decode().splitlines() if not line.startswith("#"))
    return {name: value for name, _, value in pairs}
