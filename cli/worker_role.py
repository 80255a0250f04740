"""The worker's side as a process of its own: behind Celery, or behind HTTP for Cloud Tasks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from adapters.clock import SystemClock
from cli.sandboxed import sandboxed
from cli.tracing import traced
from contracts.settings import Settings
from observability.metrics import TASK_REQUESTS
from observability.tracing import flush_spans
from worker.backends import open_backend, required
from worker.jobs import Sweeping, Worker, open_worker

if TYPE_CHECKING:
    from starlette.applications import Starlette

# Where a process for timers or a scheduler runs beside the workers, they tend rarely.
BESIDE_TIMERS = Sweeping(tend_every=timedelta(minutes=1))
BESIDE_SCHEDULER = Sweeping(every=timedelta(seconds=1), tend_every=timedelta(minutes=1))


# What a request of the queue may take longer for its spans; behind its answer the process may get no CPU.
FLUSH_WITHIN = timedelta(milliseconds=300)


@asynccontextmanager
async def open_worker_process(settings: Settings, *, sweeping: Sweeping = BESIDE_TIMERS) -> AsyncIterator[Worker]:
    """The worker's side alone, as large as the settings say."""
    with traced(settings):
        async with (
            sandboxed(settings) as (effective, _),
            open_backend(effective) as backend,
            open_worker(effective, backend, at_once=settings.worker_concurrency, sweeping=sweeping) as worker,
        ):
            yield worker


@asynccontextmanager
async def open_tasks(settings: Settings) -> AsyncIterator["Starlette"]:
    """The worker's side behind HTTP, for Cloud Tasks and Cloud Scheduler."""
    with required("Cloud Tasks"):
        from adapters.oidc import OidcVerifier
        from worker.http import TasksDependencies, create_tasks_app

    assert settings.tasks_url is not None and settings.tasks_service_account is not None  # noqa: S101, PT018 - checked
    verifier = OidcVerifier(
        audience=settings.tasks_audience or settings.tasks_url,
        email=settings.tasks_service_account,
        clock=SystemClock(),
        certs_url=settings.tasks_certs_url,
    )
    async with open_worker_process(settings, sweeping=BESIDE_SCHEDULER) as worker:

        async def ready() -> None:
            await worker.deps.store.ping()

        try:
            yield create_tasks_app(
                TasksDependencies(
                    drain=worker.drain,
                    analyse=worker.analyse,
                    sweep=worker.sweep_and_clean,
                    ready=ready,
                    verifier=verifier,
                    count=lambda outcome: TASK_REQUESTS.labels(outcome=outcome.value).inc(),
                    idle=partial(flush_spans, FLUSH_WITHIN),
                    console_token=settings.console_token.get_secret_value() if settings.console_token else None,
                )
            )
        finally:
            await verifier.close()
