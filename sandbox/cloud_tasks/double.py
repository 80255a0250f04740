"""The whole double: CreateTask and GetQueue over gRPC; keys, behaviour and history over HTTP on another port.

Prosa creates unnamed tasks in queues that its operator has made, so the double has no other calls: its queues are given
at the start and keep the service's defaults. Source of limits and schedule: the comments of the google.cloud.tasks.v2
messages.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import grpc.aio  # type: ignore[import-untyped]
import httpx
import uvicorn
from google.cloud import tasks_v2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.http.listener import listen
from contracts.backoff import retry_after
from sandbox.behaviour import Counters
from sandbox.chance import Chance
from sandbox.cloud_tasks.behaviour import TasksBehaviour, TokenFault
from sandbox.cloud_tasks.tokens import TokenSigner
from sandbox.transport import JSON, SandboxMark, behaviour_route

SERVICE = "google.cloud.tasks.v2.CloudTasks"
MAX_ATTEMPTS = 100
MIN_BACKOFF, MAX_BACKOFF, MAX_DOUBLINGS = timedelta(milliseconds=100), timedelta(hours=1), 16
CONCURRENT_DISPATCHES = 1000
MAX_TASK_BYTES = 100 * 1024
MAX_URL_LENGTH = 2083
SHORTEST_DEADLINE, LONGEST_DEADLINE = timedelta(seconds=15), timedelta(minutes=30)

KEPT_ATTEMPTS = 100_000
MAX_SHOWN = 1000
KEYS_MAX_AGE_SECONDS = 6 * 3600
REPLACED_HEADERS = ("host", "content-length", "user-agent", "x-google-", "x-appengine-", "x-cloudtasks-")


class Outcome(StrEnum):
    """Outcome of an attempt."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    DEADLINE = "deadline"
    NO_CONNECTION = "no_connection"
    DROPPED = "dropped"


@dataclass(frozen=True)
class AttemptRecord:
    """One attempt, for tests and inspection. Times are those of the double's clock."""

    task: str
    number: int
    scheduled_at: datetime
    dispatched_at: datetime
    ended_at: datetime
    outcome: Outcome
    status: int | None
    retry_after: timedelta


@dataclass
class HeldTask:
    """A task with its history."""

    name: str
    request: tasks_v2.HttpRequest
    deadline: timedelta
    schedule_at: datetime
    dispatches: int = 0
    responses: int = 0
    last: AttemptRecord | None = None

    @property
    def id(self) -> str:
        return self.name.rpartition("/")[2]


@dataclass
class HeldQueue:
    """A queue: its held tasks by name, each with its delivery, and whether it delivers them."""

    name: str
    tasks: dict[str, HeldTask] = field(default_factory=dict)
    is_running: asyncio.Event = field(default_factory=asyncio.Event)
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONCURRENT_DISPATCHES))


