"""Live events of conversations, within one process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from contracts.ports import LiveEvent
from contracts.values import ConversationId

# A slow subscriber loses the oldest events; it catches up from the store by the missing numbers.
BACKLOG = 256


class MemoryEvents:
    """Satisfies the `Events` port."""

    def __init__(self) -> None:
        self._watchers: dict[ConversationId, set[asyncio.Queue[LiveEvent]]] = {}

    async def publish(self, conversation_id: ConversationId, event: LiveEvent) -> None:
        for watcher in self._watchers.get(conversation_id, ()):
            if watcher.full():
                watcher.get_nowait()
            watcher.put_nowait(event)

    @asynccontextmanager
    async def subscribe(self, conversation_id: ConversationId) -> AsyncIterator[AsyncIterator[LiveEvent]]:
        watcher: asyncio.Queue[LiveEvent] = asyncio.Queue(BACKLOG)
        self._watchers.setdefault(conversation_id, set()).add(watcher)
        try:
            yield _News(watcher)
        finally:
            watchers = self._watchers[conversation_id]
            watchers.discard(watcher)
            if not watchers:
                del self._watchers[conversation_id]


class _News:
    """Events that a subscriber has yet to receive. Unlike a generator it survives a cancelled wait for the next one."""

    def __init__(self, watcher: "asyncio.Queue[LiveEvent]") -> None:
        self._watcher = watcher

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LiveEvent:
        return await self._watcher.get()
