"""From a wake-up to a drain, over Cloud Tasks; and what the endpoint answers to everything else that comes."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.clock import SystemClock
from adapters.google.oidc import OidcVerifier
from adapters.http.access import Access
from contracts.errors import InboxUnavailableError, StoreUnavailableError
from contracts.ports import ModelRequest
from contracts.values import ConversationId
from observability.logs import configure_logs
from sandbox.cloud_tasks.behaviour import TokenFault
from sandbox.cloud_tasks.tokens import TokenSigner
from tests.builders import (
    EngineBed,
    agreeable,
    conversation_id,
    engine_bed,
    inbound,
    memory_inbox,
    memory_store,
    opened_by,
    scripted,
)
from tests.scripted import ScriptedModel
from tests.worker.tasks_bed import AUDIENCE, EMAIL, QUEUE, TasksBed, dependencies, direct, served, tasks_bed
from worker.drain import drain
from worker.engines import cloud_tasks as endpoint
from worker.engines import health
from worker.engines.cloud_tasks import MAX_BODY_BYTES, MAX_ID_LENGTH, WakeUpOutcome, create_tasks_app
from worker.scheduling.limiter import Limiter
from worker.sweeper import sweep

C1 = conversation_id("c-1")
BODY = orjson.dumps({"conversation_id": C1})


@pytest.fixture
async def bed() -> AsyncIterator[TasksBed]:
    async with tasks_bed() as bed:
        yield bed


def engine(bed: TasksBed, **options: Any) -> EngineBed:
    """An engine in memory whose drains the endpoint runs."""
    running = engine_bed(memory_inbox(), memory_store(), **options)
    bed.drain = lambda conversation_id: drain(conversation_id, running.engine.drain)
    return running


async def assert_answered_once(engine: EngineBed, conversation: ConversationId, texts: list[str]) -> None:
    """Every message once, in order; one reply for each turn; nothing left."""
    assert [one.message.text for one in await engine.store.conversations.receipts(conversation)] == texts
    turns = await engine.store.conversations.turns(conversation)
    in_turns = [message for turn in turns for message in turn.message_ids]
    assert len(in_turns) == len(set(in_turns)) == len(texts)
    assert await engine.inbox.pending(conversation) == []
    assert await engine.store.outbox.unsent(conversation) == []


async def test_a_wake_up_becomes_a_drain(bed: TasksBed) -> None:
    await bed.wake("a", "b")
    await bed.double.idle()
    assert sorted(bed.drained) == ["a", "b"]
    assert bed.outcomes == {WakeUpOutcome.DONE: 2}
    assert [one.status for one in bed.double.attempts] == [200, 200]


async def test_a_message_is_answered_when_its_task_is(bed: TasksBed) -> None:
    running = engine(bed)
    await running.inbox.append([inbound("Oi")])
    await bed.wake(C1)
    await bed.double.idle()
    await assert_answered_once(running, C1, ["Oi"])


@pytest.mark.parametrize(
    ("fault", "status", "outcome"),
    [
        *[
            (fault, 401, WakeUpOutcome.UNAUTHENTICATED)
            for fault in TokenFault
            if fault not in (TokenFault.WRONG_EMAIL, TokenFault.UNVERIFIED_EMAIL)
        ],
        (TokenFault.WRONG_EMAIL, 403, WakeUpOutcome.FORBIDDEN),
        (TokenFault.UNVERIFIED_EMAIL, 403, WakeUpOutcome.FORBIDDEN),
    ],
)
async def test_a_delivery_with_a_wrong_token_drains_nothing_until_it_comes_with_the_right_one(
    bed: TasksBed, fault: TokenFault, status: int, outcome: WakeUpOutcome
) -> None:
    bed.double.set(token_fault=fault)
    await bed.wake("a")
    await bed.double.until(lambda: len(bed.double.attempts) >= 1)
    assert bed.drained == []
    assert bed.double.attempts[0].status == status
    assert set(bed.outcomes) == {outcome}
    bed.double.set()
    await bed.double.idle()
    assert bed.drained == ["a"]


async def test_a_lost_wake_up_is_repaired_by_the_sweep(bed: TasksBed) -> None:
    running = engine(bed)
    bed.double.set(dropped=1)
    await running.inbox.append([inbound("Oi")])
    await bed.wake(C1)
    await bed.double.idle()
    assert bed.drained == []
    bed.double.set()
    await sweep(bed.queue, running.engine.sweep)
    await bed.queue.idle()
    await bed.double.idle()
    await assert_answered_once(running, C1, ["Oi"])


async def test_a_wake_up_while_the_queue_is_down_is_repaired_by_the_sweep(bed: TasksBed) -> None:
    running = engine(bed)
    await bed.double.stop()
    await running.inbox.append([inbound("Oi")])
    await bed.wake(C1)
    assert bed.lost == 1
    await bed.double.start()
    while not await running.store.conversations.receipts(C1):
        # As the process does each second, while its connection comes back.
        await sweep(bed.queue, running.engine.sweep)
        await bed.queue.idle()
        await bed.double.idle()
    await assert_answered_once(running, C1, ["Oi"])


async def test_doubled_lost_and_reordered_deliveries_double_lose_and_reorder_nothing(bed: TasksBed) -> None:
    running = engine(bed)
    bed.double.set(seed=3, doubled=0.4, dropped=0.3, held_back=0.5, held_back_ms=20, create_failed=0.2)
    names = [f"c-{number}" for number in range(12)]
    for text in ("um", "dois", "três"):
        for name in names:
            await running.inbox.append([inbound(text, conversation=name, at=running.clock.now())])
            await bed.queue.wake(conversation_id(name))
    await bed.queue.idle()
    await bed.double.idle()
    counted = bed.double.counters.all()
    assert {"doubled", "attempts_dropped", "held_back", "create_failed"} <= set(counted)
    bed.double.set()
    while await running.inbox.depth():
        running.clock.move(timedelta(minutes=1))
        await sweep(bed.queue, running.engine.sweep)
        await bed.queue.idle()
        await bed.double.idle()
    for name in names:
        await assert_answered_once(running, conversation_id(name), ["um", "dois", "três"])


async def test_a_paused_queue_keeps_the_wake_ups_for_later(bed: TasksBed) -> None:
    bed.double.pause(QUEUE)
    await bed.wake("a", "b")
    assert (bed.drained, len(bed.double.tasks)) == ([], 2)
    bed.double.resume(QUEUE)
    await bed.double.idle()
    assert sorted(bed.drained) == ["a", "b"]


async def test_a_conversation_that_somebody_works_on_is_answered_at_once_and_slows_nothing_down(bed: TasksBed) -> None:
    running = engine(bed)
    await running.inbox.append([inbound()])
    assert await running.inbox.claim(C1, ttl=timedelta(hours=1), at=running.clock.now())
    await bed.wake(C1)
    await bed.double.idle()
    assert [one.status for one in bed.double.attempts] == [200]


async def test_a_failing_turn_is_left_to_the_sweep_and_slows_nothing_down(bed: TasksBed) -> None:
    running = engine(bed, model=scripted(state=[]))
    await running.inbox.append([inbound()])
    await bed.wake(C1)
    await bed.double.idle()
    assert [one.status for one in bed.double.attempts] == [200]
    running.clock.move(timedelta(minutes=1))
    assert await running.inbox.due(at=running.clock.now(), limit=1) == [C1]


@pytest.mark.parametrize("error", [StoreUnavailableError("down"), InboxUnavailableError("down")])
async def test_an_outage_that_comes_out_of_the_drain_brings_the_task_back_later(
    bed: TasksBed, error: Exception
) -> None:
    away = [error, error]

    async def drain_(_: ConversationId) -> None:
        if away:
            raise away.pop()

    bed.drain = drain_
    await bed.wake("a")
    await bed.double.idle()
    first, second, third = bed.double.attempts
    assert [first.status, second.status, third.status] == [503, 503, 200]
    assert second.scheduled_at - first.ended_at == timedelta(seconds=2)
    assert bed.outcomes == {WakeUpOutcome.UNAVAILABLE: 2, WakeUpOutcome.DONE: 1}


async def test_a_task_in_an_outage_ends_at_once_and_leaves_its_conversation_to_the_sweep(bed: TasksBed) -> None:
    running = engine(bed)
    stopped = replace(running.engine.drain, limiter=Limiter(1, monotonic=lambda: 0.0, chance=lambda: 0.0))
    bed.drain = lambda conversation_id: drain(conversation_id, stopped)
    await running.inbox.append([inbound()])
    for _ in range(2):
        with stopped.limiter.probe() as look:
            assert look is not None
            look.failed()
    await bed.wake(C1)
    await bed.double.idle()
    assert [one.status for one in bed.double.attempts] == [200]
    assert running.faults.passed == []
    assert await running.inbox.due(at=running.clock.now(), limit=1) == [C1]


async def test_keys_that_cannot_be_had_bring_the_task_back_later() -> None:
    nowhere = OidcVerifier(audience=AUDIENCE, email=EMAIL, clock=SystemClock(), certs_url="http://127.0.0.1:9/certs")
    async with tasks_bed(verifier=nowhere) as bed:
        await bed.wake("a")
        await bed.double.until(lambda: len(bed.double.attempts) >= 1)
        assert bed.double.attempts[0].status == 503
        assert bed.drained == []
    await nowhere.close()


async def test_a_drain_that_takes_too_long_is_stopped_and_gives_its_conversation_back() -> None:
    thinking = asyncio.Event()

    async def slow(request: ModelRequest) -> str:
        thinking.set()
        await asyncio.Event().wait()
        return await agreeable(request)

    async with tasks_bed(time_limit=timedelta(milliseconds=100)) as bed:
        running = engine(bed, model=ScriptedModel(slow))
        await running.inbox.append([inbound()])
        await bed.wake(C1)
        await bed.double.idle()
    assert thinking.is_set()
    assert [one.status for one in bed.double.attempts] == [200]
    assert bed.outcomes == {WakeUpOutcome.CUT: 1}
    assert await running.inbox.due(at=running.clock.now(), limit=1) == [C1]


async def test_a_time_out_of_something_inside_is_a_defect_and_not_the_end_of_our_time() -> None:
    async def drain_(_: ConversationId) -> None:
        raise TimeoutError

    async with direct(dependencies(drain=drain_)) as client:
        response = await client.post("/tasks/process", content=BODY)
    assert response.status_code == 500


async def test_a_defect_is_a_problem_that_says_nothing_of_itself() -> None:
    async def drain_(_: ConversationId) -> None:
        raise ZeroDivisionError("secret")

    async with direct(dependencies(drain=drain_)) as client:
        response = await client.post("/tasks/process", content=BODY)
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert b"secret" not in response.content


async def test_nothing_is_left_running_when_the_answer_goes_out() -> None:
    """Between two requests the process may get no CPU at all."""
    order: list[str] = []

    async def work(*_: Any) -> None:
        order.append("work")

    async def idle() -> None:
        await asyncio.sleep(0)
        order.append("idle")

    async with direct(dependencies(drain=work, sweep=work, idle=idle)) as client:
        for path in ("/tasks/process", "/tasks/sweep"):
            await client.post(path, content=BODY)
            order.append("answer")
    assert order == ["work", "idle", "answer"] * 2


MALFORMED = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"c-1"',
    b"{}",
    b'{"conversation_id":null}',
    b'{"conversation_id":1}',
    b'{"conversation_id":["c"]}',
    b'{"conversation_id":""}',
    b'{"conversation_id":"\\ud800"}',
    b'{"conversation_id":NaN}',
    b'{"conversation_id":"' + b"x" * (MAX_ID_LENGTH + 1) + b'"}',
    b"[" * 100_000,
    b"\xff\xfe",
    b"x" * MAX_BODY_BYTES,
]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: repr(body[:24]))
async def test_a_body_that_can_never_work_ends_its_task_and_is_counted_and_logged(body: bytes) -> None:
    drained, counted, stream = [], [], io.StringIO()
    configure_logs(stream=stream)

    async def drain_(conversation_id: ConversationId) -> None:
        drained.append(conversation_id)

    async with direct(dependencies(drain=drain_, count=counted.append)) as client:
        response = await client.post("/tasks/process", content=body)
    assert (response.status_code, response.json()) == (200, {"outcome": "malformed"})
    assert (drained, counted) == ([], [WakeUpOutcome.MALFORMED])
    (line,) = (orjson.loads(line) for line in stream.getvalue().splitlines())
    assert (line["event"], line["severity"]) == ("wake_up.malformed", "ERROR")


@given(
    body=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(-(2**53), 2**53),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("conversation_id"), inner),
    ).map(lambda value: orjson.dumps(value) if _is_encodable(value) else b"")
)
@settings(max_examples=150, deadline=None)
def test_any_body_ends_its_task_and_only_a_name_is_drained(body: bytes) -> None:
    drained: list[str] = []

    async def drain_(conversation_id: ConversationId) -> None:
        drained.append(conversation_id)

    async def post() -> httpx.Response:
        async with direct(dependencies(drain=drain_)) as client:
            return await client.post("/tasks/process", content=body)

    response = asyncio.run(post())
    assert response.status_code == 200
    if drained:
        assert orjson.loads(body)["conversation_id"] == drained[0]
    else:
        assert response.json() == {"outcome": "malformed"}


def _is_encodable(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


@given(name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=MAX_ID_LENGTH))
@settings(max_examples=60, deadline=None)
def test_every_name_arrives_as_it_was_sent_whatever_else_a_newer_version_adds(name: str) -> None:
    drained: list[str] = []

    async def drain_(conversation_id: ConversationId) -> None:
        drained.append(conversation_id)

    async def post() -> None:
        async with direct(dependencies(drain=drain_)) as client:
            await client.post("/tasks/process", content=orjson.dumps({"version": 2, "conversation_id": name}))

    asyncio.run(post())
    assert drained == [name]


async def test_a_body_larger_than_a_task_can_be_is_refused() -> None:
    async with direct(dependencies()) as client:
        response = await client.post("/tasks/process", content=b"x" * (MAX_BODY_BYTES + 1))
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "READ_WITHIN", timedelta(milliseconds=50))
    async with served(create_tasks_app(dependencies())) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(
            b"POST /tasks/process HTTP/1.1\r\nHost: w\r\nAuthorization: Bearer t\r\nContent-Length: 9\r\n\r\n{"
        )
        answer = await reader.readline()
        writer.close()
    assert b" 408 " in answer


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Basic dXNlcg==", "Bearer not-a-token", "\xff"]
)
@pytest.mark.parametrize("path", ["/tasks/process", "/tasks/sweep"])
async def test_without_a_token_nothing_is_done_and_nothing_is_told(authorization: str | None, path: str) -> None:
    async def forbidden(*_: Any) -> None:
        raise AssertionError

    strict = OidcVerifier(audience=AUDIENCE, email=EMAIL, clock=SystemClock(), certs_url="http://127.0.0.1:9/certs")
    async with direct(dependencies(verifier=strict, drain=forbidden, sweep=forbidden)) as client:
        del client.headers["authorization"]
        headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
        response = await client.post(path, content=BODY, headers=headers)
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["status"] == 401
    await strict.close()


async def test_only_a_bearer_token_is_looked_at() -> None:
    async with direct(dependencies()) as client:
        response = await client.post("/tasks/process", content=BODY, headers={"Authorization": "Basic token"})
    assert response.status_code == 401


async def test_the_scheduler_s_job_sweeps_once_with_the_same_token() -> None:
    swept: list[str] = []

    async def sweep_() -> None:
        swept.append("once")

    async with tasks_bed(sweep=sweep_) as bed, httpx.AsyncClient(base_url=bed.url) as client:
        ours, foreign = (
            {"Authorization": f"Bearer {signer.token(email=EMAIL, audience=AUDIENCE, at=datetime.now(UTC))}"}
            for signer in (bed.double.signer, TokenSigner())
        )
        response = await client.post("/tasks/sweep", headers=ours)
        refused = await client.post("/tasks/sweep", headers=foreign)
    assert (response.status_code, response.json(), swept) == (200, {"outcome": "done"}, ["once"])
    assert refused.status_code == 401


async def test_a_sweep_that_finds_the_inbox_away_is_done_again_later() -> None:
    async def sweep_() -> None:
        raise InboxUnavailableError("down", retry_after=timedelta(seconds=7))

    async with direct(dependencies(sweep=sweep_)) as client:
        response = await client.post("/tasks/sweep")
    assert (response.status_code, response.headers["retry-after"]) == (503, "7")


async def test_the_process_is_alive_and_ready_when_its_backends_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "READY_TIMEOUT_SECONDS", 0.01)

    async def away() -> None:
        raise StoreUnavailableError("down")

    async def hanging() -> None:
        await asyncio.Event().wait()

    async with direct(dependencies()) as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
    for ready in (away, hanging):
        async with direct(dependencies(ready=ready)) as client:
            assert (await client.get("/healthz")).status_code == 200
            response = await client.get("/readyz")
            assert (response.status_code, response.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    ("token", "host", "headers", "status"),
    [
        ("secret", "10.0.0.1", {"Authorization": "Bearer secret"}, 200),
        ("secret", "10.0.0.1", {"Authorization": "Bearer wrong"}, 401),
        ("secret", "10.0.0.1", {"Authorization": "Basic secret"}, 401),
        ("secret", "127.0.0.1", {"Authorization": ""}, 401),
        (None, "10.0.0.1", {"Authorization": "Bearer "}, 403),
        ("", "10.0.0.1", {"Authorization": "Bearer "}, 401),
        (None, "127.0.0.1", {}, 200),
        (None, "127.0.0.1", {"X-Forwarded-For": "10.0.0.1"}, 403),
        (None, "127.0.0.1", {"CF-Connecting-IP": "10.0.0.1"}, 403),
        (None, "127.0.0.1", {"Host": "attacker.test"}, 403),
        ("secret", "127.0.0.1", {"X-Forwarded-For": "10.0.0.1", "Authorization": "Bearer secret"}, 200),
    ],
)
async def test_metrics_are_closed_to_strangers(
    token: str | None, host: str, headers: dict[str, str], status: int
) -> None:
    async with direct(dependencies(access=Access() if token is None else opened_by(token)), host=host) as client:
        response = await client.get("/metrics", headers=headers)
    assert response.status_code == status
    assert (b"worker_turns_total" in response.content) is (status == 200)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/tasks/process", 405), ("GET", "/nothing", 404)])
async def test_what_is_not_there_is_a_problem(method: str, path: str, status: int) -> None:
    async with direct(dependencies()) as client:
        response = await client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
