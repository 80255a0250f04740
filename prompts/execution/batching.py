"""Micro-batching, items of the same moment in one pass, and single flight, one run of a work for all who want it."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Generic, TypeVar

from contracts.errors import GroupClosedError
from contracts.ports import Embedder
from observability.metrics import BATCH_OVERFLOW, BATCH_SIZE, BATCH_WAIT, SHARED_CALLS

Item = TypeVar("Item")
Result = TypeVar("Result")
T = TypeVar("T")

SIZE = 10
WINDOW = timedelta(milliseconds=100)
CAPACITY = 1_000


@dataclass
class BatchStatistics:
    """Counts of one usage since the start: `items` in `batches`, `overflow` alone, `shared` with identical ones."""

    usage: str
    batches: int = 0
    items: int = 0
    largest: int = 0
    overflow: int = 0
    shared: int = 0

    def __post_init__(self) -> None:
        # They begin at 0, so that a panel has them before the first time.
        for instrument in (BATCH_WAIT, BATCH_OVERFLOW, SHARED_CALLS):
            instrument.labels(self.usage)

    def note_batch(self, size: int) -> None:
        self.batches += 1
        self.items += size
        self.largest = max(self.largest, size)
        BATCH_SIZE.labels(self.usage).observe(size)

    def note_wait(self, seconds: float) -> None:
        BATCH_WAIT.labels(self.usage).observe(seconds * 1000)

    def note_overflow(self) -> None:
        self.overflow += 1
        BATCH_OVERFLOW.labels(self.usage).inc()

    def note_shared(self) -> None:
        self.shared += 1
        SHARED_CALLS.labels(self.usage).inc()


@dataclass(eq=False)
class _Waiting(Generic[Item, Result]):
    item: Item
    since: float
    future: "asyncio.Future[Result]"


@dataclass(eq=False)
class _Batch(Generic[Item, Result]):
    members: list[_Waiting[Item, Result]]
    task: "asyncio.Task[Sequence[Result]]"


class Grouper(Generic[Item, Result]):
    """Batches of items for `work`, which returns one result for each item, in order.

    While no batch runs an item is dispatched at once, with those of the same tick of the loop: alone it never waits.
    Behind a running batch items gather until there are `size`, until that batch ends, or for `window`, whatever comes
    first. With `capacity` waiting, an item is worked on by itself. A cancelled caller leaves its batch, and a batch
    without callers is cancelled. An error of `work` is the error of every caller of the batch.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        usage: str,
        size: int = SIZE,
        window: timedelta = WINDOW,
        capacity: int = CAPACITY,
    ) -> None:
        self._work = work
        self._size = size
        self._window = window.total_seconds()
        self._capacity = capacity
        self._waiting: dict[_Waiting[Item, Result], None] = {}
        self._running: dict[_Batch[Item, Result], None] = {}
        self._timer: asyncio.Handle | None = None
        self._closed = False
        self.statistics = BatchStatistics(usage)

    async def submit(self, item: Item) -> Result:
        """Return the result for this item.

        Raises:
            GroupClosedError: the process is stopping.
            Whatever `work` raises.
        """
        if self._closed:
            raise GroupClosedError("the process is stopping")
        if len(self._waiting) >= self._capacity:
            self.statistics.note_overflow()
            return (await _done(self._work, [item]))[0]
        loop = asyncio.get_running_loop()
        waiting: _Waiting[Item, Result] = _Waiting(item, loop.time(), loop.create_future())
        self._waiting[waiting] = None
        self._schedule(loop)
        try:
            return await waiting.future
        finally:
            if waiting.future.cancelled():
                self._waiting.pop(waiting, None)
                if not self._waiting:
                    self._stop_timer()
                for batch in list(self._running):
                    if waiting in batch.members and all(member.future.done() for member in batch.members):
                        batch.task.cancel()

    async def close(self) -> None:
        """Refuse new items; callers that wait get GroupClosedError."""
        self._closed = True
        self._stop_timer()
        for waiting in self._waiting:
            _fail(waiting, GroupClosedError("the process is stopping"))
        self._waiting.clear()
        tasks = [batch.task for batch in self._running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if len(self._waiting) >= self._size:
            self._dispatch()
        elif self._timer is None:
            # At the end of this tick of the loop, with every item that is submitted in it.
            self._timer = (
                loop.call_later(self._window, self._dispatch) if self._running else loop.call_soon(self._dispatch)
            )

    def _dispatch(self) -> None:
        self._stop_timer()
        members = list(self._waiting)[: self._size]
        if not members:
            return
        for waiting in members:
            del self._waiting[waiting]
        loop = asyncio.get_running_loop()
        self.statistics.note_batch(len(members))
        for waiting in members:
            self.statistics.note_wait(loop.time() - waiting.since)
        task = loop.create_task(_done(self._work, [waiting.item for waiting in members]))
        batch: _Batch[Item, Result] = _Batch(members, task)
        self._running[batch] = None
        task.add_done_callback(partial(self._finish, batch))
        if self._waiting:
            self._schedule(loop)

    def _finish(self, batch: _Batch[Item, Result], task: "asyncio.Task[Sequence[Result]]") -> None:
        self._running.pop(batch, None)
        error = GroupClosedError("the process is stopping") if task.cancelled() else task.exception()
        if error is not None:
            for waiting in batch.members:
                _fail(waiting, error)
        else:
            for waiting, result in zip(batch.members, task.result(), strict=True):
                if not waiting.future.done():
                    waiting.future.set_result(result)
        if self._waiting and not self._closed:
            self._dispatch()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _fail(waiting: _Waiting[Any, Any], error: BaseException) -> None:
    if not waiting.future.done():
        waiting.future.set_exception(error)


async def _done(work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], items: list[Item]) -> Sequence[Result]:
    results = await work(items)
    if len(results) != len(items):
        raise RuntimeError(f"{len(results)} results for {len(items)} items")
    return results


class GroupedEmbedder:
    """Policy of the `Embedder` port: one pass of an embedder over the texts of many callers."""

    def __init__(self, embedder: Embedder, **limits: Any) -> None:
        self._embedder = embedder
        self._grouper: Grouper[str, bytes] = Grouper(embedder.embed, usage="embedding", **limits)
        self.name, self.width = embedder.name, embedder.width

    @property
    def statistics(self) -> BatchStatistics:
        return self._grouper.statistics

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        return list(await asyncio.gather(*(self._grouper.submit(text) for text in texts)))

    async def close(self) -> None:
        await self._grouper.close()
        await self._embedder.close()


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
    Source: golang.org/x/sync/singleflight.
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
