"""The embedded engine in one process: worker, webhook and, where there is no key, the sandbox."""

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from adapters.clock import NoFaults, SystemClock
from adapters.events.memory import MemoryEvents
from adapters.queues.embedded import EmbeddedQueue
from contracts.ports import Events, Faults
from contracts.settings import Settings
from sandbox.app import SandboxSettings
from sandbox.app import create_app as create_sandbox
from sandbox.transport import listen
from webhook.app import create_app
from webhook.dependencies import WebhookDependencies, WhatsAppSecrets
from worker.bootstrap import Backend, Engine, open_backend, open_engine
from worker.dependencies import Dependencies
from worker.drain import drain
from worker.sweeper import sweep_forever

GRACE_SECONDS = 7.0
SANDBOX_SECRET = "sandbox"  # noqa: S105 - signs webhooks between this process and its own stand-in
SANDBOX_PHONE_NUMBER_ID = "100000000000001"


@dataclass(frozen=True)
class Runtime:
    """Everything of one process. `sandbox_url` is None when nothing is imitated."""

    settings: Settings
    engine: Engine
    queue: EmbeddedQueue
    webhook: FastAPI
    sandbox_url: str | None

    imitates_model: bool

    @property
    def deps(self) -> Dependencies:
        return self.engine.deps


class Server(uvicorn.Server):
    """A uvicorn server whose process decides about signals itself."""

    @asynccontextmanager
    async def running(self, listener: socket.socket) -> AsyncIterator[str]:
        """Serve on the socket while the context is open; yields the address."""
        serving = asyncio.create_task(self._serve(sockets=[listener]))
        try:
            while not self.started and not serving.done():  # noqa: ASYNC110 - uvicorn offers no event for it
                await asyncio.sleep(0.005)
            host, port = listener.getsockname()[:2]
            yield f"http://{host}:{port}"
        finally:
            self.should_exit = True
            await serving


def server_of(app: Any) -> Server:
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=2,
        limit_concurrency=2_000,
        server_header=False,
        date_header=False,
    )
    return Server(config)


@asynccontextmanager
async def open_runtime(
    settings: Settings, *, faults: Faults | None = None, sweeping: bool = True
) -> AsyncIterator[Runtime]:
    """Open everything but the public server; on leaving, running turns get a little time, the rest stays durable."""
    async with AsyncExitStack() as stack:
        sandbox_url = None
        if needs_sandbox(settings):
            sandbox_url = await stack.enter_async_context(_running_sandbox(settings))
        effective = with_sandbox(settings, sandbox_url) if sandbox_url else settings
        backend = await stack.enter_async_context(open_backend(effective))
        events = MemoryEvents()
        faults = faults or NoFaults()
        engine = await stack.enter_async_context(open_engine(effective, backend, events=events, faults=faults))
        await backend.store.publish(engine.rulebooks.current().institution, at=engine.deps.clock.now())
        queue = EmbeddedQueue(partial(drain, deps=engine.deps))
        stack.push_async_callback(queue.close, grace_seconds=GRACE_SECONDS)
        if sweeping:
            await stack.enter_async_context(running_beside(sweep_forever(queue, engine.deps)))
        webhook = create_app(_webhook_dependencies(effective, settings, backend, queue, events, faults))
        yield Runtime(effective, engine, queue, webhook, sandbox_url, settings.uses_sandbox_model)


def imitating_everything(settings: Settings) -> Settings:
    """The settings without keys and platforms: for a demonstration, which must not reach anybody real."""
    names = [name for name in Settings.model_fields if name.startswith(("anthropic_", "whatsapp_"))]
    return settings.model_copy(update={name: Settings.model_fields[name].default for name in names})


def needs_sandbox(settings: Settings) -> bool:
    return settings.uses_sandbox_model or (not settings.is_production and not settings.has_whatsapp)


def with_sandbox(settings: Settings, url: str) -> Settings:
    """The settings with the stand-ins in the places that nobody filled."""
    changes: dict[str, object] = {}
    if settings.uses_sandbox_model:
        changes["anthropic_api_key"] = SecretStr(SANDBOX_SECRET)
        changes["anthropic_base_url"] = settings.anthropic_base_url or f"{url}/anthropic"
    if not settings.has_whatsapp:
        changes |= {
            "whatsapp_app_secret": SecretStr(SANDBOX_SECRET),
            "whatsapp_verify_token": SecretStr(SANDBOX_SECRET),
            "whatsapp_access_token": SecretStr(SANDBOX_SECRET),
            "whatsapp_phone_number_id": SANDBOX_PHONE_NUMBER_ID,
            "whatsapp_api_url": f"{url}/graph/v26.0",
        }
    return settings.model_copy(update=changes)


@asynccontextmanager
async def _running_sandbox(settings: Settings) -> AsyncIterator[str]:
    webhook_url = f"http://127.0.0.1:{settings.port}/webhooks/whatsapp" if settings.port else None
    sandbox = create_sandbox(
        SandboxSettings(institution=settings.institution, webhook_url=webhook_url, app_secret=SANDBOX_SECRET)
    )
    async with server_of(sandbox).running(listen("127.0.0.1", 0)) as url:
        yield url


def _webhook_dependencies(
    effective: Settings, given: Settings, backend: Backend, queue: EmbeddedQueue, events: Events, faults: Faults
) -> WebhookDependencies:
    secrets = [effective.whatsapp_app_secret, effective.whatsapp_app_secret_previous]
    verify_token = effective.whatsapp_verify_token
    return WebhookDependencies(
        inbox=backend.inbox,
        store=backend.store,
        queue=queue,
        events=events,
        clock=SystemClock(),
        faults=faults,
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
    )


@asynccontextmanager
async def running_beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run the work while the context is open."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
