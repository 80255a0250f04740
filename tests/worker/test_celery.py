"""The Celery engine on a real redis-server: a real worker process reads what our own client writes."""

import asyncio
import base64
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from adapters.redis.celery_queue import ANALYSIS, CONVERSATIONS_A_JOB, FAST, KEY_PREFIX, CeleryQueue, envelope
from adapters.redis.database import RedisDatabase
from contracts.values import ConversationId
from tests.builders import PATIENCE
from tests.real_services import redis_url
from worker.engines.celery_app import CLEAN_EVERY, REPORT_EVERY, TEND_EVERY, create_celery

SCRIPT = Path(__file__).with_name("recording_worker.py")
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


class Bed:
    """A queue, and what the workers noted."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.lost: list[int] = []
        self.database = RedisDatabase(redis_url(), connect_timeout=PATIENCE, command_timeout=PATIENCE)
        self.queue = CeleryQueue(self.database, on_lost=self.lost.append)

    async def noted(self, name: str) -> list[str]:
        return [one.decode() for one in await self.redis.lrange(f"noted:{name}", 0, -1)]

    async def until_noted(self, name: str, *expected: str) -> list[str]:
        """Wait until each of them is noted."""
        async with asyncio.timeout(60):
            while not set(expected) <= set(noted := await self.noted(name)):  # noqa: ASYNC110 - another process writes
                await asyncio.sleep(0.02)
        return noted

    async def until_taken(self) -> None:
        """Wait until the broker holds nothing."""
        await until(lambda: self.redis.llen(KEY_PREFIX + FAST), 0)

    @asynccontextmanager
    async def worker(self, pool: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "ignore",
            str(SCRIPT),
            redis_url(),
            pool,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@pytest.fixture
async def bed() -> AsyncIterator[Bed]:
    redis = Redis.from_url(redis_url())
    await redis.flushall()
    bed = Bed(redis)
    yield bed
    await bed.queue.close()
    await bed.database.close()
    await redis.aclose()


async def until(look: Callable[[], Awaitable[Any]], expected: Any) -> None:
    """Wait for what another process writes."""
    async with asyncio.timeout(60):
        while await look() != expected:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)


async def wake(bed: Bed, *names: str) -> None:
    for name in names:
        await bed.queue.wake(ConversationId(name))


async def test_wake_ups_are_worked_on_side_by_side(bed: Bed) -> None:
    names = [f"sleep:1:{number}" for number in range(100)]
    await wake(bed, *names)
    async with bed.worker():
        await bed.until_noted("done", *names)
        await bed.until_taken()
    assert max(map(int, await bed.noted("at_once"))) > 50, "far more than a pool of processes would hold"
    assert sorted(await bed.noted("done")) == sorted(names)


async def test_a_job_that_fails_or_cannot_be_read_takes_nothing_along(bed: Bed) -> None:
    await wake(bed, "fail:1")
    await bed.redis.lpush(KEY_PREFIX + FAST, envelope("prosa.unknown", "x", queue=FAST))
    broken = orjson.loads(envelope("prosa.drain", "x", queue=FAST))
    broken["body"] = base64.b64encode(b"no JSON").decode()
    await bed.redis.lpush(KEY_PREFIX + FAST, orjson.dumps(broken))
    async with bed.worker():
        await bed.until_noted("started", "fail:1")
        await wake(bed, "good")
        await bed.until_noted("done", "good")
        await bed.until_taken()


def malformed() -> list[bytes]:
    """Messages of the broker that no client of ours writes: each part is missing, of another kind, or garbage."""
    whole = orjson.loads(envelope("prosa.drain", "x", queue=FAST))
    bodies = [b"\xff", b"5", b"[]", b"[5, {}, {}]", b"[[], [], {}]", b'[["x"], {}, 7]', b"[" * 100_000]
    junk: list[Any] = [None, 5, "x", [], {}, [5], {"x": 5}, -1.5, True]
    pieces = [b"", b"\xff\xfe", b"{", b"5", b"null", b'"x"', b"[]", b"{}", b"[" * 100_000]
    pieces += [orjson.dumps(whole | {"body": base64.b64encode(body).decode()}) for body in bodies]
    for value in junk:
        pieces += [orjson.dumps(whole | {name: value}) for name in whole]
        for part in ("headers", "properties"):
            pieces += [orjson.dumps(whole | {part: whole[part] | {name: value}}) for name in whole[part]]
    return pieces


async def test_malformed_wake_ups_are_dropped_and_the_worker_goes_on(bed: Bed) -> None:
    """Far more of them than a worker takes at once, so that none may stay counted as taken."""
    async with bed.worker() as process:
        await wake(bed, "before")
        await bed.until_noted("done", "before")
        for one in malformed() * 2:
            await bed.redis.lpush(KEY_PREFIX + FAST, one)
        await bed.until_taken()
        names = [f"after:{number}" for number in range(50)]
        await wake(bed, *names)
        await bed.until_noted("done", *names)
        assert process.returncode is None


async def test_a_wake_up_that_a_worker_leaves_undone_goes_back_to_the_queue(bed: Bed) -> None:
    """Not the one of a killed worker: its messages are found by the others' sweeps."""
    await wake(bed, "sleep:600:1")
    async with bed.worker() as stopped:
        await bed.until_noted("started", "sleep:600:1")
        stopped.send_signal(signal.SIGTERM)
        await stopped.wait()
    async with bed.worker():
        await until(lambda: bed.noted("started"), ["sleep:600:1"] * 2)


