"""The queue inside one process: wake-ups become tasks of its event loop. Every worker has one behind its own queue."""

import asyncio
from collections.abc import Awaitable, Callable

from contracts.values import ConversationId

# The HTTP side shares the event loop: more turns at once than this would make its answers wait.
MAX_AT_ONCE = 32


class EmbeddedQueue:
    """Satisfies the `WakeUps` port. Of one conversation at most one drain runs and at most one more waits."""

    def __init__(self, drain: Callable[[ConversationId], Awaitable[None]], *, at_once: int = MAX_AT_ONCE) -> None:
        self._drain = drain
        self._room = asyncio.Semaphore(at_once)
        self._running: dict[ConversationId, asyncio.Task[None]] = {}
        self._again: set[ConversationId] = set()
        self._closed = False

    async def wake(self, conversation_id: ConversationId) -> None:
        if self._closed:
            return
        if conversation_id in self._running:
            self._again.add(conversation_id)
            return
        task = asyncio.create_task(self._work(conversation_id), name=f"drain {conversation_id}")
        self._running[conversation_id] = task

    async def work(self, conversation_id: ConversationId) -> None:
        """Wake the conversation and return when its drain has ended."""
        await self.wake(conversation_id)
        running = self._running.get(conversation_id)
        if running is not None:
            await asyncio.wait([running])

    async def close(self, *, grace_seconds: float) -> None:
        """Take no more wake-ups; give running drains a little time, then cancel them: the inbox keeps their work."""
        self._closed = True
        running = list(self._running.values())
        if running:
            _, late = await asyncio.wait(running, timeout=grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def idle(self) -> None:
        """Return when no drain is running."""
        while self._running:
            await asyncio.wait(list(self._running.values()))

    async def _work(self, conversation_id: ConversationId) -> None:
        try:
            async with self._room:
                await self._drain(conversation_id)
                while conversation_id in self._again and not self._closed:
                    self._again.discard(conversation_id)
                    await self._drain(conversation_id)
        finally:
            # In the same step as the last look at `_again`: a wake-up finds the task running or gone, never neither.
            self._again.discard(conversation_id)
            self._running.pop(conversation_id, None)
