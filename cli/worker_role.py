"""The worker's side as a process of its own: behind Celery, or behind HTTP for Cloud Tasks."""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from adapters.clock import SystemClock
from adapters.http.access import Access
from cli.sandboxed import sandboxed
from cli.serving import server_of
from cli.tracing import traced
from contracts.alongside import running_beside
from contracts.settings import Settings
from observability.exposition import Exposition
from observability.metrics import TASK_REQUESTS
from observability.tracing import flush_spans
from worker.backends import open_backend, required
from worker.engines.health import Operation, create_app
from worker.service import Sweeping, Worker, open_worker, reload_on_hangup

if TYPE_CHECKING:
    from starlette.types import ASGIApp

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
async def open_celery_worker(
    settings: Settings, *, sweeping: Sweeping, listener: socket.socket | None
) -> AsyncIterator[Worker]:
    """The worker's side behind Celery; on `listener` it answers `/metrics`, `/healthz` and `/readyz`."""
    async with AsyncExitStack() as stack:
        worker = await stack.enter_async_context(open_worker_process(settings, sweeping=sweeping))
        if listener is not None:
            app = create_app(*operation_of(worker, settings).routes())
            await stack.enter_async_context(server_of(app).running(listener))
        yield worker


def operation_of(worker: Worker, settings: Settings) -> Operation:
    inbox, store = worker.backend.inbox, worker.backend.store
    return Operation(
        ready=store.ping,
        metrics=Exposition(inbox, store, SystemClock()).text,
        access=Access(settings.console_keys, settings.console_proxy),
    )


@asynccontextmanager
async def open_tasks(settings: Settings) -> AsyncIterator["ASGIApp"]:
    """The worker's side behind HTTP, for Cloud Tasks and Cloud Scheduler."""
    with required("Cloud Tasks"):
        from adapters.google.oidc import OidcVerifier
        from worker.engines.cloud_tasks import TasksDependencies, create_tasks_app

    assert settings.tasks_url is not None and settings.tasks_service_account is not None  # noqa: S101, PT018 - checked
    verifier = OidcVerifier(
        audience=settings.tasks_audience or settings.tasks_url,
        email=settings.tasks_service_account,
        clock=SystemClock(),
        certs_url=settings.tasks_certs_url,
    )
    async with (
        open_worker_process(settings, sweeping=BESIDE_SCHEDULER) as worker,
        running_beside(reload_on_hangup(worker)),
    ):
        try:
            yield create_tasks_app(
                TasksDependencies(
                    drain=worker.drain,
                    analyse=worker.queue.work_on_analysis,
                    sweep=worker.sweep_and_clean,
                    verifier=verifier,
                    count=lambda outcome: TASK_REQUESTS.labels(outcome=outcome.value).inc(),
                    operation=operation_of(worker, settings),
                    idle=partial(flush_spans, FLUSH_WITHIN),
                )
            )
        finally:
            await verifier.close()
