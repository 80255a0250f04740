"""The stand-in for Cloud Tasks, asked by Google's own client: its rules, its schedule, its deliveries."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import grpc.aio
import httpx
import pytest
from google.api_core import exceptions
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcAsyncIOTransport
from google.protobuf import field_mask_pb2
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.cloud_tasks.double import CloudTasksDouble, running_cloud_tasks
from sandbox.cloud_tasks.held import Outcome
from sandbox.cloud_tasks.schedule import DispatchRate, RetryRules

LOCATION = "projects/p/locations/l"
QUEUE = f"{LOCATION}/queues/wake-ups"
EMAIL = "queue@p.iam.gserviceaccount.com"
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
    return tasks_v2.Task(http_request={"url": url, "body": body} | (request or {}), **fields)


async def retry_with(client: tasks_v2.CloudTasksAsyncClient, **config: Any) -> None:
    await client.update_queue(
        queue=tasks_v2.Queue(name=QUEUE, retry_config=config),
        update_mask=field_mask_pb2.FieldMask(paths=["retry_config"]),
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


async def test_the_time_between_retries_doubles_then_grows_evenly_then_stays(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str
) -> None:
    """The example in the comment of RetryConfig."""
    await retry_with(
        client,
        max_attempts=9,
        min_backoff=timedelta(seconds=10),
        max_backoff=timedelta(seconds=300),
        max_doublings=3,
    )
    worker.always = Response(status_code=500)
    await client.create_task(parent=QUEUE, task=task(url))
    await double.idle()
    waits = [after.scheduled_at - before.ended_at for before, after in pairwise(double.attempts)]
    assert [wait.total_seconds() for wait in waits] == [10, 20, 40, 80, 160, 240, 300, 300]
    assert all(one.dispatched_at >= one.scheduled_at for one in double.attempts)
    assert double.counters.all()["tasks_used_up"] == 1


@given(
    failures=st.integers(1, 10_000),
    shortest=st.integers(1, 3600),
    longest=st.integers(3600, 10**9),
    doublings=st.integers(0, 1000),
)
def test_every_interval_lies_between_the_two_limits_and_none_is_shorter_than_the_one_before(
    failures: int, shortest: int, longest: int, doublings: int
) -> None:
    rules = RetryRules(
        min_backoff=timedelta(seconds=shortest), max_backoff=timedelta(seconds=longest), max_doublings=doublings
    )
    interval = rules.interval(failures)
    assert rules.min_backoff <= interval <= rules.max_backoff
    assert rules.interval(failures + 1) >= interval


def test_a_task_is_given_up_when_all_limits_that_are_set_are_reached() -> None:
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    both = RetryRules(max_attempts=3, max_retry_duration=hour)
    assert not both.is_used_up(3, since_first_attempt=minute)
    assert not both.is_used_up(2, since_first_attempt=hour)
    assert both.is_used_up(3, since_first_attempt=hour)
    assert RetryRules(max_attempts=3).is_used_up(3, since_first_attempt=minute)
    only_duration = RetryRules(max_attempts=-1, max_retry_duration=hour)
    assert not only_duration.is_used_up(1000, since_first_attempt=minute)
    assert only_duration.is_used_up(1, since_first_attempt=hour)
    unlimited = RetryRules(max_attempts=-1)
    assert not unlimited.is_used_up(10**6, since_first_attempt=timedelta(days=30))
    assert unlimited.is_used_up(1, since_first_attempt=timedelta(days=31))


async def test_unlimited_attempts_go_on_until_one_succeeds(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str
) -> None:
    await retry_with(client, max_attempts=-1, max_backoff=timedelta(seconds=1), max_doublings=1)
    worker.answers = [Response(status_code=500)] * 120
    await client.create_task(parent=QUEUE, task=task(url))
    await double.idle()
    assert len(double.attempts) == 121


async def test_the_retry_config_of_a_task_goes_before_that_of_its_queue(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str
) -> None:
    worker.always = Response(status_code=500)
    await client.create_task(parent=QUEUE, task=task(url, retry_config={"max_attempts": 2}))
    await double.idle()
    assert len(double.attempts) == 2


async def test_a_task_is_not_delivered_before_its_time(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str
) -> None:
    later = double.clock.now() + timedelta(seconds=200)
    await client.create_task(parent=QUEUE, task=task(url, body=b"later", schedule_time=later))
    await client.create_task(parent=QUEUE, task=task(url, body=b"now"))
    await double.idle()
    assert worker.bodies == [b"now", b"later"]
    assert double.attempts[1].scheduled_at == later
    assert double.attempts[1].dispatched_at >= later


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
    nobody = task("http://127.0.0.1:9/", retry_config={"max_attempts": 2})
    await client.create_task(parent=QUEUE, task=nobody)
    await double.idle()
    assert [one.outcome for one in double.attempts] == [Outcome.NO_CONNECTION] * 2


async def test_a_name_stays_taken_while_the_task_is_held_and_after_its_end(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str
) -> None:
    named = task(url, name=f"{QUEUE}/tasks/once", schedule_time=double.clock.now() + timedelta(hours=1))
    await client.create_task(parent=QUEUE, task=named)
    with pytest.raises(exceptions.AlreadyExists):
        await client.create_task(parent=QUEUE, task=named)
    await client.run_task(name=named.name)
    await double.idle()
    double.set(tombstone_seconds=9 * 86_400)
    with pytest.raises(exceptions.AlreadyExists):
        await client.create_task(parent=QUEUE, task=named)
    double.set(tombstone_seconds=0)
    await client.create_task(parent=QUEUE, task=named)
    await client.delete_task(name=named.name)
    double.set(tombstone_seconds=9 * 86_400)
    with pytest.raises(exceptions.AlreadyExists):
        await client.create_task(parent=QUEUE, task=named)
    assert worker.bodies == [b"x"]


async def test_a_paused_queue_takes_tasks_and_delivers_none_until_it_goes_on(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str
) -> None:
    paused = await client.pause_queue(name=QUEUE)
    assert paused.state == tasks_v2.Queue.State.PAUSED
    for number in range(3):
        await client.create_task(parent=QUEUE, task=task(url, body=b"%d" % number))
    by_hand = double.tasks[1]
    await client.run_task(name=by_hand.name)
    await double.until(lambda: len(double.attempts) == 1)
    assert worker.bodies == [b"1"]
    with pytest.raises(exceptions.NotFound):
        await client.run_task(name=by_hand.name)
    assert len(double.tasks) == 2
    await client.resume_queue(name=QUEUE)
    await double.idle()
    assert sorted(worker.bodies) == [b"0", b"1", b"2"]


async def test_a_task_run_by_hand_that_fails_is_scheduled_by_the_retry_rules(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str
) -> None:
    await retry_with(client, min_backoff=timedelta(seconds=50))
    await client.pause_queue(name=QUEUE)
    worker.answers = [Response(status_code=500)]
    created = await client.create_task(parent=QUEUE, task=task(url))
    await client.run_task(name=created.name)
    await double.until(lambda: len(double.attempts) == 1)
    (held,) = double.tasks
    assert held.schedule_at == double.attempts[0].ended_at + timedelta(seconds=50)
    shown = await client.get_task(name=created.name)
    assert (shown.dispatch_count, shown.response_count) == (1, 1)
    assert shown.last_attempt.response_status.message == "HTTP 500"


async def test_purging_and_deleting_take_tasks_away_undelivered(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str
) -> None:
    await client.pause_queue(name=QUEUE)
    first = await client.create_task(parent=QUEUE, task=task(url))
    await client.create_task(parent=QUEUE, task=task(url))
    await client.delete_task(name=first.name)
    with pytest.raises(exceptions.NotFound):
        await client.get_task(name=first.name)
    assert (await client.purge_queue(name=QUEUE)).purge_time is not None
    assert double.tasks == []
    await client.delete_queue(name=QUEUE)
    with pytest.raises(exceptions.NotFound):
        await client.create_task(parent=QUEUE, task=task(url))
    with pytest.raises(exceptions.FailedPrecondition):
        await client.create_queue(parent=LOCATION, queue=tasks_v2.Queue(name=QUEUE))
    double.set(queue_tombstone_seconds=0)
    await client.create_queue(parent=LOCATION, queue=tasks_v2.Queue(name=QUEUE))
    assert worker.bodies == []


async def test_queues_and_tasks_are_listed_by_pages_and_bodies_only_in_the_full_view(
    client: tasks_v2.CloudTasksAsyncClient, url: str
) -> None:
    await client.create_queue(parent=LOCATION, queue=tasks_v2.Queue(name=f"{LOCATION}/queues/another"))
    queues = [queue.name async for queue in await client.list_queues(request={"parent": LOCATION, "page_size": 1})]
    assert queues == [f"{LOCATION}/queues/another", QUEUE]
    await client.pause_queue(name=QUEUE)
    created = [await client.create_task(parent=QUEUE, task=task(url, body=b"secret")) for _ in range(5)]
    assert all(one.http_request.body == b"" for one in created)
    pages = await client.list_tasks(request={"parent": QUEUE, "page_size": 2, "response_view": "FULL"})
    listed = [one async for one in pages]
    assert {one.name for one in listed} == {one.name for one in created}
    assert {one.http_request.body for one in listed} == {b"secret"}


async def test_a_queue_has_the_defaults_of_the_service_and_only_the_masked_fields_change(
    client: tasks_v2.CloudTasksAsyncClient,
) -> None:
    queue = await client.get_queue(name=QUEUE)
    assert queue.rate_limits.max_dispatches_per_second == 500
    assert queue.rate_limits.max_concurrent_dispatches == 1000
    assert queue.rate_limits.max_burst_size == 100
    assert queue.retry_config.max_attempts == 100
    assert queue.retry_config.min_backoff == timedelta(milliseconds=100)
    assert queue.retry_config.max_backoff == timedelta(hours=1)
    assert queue.retry_config.max_doublings == 16
    changed = await client.update_queue(
        queue=tasks_v2.Queue(
            name=QUEUE,
            retry_config={"max_attempts": -1, "max_backoff": timedelta(seconds=10, milliseconds=900)},
            rate_limits={"max_dispatches_per_second": 5},
        ),
        update_mask=field_mask_pb2.FieldMask(paths=["retry_config.max_attempts", "retry_config.max_backoff"]),
    )
    assert changed.retry_config.max_attempts == -1
    assert changed.retry_config.max_backoff == timedelta(seconds=10)
    assert changed.retry_config.min_backoff == timedelta(milliseconds=100)
    assert changed.rate_limits.max_dispatches_per_second == 500
    made = await client.update_queue(queue=tasks_v2.Queue(name=f"{LOCATION}/queues/made-by-update"))
    assert made.state == tasks_v2.Queue.State.RUNNING
    with pytest.raises(exceptions.AlreadyExists):
        await client.create_queue(parent=LOCATION, queue=tasks_v2.Queue(name=made.name))


FAR = datetime.now(UTC) + timedelta(days=400)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://acme.com"},
        {"url": "acme.com"},
        {"url": "https://"},
        {"url": "https://acme.com:port/"},
        {"url": f"https://acme.com/{'x' * 2083}"},
        {"http_method": "GET", "body": b"x"},
        {"headers": {"x": "y" * 80 * 1024}},
        {"headers": {"bad name": "y"}},
        {"headers": {"x": "a\r\nb: c"}},
        {"body": b"x" * 100 * 1024},
        {"oidc_token": {"service_account_email": "nobody"}},
        {"task": {"name": f"{QUEUE}/tasks/not.allowed"}},
        {"task": {"name": f"{QUEUE}/tasks/{'x' * 501}"}},
        {"task": {"name": f"{LOCATION}/queues/another/tasks/x"}},
        {"task": {"name": "x"}},
        {"task": {"dispatch_deadline": timedelta(seconds=14)}},
        {"task": {"dispatch_deadline": timedelta(minutes=30, seconds=1)}},
        {"task": {"schedule_time": FAR}},
        {"task": {"retry_config": {"max_attempts": -2}}},
    ],
    ids=lambda wrong: repr(wrong)[:48],
)
async def test_what_the_service_refuses_is_refused(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, wrong: dict[str, Any]
) -> None:
    fields = wrong.pop("task", {})
    with pytest.raises(exceptions.InvalidArgument):
        await client.create_task(
            parent=QUEUE, task=task("http://127.0.0.1:9/", body=wrong.pop("body", b""), request=wrong, **fields)
        )
    assert double.tasks == []


async def test_names_and_limits_of_queues_are_checked(client: tasks_v2.CloudTasksAsyncClient) -> None:
    for name in (f"{LOCATION}/queues/under_score", f"{LOCATION}/queues/{'x' * 101}", "projects/q/locations/l/queues/x"):
        with pytest.raises(exceptions.InvalidArgument):
            await client.create_queue(parent=LOCATION, queue=tasks_v2.Queue(name=name))
    wrong: list[dict[str, Any]] = [
        {"rate_limits": {"max_dispatches_per_second": 501}},
        {"rate_limits": {"max_concurrent_dispatches": 5001}},
        {"retry_config": {"max_attempts": -2}},
        {"retry_config": {"min_backoff": timedelta(seconds=20), "max_backoff": timedelta(seconds=10)}},
    ]
    for fields in wrong:
        with pytest.raises(exceptions.InvalidArgument):
            await client.update_queue(queue=tasks_v2.Queue(name=QUEUE, **fields))
    with pytest.raises(exceptions.InvalidArgument):
        await client.update_queue(
            queue=tasks_v2.Queue(name=QUEUE), update_mask=field_mask_pb2.FieldMask(paths=["no_such_field"])
        )


async def test_a_batch_tells_what_was_created_and_what_was_not(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str
) -> None:
    requests = [tasks_v2.CreateTaskRequest(parent=QUEUE, task=one) for one in (task(url), task("ftp://no"), task(url))]
    operation = await client.batch_create_tasks(parent=QUEUE, requests=requests)
    result = await operation.result()
    assert len(result.tasks) == 2
    assert list(operation.metadata.failed_requests) == [1]
    await double.idle()
    assert len(worker.requests) == 2
    with pytest.raises(exceptions.InvalidArgument):
        await client.batch_create_tasks(parent=QUEUE, requests=requests * 34)


async def test_no_more_tasks_are_out_at_once_than_the_queue_allows(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, serve: Serve
) -> None:
    now = most = 0
    # As many as are allowed come together, however slow the machine is; a fourth would show.
    together = asyncio.Event()

    async def slow(_: Request) -> Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if now == 3:
            together.set()
        await together.wait()
        await asyncio.sleep(0.002)
        now -= 1
        return Response()

    address = await serve(Starlette(routes=[Route("/", slow, methods=["POST"])]))
    await client.update_queue(queue=tasks_v2.Queue(name=QUEUE, rate_limits={"max_concurrent_dispatches": 3}))
    await asyncio.gather(*(client.create_task(parent=QUEUE, task=task(f"{address}/")) for _ in range(30)))
    await double.idle()
    assert most == 3


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    rate = DispatchRate(per_second=10, burst=3, concurrent=100, at=at)
    assert [rate.take(at) for _ in range(3)] == [timedelta(0)] * 3
    assert rate.take(at) == timedelta(milliseconds=100)
    assert rate.take(at + timedelta(milliseconds=100)) == timedelta(0)
    assert rate.take(at + timedelta(milliseconds=100)) == timedelta(milliseconds=100)
    rate.slow_down()
    assert rate.take(at + timedelta(milliseconds=100)) == timedelta(milliseconds=200)
    assert rate.room == 50


async def test_dispatches_keep_to_the_rate(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str
) -> None:
    await client.update_queue(queue=tasks_v2.Queue(name=QUEUE, rate_limits={"max_dispatches_per_second": 0.1}))
    for _ in range(4):
        await client.create_task(parent=QUEUE, task=task(url))
    await double.idle()
    times = sorted(one.dispatched_at for one in double.attempts)
    # A burst of one, then one in ten seconds: n dispatches take at least n - 1 intervals, less what a clock rounds.
    assert times[-1] - times[0] >= timedelta(seconds=3 * 10 - 0.001)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_worker_that_is_busy_slows_its_queue_down_and_is_left_alone_as_long_as_it_asks(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str, status: int
) -> None:
    worker.answers = [Response(status_code=status, headers={"Retry-After": "77"})]
    await client.create_task(parent=QUEUE, task=task(url))
    await double.until(lambda: len(double.attempts) == 1)
    assert double.share_of_rate(QUEUE) == 0.5
    await double.idle()
    first, second = double.attempts
    assert second.scheduled_at - first.ended_at == timedelta(seconds=77)
    assert double.share_of_rate(QUEUE) > 0.5


async def test_other_failures_do_not_slow_the_queue_down(
    double: CloudTasksDouble, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, url: str
) -> None:
    worker.answers = [Response(status_code=500)]
    await client.create_task(parent=QUEUE, task=task(url))
    await double.idle()
    assert double.share_of_rate(QUEUE) == 1


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
            await client.pause_queue(name=QUEUE)
            await client.create_task(parent=QUEUE, task=task(url))
            target = double.target
            await double.stop()
            with pytest.raises(exceptions.ServiceUnavailable):
                await client.get_queue(name=QUEUE, retry=None)
        await double.start()
        assert double.target == target
        async with client_of(double) as client:
            await client.resume_queue(name=QUEUE)
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
