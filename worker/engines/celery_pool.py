"""A Celery pool that runs coroutines on the event loop of its process's engine: hundreds of conversations in flight."""

import asyncio
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from billiard.einfo import ExceptionInfo
from celery.concurrency.base import BasePool
from celery.utils.time import get_exponential_backoff_interval
from kombu.exceptions import OperationalError
from kombu.serialization import loads

from adapters.event_loop import run_serving
from contracts.errors import TransientError
from observability.logs import logger

log = logger(__name__)

LONGEST_COUNTDOWN = 30
STOP_SECONDS = 15.0
Settle = Callable[[], None]
E = TypeVar("E")
R = TypeVar("R")


class EngineProcess(Generic[E]):
    """Opens an engine on an event loop in a thread of its own, and runs coroutines there for other threads.

    One loop for the life of the process: connection pools belong to the loop they were made on, so a loop for each
    job would open them again each time, or fail with "event loop is closed".
    """

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[E]]) -> None:
        self._opening = opening
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._starting = threading.Lock()
        self._opened: Future[E] = Future()
        self._thread = threading.Thread(target=self._live, name="engine", daemon=True)

    def start(self) -> E:
        """Open the engine, if it is not open yet; what opening it raises is raised here."""
        with self._starting:
            if not self._thread.is_alive() and not self._opened.done():
                self._thread.start()
        return self._opened.result()

    @property
    def current(self) -> E:
        """The engine, once it is open."""
        return self._opened.result(timeout=0)

    def submit(self, work: Coroutine[Any, Any, R]) -> "Future[R]":
        """Run the coroutine on the engine's loop."""
        if self._loop is None:
            raise RuntimeError("the engine is not open")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run_soon(self, work: Callable[[], Awaitable[R]], done: Callable[["asyncio.Future[R]"], None]) -> None:
        """Run `work` on the engine's loop and call `done` there with its outcome."""
        if self._loop is None:
            raise RuntimeError("the engine is not open")
        self._loop.call_soon_threadsafe(lambda: asyncio.ensure_future(work()).add_done_callback(done))

    def stop(self) -> None:
        """Close the engine, which gives what runs its time of grace, and end the loop."""
        if self._loop is not None and self._stopping is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(STOP_SECONDS)

    def _live(self) -> None:
        try:
            run_serving(self._open_until_stopped())
        except BaseException as exc:
            # Before it was open, `start` raises it; afterwards the thread ends with its traceback.
            if self._opened.done():
                raise
            self._opened.set_exception(exc)

    async def _open_until_stopped(self) -> None:
        self._stopping = asyncio.Event()
        async with self._opening() as engine:
            self._loop = asyncio.get_running_loop()
            self._opened.set_result(engine)
            await self._stopping.wait()


class EventLoopPool(BasePool):
    """Jobs whose task carries a coroutine (`task.coroutine`) run side by side on the engine's loop.

    Celery's own thread keeps everything that belongs to the broker: it is woken through a socket pair and settles the
    jobs that ended, so that no acknowledgement is sent from the loop that serves conversations. The app has an `engine`
    (`EngineProcess`) that was started.
    """

    body_can_be_buffer = True
    signal_safe = False

    def on_start(self) -> None:
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
        timeout: float | None = None,
        soft_timeout: float | None = None,
        **_: Any,
    ) -> None:
        """Start one job; `args` are those of Celery's tracer: name, id, request, body, content type and encoding."""
        name, _id, request, data, content_type, encoding = args
        if accept_callback is not None:
            accept_callback(os.getpid(), time.monotonic())
        job = _Job(name, request, (data, content_type, encoding), soft_timeout or timeout)
        self.app.engine.run_soon(partial(self._work, job), partial(self._end, job, callback, time.monotonic()))

    async def _work(self, job: "_Job") -> None:
        """A body that cannot be read fails its job, and nothing else."""
        given, named = job.arguments()
        async with asyncio.timeout(job.limit_seconds):
            await self.app.tasks[job.name].coroutine(*given, **named)

    def on_stop(self) -> None:
        """Let the engine close, which gives running jobs its time of grace.

        The connection to the broker is closed by now: Celery puts every unacknowledged wake-up back, also those of jobs
        that ended in that time, and the worker that takes one finds nothing to do.
        """
        self.app.engine.stop()

    def on_terminate(self) -> None:
        self.app.engine.stop()

    def _end(self, job: "_Job", callback: Callable[..., Any], started: float, work: "asyncio.Future[Any]") -> None:
        """On the engine's loop: hand the outcome to Celery's thread."""
        if work.cancelled():
            # At shut-down: unacknowledged, so that the broker gives the wake-up to another worker.
            return
        error = work.exception()
        # As Celery's tracer would say it: whether the job failed, and the value or the exception.
        failed, value = (
            (False, None) if error is None else (True, ExceptionInfo((type(error), error, error.__traceback__)))
        )
        is_transient = isinstance(error, (TransientError, TimeoutError))
        if error is not None and is_transient and job.retries < (self.app.tasks[job.name].max_retries or 0):
            self._ended.append(partial(self._retry, job, error))
            failed, value = False, None
        self._ended.append(partial(callback, (failed, value, time.monotonic() - started)))
        with suppress(BlockingIOError):
            # A full socket has rung already.
            self._bell_rope.send(b"\0")

    def _retry(self, job: "_Job", error: BaseException) -> None:
        """Send the job again, as `Task.retry` does; when the broker cannot take it, the sweep finds the work."""
        given, named = job.arguments()
        try:
            self.app.send_task(
                job.name,
                given,
                named,
                task_id=job.request["id"],
                retries=job.retries + 1,
                countdown=retry_countdown(error, job.retries),
                retry=False,
            )
        except OperationalError as exc:
            log.warning("job.retry_lost", job=job.name, error=type(exc).__name__)

    def _settle_ended(self) -> None:
        with suppress(BlockingIOError):
            self._bell.recv(65_536)
        while self._ended:
            self._ended.popleft()()


@dataclass(frozen=True)
class _Job:
    """One job as Celery's tracer is given it; `body` is data, content type and encoding."""

    name: str
    request: Mapping[str, Any]
    body: tuple[Any, str, str]
    limit_seconds: float | None

    @property
    def retries(self) -> int:
        return int(self.request.get("retries") or 0)

    def arguments(self) -> tuple[Sequence[Any], Mapping[str, Any]]:
        data, content_type, encoding = self.body
        given, named, _embedded = loads(data, content_type, encoding, accept={"application/json"})
        return given, named


def retry_countdown(error: BaseException, retries: int) -> float:
    """Seconds until a job is tried again: what the error asks for, else growing with jitter; at most half a minute.

    A worker holds a job that waits in its memory, where it is lost with the worker: so the wait is short.
    """
    wish = error.retry_after if isinstance(error, TransientError) else None
    if wish is not None:
        return min(LONGEST_COUNTDOWN, wish.total_seconds())
    pause: float = get_exponential_backoff_interval(
        factor=2, retries=retries, maximum=LONGEST_COUNTDOWN, full_jitter=True
    )
    return pause