async def test_told_to_stop_it_ends_its_jobs_and_closes_its_engine(bed: Bed) -> None:
    async with bed.worker() as process:
        await wake(bed, "sleep:0.5:1")
        await bed.until_noted("started", "sleep:0.5:1")
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert await bed.noted("engine") == ["closed"]


async def test_long_jobs_have_a_queue_of_their_own(bed: Bed) -> None:
    await bed.queue.analyse("summary:1")
    await until(lambda: bed.redis.llen(KEY_PREFIX + ANALYSIS), 1)
    assert await bed.redis.llen(KEY_PREFIX + FAST) == 0
    async with bed.worker():
        await bed.until_noted("analysed", "summary:1")


async def test_wake_ups_of_a_moment_share_a_job_and_a_burst_is_shared_by_workers(bed: Bed) -> None:
    await wake(bed, "first")
    await until(lambda: bed.redis.llen(KEY_PREFIX + FAST), 1)
    await wake(bed, *(f"c{number}" for number in range(CONVERSATIONS_A_JOB + 1)), "c0")
    await until(lambda: bed.redis.llen(KEY_PREFIX + FAST), 3)
    async with bed.worker():
        await bed.until_noted("done", "first", *(f"c{number}" for number in range(CONVERSATIONS_A_JOB + 1)))
        await bed.until_taken()
    assert len(await bed.noted("done")) == CONVERSATIONS_A_JOB + 2


async def test_a_conversation_that_fails_costs_those_of_its_job_nothing(bed: Bed) -> None:
    await wake(bed, "first")
    await wake(bed, "fail:1", "good", "sleep:0.2:1")
    async with bed.worker():
        await bed.until_noted("done", "good", "sleep:0.2:1")


@pytest.mark.parametrize("pool", ["", "celery.concurrency.thread:TaskPool"])
async def test_a_job_that_asks_for_another_attempt_is_retried_by_celery(bed: Bed, pool: str) -> None:
    await bed.queue.analyse("later:3:summary")
    async with bed.worker(pool):
        await bed.until_noted("analysis_done", "later:3:summary")
    assert await bed.noted("analysed") == ["later:3:summary"] * 3


async def test_a_job_ends_at_its_time_limit_and_is_tried_again(bed: Bed) -> None:
    await bed.queue.analyse("stuck:summary")
    async with bed.worker():
        await until(lambda: bed.noted("analysed"), ["stuck:summary"] * 2)


@pytest.mark.parametrize("pool", ["celery.concurrency.thread:TaskPool", "celery.concurrency.prefork:TaskPool"])
async def test_celery_s_own_pools_work_on_the_same_queue(bed: Bed, pool: str) -> None:
    await wake(bed, "a", "b", "c")
    async with bed.worker(pool):
        await bed.until_noted("done", "a", "b", "c")
        await bed.until_taken()


def test_the_timers_are_sent_often_enough() -> None:
    app = create_celery("redis://127.0.0.1:1/0")
    intervals = {name: entry["schedule"] for name, entry in app.conf.beat_schedule.items()}
    assert intervals["prosa.tend"] == TEND_EVERY
    assert intervals["prosa.clean"] == CLEAN_EVERY
    assert intervals["prosa.report"] == REPORT_EVERY
    assert all(name in app.tasks for name in intervals)
