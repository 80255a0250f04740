"""Single flight: one run of a piece of work for all callers that want it at the same time.

Source: golang.org/x/sync/singleflight.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from contracts.errors import GroupClosedError

T = TypeVar("T")


@dataclass(frozen=True)
class FlightResult(Generic[T]):
    """The value of the work; `shared` when another caller began it."""

    value: T
    shared: bool


@dataclass
class _Running(Generic[T]):
    task: "asyncio.Task[T]"
    waiting: int = field(default=0)


class SingleFlight(Generic[T]):
    """Work by key; a caller joins the work of its key that is running instead of beginning it again.

    A cancelled caller leaves; the work goes on for the others, whichever began it, and is cancelled with the last one.
    An error is raised to every caller, and the first to try again begins the work again.

    Raises:
        GroupClosedError: from `run`, when it is closed before the work has ended.
    """

    def __init__(self) -> None:
        self._running: dict[Hashable, _Running[T]] = {}

    def __len__(self) -> int:
        return len(self._running)

    def is_under_way(self, key: Hashable) -> bool:
        return key in self._running

    async def run(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> FlightResult[T]:
        running = self._running.get(key)
        begun_here = running is None
        if running is None:
            running = self._running[key] = _Running(asyncio.ensure_future(work()))
            running.task.add_done_callback(lambda _: self._forget(key, running))
        running.waiting += 1
        try:
            return FlightResult(await asyncio.shield(running.task), shared=not begun_here)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if running.task.cancelled() and not (caller and caller.cancelling()):
                raise GroupClosedError("the process is stopping") from None
            raise
        finally:
            running.waiting -= 1
            if not running.waiting and not running.task.done():
                # No caller may join what is about to be cancelled.
                self._forget(key, running)
                running.task.cancel()

    async def close(self) -> None:
        """Cancel all running work; its callers get GroupClosedError."""
        tasks = [running.task for running in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, key: Hashable, running: _Running[T]) -> None:
        if self._running.get(key) is running:
            del self._running[key]
        if running.task.done() and not running.task.cancelled():
            # Retrieved even without a caller, or asyncio logs it.
            running.task.exception()
