"""Queue of one process: wake-ups become tasks of its event loop, one at a time for each key."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from contracts.values import ConversationId
from worker.scheduling.limiter import LoopPace

# The HTTP side shares the event loop: more turns at once than this would make its answers wait.
MAX_AT_ONCE = 32
# Analyses only wait for the model; of these few at once, so that they leave the provider's limits to the turns.
ANALYSES_AT_ONCE = 4

Work = Callable[[str], Awaitable[timedelta | None]]
"""Returns the pause after which it is to run again, if any."""


class KeyedQueue:
    """One kind of work: `at_once` keys at the same time, each key once at a time, as fast as the event loop keeps up.

    Wake-ups of a key whose work runs become one more run of it.
    """

    def __init__(self, work: Work, at_once: int, *, name: str) -> None:
        self._work = work
        self._name = name
        self._at_once = asyncio.Semaphore(at_once)
        self._pace = LoopPace()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._closed = False

    @property
    def running(self) -> list[asyncio.Task[None]]:
        return list(self._running.values())

    def start(self, key: str) -> asyncio.Task[None] | None:
        """Start the work of the key, or have it run once more; return its task, None when the queue is closed."""
        if self._closed:
            return self._running.get(key)
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._running:
            self._again.add(key)
        else:
            self._running[key] = asyncio.create_task(self._until_quiet(key), name=f"{self._name} {key}")
        return self._running[key]

    async def run(self, key: str) -> None:
        """Start the work of the key and return when it has ended."""
        if running := self.start(key):
            await asyncio.wait([running])

    async def close(self, grace_seconds: float) -> None:
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        if self._running:
            _, late = await asyncio.wait(self.running, timeout=grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _until_quiet(self, key: str) -> None:
        try:
            async with self._at_once:
                await self._pace.admitted()
                pause = await self._work(key)
                while key in self._again and not self._closed:
                    self._again.discard(key)
                    pause = await self._work(key)
                if pause is not None and not self._closed:
                    timer = asyncio.get_running_loop().call_later(pause.total_seconds(), self.start, key)
                    self._timers[key] = timer
        finally:
            # In the same step as the last look at `_again`: a wake-up finds the task running or gone, never neither.
            self._again.discard(key)
            self._running.pop(key, None)


async def _nothing(_: str) -> None:
    return


class EmbeddedQueue:
    """`WakeUps` port inside one process: a keyed queue of drains and one of analyses."""

    def __init__(
        self,
        drain: Callable[[ConversationId], Awaitable[timedelta | None]],
        analyse: Work = _nothing,
        *,
        at_once: int = MAX_AT_ONCE,
        analyses_at_once: int = ANALYSES_AT_ONCE,
    ) -> None:
        self._drains = KeyedQueue(lambda conversation_id: drain(ConversationId(conversation_id)), at_once, name="drain")
        self._analyses = KeyedQueue(analyse, analyses_at_once, name="analyse")

    async def wake(self, conversation_id: ConversationId) -> None:
        self._drains.start(conversation_id)

    async def analyse(self, key: str) -> None:
        self._analyses.start(key)

    async def work(self, conversation_id: ConversationId) -> None:
        """Wake the conversation and return when its drain has ended."""
        await self._drains.run(conversation_id)

    async def work_on_analysis(self, key: str) -> None:
        """Start the analysis and return when the work on it has ended."""
        await self._analyses.run(key)

    async def close(self, *, grace_seconds: float) -> None:
        """Take no more wake-ups; give what runs a little time, then cancel it: inbox and store keep the work."""
        await asyncio.gather(self._drains.close(grace_seconds), self._analyses.close(grace_seconds))

    async def idle(self) -> None:
        """Return when nothing is running."""
        while running := [*self._drains.running, *self._analyses.running]:
            await asyncio.wait(running)
