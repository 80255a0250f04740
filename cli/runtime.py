"""The roles of a process, put together from worker, webhook and stand-ins."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from fastapi import FastAPI
from starlette.applications import Starlette

from adapters.clock import NoFaults, SystemClock
from adapters.queues.embedded import EmbeddedQueue
from cli.sandboxed import sandboxed
from contracts.ports import Faults, WakeUps
from contracts.settings import Settings
from observability.metrics import TASK_REQUESTS
from webhook.app import create_app
from webhook.dependencies import WebhookDependencies, WhatsAppSecrets
from worker.backends import Backend, open_backend, open_wake_ups, required
from worker.bootstrap import Engine
from worker.dependencies import Dependencies
from worker.jobs import Sweeping, Worker, open_worker

KEEP_ALIVE = timedelta(seconds=15)
# Where no news comes from the workers' processes, a watching client's replies are looked for in the store.
POLLING = timedelta(seconds=1)
# Where a process for timers or a scheduler runs beside the workers, they tend rarely.
BESIDE_TIMERS = Sweeping(tend_every=timedelta(minutes=1))
BESIDE_SCHEDULER = Sweeping(every=timedelta(seconds=1), tend_every=timedelta(minutes=1))


@dataclass(frozen=True)
class Runtime:
    """The embedded engine: everything of one process. `sandbox_url` is None when nothing is imitated."""

    settings: Settings
    worker: Worker
    webhook: FastAPI
    sandbox_url: str | None
    imitates_model: bool

    @property
    def engine(self) -> Engine:
        return self.worker.engine

    @property
    def queue(self) -> EmbeddedQueue:
        return self.worker.queue

    @property
    def deps(self) -> Dependencies:
        return self.worker.deps


@asynccontextmanager
async def open_runtime(
    settings: Settings, *, faults: Faults | None = None, sweeping: bool = True
) -> AsyncIterator[Runtime]:
    """Open everything but the public server."""
    async with AsyncExitStack() as stack:
        effective, sandbox_url = await stack.enter_async_context(sandboxed(settings))
        backend = await stack.enter_async_context(open_backend(effective))
        worker = await stack.enter_async_context(
            open_worker(effective, backend, sweeping=Sweeping() if sweeping else None, faults=faults)
        )
        webhook = create_app(_webhook_dependencies(effective, settings, backend, worker.queue, faults))
        yield Runtime(effective, worker, webhook, sandbox_url, settings.uses_sandbox_model)


@asynccontextmanager
async def open_webhook(settings: Settings) -> AsyncIterator[FastAPI]:
    """The HTTP side alone: it makes messages durable and wakes the workers."""
    async with (
        sandboxed(settings, serving=False) as (effective, _),
        open_backend(effective) as backend,
        open_wake_ups(effective, backend) as queue,
    ):
        yield create_app(_webhook_dependencies(effective, settings, backend, queue, None))


@asynccontextmanager
async def open_worker_process(settings: Settings, *, sweeping: Sweeping = BESIDE_TIMERS) -> AsyncIterator[Worker]:
    """The worker's side alone, as large as the settings say."""
    async with (
        sandboxed(settings) as (effective, _),
        open_backend(effective) as backend,
        open_worker(effective, backend, at_once=settings.worker_concurrency, sweeping=sweeping) as worker,
    ):
        yield worker


@asynccontextmanager
async def open_tasks(settings: Settings) -> AsyncIterator[Starlette]:
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
                    sweep=worker.sweep_and_clean,
                    ready=ready,
                    verifier=verifier,
                    count=lambda outcome: TASK_REQUESTS.labels(outcome=outcome.value).inc(),
                    console_token=settings.console_token.get_secret_value() if settings.console_token else None,
                )
            )
        finally:
            await verifier.close()


def _webhook_dependencies(
    effective: Settings, given: Settings, backend: Backend, queue: WakeUps, faults: Faults | None
) -> WebhookDependencies:
    secrets = [effective.whatsapp_app_secret, effective.whatsapp_app_secret_previous]
    verify_token = effective.whatsapp_verify_token
    return WebhookDependencies(
        inbox=backend.inbox,
        store=backend.store,
        queue=queue,
        events=backend.events,
        clock=SystemClock(),
        faults=faults or NoFaults(),
        id_salt=effective.id_salt.get_secret_value(),
        whatsapp=WhatsAppSecrets(
            app_secrets=tuple(secret.get_secret_value() for secret in secrets if secret is not None),
            verify_token=verify_token.get_secret_value(),
        )
        if verify_token is not None
        else None,
        console_token=given.console_token.get_secret_value() if given.console_token else None,
        allowed_origins=given.allowed_origins,
        is_sandbox_model=given.uses_sandbox_model,
        look_again=KEEP_ALIVE if given.has_shared_events else POLLING,
    )
