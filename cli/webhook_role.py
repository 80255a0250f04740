"""The HTTP side as a process of its own. It starts within a moment: it imports nothing of the engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from starlette.types import ASGIApp

from adapters.channels.registry import PLATFORMS, open_inbound
from adapters.clock import NoFaults, SystemClock
from adapters.http.access import Access
from cli.sandboxed import sandboxed
from cli.tracing import traced
from contracts.ports import Faults, WakeUps
from contracts.settings import Settings
from reports.reporting import Reporting
from webhook.app import create_app
from webhook.settings import WebhookDependencies
from worker.analyses.requests import desk_without_engine
from worker.backends import Backend, open_backend, open_wake_ups
from worker.people.notices import Notices
from worker.people.operators import operators_without_engine

KEEP_ALIVE = timedelta(seconds=15)
# Without events from the workers' processes, a watching client's replies are looked for in the store.
POLLING = timedelta(seconds=1)
# Redis answers in a millisecond or two. A platform that is refused tries again, one that waits runs into its time-out.
REFUSE_AFTER = timedelta(milliseconds=250)


@asynccontextmanager
async def open_webhook(settings: Settings) -> AsyncIterator[ASGIApp]:
    """Open the HTTP side alone: it makes messages durable and wakes the workers."""
    with traced(settings):
        async with (
            sandboxed(settings, serving=False) as (effective, _),
            open_backend(effective, refuse_after=REFUSE_AFTER) as backend,
            open_wake_ups(effective, backend) as queue,
        ):
            yield create_app(webhook_dependencies(effective, settings, backend, queue, None))


def webhook_dependencies(
    effective: Settings, given: Settings, backend: Backend, queue: WakeUps, faults: Faults | None
) -> WebhookDependencies:
    return WebhookDependencies(
        inbox=backend.inbox,
        store=backend.store,
        queue=queue,
        operators=operators_without_engine(
            backend.store,
            SystemClock(),
            queue,
            {name: platform.reply_window for name, platform in PLATFORMS.items()},
            Notices.of(effective),
        ),
        analyses=desk_without_engine(effective, backend.store, SystemClock(), queue),
        reports=Reporting(backend.inbox, backend.store, SystemClock(), effective.zone, effective.budget_day_usd),
        events=backend.events,
        clock=SystemClock(),
        faults=faults or NoFaults(),
        inbound=open_inbound(effective),
        access=Access(given.console_keys, given.console_proxy),
        allowed_origins=given.allowed_origins,
        has_chat=given.has_chat,
        chat_key=given.id_salt.get_secret_value().encode() if given.has_chat_tokens else None,
        is_sandbox_model=given.uses_sandbox_model,
        zone=effective.zone,
        links=given.console_links,
        switches=effective.prompter_switches,
        look_again=KEEP_ALIVE if given.has_shared_events else POLLING,
    )
