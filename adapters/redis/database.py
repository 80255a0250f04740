"""One Redis; the commands of one turn of the event loop, whoever sends them, share one write.

All of Prosa's keys begin with `prosa:`. Scripts make some of their keys themselves (a message's conversation is found
by its deduplication key), so this is one primary, with or without replicas and Sentinels, and not a Redis Cluster.
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
# A connection that was idle for longer is asked with a PING before it is used.
HEALTH_CHECK_EVERY = timedelta(seconds=15)
# Finds out, without a round trip, that the other end of an idle connection is gone: Linux's option numbers
# TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT, in seconds and times.
KEEP_ALIVE = {4: 15, 5: 5, 6: 3}
# Commands in one pipeline: more would keep the event loop for tens of milliseconds.
LARGEST_GROUP = 1_024

# Error replies about the server's condition, by redis-py's types and, where it has none, by how they begin; any other
# one is a defect of ours and concerns one caller.
CONDITIONS = (ClusterDownError, NoPermissionError, OutOfMemoryError, ReadOnlyError, TryAgainError)
CONDITION_WORDS = ("BUSY", "MISCONF", "NOREPLICAS", "UNBLOCKED")
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


@dataclass(frozen=True, slots=True)
class _Call:
    """One command on its way; the future gets its reply, its own `ResponseError`, or `_UnavailableError`."""

    parts: tuple[Argument, ...]
    script: Script | None
    future: "asyncio.Future[Any]"

    def settle(self, reply: Any) -> None:
        if self.future.done():
            return
        if not isinstance(reply, Exception):
            self.future.set_result(reply)
        elif isinstance(reply, ResponseError) and not _is_condition(reply):
            self.future.set_exception(reply)
        else:
            self.future.set_exception(_UnavailableError(_in_words(reply)))


class _UnavailableError(Exception):
    """No answer, or one that says that the server cannot work now."""


def _is_condition(reply: ResponseError) -> bool:
    return isinstance(reply, CONDITIONS) or str(reply).startswith(CONDITION_WORDS)


class RedisDatabase:
    """Sends commands and scripts in groups, one at a time: what is asked in the meantime forms the next group.

    Groups are written to and read from a connection of redis-py's pool (docs/decisions/0027). Commands reach the server
    in the order in which they were asked. Nothing is sent a second time when its answer got lost: whether it ran is not
    known here, and what may be repeated (an append, which deduplicates; a commit, which compares) is repeated by its
    caller. The one exception are scripts that the server answers not to know: they have not run, so they are sent again
    behind their text. A group that takes longer than `command_timeout` is given up with its connection. A server that
    became a read-only replica is connected to again, since its name or its Sentinels may lead to another one by then.

    With `refuse_after`, a server that has answered nothing for so long is not asked any more until it answers a ping:
    callers are refused at once, and only the first ones wait for their time-out. That is for the webhook, which must
    say no quickly; others had better wait for a server that is slow.

    Raises:
        ConfigurationError: `url` is no address of a Redis, or names a file of certificates that is not there.
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
        """Send one command; return its reply as it came (bytes, int, list or None).

        Raises:
            `unavailable`: no connection, no answer in time, or a server that cannot do its work now.
            ResponseError: the command itself is wrong.
            TypeError: an argument is neither text, bytes nor a number.
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
        policy = info.get("maxmemory_policy")
        checks = (
            (
                policy == "noeviction",
                f"this Redis drops keys when its memory is full (maxmemory-policy is {policy}), and messages with "
                "them: set maxmemory-policy to noeviction",
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
        """A connection outside the groups, for a subscriber, which disconnects it.

        Raises:
            RedisError, OSError: no connection.
        """
        connection: AbstractConnection = self._client.connection_pool.make_connection()
        async with asyncio.timeout(self._timeout):
            await connection.connect()
        return connection

    async def close(self) -> None:
        """Finish what is waiting and close the connections."""
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
                # redis-py would fail the whole group with it.
                raise TypeError(f"Redis takes text, bytes and numbers, not {type(part).__name__}")
        call = _Call(parts, script, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if self._sending is None:
            # The task begins with the next turn of the loop, when all of this one have asked.
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
                    # Callers that go on with these replies belong to the next group.
                    await asyncio.sleep(0)
        finally:
            self._sending = None

    async def _send(self, calls: Sequence[_Call]) -> None:
        """Settle each of the calls, whatever happens to the connection."""
        watch = _Watch(self._refuse_after, self._note_silence)
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
        """Write all commands at once, then read their replies; each call is settled with its own."""
        pool = self._client.connection_pool
        connection = await pool.get_connection()
        try:
            unknown = await self._ask(connection, calls, watch)
            if unknown:
                await self._teach(connection, unknown, watch)
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

    async def _teach(self, connection: AbstractConnection, calls: Sequence[_Call], watch: "_Watch") -> None:
        """Send the scripts' texts, and the calls again behind them."""
        texts = dict.fromkeys(call.script.text for call in calls if call.script)
        loop = asyncio.get_running_loop()
        loads = [_Call(("SCRIPT", "LOAD", text), None, loop.create_future()) for text in texts]
        await self._ask(connection, [*loads, *calls], watch)
        for load in loads:
            # An error of a script's text is told to its callers, by their own replies.
            load.future.exception()

    def _note_silence(self) -> None:
        """Refuse new callers; those before them may still be answered, when the server only stopped for a moment."""
        self._silent = True

    def _probe_when_silent(self, *, is_certain: bool) -> None:
        """Refuse everybody, until a probe is answered, where the server has not been heard for a whole time-out."""
        if self._refuse_after is None or self._closed:
            self._silent = False
        elif (is_certain or self._silent) and self._probing is None:
            self._silent = True
            waiting, self._waiting = self._waiting, []
            for call in waiting:
                call.settle(RedisTimeoutError("does not answer"))
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        """Ping until there is an answer, or until the server is not there at all, which the next caller is told."""
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
    """Calls `on_silence` when the server has not been heard for `seconds`, unless it is the process that was late."""

    # A timer that fires so much later than it should says that the process had no time to read.
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
    """Why there is no answer. Of a certificate that was refused, what to do: that does not pass by itself."""
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
