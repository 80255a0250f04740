"""The stand-in for Cloud Tasks, asked by Google's own client: its rules, its schedule, its deliveries."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import grpc.aio
import httpx
import pytest
from google.api_core import exceptions
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcAsyncIOTransport
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.cloud_tasks.double import CloudTasksDouble, Outcome
from tests.cloud_tasks import running_cloud_tasks

LOCATION = "projects/p/locations/l"
QUEUE = f"{LOCATION}/queues/wake-ups"
DEADLINE = timedelta(seconds=30)
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
Serve = Callable[[object], Awaitable[str]]


class Worker:
    """Keeps what was delivered; answers 200, or what is laid down."""

    def __init__(self) -> None:
        self.requests: list[tuple[Request, bytes]] = []
        self.answers: list[Response] = []
        self.always: Response | None = None

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._take, methods=METHODS)])

    async def _take(self, request: Request) -> Response:
        self.requests.append((request, await request.body()))
        if self.answers:
            return self.answers.pop(0)
        return self.always or Response()

    @property
    def bodies(self) -> list[bytes]:
        return [body for _, body in self.requests]


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
async def url(worker: Worker, serve: Serve) -> str:
    return f"{await serve(worker.app())}/work"


@asynccontextmanager
async def client_of(double: CloudTasksDouble) -> AsyncIterator[tasks_v2.CloudTasksAsyncClient]:
    async with grpc.aio.insecure_channel(double.target) as channel:
        yield tasks_v2.CloudTasksAsyncClient(transport=CloudTasksGrpcAsyncIOTransport(channel=channel))


@pytest.fixture
async def double() -> AsyncIterator[CloudTasksDouble]:
    """Time passes a thousand times as fast as on the wall: a backoff of ten seconds takes ten milliseconds."""
    async with running_cloud_tasks(QUEUE, time_scale=1000) as double:
        yield double


@pytest.fixture
async def client(double: CloudTasksDouble) -> AsyncIterator[tasks_v2.CloudTasksAsyncClient]:
    async with client_of(double) as client:
        yield client


def task(url: str, *, body: bytes = b"x", request: dict[str, Any] | None = None, **fields: Any) -> tasks_v2.Task:
    return tasks_v2.Task(
        http_request={"url": url, "body": body} | (request or {}), **({"dispatch_deadline": DEADLINE} | fields)
    )


async def test_a_task_is_delivered_with_its_body_and_the_headers_of_the_service(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str
) -> None:
    headers = {"traceparent": "00-1-2-01", "Content-Type": "application/json", "User-Agent": "mine"}
    created = await client.create_task(parent=QUEUE, task=task(url, body=b"{}", request={"headers": headers}))
    await double.idle()
    ((request, body),) = worker.requests
    assert (request.method, body) == ("POST", b"{}")
    assert request.headers["traceparent"] == "00-1-2-01"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "Google-Cloud-Tasks"
    assert request.headers["x-cloudtasks-queuename"] == "wake-ups"
    assert request.headers["x-cloudtasks-taskname"] == created.name.rpartition("/")[2]
    assert request.headers["x-cloudtasks-taskretrycount"] == "0"
    assert request.headers["x-cloudtasks-taskexecutioncount"] == "0"
    assert float(request.headers["x-cloudtasks-tasketa"]) == pytest.approx(created.schedule_time.timestamp(), abs=1e-5)
    assert "authorization" not in request.headers
    assert "x-cloudtasks-taskpreviousresponse" not in request.headers


async def test_a_failed_task_comes_again_and_says_why(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str
) -> None:
    worker.answers = [Response(status_code=500), Response(status_code=404)]
    await client.create_task(parent=QUEUE, task=task(url))
    await double.idle()
    seen = [request.headers for request, _ in worker.requests]
    assert [one["x-cloudtasks-taskretrycount"] for one in seen] == ["0", "1", "2"]
    assert [one["x-cloudtasks-taskexecutioncount"] for one in seen] == ["0", "1", "2"]
    assert [one.get("x-cloudtasks-taskpreviousresponse") for one in seen] == [None, "500", "404"]
    assert [one.status for one in double.attempts] == [500, 404, 200]


async def test_a_worker_that_does_not_answer_in_time_has_failed_the_attempt(serve: Serve) -> None:
    calls: list[str] = []

    async def stuck(request: Request) -> Response:
        calls.append(request.headers.get("x-cloudtasks-taskretryreason", ""))
        if len(calls) == 1:
            await asyncio.sleep(60)
        return Response()

    address = await serve(Starlette(routes=[Route("/", stuck, methods=["POST"])]))
    deadline = timedelta(seconds=15)
    async with running_cloud_tasks(QUEUE, time_scale=100, deadline_scale=100) as double, client_of(double) as client:
        await client.create_task(parent=QUEUE, task=task(f"{address}/", dispatch_deadline=deadline))
        await double.idle()
    first = double.attempts[0]
    assert (first.outcome, first.status) == (Outcome.DEADLINE, None)
    assert double.attempts[-1].outcome is Outcome.SUCCEEDED
    assert first.ended_at - first.dispatched_at >= deadline
    assert calls[:2] == ["", "deadline"]


async def test_a_worker_that_is_not_there_is_tried_again(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient
) -> None:
    await client.create_task(parent=QUEUE, task=task("http://127.0.0.1:9/"))
    await double.until(lambda: len(double.attempts) == 2)
    assert {one.outcome for one in double.attempts} == {Outcome.NO_CONNECTION}


async def test_a_failing_task_comes_ever_later_until_its_attempts_are_used_up(
    client: tasks_v2.CloudTasksAsyncClient, double: CloudTasksDouble, worker: Worker, url: str
) -> None:
    worker.answers = [Response(status_code=500)] * 5
    await client.create_task(parent=QUEUE, task=task(url))
    await double.idle()
    waits = [after.scheduled_at - before.ended_at for before, after in pairwise(double.attempts)]
    assert [wait.total_seconds() for wait in waits] == [0.1, 0.2, 0.4, 0.8, 1.6]
    assert all(one.dispatched_at >= one.scheduled_at for one in double.attempts)


async def test_a_paused_queue_takes_tasks_and_delivers_none_until_it_goes_on(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str
) -> None:
    double.pause(QUEUE)
    for number in range(3):
        await client.create_task(parent=QUEUE, task=task(url, body=b"%d" % number))
    assert (await client.get_queue(name=QUEUE)).state == tasks_v2.Queue.State.PAUSED
    assert (len(double.tasks), worker.bodies) == (3, [])
    double.resume(QUEUE)
    await double.idle()
    assert sorted(worker.bodies) == [b"0", b"1", b"2"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://acme.com"},
        {"url": f"https://acme.com/{'x' * 2083}"},
        {"body": b"x" * 100 * 1024},
        {"oidc_token": {"service_account_email": "nobody"}},
        {"task": {"name": f"{QUEUE}/tasks/x"}},
        {"task": {"dispatch_deadline": timedelta(seconds=14)}},
        {"task": {"dispatch_deadline": timedelta(minutes=30, seconds=1)}},
    ],
    ids=lambda wrong: repr(wrong)[:48],
)
async def test_what_the_service_refuses_is_refused(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, wrong: dict[str, Any]
) -> None:
    with pytest.raises(exceptions.NotFound):
        await client.create_task(parent=f"{QUEUE}-2", task=task("http://127.0.0.1:9/"))
    fields = wrong.pop("task", {})
    with pytest.raises(exceptions.InvalidArgument):
        await client.create_task(
            parent=QUEUE, task=task("http://127.0.0.1:9/", body=wrong.pop("body", b""), request=wrong, **fields)
        )
    assert double.tasks == []


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_worker_is_left_alone_as_long_as_it_asks(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str, status: int
) -> None:
    worker.answers = [Response(status_code=status, headers={"Retry-After": "77"})]
    await client.create_task(parent=QUEUE, task=task(url))
    await double.until(lambda: len(double.attempts) == 1)
    await double.idle()
    first, second = double.attempts
    assert second.scheduled_at - first.ended_at == timedelta(seconds=77)


async def test_creations_fail_on_purpose_with_or_without_the_task_being_there(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str
) -> None:
    double.set(create_fails_next=2)
    for _ in range(2):
        with pytest.raises(exceptions.ServiceUnavailable):
            await client.create_task(parent=QUEUE, task=task(url))
    assert double.tasks == []
    await client.create_task(parent=QUEUE, task=task(url))
    double.set(create_failed=1, create_fault="DEADLINE_EXCEEDED", created_anyway=True)
    with pytest.raises(exceptions.DeadlineExceeded):
        await client.create_task(parent=QUEUE, task=task(url))
    await double.idle()
    assert len(worker.requests) == 2
    assert double.counters.all()["create_failed"] == 3


async def test_deliveries_are_dropped_doubled_and_reordered_on_purpose(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str
) -> None:
    double.set(dropped=1)
    await client.create_task(parent=QUEUE, task=task(url, body=b"lost"))
    await double.idle()
    double.set(doubled=1)
    await client.create_task(parent=QUEUE, task=task(url, body=b"twice"))
    await double.idle()
    assert worker.bodies == [b"twice", b"twice"]
    worker.requests.clear()
    double.set(held_back=1, held_back_ms=100)
    sent = [b"%d" % number for number in range(12)]
    for body in sent:
        await client.create_task(parent=QUEUE, task=task(url, body=body))
    await double.idle()
    assert sorted(worker.bodies) == sorted(sent)
    assert worker.bodies != sent


async def test_what_is_held_survives_a_stop_and_is_delivered_after_the_next_start(worker: Worker, url: str) -> None:
    async with running_cloud_tasks(QUEUE, time_scale=1000) as double:
        async with client_of(double) as client:
            double.pause(QUEUE)
            await client.create_task(parent=QUEUE, task=task(url))
            target = double.target
            await double.stop()
            with pytest.raises(exceptions.ServiceUnavailable):
                await client.get_queue(name=QUEUE, retry=None)
        await double.start()
        assert double.target == target
        double.resume(QUEUE)
        await double.idle()
    assert worker.bodies == [b"x"]


async def test_an_attempt_that_a_stop_breaks_off_was_none(serve: Serve) -> None:
    counts: list[str] = []
    arrived = asyncio.Event()

    async def stuck_at_first(request: Request) -> Response:
        counts.append(request.headers["x-cloudtasks-taskretrycount"])
        arrived.set()
        if len(counts) == 1:
            await asyncio.sleep(60)
        return Response()

    address = await serve(Starlette(routes=[Route("/", stuck_at_first, methods=["POST"])]))
    async with running_cloud_tasks(QUEUE) as double:
        async with client_of(double) as client:
            await client.create_task(parent=QUEUE, task=task(f"{address}/"))
            await arrived.wait()
        await double.stop()
        await double.start()
        await double.idle()
    assert counts == ["0", "0"]
    assert [(one.number, one.status) for one in double.attempts] == [(1, 200)]


async def test_behaviour_is_set_and_everything_is_seen_over_http(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str
) -> None:
    async with httpx.AsyncClient(base_url=double.http_url) as http:
        changed = await http.put("/sandbox/behaviour", json={"create_fails_next": 1, "token_fault": "expired"})
        assert changed.json() == {"create_fails_next": 1, "token_fault": "expired"}
        assert (await http.put("/sandbox/behaviour", json={"no_such": 1})).status_code == 422
        with pytest.raises(exceptions.ServiceUnavailable):
            await client.create_task(parent=QUEUE, task=task(url))
        assert (await http.delete("/sandbox/behaviour")).json() == {}
        await client.create_task(parent=QUEUE, task=task(url))
        await double.idle()
        seen = (await http.get("/sandbox/tasks")).json()
        keys = await http.get("/oauth2/v3/certs")
        rotated = (await http.post("/sandbox/keys")).json()
    assert seen["held"] == []
    assert [one["status"] for one in seen["attempts"]] == [200]
    assert seen["counters"]["create_failed"] == 1
    assert seen["counters"]["tasks_created"] == seen["counters"]["tasks_done"] == 1
    assert keys.headers["cache-control"].startswith("public, max-age=")
    (key,) = keys.json()["keys"]
    assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
    assert [one["kid"] for one in rotated["keys"]][1] == key["kid"]
