"""Work of the same moment that is done together: for what can be gained by it on a remote API.

Ten prompts are ten requests to a model behind HTTP, so prompts are not put together. What can be shared is the answer
to identical requests, the writing of a prefix into the provider's prompt cache, and one pass of an embedder over many
texts.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Generic, TypeVar

import orjson

from contracts.conversation import TokenCount
from contracts.errors import GroupClosedError
from contracts.ports import Embedder, LanguageModel, ModelRequest, ModelResponse
from observability.metrics import note_batch, note_batch_overflow, note_batch_wait, note_shared_call
from prompts.execution.single_flight import SingleFlight

Item = TypeVar("Item")
Result = TypeVar("Result")

SIZE = 10
WINDOW = timedelta(milliseconds=100)
CAPACITY = 1_000
# The provider keeps a prefix for five minutes after its last use.
WARM_FOR = timedelta(minutes=4)
WARMING = timedelta(seconds=1)
MOST_PREFIXES = 1_000


@dataclass
class BatchStatistics:
    """What became of the requests of one usage since the start: `items` went in `batches`, `overflow` alone."""

    batches: int = 0
    items: int = 0
    largest: int = 0
    overflow: int = 0
    shared: int = 0
    waited_ms: float = 0.0

    @property
    def mean_size(self) -> float:
        return self.items / self.batches if self.batches else 0.0

    def note_batch(self, usage: str, size: int) -> None:
        self.batches += 1
        self.items += size
        self.largest = max(self.largest, size)
        note_batch(usage, size)

    def note_wait(self, usage: str, seconds: float) -> None:
        self.waited_ms += seconds * 1000
        note_batch_wait(usage, seconds * 1000)

    def note_overflow(self, usage: str) -> None:
        self.overflow += 1
        note_batch_overflow(usage)

    def note_shared(self, usage: str) -> None:
        self.shared += 1
        note_shared_call(usage)


@dataclass(eq=False)
class _Waiting(Generic[Item, Result]):
    item: Item
    since: float
    future: "asyncio.Future[Result]"


@dataclass(eq=False)
class _Flight(Generic[Item, Result]):
    members: list[_Waiting[Item, Result]]
    task: "asyncio.Task[Sequence[Result]]"


class Grouper(Generic[Item, Result]):
    """Hands items to `work` in groups, results back to who submitted them.

    While nothing is under way an item leaves at once, with those of the same moment: alone it never waits. Behind a
    group that is under way items gather until there are `size`, until it is back, or for `window`, whatever comes
    first. With `capacity` waiting, an item is worked on by itself. Whoever is cancelled leaves its group, and a group
    that all have left is cancelled. An error of `work` is that of everybody in the group.

    `work` returns one result for each item, in order.
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
        self._usage = usage
        self._size = size
        self._window = window.total_seconds()
        self._capacity = capacity
        self._waiting: dict[_Waiting[Item, Result], None] = {}
        self._flights: dict[_Flight[Item, Result], None] = {}
        self._timer: asyncio.Handle | None = None
        self._closed = False
        self.statistics = BatchStatistics()

    async def submit(self, item: Item) -> Result:
        """The result for this item.

        Raises:
            GroupClosedError: the process is stopping.
            Whatever `work` raises.
        """
        if self._closed:
            raise GroupClosedError("the process is stopping")
        if len(self._waiting) >= self._capacity:
            self.statistics.note_overflow(self._usage)
            return (await _done(self._work, [item]))[0]
        loop = asyncio.get_running_loop()
        waiting: _Waiting[Item, Result] = _Waiting(item, loop.time(), loop.create_future())
        self._waiting[waiting] = None
        self._schedule(loop)
        try:
            return await waiting.future
        finally:
            self._leave(waiting)

    async def close(self) -> None:
        """Take nothing more; who still waits gets GroupClosedError."""
        self._closed = True
        self._stop_timer()
        for waiting in self._waiting:
            _fail(waiting, GroupClosedError("the process is stopping"))
        self._waiting.clear()
        tasks = [flight.task for flight in self._flights]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if len(self._waiting) >= self._size:
            self._take_off()
        elif self._timer is None:
            # At once means at the end of this tick of the loop: with everybody who submits in it.
            self._timer = (
                loop.call_later(self._window, self._take_off) if self._flights else loop.call_soon(self._take_off)
            )

    def _take_off(self) -> None:
        self._stop_timer()
        members = list(self._waiting)[: self._size]
        if not members:
            return
        for waiting in members:
            del self._waiting[waiting]
        loop = asyncio.get_running_loop()
        self.statistics.note_batch(self._usage, len(members))
        for waiting in members:
            self.statistics.note_wait(self._usage, loop.time() - waiting.since)
        task = loop.create_task(_done(self._work, [waiting.item for waiting in members]))
        flight: _Flight[Item, Result] = _Flight(members, task)
        self._flights[flight] = None
        task.add_done_callback(partial(self._landed, flight))
        if self._waiting:
            self._schedule(loop)

    def _landed(self, flight: _Flight[Item, Result], task: "asyncio.Task[Sequence[Result]]") -> None:
        self._flights.pop(flight, None)
        _settle(flight.members, task)
        if self._waiting and not self._closed:
            self._take_off()

    def _leave(self, waiting: _Waiting[Item, Result]) -> None:
        if not waiting.future.cancelled():
            return
        self._waiting.pop(waiting, None)
        if not self._waiting:
            self._stop_timer()
        for flight in list(self._flights):
            if waiting in flight.members and all(member.future.done() for member in flight.members):
                flight.task.cancel()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _settle(members: Sequence[_Waiting[Item, Result]], task: "asyncio.Task[Sequence[Result]]") -> None:
    error = GroupClosedError("the process is stopping") if task.cancelled() else task.exception()
    if error is not None:
        for waiting in members:
            _fail(waiting, error)
        return
    for waiting, result in zip(members, task.result(), strict=True):
        if not waiting.future.done():
            waiting.future.set_result(result)


