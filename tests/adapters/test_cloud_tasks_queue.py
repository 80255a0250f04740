"""The queue on Cloud Tasks: what a wake-up becomes, and what happens to it while the service is slow or away."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.google import cloud_tasks
from adapters.google.cloud_tasks import CloudTasksQueue, QueueUnavailableError, queue_state
from contracts.errors import ConfigurationError
from contracts.values import ConversationId
from observability.logs import configure_logs
from sandbox.cloud_tasks.double import CloudTasksDouble
from tests.cloud_tasks import running_cloud_tasks

QUEUE = "projects/p/locations/l/queues/wake-ups"
URL = "https://worker.example.run.app/tasks/process"
EMAIL = "queue@p.iam.gserviceaccount.com"
A, B = ConversationId("a"), ConversationId("b")


@pytest.fixture
async def double() -> AsyncIterator[CloudTasksDouble]:
    """A queue that keeps its tasks: nobody is there to deliver them to."""
    async with running_cloud_tasks(QUEUE) as double:
        double.pause(QUEUE)
        yield double


class Lost:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, count: int) -> None:
        self.count += count


@asynccontextmanager
async def queue_on(
    double: CloudTasksDouble, lost: Callable[[int], None], **options: Any
) -> AsyncIterator[CloudTasksQueue]:
    given = {"url": URL, "service_account_email": EMAIL, "emulator_host": double.target}
    queue = CloudTasksQueue(QUEUE, on_lost=lost, **(given | options))
    try:
        yield queue
    finally:
        await queue.close(grace_seconds=0)


@pytest.fixture
def lost() -> Lost:
    return Lost()


@pytest.fixture
async def queue(double: CloudTasksDouble, lost: Lost) -> AsyncIterator[CloudTasksQueue]:
    async with queue_on(double, lost) as queue:
        yield queue


def woken(double: CloudTasksDouble) -> list[str]:
    return [orjson.loads(task.request.body)["conversation_id"] for task in double.tasks]


async def calls(double: CloudTasksDouble, number: int) -> None:
    """Return when so many creations have reached the service."""
    while double.counters.all().get("calls_CreateTask", 0) < number:  # noqa: ASYNC110 - counters tell nobody
        await asyncio.sleep(0.001)


async def test_a_wake_up_is_an_unnamed_task_that_posts_the_conversation_with_a_token(double: CloudTasksDouble) -> None:
    lost = Lost()
    async with queue_on(
        double, lost, audience="https://audience", headers=lambda: {"traceparent": "00-1-2-01"}
    ) as queue:
        await queue.wake(A)
        await queue.idle()
    (task,) = double.tasks
    assert task.request.url == URL
    assert orjson.loads(task.request.body) == {"conversation_id": "a"}
    assert dict(task.request.headers) == {"Content-Type": "application/json", "traceparent": "00-1-2-01"}
    assert task.request.oidc_token.service_account_email == EMAIL
    assert task.request.oidc_token.audience == "https://audience"
    assert task.deadline == timedelta(seconds=30)
    assert task.id.isdecimal()
    assert lost.count == 0


async def test_the_audience_is_the_url_unless_another_is_given(
    double: CloudTasksDouble, queue: CloudTasksQueue
) -> None:
    await queue.wake(A)
    await queue.idle()
    assert double.tasks[0].request.oidc_token.audience == URL


async def test_repeats_merge_while_they_wait_and_no_longer(double: CloudTasksDouble, lost: Lost) -> None:
    double.set(create_latency=50)
    async with queue_on(double, lost, at_once=1) as queue:
        for conversation_id in (A, A, A, B, B):
            await queue.wake(conversation_id)
        await calls(double, 1)
        # The task of A may be drained before the message that this is about is in the inbox.
        for conversation_id in (A, A, B):
            await queue.wake(conversation_id)
        await queue.idle()
    assert woken(double) == ["a", "b", "a"]
    assert lost.count == 0


async def test_idle_waits_for_what_was_handed_over_and_not_for_what_comes_meanwhile(
    double: CloudTasksDouble, queue: CloudTasksQueue
) -> None:
    double.set(create_latency=50)
    await queue.wake(A)
    await calls(double, 1)
    double.set(create_latency=600_000)
    idle = asyncio.create_task(queue.idle())
    await asyncio.sleep(0)
    await queue.wake(B)
    await idle
    assert woken(double) == ["a"]


async def test_a_service_that_is_away_for_a_moment_is_asked_again(
    double: CloudTasksDouble, queue: CloudTasksQueue, lost: Lost
) -> None:
    double.set(create_fails_next=2)
    await queue.wake(A)
    await queue.idle()
    assert (woken(double), lost.count) == (["a"], 0)


async def test_a_service_that_stays_away_is_given_up_and_counted(
    double: CloudTasksDouble, queue: CloudTasksQueue, lost: Lost
) -> None:
    double.set(create_fails_next=1_000)
    await queue.wake(A)
    async with asyncio.timeout(10):
        await queue.idle()
    assert (woken(double), lost.count) == ([], 1)
    assert 2 <= double.counters.all()["calls_CreateTask"] <= 50


@pytest.mark.parametrize("fault", ["DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL"])
async def test_other_failures_are_not_repeated(
    double: CloudTasksDouble, queue: CloudTasksQueue, lost: Lost, fault: str
) -> None:
    double.set(create_failed=1, create_fault=fault)
    await queue.wake(A)
    await queue.idle()
    assert lost.count == 1
    assert double.counters.all()["calls_CreateTask"] == 1


async def test_an_answer_that_got_lost_makes_a_second_task_and_no_harm(
    double: CloudTasksDouble, queue: CloudTasksQueue, lost: Lost
) -> None:
    double.set(create_fails_next=1, created_anyway=True)
    await queue.wake(A)
    await queue.idle()
    assert (woken(double), lost.count) == (["a", "a"], 0)


async def test_a_call_that_takes_too_long_is_given_up(
    double: CloudTasksDouble, queue: CloudTasksQueue, lost: Lost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud_tasks, "CALL_TIMEOUT_SECONDS", 0.05)
    double.set(create_latency=600_000)
    await queue.wake(A)
    await queue.idle()
    assert lost.count == 1


async def test_an_outage_is_counted_for_each_wake_up_and_logged_once(
    double: CloudTasksDouble, queue: CloudTasksQueue, lost: Lost
) -> None:
    stream = io.StringIO()
    configure_logs(stream=stream)
    double.set(create_failed=1, create_fault="INTERNAL")
    for number in range(5):
        await queue.wake(ConversationId(f"c-{number}"))
        await queue.idle()
    double.set()
    for conversation_id in (A, B):
        await queue.wake(conversation_id)
        await queue.idle()
    assert lost.count == 5
    logs = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    assert [(one["event"], one.get("count")) for one in logs] == [("queue.failing", None), ("queue.recovered", 5)]


async def test_what_waits_is_bounded(double: CloudTasksDouble, lost: Lost) -> None:
    async with queue_on(double, lost, capacity=5) as queue:
        for number in range(12):
            await queue.wake(ConversationId(f"c-{number}"))
        await queue.idle()
        assert (len(double.tasks), lost.count) == (5, 7)
        await queue.wake(A)
        await queue.idle()
    assert len(double.tasks) == 6


async def test_closing_sends_what_it_can_and_counts_the_rest(double: CloudTasksDouble, lost: Lost) -> None:
    async with queue_on(double, lost) as queue:
        await queue.wake(A)
        await queue.close(grace_seconds=30)
        assert (woken(double), lost.count) == (["a"], 0)
    async with queue_on(double, lost) as queue:
        double.set(create_latency=600_000)
        await queue.wake(B)
        await calls(double, 2)
        await queue.close(grace_seconds=0.01)
        assert lost.count == 1
        await queue.wake(B)
        assert lost.count == 2
    assert woken(double) == ["a"]


async def test_while_the_service_is_down_nothing_is_raised_and_afterwards_tasks_are_made_again(
    double: CloudTasksDouble, queue: CloudTasksQueue, lost: Lost
) -> None:
    await double.stop()
    await queue.wake(A)
    await queue.idle()
    assert lost.count == 1
    await double.start()
    while not double.tasks:
        await queue.wake(A)
        await queue.idle()
    assert woken(double) == ["a"]


async def test_without_credentials_the_process_does_not_come_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.delenv("CLOUDSDK_CONFIG", raising=False)
    with pytest.raises(ConfigurationError, match="CLOUD_TASKS_EMULATOR_HOST"):
        CloudTasksQueue(QUEUE, url=URL, service_account_email=EMAIL, on_lost=Lost())


async def test_the_state_of_the_queue_is_told(double: CloudTasksDouble) -> None:
    assert await queue_state(QUEUE, emulator_host=double.target) == "PAUSED"
    double.resume(QUEUE)
    assert await queue_state(QUEUE, emulator_host=double.target) == "RUNNING"
    with pytest.raises(QueueUnavailableError, match="NotFound"):
        await queue_state(f"{QUEUE}-2", emulator_host=double.target)
    await double.stop()
    with pytest.raises(QueueUnavailableError, match="ServiceUnavailable"):
        await queue_state(QUEUE, emulator_host=double.target)
