"""The Celery engine: queues by complexity, the jobs on them, and the process that works them off.

Jobs are wake-ups. What is to be done, how often it was tried and when it is due is in the inbox and the store, so a job
that is lost, doubled or late costs at most a moment. One drain job serves all conversations that were woken in one
moment; a conversation that could not be answered is due again by the inbox's back-off. Analyses and timers have time
limits and are retried by Celery; the sweep is there for the retry that gets lost.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from queue import Empty
from typing import Any, Literal, Protocol

from celery import Celery, signals
from kombu.entity import Queue
from kombu.exceptions import ContentDisallowed, DecodeError
from kombu.transport import redis
from kombu.transport.virtual import Message
from pydantic import BaseModel, ConfigDict, Field

from adapters.event_loop import keep_what_is_loaded
from adapters.redis.address import RedisAddress
from adapters.redis.celery_queue import ANALYSE, ANALYSIS, CLEAN, DRAIN, FAST, KEY_PREFIX, REPORT, SWEEP, TEND
from contracts.errors import TransientError
from observability.logs import logger
from observability.metrics import WAKE_UPS_REFUSED
from observability.tracing import inside, remote_span
from worker.analyses.processing import ATTEMPTS, CALLBACK_ATTEMPTS, LEASE
from worker.engines.celery_pool import EngineProcess, EventLoopPool, retry_countdown

log = logger(__name__)

QUEUES = (FAST, ANALYSIS)
TEND_EVERY, SWEEP_EVERY, CLEAN_EVERY = timedelta(seconds=5), timedelta(seconds=10), timedelta(minutes=1)
# A report that is due is posted within this time; whether one is due, the job finds out.
REPORT_EVERY = timedelta(minutes=5)
TIMERS = ((TEND, TEND_EVERY), (SWEEP, SWEEP_EVERY), (CLEAN, CLEAN_EVERY), (REPORT, REPORT_EVERY))


# What reading garbage can raise; Kombu's JSON also makes numbers, dates and ids of what it contains.
NO_JOB = (
    ContentDisallowed,
    DecodeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


class _Headers(BaseModel):
    """Fields of a job's headers that Celery's worker reads without a check of its own."""

    model_config = ConfigDict(strict=True)
    task: str
    id: str
    retries: int | None = None
    eta: str | None = None
    expires: str | None = None
    timelimit: list[float | None] | None = Field(None, min_length=2, max_length=2)
    shadow: str | None = None
    compression: None = None


class _Properties(BaseModel):
    model_config = ConfigDict(strict=True)
    delivery_tag: str
    delivery_info: dict[str, str | bool | int | None]
    body_encoding: Literal["base64"]


class _Envelope(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)
    body: str
    headers: _Headers
    properties: _Properties


class _CheckedMessage(Message):
    """A job in the form that Celery writes; any other is refused before the worker counts it as taken.

    Raises:
        ValueError: it has another form, or its body is no job's.
    """

    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        _Envelope.model_validate(payload)
        super().__init__(payload, channel=channel, **kwargs)
        given, named, embedded = self.payload
        if not (isinstance(given, list) and isinstance(named, dict) and isinstance(embedded, dict | None)):
            raise ValueError("not the body of a job")


class _CheckedChannel(redis.Channel):
    Message = _CheckedMessage


class _CheckedSentinelChannel(redis.SentinelChannel):
    Message = _CheckedMessage


class CheckedTransport(redis.Transport):
    """Kombu's transport, except that what is no job is dropped: it would end this worker, and every other after it."""

    Channel: Any = _CheckedChannel

    def on_readable(self, fileno: Any, loop: Any = None) -> None:
        try:
            super().on_readable(fileno)
        except (*self.connection_errors, *self.channel_errors, Empty):
            raise
        except NO_JOB as exc:
            WAKE_UPS_REFUSED.inc()
            log.warning("wake_up.refused", error=type(exc).__name__)


class CheckedSentinelTransport(CheckedTransport):
    default_port: Any = redis.SentinelTransport.default_port
    Channel = _CheckedSentinelChannel


class Jobs(Protocol):
    """Work of a process for each kind of job. A `TransientError` has the job retried, where it may be."""

    async def drain(self, conversation_id: str) -> None: ...
    async def analyse(self, key: str) -> None: ...
    async def tend(self) -> None: ...
    async def sweep(self) -> None: ...
    async def clean(self) -> None: ...
    async def report(self) -> None: ...
    async def reload(self) -> None: ...