def _fail(waiting: _Waiting[Any, Any], error: BaseException) -> None:
    if not waiting.future.done():
        waiting.future.set_exception(error)


async def _done(work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], items: list[Item]) -> Sequence[Result]:
    results = await work(items)
    if len(results) != len(items):
        raise RuntimeError(f"{len(results)} results for {len(items)} items")
    return results


class GroupedEmbedder:
    """Satisfies the `Embedder` port: one pass of another embedder over the texts of many callers."""

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


class GroupedModel:
    """Satisfies the `LanguageModel` port for another one; usage is the request's `schema_name`.

    Identical requests of the same moment are one call: it is paid once, so the responses of those who joined it are
    `shared` and count no tokens. Requests whose prefix the provider has not cached wait until the first of them is
    answered, `warming` at most, and then read what it wrote; behind a warm prefix nothing waits. With `capacity`
    waiting of a usage, a request goes its own way. A request that comes with a listener, or any other keyword, is
    passed on as it is. `monotonic` gives seconds.
    """

    def __init__(
        self,
        model: LanguageModel,
        *,
        monotonic: Callable[[], float],
        warming: timedelta = WARMING,
        warm_for: timedelta = WARM_FOR,
        capacity: int = CAPACITY,
    ) -> None:
        self._model = model
        self._monotonic = monotonic
        self._warming = warming
        self._warm_for = warm_for.total_seconds()
        self._capacity = capacity
        self._flights: SingleFlight[ModelResponse] = SingleFlight()
        self._first: dict[Hashable, _First] = {}
        self._warm_until: dict[Hashable, float] = {}
        self._waiting: Counter[str] = Counter()
        self.statistics: dict[str, BatchStatistics] = {}

    async def complete(self, request: ModelRequest, **options: Any) -> ModelResponse:
        if any(option is not None for option in options.values()):
            return await self._ask(request, **options)
        usage = request.schema_name
        statistics = self.statistics.setdefault(usage, BatchStatistics())
        identity = _identity(request)
        if not self._flights.is_under_way(identity):
            landed = await self._flights.run(identity, partial(self._ask_behind_the_first, request, statistics))
            return landed.value
        if self._waiting[usage] >= self._capacity:
            statistics.note_overflow(usage)
            return await self._ask(request)
        self._waiting[usage] += 1
        try:
            landed = await self._flights.run(identity, partial(self._ask, request))
        finally:
            self._waiting[usage] -= 1
        statistics.note_shared(usage)
        return landed.value.model_copy(update={"tokens": TokenCount(), "shared": True})

    async def close(self) -> None:
        await self._flights.close()
        await self._model.close()

    async def _ask_behind_the_first(self, request: ModelRequest, statistics: BatchStatistics) -> ModelResponse:
        """Ask, when the prefix is warm or nobody is warming it; else when who does has been answered."""
        usage, prefix = request.schema_name, _prefix(request)
        if prefix is None or self._warm_until.get(prefix, 0.0) > self._monotonic():
            return await self._ask(request)
        first = self._first.get(prefix)
        if first is None:
            return await self._ask_as_the_first(request, prefix, statistics)
        if self._waiting[usage] >= self._capacity:
            statistics.note_overflow(usage)
            return await self._ask(request)
        self._waiting[usage] += 1
        first.size += 1
        began = self._monotonic()
        try:
            # Half of its own time at most: the other half is for the call.
            await first.answered_within(min(self._warming, request.timeout / 2))
        finally:
            self._waiting[usage] -= 1
        statistics.note_wait(usage, self._monotonic() - began)
        return await self._ask(request)

    async def _ask_as_the_first(
        self, request: ModelRequest, prefix: Hashable, statistics: BatchStatistics
    ) -> ModelResponse:
        first = self._first[prefix] = _First()
        try:
            return await self._ask(request)
        finally:
            # Answered or not: those behind it do not wait for each other in turn.
            del self._first[prefix]
            first.answered.set()
            statistics.note_batch(request.schema_name, first.size)

    async def _ask(self, request: ModelRequest, **options: Any) -> ModelResponse:
        response = await self._model.complete(request, **options)
        if (prefix := _prefix(request)) is not None:
            self._remember(prefix)
        return response

    def _remember(self, prefix: Hashable) -> None:
        """From now on nothing waits: the prefix is cached, or the provider has shown that it does not cache it."""
        if len(self._warm_until) >= MOST_PREFIXES and prefix not in self._warm_until:
            self._warm_until.clear()
        self._warm_until[prefix] = self._monotonic() + self._warm_for


class _First:
    """The request that warms a prefix, and how many go with it."""

    def __init__(self) -> None:
        self.answered = asyncio.Event()
        self.size = 1

    async def answered_within(self, limit: timedelta) -> bool:
        try:
            async with asyncio.timeout(limit.total_seconds()):
                return await self.answered.wait()
        except TimeoutError:
            return False


def _identity(request: ModelRequest) -> Hashable:
    """The same for two requests that the provider cannot tell apart: how long one would wait it does not know."""
    return (
        request.model,
        tuple((block.text, block.cached) for block in request.system),
        request.user,
        request.schema_name,
        orjson.dumps(request.output_schema),
        request.max_tokens,
        request.repair_of,
        request.repair_reason,
        request.effort,
    )


def _prefix(request: ModelRequest) -> Hashable | None:
    """What comes before the last cache breakpoint, with what else the provider's cache goes by; None without one."""
    cached = [number for number, block in enumerate(request.system) if block.cached]
    if not cached:
        return None
    return request.model, tuple(block.text for block in request.system[: cached[-1] + 1]), request.schema_name
