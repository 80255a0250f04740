"""The engine of one worker process, on an event loop that lives as long as the process."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

from adapters.event_loop import run_serving

E = TypeVar("E")
R = TypeVar("R")

STOP_SECONDS = 15.0


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