def create_celery(redis_url: str, opening: Callable[[], AbstractAsyncContextManager[Jobs]] | None = None) -> Celery:
    """The app with its queues and jobs; `opening` builds a worker's engine, once for the process, when it starts."""
    broker, of_sentinels = RedisAddress.parse(redis_url).for_celery()
    app = Celery("prosa", broker=broker, set_as_current=False)
    app.conf.update(
        broker_transport=CheckedSentinelTransport if of_sentinels else CheckedTransport,
        task_queues=[Queue(name) for name in QUEUES],
        task_default_queue=FAST,
        task_routes={ANALYSE: {"queue": ANALYSIS}},
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_disable_rate_limits=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A failover interrupts the blocking read with an error reply; without this the worker would end.
        broker_channel_error_retry=True,
        broker_transport_options={
            "global_keyprefix": KEY_PREFIX,
            # A wake-up that was taken is kept in mind by its worker and not in Redis: what a killed one had taken, the
            # others' sweeps find. Writing it down and out again took half of a wake-up's time.
            "ack_emulation": False,
            "priority_steps": [0],
            "socket_connect_timeout": 1,
            "socket_timeout": 5,
            "health_check_interval": 10,
            **of_sentinels,
        },
        beat_schedule={
            name: {"task": name, "schedule": every, "options": {"expires": every.total_seconds()}}
            for name, every in TIMERS
        },
    )
    app.engine = EngineProcess(opening) if opening is not None else None
    for name, job in _JOBS.items():
        _register(app, name, job)
    return app


async def _drain(jobs: Jobs, *conversation_ids: str, traces: Mapping[str, str] | None = None) -> None:
    """One wake-up serves all the conversations it names, side by side, each in the trace of its message."""
    drains = []
    for conversation_id in conversation_ids:
        with inside(remote_span((traces or {}).get(conversation_id))):
            drains.append(asyncio.create_task(jobs.drain(conversation_id)))
    try:
        # One that fails is a defect of its own; the others go on.
        await asyncio.wait(drains)
    except asyncio.CancelledError:
        for drain in drains:
            drain.cancel()
        await asyncio.wait(drains)
        raise
    for drain in drains:
        drain.result()


async def _analyse(jobs: Jobs, key: str, *, trace: str | None = None) -> None:
    with inside(remote_span(trace)):
        await jobs.analyse(key)


_JOBS: dict[str, Callable[..., Awaitable[None]]] = {
    DRAIN: _drain,
    ANALYSE: _analyse,
    TEND: lambda jobs: jobs.tend(),
    SWEEP: lambda jobs: jobs.sweep(),
    CLEAN: lambda jobs: jobs.clean(),
    REPORT: lambda jobs: jobs.report(),
}
# A drain has no limit and is not retried: it is bounded by the turn's budget, and the inbox has its own back-off.
# What a timer does not end in its limit is done by its next job; only a report's is rarer than a retry.
_OPTIONS: dict[str, dict[str, Any]] = {
    ANALYSE: {"soft_time_limit": LEASE.total_seconds(), "max_retries": ATTEMPTS + CALLBACK_ATTEMPTS},
    TEND: {"soft_time_limit": 30, "max_retries": 0},
    SWEEP: {"soft_time_limit": 30, "max_retries": 0},
    CLEAN: {"soft_time_limit": 300, "max_retries": 2},
    REPORT: {"soft_time_limit": 60, "max_retries": 3},
}


def _register(app: Celery, name: str, job: Callable[..., Awaitable[None]]) -> None:
    async def coroutine(*given: Any, **named: Any) -> None:
        await job(app.engine.current, *given, **named)

    def run(task: Any, *given: Any, **named: Any) -> None:
        """For the pools that Celery brings: they open an engine in each of their processes and wait for its loop."""
        app.engine.start()
        try:
            app.engine.submit(coroutine(*given, **named)).result()
        except TransientError as exc:
            raise task.retry(exc=exc, countdown=retry_countdown(exc, task.request.retries)) from exc

    # Not shared: Celery would give a job to every other app of the process as well.
    options = _OPTIONS.get(name, {})
    app.task(run, name=name, bind=True, shared=False, coroutine=staticmethod(coroutine), **options)


def run_worker(app: Celery, *, concurrency: int, queues: Sequence[str] = QUEUES, name: str | None = None) -> int:
    """Work until a signal says stop; returns the exit code. Logs are the product's, not Celery's.

    Raises:
        ConfigurationError, TransientError: the engine could not be opened.
    """
    # Before Celery, which would log a failure to start and go on.
    app.engine.start()
    keep_what_is_loaded()
    signals.setup_logging.connect(_keep_logging, weak=False)

    def reload_on_hangup(**_: Any) -> None:
        """Connected once Celery has set its own handler, which would start the whole process again."""
        signal.signal(signal.SIGHUP, lambda *_: app.engine.submit(app.engine.current.reload()))

    signals.worker_ready.connect(reload_on_hangup, weak=False)
    worker = app.Worker(
        pool_cls=EventLoopPool,
        concurrency=concurrency,
        queues=",".join(queues),
        hostname=name,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    if worker.exitcode:
        log.error("worker.failed", code=worker.exitcode)
    return int(worker.exitcode or 0)


def run_beat(app: Celery, *, schedule_file: str) -> None:
    """Send the timers' jobs until a signal says stop."""
    signals.setup_logging.connect(_keep_logging, weak=False)
    app.Beat(schedule=schedule_file, quiet=True, max_interval=1).run()


def _keep_logging(**_: Any) -> None:
    """Connected, so that Celery leaves the logging as the process has set it up."""
