"""The worker behind Cloud Tasks: the stand-in, the queue that feeds it, and the endpoint on a real server."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from prometheus_client import generate_latest

from adapters.clock import SystemClock
from adapters.google.cloud_tasks import CloudTasksQueue
from adapters.google.oidc import OidcVerifier
from adapters.http.access import Access
from adapters.http.listener import listen
from contracts.values import ConversationId
from observability.metrics import REGISTRY
from sandbox.cloud_tasks.double import CloudTasksDouble
from tests.cloud_tasks import running_cloud_tasks
from worker.engines.cloud_tasks import TasksDependencies, WakeUpOutcome, create_tasks_app
from worker.engines.health import Operation

QUEUE = "projects/p/locations/l/queues/wake-ups"
AUDIENCE = "https://worker.example.run.app"
EMAIL = "queue@p.iam.gserviceaccount.com"


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=1))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait on
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listener.close()


async def nothing(*_: Any) -> None:
    return


async def no_metrics() -> bytes:
    return generate_latest(REGISTRY)


class Anyone:
    """Lets everybody in: for tests of what comes after."""

    async def verify(self, token: str) -> None:
        return


def dependencies(**changes: Any) -> TasksDependencies:
    """An endpoint with nothing to do behind it."""
    operation = Operation(
        ready=changes.pop("ready", nothing), metrics=no_metrics, access=changes.pop("access", Access())
    )
    given: dict[str, Any] = {"drain": nothing, "analyse": nothing, "sweep": nothing, "operation": operation}
    given |= {"verifier": Anyone(), "count": lambda _: None}
    return TasksDependencies(**(given | changes))


@asynccontextmanager
async def direct(deps: TasksDependencies, *, host: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    """The app without a server between, called from `host` with a token."""
    transport = httpx.ASGITransport(create_tasks_app(deps), client=(host, 1), raise_app_exceptions=False)
    headers = {"Authorization": "Bearer token"}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
        yield client


@dataclass
class TasksBed:
    """Everything a test looks at. `drain` may be replaced while it runs."""

    double: CloudTasksDouble
    drain: Callable[[ConversationId], Awaitable[None]] = nothing
    outcomes: Counter[WakeUpOutcome] = field(default_factory=Counter)
    drained: list[str] = field(default_factory=list)
    lost: int = 0
    url: str = ""
    queue: CloudTasksQueue = field(init=False)

    async def _drain(self, conversation_id: ConversationId) -> None:
        self.drained.append(conversation_id)
        await self.drain(conversation_id)

    def _lose(self, count: int) -> None:
        self.lost += count

    async def wake(self, *names: str) -> None:
        """Wake each, and return when its task is created or lost."""
        for name in names:
            await self.queue.wake(ConversationId(name))
        await self.queue.idle()


@asynccontextmanager
async def tasks_bed(**options: Any) -> AsyncIterator[TasksBed]:
    """The whole way over real sockets; the stand-in's time runs a thousand times as fast, so retries come at once."""
    async with running_cloud_tasks(QUEUE, time_scale=1000) as double:
        bed = TasksBed(double)
        verifier = OidcVerifier(audience=AUDIENCE, email=EMAIL, clock=SystemClock(), certs_url=double.certs_url)
        given: dict[str, Any] = {
            "drain": bed._drain,
            "verifier": verifier,
            "count": lambda one: bed.outcomes.update([one]),
        }
        async with served(create_tasks_app(dependencies(**(given | options)))) as url:
            bed.url = url
            bed.queue = CloudTasksQueue(
                QUEUE,
                url=f"{url}/tasks/process",
                service_account_email=EMAIL,
                audience=AUDIENCE,
                on_lost=bed._lose,
                emulator_host=double.target,
            )
            try:
                yield bed
            finally:
                await bed.queue.close(grace_seconds=0)
                await double.stop()
        await verifier.close()
