"""The queue of the Celery engine, from its sending side: wake-ups are written to Redis as Celery's own messages.

Celery's client is left out of the webhook's way: sending through it costs half a millisecond of its CPU, and importing
it most of a second. The message is Celery's protocol 2 in Kombu's Redis envelope
(https://docs.celeryq.dev/en/stable/internals/protocol.html); a test has a real Celery worker read it.
"""

import asyncio
import base64
import uuid
from collections.abc import Callable, Mapping

import orjson

from adapters.redis_database import RedisDatabase
from contracts.errors import TransientError
from contracts.values import ConversationId
from observability.tracing import current_traceparent

FAST, ANALYSIS = "fast", "analysis"
DRAIN, ANALYSE, TEND, SWEEP, CLEAN = "prosa.drain", "prosa.analyse", "prosa.tend", "prosa.sweep", "prosa.clean"
REPORT = "prosa.report"
KEY_PREFIX = "prosa:broker:"

MAX_BATCH = 500


class CeleryQueue:
    """Satisfies the `WakeUps` port. A wake-up is sent behind the caller's back, together with those that came with it.

    `on_lost` is told how many wake-ups could not be sent; the sweeper finds their conversations.
    """

    def __init__(self, database: RedisDatabase, *, on_lost: Callable[[int], None]) -> None:
        self._database = database
        self._on_lost = on_lost
        self._waiting: dict[tuple[str, str], str | None] = {}
        self._sending: asyncio.Task[None] | None = None

    async def wake(self, conversation_id: ConversationId) -> None:
        self._send(DRAIN, conversation_id)

    async def analyse(self, key: str) -> None:
        """Have the analysis of that record worked on, in the queue of long jobs."""
        self._send(ANALYSE, key)

    async def close(self, *, grace_seconds: float = 1.0) -> None:
        """Send what waits, if that is quick; the connections are the database's."""
        if self._sending is not None:
            await asyncio.wait([self._sending], timeout=grace_seconds)
            self._sending.cancel()

    def _send(self, task: str, argument: str) -> None:
        # Of wake-ups that merge the first one's trace goes on: its message has waited longest.
        self._waiting.setdefault((task, argument), current_traceparent())
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_waiting())

    async def _send_waiting(self) -> None:
        while self._waiting:
            batch = {job: self._waiting.pop(job) for job in list(self._waiting)[:MAX_BATCH]}
            for queue, messages in _by_queue(batch).items():
                try:
                    await self._database.command("LPUSH", KEY_PREFIX + queue, *messages)
                except TransientError:
                    self._on_lost(len(messages))


def _by_queue(jobs: Mapping[tuple[str, str], str | None]) -> dict[str, list[bytes]]:
    queues: dict[str, list[bytes]] = {}
    for (task, argument), traceparent in jobs.items():
        queue = ANALYSIS if task == ANALYSE else FAST
        queues.setdefault(queue, []).append(envelope(task, argument, queue=queue, traceparent=traceparent))
    return queues


def envelope(task: str, argument: str, *, queue: str, traceparent: str | None = None) -> bytes:
    """One message as Kombu's Redis transport keeps it in the list of its queue."""
    job_id = str(uuid.uuid4())
    body = orjson.dumps([[argument], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
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
                **({"traceparent": traceparent} if traceparent else {}),
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
