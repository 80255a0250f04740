"""One piece of work for all who want the same in the same moment."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from contracts.errors import GroupClosedError

T = TypeVar("T")


@dataclass(frozen=True)
class Landed(Generic[T]):
    """What came out; `shared` when somebody else had begun it."""

    value: T
    shared: bool


@dataclass
class _Flight(Generic[T]):
    task: "asyncio.Task[T]"
    waiting: int = field(default=0)


class SingleFlight(Generic[T]):
    """Whoever comes while the same is being worked on waits for it instead of beginning it again.

    A waiter that is cancelled leaves; the work goes on for the others, whoever began it, and ends when nobody is left.
    An error is everybody's: each of them decides what to do next, and the first to try again begins a new flight.

    Raises:
        GroupClosedError: from `run`, when it was closed meanwhile.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def is_under_way(self, key: Hashable) -> bool:
        return key in self._flights

    async def run(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> Landed[T]:
        flight = self._flights.get(key)
        begun_here = flight is None
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.ensure_future(_awaited(work)))
            flight.task.add_done_callback(lambda _: self._landed(key, flight))
        flight.waiting += 1
        try:
            return Landed(await asyncio.shield(flight.task), shared=not begun_here)
        except asyncio.CancelledError:
            if flight.task.cancelled() and not _is_being_cancelled():
                raise GroupClosedError("the process is stopping") from None
            raise
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                # Nobody may join what is about to be cancelled.
                self._landed(key, flight)
                flight.task.cancel()

    async def close(self) -> None:
        """Cancel what is under way; who waits for it gets GroupClosedError."""
        flights = [flight.task for flight in self._flights.values()]
        for task in flights:
            task.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _landed(self, key: Hashable, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.task.done() and not flight.task.cancelled():
            # Looked at even when every waiter has left: an error that nobody waits for is nobody's.
            flight.task.exception()


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
