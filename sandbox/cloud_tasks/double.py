"""The whole double: gRPC on one port; keys, behaviour and history over HTTP on another."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio  # type: ignore[import-untyped]
import uvicorn
from google.cloud import tasks_v2
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.http.listener import listen
from sandbox.behaviour import Counters
from sandbox.chance import Chance
from sandbox.cloud_tasks.behaviour import TasksBehaviour
from sandbox.cloud_tasks.delivery import Postman
from sandbox.cloud_tasks.held import AttemptRecord, HeldTask
from sandbox.cloud_tasks.schedule import ScaledClock
from sandbox.cloud_tasks.service import TasksService
from sandbox.cloud_tasks.tokens import TokenSigner
from sandbox.transport import JSON, SandboxMark

KEPT_ATTEMPTS = 100_000
MAX_SHOWN = 1000
KEYS_MAX_AGE_SECONDS = 6 * 3600


class CloudTasksDouble:
    """Double that can be stopped and started again on the same port: its tasks stay.

    `target` is `host:port` for the client, `certs_url` the address of the keys that verify tokens. `time_scale` is the
    speed of the service's time relative to the wall clock; a worker's processing does not scale, so its deadlines are
    shortened only by `deadline_scale`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        http_port: int = 0,
        queues: Sequence[str | tasks_v2.Queue] = (),
        time_scale: float = 1.0,
        deadline_scale: float = 1.0,
        seed: int = 0,
    ) -> None:
        self._host, self._port, self._http_port = host, port, http_port
        self._queues = queues
        self._seed = seed
        self._news = asyncio.Event()
        self._grpc: Any = None
        self._http: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.clock = ScaledClock(time_scale)
        self.counters = Counters()
        self.signer = TokenSigner()
        self.attempts: deque[AttemptRecord] = deque(maxlen=KEPT_ATTEMPTS)
        self._postman = Postman(self.signer, self.counters, deadline_scale=deadline_scale)
        self._service = TasksService(
            deliver=self._postman.deliver, record=self._note, clock=self.clock, counters=self.counters, seed=seed
        )
        self.set()

    @property
    def target(self) -> str:
        return f"{self._host}:{self._port}"

    @property
    def http_url(self) -> str:
        return f"http://{self._host}:{self._http_port}"

    @property
    def certs_url(self) -> str:
        return f"{self.http_url}/oauth2/v3/certs"

    @property
    def tasks(self) -> list[HeldTask]:
        """Return the held tasks, in the order of their creation."""
        held = [task for queue in self._service.queues.values() for task in queue.tasks]
        return sorted(held, key=lambda task: task.order)

    def share_of_rate(self, queue: str) -> float:
        """Return the factor on a queue's rate after answers of 429 and 503, in (0, 1]."""
        return self._service.queues[queue].rate.share

    def pause(self, queue: str) -> None:
        """Pause the queue, as PauseQueue does."""
        self._service.queues[queue].set_state(tasks_v2.Queue.State.PAUSED)

    def resume(self, queue: str) -> None:
        """Resume the queue, as ResumeQueue does."""
        self._service.queues[queue].set_state(tasks_v2.Queue.State.RUNNING)

    def set(self, **changes: Any) -> None:
        """Replace the whole behaviour by these faults; the draws start over."""
        self.behave(TasksBehaviour(**changes))

    def behave(self, behaviour: TasksBehaviour) -> None:
        self.behaviour = behaviour
        chance = Chance(self._seed if behaviour.seed is None else behaviour.seed)
        self._service.behave(behaviour, chance)
        self._postman.behave(behaviour, chance)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until the condition holds; it is checked after every attempt."""
        while not holds():
            self._news.clear()
            await self._news.wait()

    async def idle(self) -> None:
        """Wait until no task is held any more."""
        await self.until(lambda: not self.tasks)

    async def start(self) -> None:
        self._grpc = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        self._grpc.add_generic_rpc_handlers((self._service.handler(),))
        self._port = self._grpc.add_insecure_port(f"{self._host}:{self._port}")
        await self._grpc.start()
        for queue in self._queues:
            name = queue if isinstance(queue, str) else queue.name
            if name not in self._service.queues:
                given = tasks_v2.Queue(name=name) if isinstance(queue, str) else queue
                parent = name.rpartition("/queues/")[0]
                await self._service.create_queue(tasks_v2.CreateQueueRequest(parent=parent, queue=given))
        self._service.start()
        if self._http is None:
            await self._start_http()

    async def stop(self) -> None:
        """Stop the API and the deliveries until the next `start`; the keys stay reachable, as they are another
        service's.
        """
        await self._service.stop()
        await self._grpc.stop(grace=None)

    async def close(self) -> None:
        """Close everything."""
        await self.stop()
        if self._http is not None and self._serving is not None:
            self._http.should_exit = True
            await self._serving
        await self._postman.close()

    async def serve_until_signal(self) -> None:
        """Wait until the process receives a signal to stop."""
        if self._serving is not None:
            await self._serving

    def _note(self, record: AttemptRecord) -> None:
        self.attempts.append(record)
        self._news.set()

    async def _start_http(self) -> None:
        listener = listen(self._host, self._http_port)
        self._http_port = listener.getsockname()[1]
        routes = [
            Route("/oauth2/v3/certs", self._show_keys, methods=["GET"]),
            Route("/sandbox/behaviour", self._change_behaviour, methods=["GET", "PUT", "DELETE"]),
            Route("/sandbox/keys", self._rotate_keys, methods=["POST"]),
            Route("/sandbox/tasks", self._show_tasks, methods=["GET"]),
            Route("/healthz", self._healthy, methods=["GET"]),
        ]
        app = SandboxMark(Starlette(routes=routes))
        config = uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=1)
        self._http = uvicorn.Server(config)
        self._serving = asyncio.create_task(self._http.serve(sockets=[listener]))
        while not self._http.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait on
            await asyncio.sleep(0.005)

    async def _healthy(self, _: Request) -> Response:
        return JSON({"ok": True})

    async def _show_keys(self, _: Request) -> Response:
        self.counters.add("keys_fetched")
        headers = {"Cache-Control": f"public, max-age={KEYS_MAX_AGE_SECONDS}, must-revalidate, no-transform"}
        return JSON(self.signer.keys(), headers=headers)

    async def _rotate_keys(self, _: Request) -> Response:
        self.signer.rotate()
        return JSON(self.signer.keys())

    async def _change_behaviour(self, request: Request) -> Response:
        if request.method == "PUT":
            try:
                self.behave(TasksBehaviour.model_validate_json(await request.body()))
            except ValidationError as exc:
                return JSON(exc.json(include_url=False).encode(), status_code=422)
        elif request.method == "DELETE":
            self.set()
        return JSON(self.behaviour.model_dump(mode="json", exclude_defaults=True))

    async def _show_tasks(self, _: Request) -> Response:
        """Return the held tasks, the newest attempts, and the counters."""
        held = [
            {"name": task.name, "schedule_at": task.schedule_at.isoformat(), "dispatches": task.dispatches}
            for task in self.tasks
        ]
        attempts = [
            {
                "task": one.task,
                "number": one.number,
                "scheduled_at": one.scheduled_at.isoformat(),
                "dispatched_at": one.dispatched_at.isoformat(),
                "ended_at": one.ended_at.isoformat(),
                "outcome": one.outcome,
                "status": one.status,
            }
            for one in list(self.attempts)[-MAX_SHOWN:]
        ]
        return JSON({"held": held[:MAX_SHOWN], "attempts": attempts, "counters": self.counters.all()})


@asynccontextmanager
async def running_cloud_tasks(*queues: str | tasks_v2.Queue, **options: Any) -> AsyncIterator[CloudTasksDouble]:
    """Run a double with these queues; the other options are those of `CloudTasksDouble`."""
    double = CloudTasksDouble(queues=queues, **options)
    await double.start()
    try:
        yield double
    finally:
        await double.close()
