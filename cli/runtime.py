"""The embedded engine in one process: worker, webhook and, where there is no key, the sandbox."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from starlette.types import ASGIApp

from adapters.waiting import wait_for_receipt
from cli.sandboxed import sandboxed
from cli.tracing import traced
from cli.webhook_role import webhook_dependencies
from contracts.conversation import TurnRecord
from contracts.messages import InboundMessage
from contracts.ports import Faults, LanguageModel
from contracts.settings import Settings
from webhook.app import create_app
from worker.backends import Backend, open_backend
from worker.bootstrap import Engine
from worker.scheduling.keyed_queue import EmbeddedQueue
from worker.service import Sweeping, Worker, open_worker


@dataclass(frozen=True)
class Runtime:
    """The embedded engine: everything of one process. `sandbox_url` is None when nothing is imitated."""

    settings: Settings
    worker: Worker
    webhook: ASGIApp
    sandbox_url: str | None
    imitates_model: bool

    @property
    def engine(self) -> Engine:
        return self.worker.engine

    @property
    def queue(self) -> EmbeddedQueue:
        return self.worker.queue

    @property
    def backend(self) -> Backend:
        return self.worker.backend

    async def answer(self, message: InboundMessage) -> TurnRecord | None:
        """Put a message into the inbox and return its turn; None when there is none in time."""
        conversations, seconds = self.backend.store.conversations, self.settings.turn_patience.total_seconds()
        await self.backend.inbox.append([message])
        await self.queue.wake(message.conversation_id)
        receipt = await wait_for_receipt(
            conversations, self.backend.events, message.conversation_id, message.id, seconds=seconds
        )
        return await conversations.turn_of(receipt) if receipt else None


@asynccontextmanager
async def open_runtime(
    settings: Settings,
    *,
    faults: Faults | None = None,
    sweeping: bool = True,
    around: Callable[[LanguageModel], LanguageModel] | None = None,
) -> AsyncIterator[Runtime]:
    """Open everything but the public server."""
    async with AsyncExitStack() as stack:
        stack.enter_context(traced(settings))
        effective, sandbox_url = await stack.enter_async_context(sandboxed(settings))
        backend = await stack.enter_async_context(open_backend(effective))
        worker = await stack.enter_async_context(
            open_worker(effective, backend, sweeping=Sweeping() if sweeping else None, faults=faults, around=around)
        )
        observe = worker.engine.operators.agents.observe
        webhook = create_app(webhook_dependencies(effective, settings, backend, worker.queue, faults, observe))
        yield Runtime(effective, worker, webhook, sandbox_url, settings.uses_sandbox_model)