class Refusal(Exception):
    """A refused call, with its gRPC status."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class CloudTasksDouble:
    """Double that can be stopped and started again on the same port: its tasks stay.

    `target` is `host:port` for the client, `certs_url` the address of the keys that verify tokens. `time_scale` is the
    speed of the service's time relative to the wall clock; a worker's processing does not scale, so its deadlines are
    shortened only by `deadline_scale`, and tokens carry the wall-clock time.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        http_port: int = 0,
        queues: Sequence[str] = (),
        time_scale: float = 1.0,
        deadline_scale: float = 1.0,
        seed: int = 0,
    ) -> None:
        self._host, self._port, self._http_port = host, port, http_port
        self._time_scale, self._deadline_scale, self._seed = time_scale, deadline_scale, seed
        self._queues = {name: HeldQueue(name) for name in queues}
        self._started_at, self._started = datetime.now(UTC), time.monotonic()
        self._random = random.Random(seed)
        self._changed = asyncio.Event()
        self._deliveries: set[asyncio.Task[None]] = set()
        self._grpc: Any = None
        self._http: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        self._client = httpx.AsyncClient(timeout=None, limits=limits, follow_redirects=True, trust_env=False)  # noqa: S113
        self.counters = Counters()
        self.signer = TokenSigner()
        self.attempts: deque[AttemptRecord] = deque(maxlen=KEPT_ATTEMPTS)
        for name in queues:
            self.resume(name)
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
        """Return the held tasks of each queue, in the order of their creation."""
        return [task for queue in self._queues.values() for task in queue.tasks.values()]

    def now(self) -> datetime:
        return self._started_at + timedelta(seconds=(time.monotonic() - self._started) * self._time_scale)

    def pause(self, queue: str) -> None:
        self._queues[queue].is_running.clear()

    def resume(self, queue: str) -> None:
        self._queues[queue].is_running.set()

    def set(self, **changes: Any) -> None:
        """Replace the whole behaviour by these faults; the draws start over."""
        self.behave(TasksBehaviour(**changes))

    def behave(self, behaviour: TasksBehaviour) -> None:
        self.behaviour = behaviour
        self._chance = Chance(self._seed if behaviour.seed is None else behaviour.seed)
        self._fails_next = behaviour.create_fails_next

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until the condition holds; it is checked after every attempt."""
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    async def idle(self) -> None:
        """Wait until no task is held any more."""
        await self.until(lambda: not self.tasks)

    async def start(self) -> None:
        methods: dict[str, tuple[Any, Any, Any]] = {
            "GetQueue": (self._get_queue, tasks_v2.GetQueueRequest, tasks_v2.Queue),
            "CreateTask": (self._create_task, tasks_v2.CreateTaskRequest, tasks_v2.Task),
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                self._answering(name, method),
                request_deserializer=request.deserialize,
                response_serializer=response.serialize,
            )
            for name, (method, request, response) in methods.items()
        }
        self._grpc = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        # gRPC itself answers UNIMPLEMENTED to the other methods.
        self._grpc.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self._port = self._grpc.add_insecure_port(f"{self._host}:{self._port}")
        await self._grpc.start()
        for queue in self._queues.values():
            for task in queue.tasks.values():
                self._begin(queue, task)
        if self._http is None:
            await self._start_http()

    async def stop(self) -> None:
        """Stop the API and the deliveries until the next `start`; the keys stay reachable: they are another service's.

        An attempt that this breaks off does not count.
        """
        for one in self._deliveries:
            one.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)
        await self._grpc.stop(grace=None)

    async def close(self) -> None:
        """Close everything."""
        await self.stop()
        if self._http is not None and self._serving is not None:
            self._http.should_exit = True
            await self._serving
        await self._client.aclose()

    async def serve_until_signal(self) -> None:
        """Wait until the process receives a signal to stop."""
        if self._serving is not None:
            await self._serving

    def _answering(self, name: str, method: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
        async def answer(request: Any, context: Any) -> Any:
            self.counters.add(f"calls_{name}")
            try:
                return await method(request)
            except Refusal as exc:
                self.counters.add(f"refused_{exc.code.name}")
                await context.abort(exc.code, str(exc))

        return answer

    def _queue(self, name: str) -> HeldQueue:
        if name not in self._queues:
            raise Refusal(grpc.StatusCode.NOT_FOUND, "Queue does not exist.")
        return self._queues[name]

    async def _get_queue(self, request: tasks_v2.GetQueueRequest) -> tasks_v2.Queue:
        queue, states = self._queue(request.name), tasks_v2.Queue.State
        return tasks_v2.Queue(name=queue.name, state=states.RUNNING if queue.is_running.is_set() else states.PAUSED)

    async def _create_task(self, request: tasks_v2.CreateTaskRequest) -> tasks_v2.Task:
        dice, _ = self._chance.dice(request.task.http_request.body)
        latency = self.behaviour.create_latency
        if waited_ms := dice.lognormal("latency", latency.median_ms, latency.sigma):
            await asyncio.sleep(waited_ms / 1000)
        is_scripted, self._fails_next = self._fails_next > 0, max(0, self._fails_next - 1)
        fault = None
        if is_scripted or dice.happens("create failed", self.behaviour.create_failed):
            self.counters.add("create_failed")
            fault = Refusal(grpc.StatusCode[self.behaviour.create_fault], "The sandbox failed this call on purpose.")
            if not self.behaviour.created_anyway:
                raise fault
        queue = self._queue(request.parent)
        task = HeldTask(
            name=f"{queue.name}/tasks/{self._random.randrange(10**18, 10**19)}",
            request=_checked(request.task).http_request,
            deadline=request.task.dispatch_deadline,
            schedule_at=self.now(),
        )
        queue.tasks[task.name] = task
        self.counters.add("tasks_created")
        self._begin(queue, task)
        if fault is not None:
            raise fault
        return tasks_v2.Task(name=task.name, schedule_time=task.schedule_at, dispatch_deadline=task.deadline)

    def _begin(self, queue: HeldQueue, task: HeldTask) -> None:
        delivery = asyncio.create_task(self._deliver(queue, task))
        self._deliveries.add(delivery)
        delivery.add_done_callback(self._deliveries.discard)

    async def _deliver(self, queue: HeldQueue, task: HeldTask) -> None:
        """Send the task until an attempt succeeds or none is left."""
        while task.dispatches < MAX_ATTEMPTS:
            pause = task.schedule_at - self.now()
            await asyncio.sleep(pause.total_seconds() / self._time_scale)
            await queue.is_running.wait()
            async with queue.room:
                record = task.last = await self._attempt(task)
            task.dispatches += 1
            task.responses += record.status is not None
            # The wait starts at the minimum, doubles, then grows by the last step.
            retries = task.dispatches - 1
            step: timedelta = MIN_BACKOFF * 2 ** min(retries, MAX_DOUBLINGS)
            backoff = min(MAX_BACKOFF, step * (1 + max(0, retries - MAX_DOUBLINGS)))
            task.schedule_at = record.ended_at + max(backoff, record.retry_after)
            self.attempts.append(record)
            self.counters.add(f"attempts_{record.outcome}")
            is_done = record.outcome in (Outcome.SUCCEEDED, Outcome.DROPPED)
            if is_done or task.dispatches == MAX_ATTEMPTS:
                self.counters.add("tasks_done" if is_done else "tasks_used_up")
                del queue.tasks[task.name]
            self._changed.set()
            if is_done:
                return

    async def _attempt(self, task: HeldTask) -> AttemptRecord:
        """Send the request once (twice if drawn so)."""
        dispatched_at = self.now()
        dice, _ = self._chance.dice(task.request.body)
        if dice.happens("held back", self.behaviour.held_back):
            self.counters.add("held_back")
            await asyncio.sleep(dice.draw("held back for") * self.behaviour.held_back_ms / 1000)
        if dice.happens("dropped", self.behaviour.dropped):
            answer: httpx.Response | Outcome = Outcome.DROPPED
        elif dice.happens("doubled", self.behaviour.doubled):
            self.counters.add("doubled")
            answer, _ = await asyncio.gather(self._post(task), self._post(task))
        else:
            answer = await self._post(task)
        if isinstance(answer, httpx.Response):
            outcome = Outcome.SUCCEEDED if answer.is_success else Outcome.REFUSED
            status, pause = answer.status_code, retry_after(answer.headers) or timedelta(0)
        else:
            outcome, status, pause = answer, None, timedelta(0)
        return AttemptRecord(
            task=task.name,
            number=task.dispatches + 1,
            scheduled_at=task.schedule_at,
            dispatched_at=dispatched_at,
            ended_at=self.now(),
            outcome=outcome,
            status=status,
            retry_after=pause,
        )

    async def _post(self, task: HeldTask) -> httpx.Response | Outcome:
        try:
            async with asyncio.timeout(task.deadline.total_seconds() / self._deadline_scale):
                return await self._client.post(task.request.url, content=task.request.body, headers=self._headers(task))
        except TimeoutError:
            return Outcome.DEADLINE
        except httpx.HTTPError:
            return Outcome.NO_CONNECTION

    def _headers(self, task: HeldTask) -> httpx.Headers:
        """Return the client's headers, then those it may not set itself."""
        given = task.request.headers.items()
        headers = httpx.Headers([one for one in given if not one[0].lower().startswith(REPLACED_HEADERS)])
        headers.update(
            {
                "User-Agent": "Google-Cloud-Tasks",
                "X-CloudTasks-QueueName": task.name.split("/")[5],
                "X-CloudTasks-TaskName": task.id,
                "X-CloudTasks-TaskRetryCount": str(task.dispatches),
                "X-CloudTasks-TaskExecutionCount": str(task.responses),
                "X-CloudTasks-TaskETA": f"{task.schedule_at.timestamp():.6f}",
            }
        )
        if task.last is not None:
            headers["X-CloudTasks-TaskRetryReason"] = task.last.outcome.value
            if task.last.status is not None:
                headers["X-CloudTasks-TaskPreviousResponse"] = str(task.last.status)
        fault, oidc = self.behaviour.token_fault, task.request.oidc_token
        if oidc.service_account_email and fault is not TokenFault.ABSENT:
            token = self.signer.token(
                email=oidc.service_account_email,
                audience=oidc.audience or task.request.url,
                at=datetime.now(UTC),
                fault=fault,
            )
            headers["Authorization"] = f"Bearer {token}"
        return headers

    async def _start_http(self) -> None:
        listener = listen(self._host, self._http_port)
        self._http_port = listener.getsockname()[1]
        routes = [
            Route("/oauth2/v3/certs", self._show_keys, methods=["GET"]),
            behaviour_route(self, TasksBehaviour()),
            Route("/sandbox/keys", self._rotate_keys, methods=["POST"]),
            Route("/sandbox/tasks", self._show_tasks, methods=["GET"]),
            Route("/healthz", lambda _: JSON({"ok": True}), methods=["GET"]),
        ]
        app = SandboxMark(Starlette(routes=routes))
        config = uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=1)
        self._http = uvicorn.Server(config)
        self._serving = asyncio.create_task(self._http.serve(sockets=[listener]))
        while not self._http.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait on
            await asyncio.sleep(0.005)

    async def _show_keys(self, _: Request) -> Response:
        self.counters.add("keys_fetched")
        headers = {"Cache-Control": f"public, max-age={KEYS_MAX_AGE_SECONDS}, must-revalidate, no-transform"}
        return JSON(self.signer.keys(), headers=headers)

    async def _rotate_keys(self, _: Request) -> Response:
        self.signer.rotate()
        return JSON(self.signer.keys())

    async def _show_tasks(self, _: Request) -> Response:
        """Return the held tasks, the newest attempts, and the counters."""
        held = [
            {"name": task.name, "schedule_at": task.schedule_at.isoformat(), "dispatches": task.dispatches}
            for task in self.tasks[:MAX_SHOWN]
        ]
        attempts = [
            asdict(one) | {"retry_after": one.retry_after.total_seconds()} for one in list(self.attempts)[-MAX_SHOWN:]
        ]
        return JSON({"held": held, "attempts": attempts, "counters": self.counters.all()})


def _checked(task: tasks_v2.Task) -> tasks_v2.Task:
    request, url = task.http_request, task.http_request.url
    faults = {
        "The stand-in offers unnamed tasks alone, without a time or rules of their own.": bool(
            task.name or task.schedule_time or "retry_config" in task
        ),
        "The stand-in offers POST with an OIDC token alone.": "oauth_token" in request
        or request.http_method not in (tasks_v2.HttpMethod.POST, tasks_v2.HttpMethod.HTTP_METHOD_UNSPECIFIED),
        f"Task size too large: the maximum is {MAX_TASK_BYTES} bytes.": tasks_v2.Task.pb(task).ByteSize()
        > MAX_TASK_BYTES,
        "HttpRequest.url is not a URL.": not url.startswith(("http://", "https://")) or len(url) > MAX_URL_LENGTH,
        "Task.dispatch_deadline must be between [15s, 30m].": not SHORTEST_DEADLINE
        <= (task.dispatch_deadline or timedelta(0))
        <= LONGEST_DEADLINE,
        "OidcToken.service_account_email is required and must be an e-mail address.": "oidc_token" in request
        and "@" not in request.oidc_token.service_account_email,
    }
    for message, is_wrong in faults.items():
        if is_wrong:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)
    return task
