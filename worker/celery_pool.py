"""A Celery pool that runs coroutines on one event loop: hundreds of conversations in flight in one process."""

import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from billiard.einfo import ExceptionInfo
from celery.concurrency.base import BasePool
from kombu.serialization import loads

from observability.tracing import inside, remote_span

Settle = Callable[[], None]


class EventLoopPool(BasePool):
    """Jobs whose task carries a coroutine (`task.coroutine`) run side by side on the engine's loop.

    Celery's own thread keeps everything that belongs to the broker: it is woken through a socket pair and settles the
    jobs that ended, so that no acknowledgement is sent from the loop that serves conversations. The app has an `engine`
    (`worker.process.EngineProcess`) that was started.
    """

    body_can_be_buffer = True
    signal_safe = False

    def on_start(self) -> None:
        self._running = 0
        self._ended: deque[Settle] = deque()
        self._bell, self._bell_rope = socket.socketpair()
        for end in (self._bell, self._bell_rope):
            end.setblocking(False)

    def register_with_event_loop(self, loop: Any) -> None:
        """Called again after each reconnection to the broker, with a hub that knows nothing of us any more."""
        loop.add_reader(self._bell, self._settle_ended)

    def on_apply(
        self,
        target: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        callback: Callable[..., Any] = lambda outcome: None,
        accept_callback: Callable[..., Any] | None = None,
        **_: Any,
    ) -> None:
        """Start one job; `args` are those of Celery's tracer: name, id, request, body, content type and encoding."""
        name, _id, request, *body = args
        if accept_callback is not None:
            accept_callback(os.getpid(), time.monotonic())
        self._running += 1
        work = partial(self._work, name, request.get("traceparent"), *body)
        self.app.engine.run_soon(work, partial(self._end, callback, time.monotonic()))

    async def _work(
        self, name: str, traceparent: str | None, body: Any, content_type: str, content_encoding: str
    ) -> None:
        """A body that cannot be read fails its job, and nothing else."""
        given, named, _embedded = loads(body, content_type, content_encoding, accept={"application/json"})
        with inside(remote_span(traceparent)):
            await self.app.tasks[name].coroutine(*given, **named)

    def on_stop(self) -> None:
        """Let the engine close, which gives running jobs its time of grace.

        The connection to the broker is closed by now: Celery puts every unacknowledged wake-up back, also those of jobs
        that ended in that time, and whoever takes one finds nothing to do.
        """
        self.app.engine.stop()

    def on_terminate(self) -> None:
        self.app.engine.stop()

    def _end(self, callback: Callable[..., Any], started: float, job: "asyncio.Future[Any]") -> None:
        """On the engine's loop: hand the outcome to Celery's thread."""
        outcome = _outcome(job)
        if outcome is None:
            # Cancelled at shut-down: unacknowledged, so that the broker gives the wake-up to another worker.
            return
        failed, value = outcome
        self._ended.append(partial(callback, (failed, value, time.monotonic() - started)))
        with suppress(BlockingIOError):
            # A full socket has rung already.
            self._bell_rope.send(b"\0")

    def _settle_ended(self) -> None:
        with suppress(BlockingIOError):
            self._bell.recv(65_536)
        while self._ended:
            self._running -= 1
            self._ended.popleft()()

    def _get_info(self) -> dict[str, Any]:
        return {**super()._get_info(), "running": self._running}


def _outcome(job: "asyncio.Future[Any]") -> tuple[bool, Any] | None:
    """What Celery's tracer would have returned: whether it failed, and the value or the exception."""
    if job.cancelled():
        return None
    error = job.exception()
    if error is None:
        return False, None
    return True, ExceptionInfo((type(error), error, error.__traceback__))
