"""A Celery worker whose jobs write down what they did: `python recording_worker.py REDIS_URL [POOL]`.

A job's argument tells what it does: `sleep:SECONDS:NAME`, `fail:NAME`, or just a name.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from redis.asyncio import Redis

from contracts.errors import StoreUnavailableError
from worker.engines import celery_app


class RecordingJobs:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._running = 0

    async def drain(self, conversation_id: str) -> None:
        await self._note("started", conversation_id)
        self._running += 1
        await self._note("at_once", str(self._running))
        what, _, rest = conversation_id.partition(":")
        if what == "fail":
            self._running -= 1
            raise ValueError("a defect")
        if what == "sleep":
            await asyncio.sleep(float(rest.partition(":")[0]))
        self._running -= 1
        await self._note("done", conversation_id)

    async def analyse(self, key: str) -> None:
        """`later:N:NAME` is done at its Nth attempt, `stuck:NAME` never ends."""
        await self._note("analysed", key)
        what, _, rest = key.partition(":")
        if what == "stuck":
            await asyncio.sleep(600)
        if what == "later" and len(await self._noted("analysed", key)) < int(rest.partition(":")[0]):
            raise StoreUnavailableError("not yet", retry_after=timedelta(milliseconds=10))
        await self._note("analysis_done", key)

    async def tend(self) -> None:
        await self._note("timers", "tend")

    async def sweep(self) -> None:
        await self._note("timers", "sweep")

    async def clean(self) -> None:
        await self._note("timers", "clean")

    async def report(self) -> None:
        await self._note("timers", "report")

    async def reload(self) -> None:
        await self._note("timers", "reload")

    async def _noted(self, list_name: str, what: str) -> list[bytes]:
        noted: list[bytes] = await self._redis.lrange(f"noted:{list_name}", 0, -1)
        return [one for one in noted if one.decode() == what]

    async def _note(self, list_name: str, what: str) -> None:
        await self._redis.rpush(f"noted:{list_name}", what)


def main() -> int:
    url, pool = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""

    @asynccontextmanager
    async def opening() -> AsyncIterator[RecordingJobs]:
        redis = Redis.from_url(url)
        yield RecordingJobs(redis)
        await redis.rpush("noted:engine", "closed")
        await redis.aclose()

    app = celery_app.create_celery(url, opening)
    app.tasks["prosa.analyse"].soft_time_limit = 2
    if pool:
        # One of Celery's own pools, as somebody might use who does not start the worker through `prosa`.
        app.Worker(pool_cls=pool, concurrency=2, queues="fast,analysis", quiet=True, without_heartbeat=True).start()
        return 0
    return celery_app.run_worker(app, concurrency=200)


if __name__ == "__main__":
    sys.exit(main())
