"""Run of the double of Cloud Tasks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sandbox.cloud_tasks.double import CloudTasksDouble


@asynccontextmanager
async def running_cloud_tasks(*queues: str, **options: Any) -> AsyncIterator[CloudTasksDouble]:
    """Run a double with these queues; the other options are those of `CloudTasksDouble`."""
    double = CloudTasksDouble(queues=queues, **options)
    await double.start()
    try:
        yield double
    finally:
        await double.close()
