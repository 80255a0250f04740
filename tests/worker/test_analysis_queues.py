"""Analyses on their way to a worker: in the process, over Cloud Tasks, and past the workers that leave them alone."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import pytest

from adapters.google.cloud_tasks import ANALYSIS_DEADLINE
from contracts.analysis import Analysis, AnalysisKind, AnalysisStatus
from contracts.ports import WakeUps
from contracts.settings import Settings
from contracts.values import ConversationId
from tests.builders import (
    DOCUMENTS,
    EngineBed,
    SteppingClock,
    conversation_id,
    engine_bed,
    inbound,
    memory_inbox,
    memory_store,
)
from tests.worker.tasks_bed import dependencies, direct, tasks_bed
from worker.analyses.processing import LEASE, analyse, desk_of
from worker.backends import open_backend
from worker.bootstrap import open_engine
from worker.drain import drain
from worker.scheduling.keyed_queue import EmbeddedQueue
from worker.sweeper import sweep_forever

C1 = conversation_id()


@pytest.fixture
async def bed() -> EngineBed:
    """An engine with one conversation."""
    bed = engine_bed(memory_inbox(), memory_store())
    await bed.inbox.append([inbound("Oi")])
    await drain(C1, bed.engine.drain)
    return bed


async def asked(bed: EngineBed, queue: WakeUps | None = None) -> Analysis:
    analysis = await desk_of(bed.engine.analyses, queue).request(C1, AnalysisKind.HANDOFF_SUMMARY)
    assert analysis is not None
    return analysis


async def status(bed: EngineBed, analysis: Analysis) -> AnalysisStatus:
    found = await desk_of(bed.engine.analyses).find(analysis.id)
    assert found is not None
    return found.status


async def test_in_one_process_a_request_wakes_the_work_apart_from_the_drains(bed: EngineBed) -> None:
    drains = asyncio.Event()

    async def waiting(_: ConversationId) -> None:
        await drains.wait()

    async def work(key: str) -> None:
        await analyse(key, bed.engine.analyses)

    queue = EmbeddedQueue(waiting, work, at_once=1)
    await queue.wake(C1)
    analysis = await asked(bed, queue)
    await queue.work_on_analysis(analysis.id)
    assert await status(bed, analysis) is AnalysisStatus.DONE
    drains.set()
    await queue.idle()


async def test_few_analyses_run_at_once_and_of_one_record_one() -> None:
    running = most = 0

    async def drained(_: ConversationId) -> None:
        return

    async def work(_: str) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1

    queue = EmbeddedQueue(drained, work, analyses_at_once=3)
    for number in range(20):
        await queue.analyse(f"a-{number}")
    await queue.idle()
    assert most == 3


async def test_over_cloud_tasks_the_worker_works_on_it(bed: EngineBed) -> None:
    ended = asyncio.Event()

    async def work(key: str) -> None:
        await analyse(key, bed.engine.analyses)
        ended.set()

    async with tasks_bed(analyse=work) as tasks:
        analysis = await asked(bed, tasks.queue)
        await tasks.queue.idle()
        async with asyncio.timeout(30):
            await ended.wait()
        assert await status(bed, analysis) is AnalysisStatus.DONE
        assert tasks.drained == []


async def test_an_analysis_has_more_time_than_a_drain_and_its_end_is_200() -> None:
    async def slow(_: str) -> None:
        await asyncio.sleep(60)

    limits = {"time_limit": timedelta(seconds=60), "analysis_time_limit": timedelta(milliseconds=20)}
    async with direct(dependencies(analyse=slow, **limits)) as http:
        response = await http.post("/tasks/process", content=orjson.dumps({"analysis_id": "a"}))
    assert (response.status_code, response.json()) == (200, {"outcome": "cut"})
    assert LEASE < dependencies().analysis_time_limit < ANALYSIS_DEADLINE


@pytest.mark.parametrize("body", [{"analysis_id": ""}, {"analysis_id": 1}, {"analysis_id": "x" * 2_000}])
async def test_a_task_that_names_no_analysis_is_malformed(body: dict[str, object]) -> None:
    async with direct(dependencies()) as http:
        response = await http.post("/tasks/process", content=orjson.dumps(body))
    assert response.json() == {"outcome": "malformed"}


class Counting(SteppingClock):
    """Lets a test wait until the sweep has looked at it so often."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._left = looks
        self.looked = asyncio.Event()

    def now(self) -> datetime:
        self._left -= 1
        if self._left <= 0:
            self.looked.set()
        return super().now()


@pytest.mark.parametrize("analyses", [True, False])
async def test_a_worker_of_the_fast_queue_leaves_what_is_due_to_others(bed: EngineBed, analyses: bool) -> None:
    analysis = await asked(bed)

    class Queue:
        def __init__(self) -> None:
            self.keys: set[str] = set()

        async def wake(self, _: ConversationId) -> None:
            return

        async def analyse(self, key: str) -> None:
            self.keys.add(key)

    queue, clock = Queue(), Counting(200)
    object.__setattr__(bed.engine.sweep, "clock", clock)
    sweeping = asyncio.create_task(
        sweep_forever(queue, bed.engine.sweep, every=timedelta(microseconds=1), analyses=analyses)
    )
    await clock.looked.wait()
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)
    assert queue.keys == ({analysis.id} if analyses else set())


async def test_the_engine_tells_the_configured_receiver_and_nobody_without_one(tmp_path: Path) -> None:
    given = {"PROSA_DATA_DIR": tmp_path, "PROSA_INSTITUTION": DOCUMENTS / "pyloto", "ANTHROPIC_API_KEY": "key"}
    told = {"PROSA_ANALYSIS_CALLBACK_URL": "http://127.0.0.1:9/", "PROSA_ANALYSIS_CALLBACK_SECRET": "s"}
    for settings, is_there in ((Settings(**given), False), (Settings(**given, **told), True)):
        async with open_backend(settings) as backend, open_engine(settings, backend) as engine:
            assert (engine.analyses.callback is not None) is is_there
