"""Producer of the Celery engine's queue, which writes wake-ups to Redis as Celery's own messages.

The webhook does without Celery's client: sending through it costs half a millisecond of CPU, and importing it most of
a second. The message is Celery's protocol 2 in Kombu's Redis envelope
(https://docs.celeryq.dev/en/stable/internals/protocol.html); a test has a real Celery worker read it.
"""

import asyncio
import base64
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import orjson

from adapters.redis.database import RedisDatabase
from contracts.errors import TransientError
from contracts.values import ConversationId
from observability.tracing import current_traceparent

FAST, ANALYSIS = "fast", "analysis"
DRAIN, ANALYSE, TEND, SWEEP, CLEAN = "prosa.drain", "prosa.analyse", "prosa.tend", "prosa.sweep", "prosa.clean"
REPORT = "prosa.report"
KEY_PREFIX = "prosa:broker:"

# Conversations in one job of a burst, so that several workers share it.
CONVERSATIONS_A_JOB = 16
# Wake-ups within this time of a sent one are collected into one job: a job costs a worker a millisecond of CPU,
# whatever its size. The first one after a quiet time leaves at once.
GATHER = timedelta(milliseconds=20)


class CeleryQueue:
    """Satisfies the `WakeUps` port. Wake-ups are sent in the background, concurrent ones as one job.

    `on_lost` receives the number of conversations without a wake-up; the sweeper finds them.
    """

    def __init__(self, database: RedisDatabase, *, on_lost: Callable[[int], None]) -> None:
        self._database = database
        self._on_lost = on_lost

        # Each wake-up with its trace. Merged wake-ups continue the first one's trace: its message has waited longest.
        self._conversations: dict[str, str | None] = {}
        self._analyses: dict[str, str | None] = {}
        self._sending: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def wake(self, conversation_id: ConversationId) -> None:
        self._send(self._conversations, conversation_id)

    async def analyse(self, key: str) -> None:
        """Queue the analysis of that record among the long jobs."""
        self._send(self._analyses, key)

    async def close(self, *, grace_seconds: float = 1.0) -> None:
        """Send the waiting wake-ups, if that is quick; the database owns the connections."""
        self._closing.set()
        if self._sending is not None:
            await asyncio.wait([self._sending], timeout=grace_seconds)
            self._sending.cancel()

    def _send(self, waiting: dict[str, str | None], what: str) -> None:
        waiting.setdefault(what, current_traceparent())
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_waiting())

    async def _send_waiting(self) -> None:
        while self._conversations or self._analyses:
            conversations, self._conversations = self._conversations, {}
            analyses, self._analyses = self._analyses, {}
            await self._push(FAST, drain_jobs(conversations), len(conversations))
            await self._push(ANALYSIS, [analysis_job(key, trace) for key, trace in analyses.items()], len(analyses))
            with suppress(TimeoutError):
                async with asyncio.timeout(GATHER.total_seconds()):
                    await self._closing.wait()

    async def _push(self, queue: str, jobs: Sequence[bytes], count: int) -> None:
        if not jobs:
            return
        try:
            await self._database.command("LPUSH", KEY_PREFIX + queue, *jobs)
        except TransientError:
            self._on_lost(count)


def drain_jobs(conversations: Mapping[str, str | None]) -> list[bytes]:
    """Return jobs that drain the conversations, each in its trace: the arguments are ids, limited per job."""
    ids = list(conversations)
    jobs = []
    for start in range(0, len(ids), CONVERSATIONS_A_JOB):
        some = ids[start : start + CONVERSATIONS_A_JOB]
        traces = {one: trace for one in some if (trace := conversations[one])}
        jobs.append(envelope(DRAIN, *some, queue=FAST, **({"traces": traces} if traces else {})))
    return jobs


def analysis_job(key: str, trace: str | None = None) -> bytes:
    return envelope(ANALYSE, key, queue=ANALYSIS, **({"trace": trace} if trace else {}))


def envelope(task: str, *arguments: str, queue: str, **named: Any) -> bytes:
    """Return one message in the form of Kombu's Redis transport."""
    job_id = str(uuid.uuid4())
    body = orjson.dumps([arguments, named, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    return orjson.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {
                "lang": "py",
                "task": task,
                "id": job_id,
                "root_id": job_id,
                "parent_id": None,
                "group": None,
                "eta": None,
                "expires": None,
                "retries": 0,
                "timelimit": [None, None],
                "argsrepr": "",
                "kwargsrepr": "",
                "ignore_result": True,
            },
            "properties": {
                "correlation_id": job_id,
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": job_id,
            },
        }
    )
