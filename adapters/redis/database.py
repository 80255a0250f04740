"""Connection to one Redis; all commands of one turn of the event loop share one pipeline.

All of Prosa's keys begin with `prosa:`. Scripts compute some of their keys themselves (a message's conversation is
found by its deduplication key), so this is one primary, with or without replicas and Sentinels, and not a Redis
Cluster.
"""

import asyncio
import hashlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
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
from redis.exceptions import TimeoutError as RedisTimeoutError

from adapters.redis.address import RedisAddress
from contracts.errors import ConfigurationError, StoreUnavailableError, TransientError

PREFIX = "prosa:"
CONNECT_TIMEOUT = timedelta(milliseconds=500)
COMMAND_TIMEOUT = timedelta(seconds=1)
# A connection that was idle for longer is checked with a PING before use.
HEALTH_CHECK_EVERY = timedelta(seconds=15)
# Detects, without a round trip, that the peer of an idle connection is gone: Linux's option numbers TCP_KEEPIDLE,
# TCP_KEEPINTVL and TCP_KEEPCNT, in seconds and times.
KEEP_ALIVE = {4: 15, 5: 5, 6: 3}
# Commands in one pipeline: more would block the event loop for tens of milliseconds.
LARGEST_GROUP = 1_024

# Error replies about the server's condition, by redis-py's types and, where it has none, by their first words; any
# other error reply is a defect and concerns one caller.
CONDITIONS = (ClusterDownError, NoPermissionError, OutOfMemoryError, ReadOnlyError, TryAgainError)
CONDITION_WORDS = ("BUSY", "MISCONF", "NOREPLICAS", "UNBLOCKED")
# Timeouts distinguish a server that hangs from a server that is unreachable.
SILENCE = (TimeoutError, RedisTimeoutError)

Argument = str | bytes | int | float


