"""One connection to Redis: commands leave as they come, replies arrive in the same order.

redis-py opens it (addresses, TLS, passwords, databases) and hands it over. Its own reading and writing, made for one
command at a time, took two thirds of what a turn and a status spent on Redis.
"""

import asyncio
import select
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

# Answers that speak of the server's condition; any other error reply is a defect of ours and concerns one caller.
SERVER_CONDITIONS = (
    *("BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOAUTH", "NOPERM", "NOREPLICAS", "OOM", "READONLY"),
    *("TRYAGAIN", "WRONGPASS"),
)
UNKNOWN_SCRIPT = "NOSCRIPT"
# When bytes are there but were not read yet, the process is late and not the server.
READ_FIRST_SECONDS = 0.01


@dataclass(slots=True)
class Call:
    """One command on its way. `script` is the text of what an EVALSHA names, `asked_at` a moment of the loop's clock.

    The future gets the reply, a `ResponseError` that is its caller's own, or a `ConnectionError`.
    """

    packed: bytes
    script: str | None
    future: "asyncio.Future[Any]"
    asked_at: float

    def settle(self, reply: Any) -> None:
        if isinstance(reply, ResponseError):
            if str(reply).startswith(SERVER_CONDITIONS):
                self.fail(str(reply))
            elif not self.future.done():
                self.future.set_exception(reply)
        elif not self.future.done():
            self.future.set_result(reply)

    def fail(self, reason: str) -> None:
        if not self.future.done():
            self.future.set_exception(ConnectionError(reason))


class Wire(asyncio.Protocol):
    """Takes an open connection over.

    A call without an answer fails after `timeout` seconds; a server that has said nothing at all in that time has lost
    the connection with it. `silent` says that it was asked and has said nothing for `refuse_after` seconds.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        *,
        timeout: float,
        refuse_after: float | None,
        on_lost: Callable[["Wire"], None],
    ) -> None:
        writer = connection._writer
        assert writer is not None  # noqa: S101 - it was connected
        # It would close what is ours from now on.
        connection._writer = connection._reader = None
        self._writer = writer
        self._transport: Any = writer.transport
        self._transport.set_protocol(self)
        self._timeout = timeout
        self._refuse_after = refuse_after
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(replyError=ResponseError)
        self._readable = select.poll()
        self._readable.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._asked: deque[Call] = deque()
        self._heard_at = self._loop.time()
        self._look: asyncio.TimerHandle | None = None
        self._lost = False
        self.silent = False

    @property
    def is_open(self) -> bool:
        """Whether something can be asked. What there is to read while nothing was asked is the connection's end."""
        return not self._lost and (bool(self._asked) or not self._readable.poll(0))

    def send(self, calls: Sequence[Call]) -> None:
        self._transport.write(b"".join([call.packed for call in calls]))
        self._asked.extend(calls)
        if self._look is None:
            self._look_at(calls[0].asked_at + (self._refuse_after or self._timeout))

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        self.silent = False
        unknown: list[Call] = []
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                call = self._asked.popleft()
                if (
                    call.script is not None
                    and isinstance(reply, ResponseError)
                    and str(reply).startswith(UNKNOWN_SCRIPT)
                ):
                    unknown.append(call)
                else:
                    call.settle(reply)
        except (hiredis.ProtocolError, IndexError):
            self.drop("answers that nobody can read")
        if unknown and not self._lost:
            self._teach(unknown)

    def connection_lost(self, exc: Exception | None) -> None:
        self.drop(str(exc or "Connection closed by server"))

    def drop(self, reason: str) -> None:
        """Close at once; whoever still waits is told."""
        if self._lost:
            return
        self._lost = True
        if self._look is not None:
            self._look.cancel()
        self._transport.abort()
        for call in self._asked:
            call.fail(reason)
        self._asked.clear()
        self._on_lost(self)

    async def close(self) -> None:
        """Close when everything that was asked has been answered."""
        while waiting := [call.future for call in self._asked if not call.future.done()]:
            await asyncio.wait(waiting)
        self.drop("closed")

    def _teach(self, calls: Iterable[Call]) -> None:
        """The server does not know these scripts, so they have not run: they go again, behind their texts."""
        again = [Call(call.packed, None, call.future, call.asked_at) for call in calls]
        texts = dict.fromkeys(call.script for call in calls)
        loads = [
            Call(pack("SCRIPT", "LOAD", text or ""), None, self._loop.create_future(), again[0].asked_at)
            for text in texts
        ]
        for load in loads:
            # Who sent the script is told by its own answer.
            load.future.add_done_callback(lambda done: done.exception())
        self.send([*loads, *again])

    def _look_at(self, moment: float) -> None:
        self._look = self._loop.call_at(moment, self._look_for_silence)

    def _look_for_silence(self) -> None:
        self._look = None
        now = self._loop.time()
        if not self._asked:
            return
        if self._readable.poll(0):
            self._look_at(now + READ_FIRST_SECONDS)
            return
        quiet_since = max(self._asked[0].asked_at, self._heard_at)
        if now - quiet_since >= self._timeout:
            self.drop("no answer within its time")
            return
        for call in self._asked:
            if now - call.asked_at < self._timeout:
                break
            call.fail("no answer within its time")
        self._look_at(self._next_look(now, quiet_since))

    def _next_look(self, now: float, quiet_since: float) -> float:
        moments = [quiet_since + self._timeout]
        moments += [call.asked_at + self._timeout for call in self._asked if not call.future.done()][:1]
        if self._refuse_after is not None:
            self.silent = now - quiet_since >= self._refuse_after
            moments += [] if self.silent else [quiet_since + self._refuse_after]
        return min(moments)


def pack(*parts: str | bytes | int | float) -> bytes:
    packed: bytes = hiredis.pack_command(parts)  # type: ignore[arg-type]  # its stub says a tuple of one
    return packed
