"""The HTTP side as a process of its own. It starts within a moment: it imports nothing of the engine."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache
from uuid import uuid4

from starlette.types import ASGIApp

from adapters.channels.platform import Refusal
from adapters.channels.registry import PLATFORMS, open_inbound
from adapters.channels.whatsapp import WhatsAppSettings
from adapters.clock import NoFaults, SystemClock
from adapters.http.access import Access
from cli.sandboxed import sandboxed
from cli.tracing import traced
from contracts.delivery import TurnCommit
from contracts.ports import Clock, Faults, WakeUps
from contracts.settings import Settings
from flags.experiments.recorder import Recorder, recording
from observability.logs import logger
from reports.reporting import Reporting
from webhook.app import create_app
from webhook.settings import SendableTemplate, WebhookDependencies
from worker.analyses.requests import desk_without_engine
from worker.backends import Backend, open_backend, open_wake_ups
from worker.people.notices import Notices
from worker.people.operators import operators_without_engine

log = logger(__name__)

KEEP_ALIVE = timedelta(seconds=15)
# Without events from the workers' processes, a watching client's replies are looked for in the store.
POLLING = timedelta(seconds=1)
TEMPLATES_KEPT = timedelta(minutes=5)
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
            recorder = Recorder(
                backend.store.records,
                writer=uuid4().hex[:8],
                salt=settings.id_salt.get_secret_value(),
                clock=SystemClock(),
            )
            async with recording(recorder):
                observe = recorder.note_correction
                yield create_app(webhook_dependencies(effective, settings, backend, queue, None, observe))


class WhatsAppTemplates:
    """Approved templates of WhatsApp, read when an agent needs them; an unavailable platform has those of before."""

    def __init__(self, settings: WhatsAppSettings | None, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._known: Sequence[SendableTemplate] = ()
        self._read_at: datetime | None = None

    async def __call__(self) -> Sequence[SendableTemplate]:
        now = self._clock.now()
        if self._settings is None or (self._read_at is not None and now < self._read_at + TEMPLATES_KEPT):
            return self._known
        # A process that answers posts loads no client before an agent asks.
        from adapters.channels.whatsapp.doctor import APPROVED, read_templates

        self._read_at = now
        try:
            listed = await read_templates(self._settings)
        except Refusal as exc:
            log.warning("console.templates_unavailable", error=str(exc))
        else:
            sendable = [one for one in listed if one.status == APPROVED]
            self._known = [SendableTemplate(one.name, one.language, one.parameters) for one in sendable]
        return self._known


def _template_texts(settings: Settings) -> Callable[[str], str | None]:
    """Return a lookup of installed templates, which are read when the first prompt is shown."""

    @cache
    def installed() -> dict[str, str]:
        from prompts.templating.registry import PromptRegistry

        return {one.label: one.system for one in PromptRegistry.read(own=settings.templates).all()}

    return lambda label: installed().get(label)


def webhook_dependencies(
    effective: Settings,
    given: Settings,
    backend: Backend,
    queue: WakeUps,
    faults: Faults | None,
    observe: Callable[[TurnCommit], None],
) -> WebhookDependencies:
    """Gather what the HTTP side works with; `observe` gets each commit of an agent's move."""
    return WebhookDependencies(
        inbox=backend.inbox,
        store=backend.store,
        queue=queue,
        operators=operators_without_engine(
            backend.store,
            SystemClock(),
            queue,
            {name: one.reply_window for name, one in PLATFORMS.items()},
            Notices.of(effective),
            observe=observe,
            limits={name: one.limits for name, one in PLATFORMS.items()},
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
        templates=WhatsAppTemplates(WhatsAppSettings.of(effective), SystemClock()),
        template_text=_template_texts(effective),
        switches=effective.prompter_switches,
        look_again=KEEP_ALIVE if given.has_shared_events else POLLING,
    )
