"""The guarantees of every queue of wake-ups: in one process, Celery on a real redis-server, and Cloud Tasks' double."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.google.cloud_tasks import CloudTasksQueue
from adapters.http.listener import listen
from adapters.redis.celery_queue import CeleryQueue
from adapters.redis.database import RedisDatabase
from cli.serving import server_of
from contracts.ports import WakeUps
from contracts.values import ConversationId
from tests.builders import PATIENCE, ROOT
from tests.cloud_tasks import running_cloud_tasks
from tests.real_services import free_port, redis_url
from worker.scheduling.keyed_queue import EmbeddedQueue

QUEUE = "projects/p/locations/l/queues/wake-ups"
EMAIL = "queue@p.iam.gserviceaccount.com"
RECORDING_WORKER = Path(__file__).parents[1] / "worker" / "recording_worker.py"

Noted = Callable[[], Awaitable[list[str]]]


@dataclass
class Bed:
    """A queue with a worker behind it, and the work that reached the worker."""

    queue: WakeUps
    drained: Noted
    analysed: Noted

    async def wake(self, *names: str) -> None:
        for name in names:
            await self.queue.wake(ConversationId(name))

    async def until(self, noted: Noted, *expected: str) -> list[str]:
        """Wait until each of them is noted."""
        async with asyncio.timeout(PATIENCE.total_seconds()):
            while not set(expected) <= set(found := await noted()):  # noqa: ASYNC110 - a worker writes it down
                await asyncio.sleep(0.01)
        return found


@dataclass
class Notes:
    """The work of a worker in this process."""

    conversations: list[str] = field(default_factory=list)
    analyses: list[str] = field(default_factory=list)

    async def drain(self, conversation_id: ConversationId) -> None:
        self.conversations.append(conversation_id)

    async def analyse(self, key: str) -> None:
        self.analyses.append(key)

    async def drained(self) -> list[str]:
        return list(self.conversations)

    async def analysed(self) -> list[str]:
        return list(self.analyses)


@asynccontextmanager
async def embedded() -> AsyncIterator[Bed]:
    notes = Notes()
    queue = EmbeddedQueue(notes.drain, notes.analyse)
    yield Bed(queue, notes.drained, notes.analysed)
    await queue.close(grace_seconds=0)


@asynccontextmanager
async def celery() -> AsyncIterator[Bed]:
    redis = Redis.from_url(redis_url())
    await redis.flushall()
    database = RedisDatabase(redis_url(), connect_timeout=PATIENCE, command_timeout=PATIENCE)
    queue = CeleryQueue(database, on_lost=lambda count: None)

    def noted(name: str) -> Noted:
        async def read() -> list[str]:
            return [one.decode() for one in await redis.lrange(f"noted:{name}", 0, -1)]

        return read

    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", str(RECORDING_WORKER), redis_url(), ""),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield Bed(queue, noted("done"), noted("analysed"))
    finally:
        worker.kill()
        await worker.wait()
        await queue.close()
        await database.close()
        await redis.aclose()


@asynccontextmanager
async def cloud_tasks() -> AsyncIterator[Bed]:
    notes = Notes()

    async def process(request: Request) -> Response:
        match orjson.loads(await request.body()):
            case {"conversation_id": conversation_id}:
                await notes.drain(conversation_id)
            case {"analysis_id": key}:
                await notes.analyse(key)
        return Response()

    app = Starlette(routes=[Route("/tasks/process", process, methods=["POST"])])
    async with (
        server_of(app).running(listen("127.0.0.1", 0)) as url,
        running_cloud_tasks(QUEUE) as double,
    ):
        queue = CloudTasksQueue(
            QUEUE,
            url=f"{url}/tasks/process",
            service_account_email=EMAIL,
            on_lost=lambda count: None,
            emulator_host=double.target,
        )
        yield Bed(queue, notes.drained, notes.analysed)
        await queue.close(grace_seconds=0)


OPENING: dict[str, Callable[[], AbstractAsyncContextManager[Bed]]] = {
    "embedded": embedded,
    "celery": celery,
    "cloud_tasks": cloud_tasks,
}


# A Celery worker takes seconds to start.
@pytest.fixture(params=["embedded", pytest.param("celery", marks=pytest.mark.slow), "cloud_tasks"])
async def bed(request: pytest.FixtureRequest) -> AsyncIterator[Bed]:
    async with OPENING[request.param]() as bed:
        yield bed


async def test_a_wake_up_reaches_a_worker_by_the_name_of_its_conversation(bed: Bed) -> None:
    names = ("wa:0f265bfaae4c5c12778a0a78", "web:~Ana.1", "web:é 'quoted\" \\ {}")
    await bed.wake(*names)
    assert sorted(await bed.until(bed.drained, *names)) == sorted(names)


async def test_an_analysis_is_no_conversation(bed: Bed) -> None:
    await bed.queue.analyse("summary:1")
    await bed.wake("c-1")
    assert await bed.until(bed.analysed, "summary:1") == ["summary:1"]
    assert await bed.until(bed.drained, "c-1") == ["c-1"]


async def test_none_of_a_burst_is_lost(bed: Bed) -> None:
    names = [f"c-{number}" for number in range(80)]
    await bed.wake(*names)
    assert sorted(await bed.until(bed.drained, *names)) == sorted(names)


async def test_wake_ups_of_one_conversation_merge_while_they_wait(bed: Bed) -> None:
    await bed.wake(*["c-1"] * 20)
    await bed.wake("last")
    assert 1 <= (await bed.until(bed.drained, "c-1", "last")).count("c-1") <= 3


async def test_a_wake_up_after_a_drain_brings_another(bed: Bed) -> None:
    for times in (1, 2, 3):
        await bed.wake("c-1")
        async with asyncio.timeout(PATIENCE.total_seconds()):
            while (await bed.drained()).count("c-1") < times:  # noqa: ASYNC110 - a worker writes it down
                await asyncio.sleep(0.01)


async def test_the_caller_does_not_wait(bed: Bed) -> None:
    """Not once does `wake` give control away, so nothing outside can hold up the answer to a platform."""
    for work in (bed.queue.wake(ConversationId("c-1")), bed.queue.analyse("summary:1")):
        with pytest.raises(StopIteration):
            work.send(None)  # type: ignore[attr-defined]
    await bed.until(bed.drained, "c-1")


@pytest.mark.parametrize("kind", ["celery", "cloud_tasks"])
async def test_without_its_service_wake_ups_are_counted_as_lost(kind: str) -> None:
    """The inbox keeps their messages, and the sweeper finds them."""
    lost: list[int] = []
    port = free_port()
    if kind == "celery":
        database = RedisDatabase(f"redis://127.0.0.1:{port}/0")
        celery_queue = CeleryQueue(database, on_lost=lost.append)
        await celery_queue.wake(ConversationId("a"))
        await celery_queue.wake(ConversationId("b"))
        await celery_queue.close(grace_seconds=5)
        await database.close()
    else:
        host = f"127.0.0.1:{port}"
        tasks_queue = CloudTasksQueue(
            QUEUE, url="https://w", service_account_email=EMAIL, on_lost=lost.append, emulator_host=host
        )
        await tasks_queue.wake(ConversationId("a"))
        await tasks_queue.wake(ConversationId("b"))
        await tasks_queue.idle()
        await tasks_queue.close(grace_seconds=0)
    assert sum(lost) == 2
