"""Background coroutines for the lifetime of a context."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any


@asynccontextmanager
async def running_beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run the work while the context is open; leaving it cancels what is still running."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def repeating(work: Callable[[], Awaitable[object]], every: timedelta) -> None:
    """Wait and do the work, again and again."""
    while True:
        await asyncio.sleep(every.total_seconds())
        await work()
