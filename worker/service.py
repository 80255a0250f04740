"""Worker process: an engine, its queue, its sweeper, and the work for each kind of job."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from adapters.email import Mailer
from adapters.http.slack import SlackWebhook
from context.publishing import publish
from contracts.alongside import running_beside
from contracts.errors import ChannelRefusedError, TransientError, WorkerError
from contracts.messages import ChannelName
from contracts.notices import NoticeMessage, NoticeTarget
from contracts.ports import Channel, Clock, Faults, HelpDesk, LanguageModel
from contracts.settings import Settings
from contracts.values import ConversationId
from observability.logs import logger
from reports.posting import ReportPosting
from reports.render.page import escaped
from reports.reporting import Reporting
from worker import sweeper
from worker.analyses.processing import AnalysisPostponedError, analyse, time_to_next_step
from worker.backends import Backend
from worker.bootstrap import Engine, open_engine
from worker.dependencies import DrainLimits
from worker.drain import drain
from worker.people.notices import NoticeDelivery, Send
from worker.scheduling.keyed_queue import MAX_AT_ONCE, EmbeddedQueue

log = logger(__name__)

GRACE_SECONDS = 7.0
PUBLISH_AGAIN_SECONDS = 1.0
LOOK_FOR_REPORTS_SECONDS = 60.0


@dataclass(frozen=True)
class Sweeping:
    """Intervals at which a worker looks for work without a wake-up; `tend_every` for time-outs and escalations.

    Without `analyses` it leaves those to others: a worker of the fast queue alone.
    """

    every: timedelta = sweeper.INTERVAL
    tend_every: timedelta = sweeper.INTERVAL
    analyses: bool = True


@dataclass(frozen=True)
class Worker:
    """Work of one process for each kind of job: the `Jobs` of the Celery app, the HTTP worker, the embedded engine."""

    engine: Engine
    backend: Backend
    queue: EmbeddedQueue
    posting: Sequence[ReportPosting] = ()

    async def drain(self, conversation_id: str) -> None:
        await self.queue.work(ConversationId(conversation_id))

    async def analyse(self, key: str) -> None:
        """Do what is due of an analysis. Raises AnalysisPostponedError: it is due again later."""
        await self.queue.work_on_analysis(key)
        if (pause := await time_to_next_step(key, self.engine.analyses)) is not None:
            raise AnalysisPostponedError(key, retry_after=pause)

    async def tend(self) -> None:
        await sweeper.tend(self.engine.sweep)

    async def sweep(self) -> None:
        await sweeper.sweep(self.queue, self.engine.sweep)

    async def clean(self) -> None:
        await sweeper.clean(self.engine.sweep)

    async def report(self) -> None:
        """Post the report that is due, where the team has a place for it."""
        for posting in self.posting:
            await posting.run()

    async def reload(self) -> None:
        """Take up edited documents; invalid ones leave the old ones in force, and the log names the problems."""
        try:
            read, at = self.engine.rulebooks.read(), self.engine.drain.clock.now()
            institution = await publish(self.backend.store, read, at=at)
            self.engine.rulebooks.take_up(institution)
        except WorkerError as exc:
            log.error("institution.refused", error=type(exc).__name__, problems=str(exc).splitlines())
        else:
            log.info("institution.reloaded", version=institution.version)

    async def sweep_and_clean(self) -> None:
        """Do all that timers do elsewhere, where a scheduler calls once a minute."""
        await self.sweep()
        await self.clean()
        await self.report()


@asynccontextmanager
async def open_worker(
    settings: Settings,
    backend: Backend,
    *,
    at_once: int = MAX_AT_ONCE,
    sweeping: Sweeping | None = None,
    faults: Faults | None = None,
    around: Callable[[LanguageModel], LanguageModel] | None = None,
) -> AsyncIterator[Worker]:
    """Open the engine and publish its institution; on leaving, running turns get a little time, the rest stays durable.

    Without `sweeping` only what was asked for is done.
    """
    async with open_engine(
        settings, backend, faults=faults, around=around, limits=DrainLimits(at_once=at_once)
    ) as engine:
        queue = EmbeddedQueue(
            partial(drain, deps=engine.drain), partial(analyse, deps=engine.analyses), at_once=at_once
        )
        worker = Worker(engine, backend, queue, _posting(settings, backend, engine.drain.clock))
        try:
            async with AsyncExitStack() as beside:
                await beside.enter_async_context(running_beside(_publish(engine)))
                if sweeping is not None:
                    sweeps = sweeper.sweep_forever(
                        queue,
                        engine.sweep,
                        every=sweeping.every,
                        tend_every=sweeping.tend_every,
                        analyses=sweeping.analyses,
                    )
                    await beside.enter_async_context(running_beside(sweeps))
                    delivery = await beside.enter_async_context(_notice_delivery(settings, engine))
                    await beside.enter_async_context(running_beside(delivery.run()))
                yield worker
        finally:
            await queue.close(grace_seconds=GRACE_SECONDS)


async def _publish(engine: Engine) -> None:
    """Publish the documents in force, as soon as the store can: work begins without waiting for it."""
    store, clock = engine.operators.store, engine.operators.clock
    while True:
        try:
            institution = await publish(store, engine.rulebooks.current().institution, at=clock.now())
            engine.rulebooks.take_up(institution)
        except TransientError as exc:
            log.warning("institution.unpublished", error=type(exc).__name__)
            await asyncio.sleep(PUBLISH_AGAIN_SECONDS)
        else:
            return


@asynccontextmanager
async def _notice_delivery(settings: Settings, engine: Engine) -> AsyncIterator[NoticeDelivery]:
    """Open the receivers of the team that are set up."""
    async with AsyncExitStack() as stack:
        receivers: dict[NoticeTarget, Send] = {}
        if settings.notify_slack_url is not None:
            slack = SlackWebhook(settings.notify_slack_url.get_secret_value())
            receivers[NoticeTarget.SLACK] = lambda notice: slack.post(escaped(notice.text))
        if settings.notify_email and settings.smtp_url is not None:
            mailer = Mailer(settings.smtp_url.get_secret_value(), to=settings.notify_email.split(","))
            receivers[NoticeTarget.EMAIL] = lambda one: mailer.send(one.subject, one.text, message_id=one.id)
        if settings.notify_url is not None and settings.notify_secret is not None:
            from adapters.http.callbacks import HttpCallback

            secret = settings.notify_secret.get_secret_value()
            webhook = HttpCallback(settings.notify_url, secret=secret, named="PROSA_NOTIFY_SECRET")
            stack.push_async_callback(webhook.close)
            receivers[NoticeTarget.WEBHOOK] = lambda one: webhook.send(one.content, delivery_id=one.id, at=one.at)
        if any(isinstance(channel, HelpDesk) for channel in engine.outbox.channels.values()):
            receivers[NoticeTarget.HELP_DESK] = partial(_hand_over, engine.outbox.channels)
        deps = engine.operators
        yield NoticeDelivery(
            deps.store,
            lambda: deps.rulebook().institution,
            deps.clock,
            deps.faults,
            random.random,
            receivers,
            timedelta(minutes=settings.notify_again_minutes),
            settings.public_url or "",
        )


async def _hand_over(channels: Mapping[ChannelName, Channel], notice: NoticeMessage) -> None:
    """Open the conversation in the help desk behind its channel; behind others there is none."""
    desk = channels.get(notice.address.channel) if notice.address else None
    if notice.address is None or not isinstance(desk, HelpDesk):
        return
    try:
        await desk.hand_over(notice.address.person, notice.text)
    except ChannelRefusedError as exc:
        # The conversation is gone there: again would change nothing.
        log.warning("notice.desk_refused", channel=notice.address.channel.value, code=exc.code)


def _posting(settings: Settings, backend: Backend, clock: Clock) -> list[ReportPosting]:
    """Return a poster for each place that reports go to: Slack, and by e-mail."""
    reporting = Reporting(backend.inbox, backend.store, clock, settings.zone, settings.budget_day_usd)
    posting = []
    if settings.slack_webhook_url is not None:
        webhook = SlackWebhook(settings.slack_webhook_url.get_secret_value())
        posting.append(ReportPosting(reporting, backend.store.records, webhook.post))
    if settings.report_email and settings.smtp_url is not None:
        mailer = Mailer(settings.smtp_url.get_secret_value(), to=settings.report_email.split(","))
        posting.append(ReportPosting(reporting, backend.store.records, mailer.post, "email"))
    return posting


async def reload_on_hangup(worker: Worker) -> None:
    """Reload the documents on every SIGHUP of a process whose main thread has the event loop."""
    hangup = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hangup.set)
    while True:
        await hangup.wait()
        hangup.clear()
        await worker.reload()


async def report_forever(worker: Worker) -> None:
    """Run the timer of a server that is one process; commands that open an engine for a moment have none."""
    while True:
        await worker.report()
        await asyncio.sleep(LOOK_FOR_REPORTS_SECONDS)
