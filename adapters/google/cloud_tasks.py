"""Queue of the Cloud Tasks engine: each wake-up becomes a task that posts the conversation's id to the worker.

Tasks have no names: a name stays reserved for hours after its task, so a name per conversation would swallow the
wake-up of its second message. Tasks are created one by one, concurrently: a batch is a long-running operation, which
would need polling for the result of each task.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import grpc.aio  # type: ignore[import-untyped]
import orjson
from google.api_core.exceptions import GoogleAPICallError, RetryError, ServiceUnavailable
from google.api_core.retry import AsyncRetry, if_exception_type
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcAsyncIOTransport

from contracts.errors import ConfigurationError, TransientError
from contracts.values import ConversationId
from observability.logs import logger

log = logger(__name__)

DISPATCH_DEADLINE = timedelta(seconds=30)
ANALYSIS_DEADLINE = timedelta(seconds=120)
CALL_TIMEOUT_SECONDS = 2.0
# Retries while the service is unavailable; a task created twice is a repeated wake-up, which does no harm.
RETRY = AsyncRetry(if_exception_type(ServiceUnavailable), initial=0.1, multiplier=2, maximum=0.4, timeout=1.0)
AT_ONCE = 32
CAPACITY = 10_000


class QueueUnavailableError(TransientError):
    """The queue is unavailable."""


class _Job(NamedTuple):
    """Content of one task: the field of its body, the id in it, and the worker's deadline."""

    field: str
    id: str
    deadline: timedelta


@dataclass(eq=False)
class CloudTasksQueue:
    """Satisfies the `WakeUps` port. Tasks are created in the background, and repeats of a waiting wake-up merge.

    `on_lost` receives the number of lost wake-ups; the sweep finds their conversations. `headers` are read at each
    wake-up and travel with its task (`traceparent`). `parent` is the queue's full name, `url` the worker's, and the
    default `audience`; `emulator_host` is `host:port` of a test double, reached without encryption or credentials. Made
    inside a running event loop.

    Raises:
        ConfigurationError: there are no credentials of Google Cloud.
    """

    parent: str
    url: str
    service_account_email: str
    on_lost: Callable[[int], None]
    audience: str | None = None
    emulator_host: str | None = None
    headers: Callable[[], Mapping[str, str]] = dict
    at_once: int = AT_ONCE
    capacity: int = CAPACITY

    def __post_init__(self) -> None:
        self._oidc = tasks_v2.OidcToken(
            service_account_email=self.service_account_email, audience=self.audience or self.url
        )
        self._client = _client(self.emulator_host)
        self._room = asyncio.Semaphore(self.at_once)
        self._waiting: set[_Job] = set()
        self._sending: set[asyncio.Task[None]] = set()
        self._failing = 0
        self._closed = False

    async def wake(self, conversation_id: ConversationId) -> None:
        self._hand_over(_Job("conversation_id", conversation_id, DISPATCH_DEADLINE))

    async def analyse(self, key: str) -> None:
        self._hand_over(_Job("analysis_id", key, ANALYSIS_DEADLINE))

    def _hand_over(self, job: "_Job") -> None:
        if job in self._waiting:
            return
        if self._closed or len(self._sending) >= self.capacity:
            self._lose("closed" if self._closed else "full")
            return
        self._waiting.add(job)
        sending = asyncio.create_task(self._send(job, dict(self.headers())))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def idle(self) -> None:
        """Wait until every wake-up handed over so far is created or lost; later ones are not waited for."""
        if self._sending:
            await asyncio.wait(list(self._sending))

    async def close(self, *, grace_seconds: float = 1.0) -> None:
        """Refuse new wake-ups, give the waiting ones a little time, lose the rest."""
        self._closed = True
        late: set[asyncio.Task[None]] = set()
        if self._sending:
            _, late = await asyncio.wait(list(self._sending), timeout=grace_seconds)
        for sending in late:
            sending.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for _ in late:
            self._lose("closed")
        await self._client.transport.close()  # type: ignore[no-untyped-call]

    async def _send(self, job: "_Job", headers: dict[str, str]) -> None:
        async with self._room:
            # From here on a new message of the conversation needs a task of its own: this one may be drained already.
            self._waiting.discard(job)
            task = tasks_v2.Task(
                http_request=tasks_v2.HttpRequest(
                    url=self.url,
                    headers={"Content-Type": "application/json"} | headers,
                    body=orjson.dumps({job.field: job.id}),
                    oidc_token=self._oidc,
                ),
                dispatch_deadline=job.deadline,
            )
            try:
                request = tasks_v2.CreateTaskRequest(parent=self.parent, task=task)
                await self._client.create_task(request, retry=RETRY, timeout=CALL_TIMEOUT_SECONDS)
            except (GoogleAPICallError, RetryError) as exc:
                cause = exc.cause if isinstance(exc, RetryError) else exc
                self._lose(type(cause).__name__)
                return
            if self._failing:
                log.info("queue.recovered", count=self._failing)
                self._failing = 0

    def _lose(self, reason: str) -> None:
        """Count the loss, and log the first of a series: an outage of the queue is one event, not one per message."""
        self.on_lost(1)
        self._failing += 1
        if self._failing == 1:
            log.warning("queue.failing", reason=reason)


async def queue_state(name: str, *, emulator_host: str | None = None) -> str:
    """Return the state of the queue: RUNNING, PAUSED or DISABLED.

    Raises:
        QueueUnavailableError: it does not exist, or the service does not answer.
    """
    client = _client(emulator_host)
    try:
        queue = await client.get_queue(name=name, retry=None, timeout=CALL_TIMEOUT_SECONDS)
    except GoogleAPICallError as exc:
        raise QueueUnavailableError(f"{name}: {type(exc).__name__}") from exc
    finally:
        await client.transport.close()  # type: ignore[no-untyped-call]
    return str(queue.state.name)


def _client(emulator_host: str | None) -> tasks_v2.CloudTasksAsyncClient:
    if emulator_host is None:
        try:
            return tasks_v2.CloudTasksAsyncClient()
        except DefaultCredentialsError as exc:
            message = "no credentials of Google Cloud: run where a service account is, or set CLOUD_TASKS_EMULATOR_HOST"
            raise ConfigurationError(message) from exc
    channel = grpc.aio.insecure_channel(emulator_host)
    return tasks_v2.CloudTasksAsyncClient(transport=CloudTasksGrpcAsyncIOTransport(channel=channel))
