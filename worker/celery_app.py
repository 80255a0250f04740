"""The Celery engine: queues by complexity, the jobs on them, and the process that works them off.

Jobs are wake-ups. What is to be done, how often it was tried and when it is due stand in the inbox and the store, so a
job that is lost, doubled or late costs at most a moment. That is also why no job is retried by Celery: a conversation
that could not be answered is due again by the inbox's own back-off, an analysis by its record's.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Protocol

from celery import Celery, signals
from kombu.entity import Queue

from adapters.event_loop import keep_what_is_loaded
from adapters.queues.celery import ANALYSE, ANALYSIS, CLEAN, DRAIN, FAST, KEY_PREFIX, REPORT, SWEEP, TEND
from adapters.redis_address import RedisAddress
from observability.logs import logger
from observability.tracing import inside, remote_span
from worker.celery_pool import EventLoopPool
from worker.process import EngineProcess

log = logger(__name__)

QUEUES = (FAST, ANALYSIS)
TEND_EVERY, SWEEP_EVERY, CLEAN_EVERY = timedelta(seconds=5), timedelta(seconds=10), timedelta(minutes=1)
# A report that is due is posted within this time; whether one is due, the job finds out.
REPORT_EVERY = timedelta(minutes=5)
TIMERS = ((TEND, TEND_EVERY), (SWEEP, SWEEP_EVERY), (CLEAN, CLEAN_EVERY), (REPORT, REPORT_EVERY))


class Jobs(Protocol):
    """What a worker process does for each kind of job. Nothing is raised that another attempt would mend."""

    async def drain(self, conversation_id: str) -> None: ...
    async def analyse(self, key: str) -> None: ...
    async def tend(self) -> None: ...
    async def sweep(self) -> None: ...
    async def clean(self) -> None: ...
    async def report(self) -> None: ...


def create_celery(redis_url: str, opening: Callable[[], AbstractAsyncContextManager[Jobs]] | None = None) -> Celery:
    """The app with its queues and jobs; `opening` builds a worker's engine, once for the process, when it starts."""
    broker, of_sentinels = RedisAddress.parse(redis_url).for_celery()
    app = Celery("prosa", broker=broker, set_as_current=False)
    app.conf.update(
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


_JOBS: dict[str, Callable[..., Awaitable[None]]] = {
    DRAIN: lambda jobs, conversation_id: jobs.drain(conversation_id),
    ANALYSE: lambda jobs, key: jobs.analyse(key),
    TEND: lambda jobs: jobs.tend(),
    SWEEP: lambda jobs: jobs.sweep(),
    CLEAN: lambda jobs: jobs.clean(),
    REPORT: lambda jobs: jobs.report(),
}


def _register(app: Celery, name: str, job: Callable[..., Awaitable[None]]) -> None:
    async def coroutine(*given: Any) -> None:
        await job(app.engine.current, *given)

    async def traced(traceparent: str | None, *given: Any) -> None:
        with inside(remote_span(traceparent)):
            await coroutine(*given)

    def run(task: Any, *given: Any) -> None:
        """For the pools that Celery brings: they open an engine in each of their processes and wait for its loop."""
        app.engine.start()
        app.engine.submit(traced(task.request.get("traceparent"), *given)).result()

    # Not shared: Celery would give a job to every other app of the process as well.
    app.task(run, name=name, bind=True, shared=False, coroutine=staticmethod(coroutine))


def run_worker(app: Celery, *, concurrency: int, queues: Sequence[str] = QUEUES, name: str | None = None) -> int:
    """Work until a signal says stop; returns the exit code. Logs are the product's, not Celery's.

    Raises:
        ConfigurationError, TransientError: the engine could not be opened.
    """
    # Before Celery, which would log a failure to start and go on.
    app.engine.start()
    keep_what_is_loaded()
    signals.setup_logging.connect(_keep_logging, weak=False)
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
