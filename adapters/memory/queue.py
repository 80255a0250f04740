"""The queue inside one process: wake-ups become tasks of its event loop. Every worker has one behind its own queue."""

import asyncio
from collections.abc import Awaitable, Callable

from adapters.memory.pace import Pace
from contracts.values import ConversationId

# The HTTP side shares the event loop: more turns at once than this would make its answers wait.
MAX_AT_ONCE = 32
# Analyses only wait for the model; of these few at once, so that they leave the provider's limits to the turns.
ANALYSES_AT_ONCE = 4

Work = Callable[[str], Awaitable[None]]


async def _nothing(_: str) -> None:
    return


class EmbeddedQueue:
    """Satisfies the `WakeUps` port. Of one conversation at most one drain runs and at most one more waits."""

    def __init__(
        self,
        drain: Callable[[ConversationId], Awaitable[None]],
        analyse: Work = _nothing,
        *,
        at_once: int = MAX_AT_ONCE,
        analyses_at_once: int = ANALYSES_AT_ONCE,
    ) -> None:
        self._drains = _Lane(lambda conversation_id: drain(ConversationId(conversation_id)), at_once, name="drain")
        self._analyses = _Lane(analyse, analyses_at_once, name="analyse")

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


class _Lane:
    """One kind of work: so many at once, as fast as the loop keeps up, and of one id one at a time."""

    def __init__(self, work: Work, at_once: int, *, name: str) -> None:
        self._work = work
        self._name = name
        self._room = asyncio.Semaphore(at_once)
        self._pace = Pace()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._closed = False

    @property
    def running(self) -> list[asyncio.Task[None]]:
        return list(self._running.values())

    def start(self, which: str) -> None:
        if self._closed:
            return
        if which in self._running:
            self._again.add(which)
            return
        self._running[which] = asyncio.create_task(self._until_quiet(which), name=f"{self._name} {which}")

    async def run(self, which: str) -> None:
        self.start(which)
        running = self._running.get(which)
        if running is not None:
            await asyncio.wait([running])

    async def close(self, grace_seconds: float) -> None:
        self._closed = True
        if self._running:
            _, late = await asyncio.wait(self.running, timeout=grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _until_quiet(self, which: str) -> None:
        try:
            async with self._room:
                await self._pace.admitted()
                await self._work(which)
                while which in self._again and not self._closed:
                    self._again.discard(which)
                    await self._work(which)
        finally:
            # In the same step as the last look at `_again`: a wake-up finds the task running or gone, never neither.
            self._again.discard(which)
            self._running.pop(which, None)