@dataclass(frozen=True)
class Script:
    """Lua script that runs atomically."""

    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> "Script":
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())

    @classmethod
    def read(cls, path: Path) -> "Script":
        return cls.of(path.read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class _Call:
    """One pending command; its future gets the reply, its own `ResponseError`, or `_UnavailableError`."""

    parts: tuple[Argument, ...]
    script: Script | None
    future: "asyncio.Future[Any]"

    def settle(self, reply: Any) -> None:
        if self.future.done():
            return
        if not isinstance(reply, Exception):
            self.future.set_result(reply)
            return
        is_condition = isinstance(reply, CONDITIONS) or str(reply).startswith(CONDITION_WORDS)
        if isinstance(reply, ResponseError) and not is_condition:
            self.future.set_exception(reply)
        else:
            self.future.set_exception(_UnavailableError(_in_words(reply)))


class _UnavailableError(Exception):
    """No reply, or one that the server cannot work now."""


class RedisDatabase:
    """Pipelined commands and scripts, one pipeline at a time: calls during one pipeline form the next.

    Pipelines use connections of redis-py's pool (docs/decisions/0027). Commands reach the server in call order. A
    command is never repeated after a lost reply: it may have run, and callers repeat what may be repeated (an append,
    which deduplicates; a commit, which compares). The one exception is a script that the server does not know: it has
    not run, so it is sent again after its text. A pipeline that takes longer than `command_timeout` is given up with
    its connection. After a server became a read-only replica a new connection is opened, since its name or its
    Sentinels may lead to the new primary by then.

    With `refuse_after`, a server silent for that long gets no more commands until it answers a ping: callers are
    refused at once, and only the first ones wait for their time-out. That is for the webhook, which must refuse
    quickly; other processes wait for a slow server.

    Raises:
        ConfigurationError: `url` is no address of a Redis, or names a file of certificates that does not exist.
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
        address = RedisAddress.parse(url)
        authority = address.options.get("ssl_ca_certs")
        if authority is not None and not Path(authority).is_file():
            raise ConfigurationError(f"the address of Redis says ssl_ca_certs={authority}, and there is no such file")
        self._client, self._sentinel = address.connect(
            protocol=2,
            driver_info=None,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=connect_timeout.total_seconds(),
            socket_timeout=None,
            socket_keepalive=True,
            socket_keepalive_options=KEEP_ALIVE,
            health_check_interval=HEALTH_CHECK_EVERY.total_seconds(),
        )
        self._waiting: list[_Call] = []
        self._sending: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None
        self._silent = False
        self._closed = False
        self.flushes = 0

    async def command(self, *parts: Argument, unavailable: type[TransientError] = StoreUnavailableError) -> Any:
        """Send one command; return its raw reply (bytes, int, list or None).

        Raises:
            `unavailable`: no connection, no reply in time, or a server that cannot work now.
            ResponseError: the command itself is wrong.
            TypeError: an argument is neither text, bytes nor a number.
        """
        return await self._call(parts, None, unavailable)

    async def run(
        self, script: Script, *arguments: Argument, unavailable: type[TransientError] = StoreUnavailableError
    ) -> Any:
        """Run the script with `arguments` as its ARGV; otherwise as `command`."""
        return await self._call(("EVALSHA", script.sha, 0, *arguments), script, unavailable)

    async def ping(self, *, unavailable: type[TransientError] = StoreUnavailableError) -> None:
        """Return if the server accepts a write. Raises `unavailable`: it does not."""
        await self.command("SET", f"{PREFIX}ping", "", "PX", 1000, unavailable=unavailable)

    async def problems(self) -> list[str]:
        """List the reasons against durable data on this server, each with the next step; empty when it is safe.

        Uses INFO alone, since managed servers refuse CONFIG.
        """
        lines = (await self.command("INFO")).decode().splitlines()
        pairs = (line.partition(":") for line in lines if not line.startswith("#"))
        info = {name: value for name, _, value in pairs}
        policy = info.get("maxmemory_policy")
        checks = (
            (
                policy == "noeviction",
                f"this Redis drops keys when its memory is full (maxmemory-policy is {policy}), and messages with "
                "them: set maxmemory-policy to noeviction",
            ),
            (info.get("aof_enabled") == "1", "this Redis forgets what it took when it restarts: set appendonly to yes"),
            (info.get("role") == "master", "this Redis is a read-only replica: give the address of its primary"),
            (
                info.get("cluster_enabled", "0") == "0",
                "this Redis is a cluster, over which a script cannot be one step: give the address of a single primary",
            ),
        )
        return [problem for holds, problem in checks if not holds]

    async def append_policy(self) -> str | None:
        """Return the fsync policy of the append-only file: `always` (before the reply), `everysec` or `no`.

        None where the server does not reveal it: managed ones lack CONFIG, or forbid it (NOPERM).
        """
        try:
            told = await self.command("CONFIG", "GET", "appendfsync")
        except (ResponseError, StoreUnavailableError):
            return None
        return str(told[1].decode()) if told else None

    async def connect(self) -> AbstractConnection:
        """Open a connection outside the pipelines, for a subscriber, which disconnects it.

        Raises:
            RedisError, OSError: no connection.
        """
        connection: AbstractConnection = self._client.connection_pool.make_connection()
        async with asyncio.timeout(self._timeout):
            await connection.connect()
        return connection

    async def close(self) -> None:
        """Finish the pending calls and close the connections."""
        self._closed = True
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])
        if self._sending is not None:
            await asyncio.wait([self._sending])
        await self._client.aclose()
        if self._sentinel is not None:
            await self._sentinel.aclose()

    async def _call(self, parts: tuple[Argument, ...], script: Script | None, unavailable: type[TransientError]) -> Any:
        if self._closed:
            raise unavailable("the connection to Redis is closed")
        if self._silent:
            raise unavailable("Redis does not answer")
        for part in parts:
            if not isinstance(part, (str, bytes, int, float)):
                # redis-py would fail the whole pipeline with it.
                raise TypeError(f"Redis takes text, bytes and numbers, not {type(part).__name__}")
        call = _Call(parts, script, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if self._sending is None:
            # The task begins with the next turn of the loop, after all calls of this one.
            self._sending = asyncio.create_task(self._send_groups())
        try:
            return await call.future
        except _UnavailableError as exc:
            raise unavailable(f"Redis: {exc}") from exc

    async def _send_groups(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:LARGEST_GROUP], self._waiting[LARGEST_GROUP:]
                calls = [call for call in group if not call.future.done()]
                if calls:
                    self.flushes += 1
                    await self._send(calls)
                    # Callers resumed by these replies belong to the next pipeline.
                    await asyncio.sleep(0)
        finally:
            self._sending = None

    async def _send(self, calls: Sequence[_Call]) -> None:
        """Settle each of the calls, whatever happens to the connection."""

        def note_silence() -> None:
            # Refuses new callers; earlier ones may still get replies, if the server only paused.
            self._silent = True

        watch = _Watch(self._refuse_after, note_silence)
        failure: Exception = RedisTimeoutError("the process is stopping")
        try:
            async with asyncio.timeout(self._timeout):
                await self._exchange(calls, watch)
            self._silent = False
        except SILENCE:
            failure = RedisTimeoutError("no answer within its time")
            self._probe_when_silent(is_certain=True)
        except (RedisError, OSError) as exc:
            failure = exc
            self._probe_when_silent(is_certain=False)
        finally:
            watch.end()
            for call in calls:
                call.settle(failure)

    async def _exchange(self, calls: Sequence[_Call], watch: "_Watch") -> None:
        """Settle each call with its reply; those whose scripts the server does not know are sent again after these."""
        pool = self._client.connection_pool
        connection = await pool.get_connection()
        try:
            unknown = await self._ask(connection, calls, watch)
            if unknown:
                # An error in a script's text reaches its callers by their own replies.
                texts, loop = {call.script.text for call in unknown if call.script}, asyncio.get_running_loop()
                loads = [_Call(("SCRIPT", "LOAD", text), None, loop.create_future()) for text in texts]
                await self._ask(connection, [*loads, *unknown], watch)
                for load in loads:
                    load.future.exception()
        finally:
            await pool.release(connection)

    async def _ask(self, connection: AbstractConnection, calls: Sequence[_Call], watch: "_Watch") -> list[_Call]:
        """Settle the calls; return those whose scripts the server does not know, so that they have not run."""
        await connection.send_packed_command(connection.pack_commands([call.parts for call in calls]))
        unknown = []
        for call in calls:
            try:
                reply = await connection.read_response()
            except NoScriptError:
                unknown.append(call)
            except ResponseError as exc:
                call.settle(exc)
                if isinstance(exc, ReadOnlyError):
                    connection.mark_for_reconnect()
            else:
                call.settle(reply)
            watch.heard()
        return unknown

    def _probe_when_silent(self, *, is_certain: bool) -> None:
        """Refuse all callers until a probe succeeds, if the server has been silent for a whole time-out."""
        if self._refuse_after is None or self._closed:
            self._silent = False
        elif (is_certain or self._silent) and self._probing is None:
            self._silent = True
            waiting, self._waiting = self._waiting, []
            for call in waiting:
                call.settle(RedisTimeoutError("does not answer"))
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        """Ping until there is a reply, or until the server is unreachable, which the next caller then learns."""
        try:
            while True:
                try:
                    async with asyncio.timeout(self._timeout / 2):
                        await self._client.execute_command("PING")
                    return
                except SILENCE:
                    continue
                except (RedisError, OSError):
                    return
        finally:
            self._silent = False
            self._probing = None


class _Watch:
    """Timer that calls `on_silence` when the server was silent for `seconds`, unless the process itself was late."""

    # A timer this late means that the process had no time to read.
    LATE_SECONDS = 0.05

    def __init__(self, seconds: float | None, on_silence: Callable[[], None]) -> None:
        self._seconds = seconds
        self._on_silence = on_silence
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        if seconds is not None:
            self._look_at(self._heard_at + seconds)

    def heard(self) -> None:
        if self._seconds is not None:
            self._heard_at = self._loop.time()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look_at(self, due: float) -> None:
        self._timer = self._loop.call_at(due, self._look, due)

    def _look(self, due: float) -> None:
        assert self._seconds is not None  # noqa: S101 - only then a timer is set
        now = self._loop.time()
        if now - due > self.LATE_SECONDS:
            self._look_at(now + self._seconds)
        elif now < self._heard_at + self._seconds:
            self._look_at(self._heard_at + self._seconds)
        else:
            self._on_silence()


def _in_words(error: Exception) -> str:
    """Return the cause of the failure; for a refused certificate with the remedy, as it does not pass by itself."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"its certificate was refused ({cause.verify_message.rstrip('.')}): name the file with its authority "
                "in the address, rediss://...?ssl_ca_certs=FILE, and the host as the certificate does"
            )
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
