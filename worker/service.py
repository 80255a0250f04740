"""A worker at work: its engine, its queue, its sweeper, and what it does for each kind of job."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from adapters.http.slack import SlackWebhook
from adapters.memory.queue import MAX_AT_ONCE, EmbeddedQueue
from contracts.alongside import running_beside
from contracts.errors import TransientError
from contracts.ports import Faults
from contracts.settings import Settings
from contracts.values import ConversationId
from observability.logs import logger
from reports.posting import ReportPosting
from reports.reporting import Reporting
from worker import sweeper
from worker.analyses.processing import AnalysisPostponedError, analyse, time_to_next_step
from worker.backends import Backend
from worker.bootstrap import Engine, open_engine
from worker.dependencies import Dependencies, DrainLimits
from worker.drain import drain

log = logger(__name__)

GRACE_SECONDS = 7.0
PUBLISH_AGAIN_SECONDS = 1.0
LOOK_FOR_REPORTS_SECONDS = 60.0


@dataclass(frozen=True)
class Sweeping:
    """How often a worker looks by itself for what nobody woke it for; `tend_every` for time-outs and escalations.

    Without `analyses` it leaves those to others: a worker of the fast queue alone.
    """

    every: timedelta = sweeper.INTERVAL
    tend_every: timedelta = sweeper.INTERVAL
    analyses: bool = True


@dataclass(frozen=True)
class Worker:
    """Satisfies the `Jobs` of the Celery app; the HTTP worker and the embedded engine use the same."""

    engine: Engine
    queue: EmbeddedQueue
    posting: ReportPosting | None = None

    @property
    def deps(self) -> Dependencies:
        return self.engine.deps

    async def drain(self, conversation_id: str) -> None:
        await self.queue.work(ConversationId(conversation_id))

    async def analyse(self, key: str) -> None:
        """Do what is due of an analysis.

        Raises:
            AnalysisPostponedError: it is due again later.
        """
        await self.queue.work_on_analysis(key)
        if (pause := await time_to_next_step(key, self.deps)) is not None:
            raise AnalysisPostponedError(key, retry_after=pause)

    async def tend(self) -> None:
        await sweeper.tend(self.deps)

    async def sweep(self) -> None:
        await sweeper.sweep(self.queue, self.deps)

    async def sweep_and_clean(self) -> None:
        """All that timers do elsewhere, where a scheduler calls once a minute."""
        await self.sweep()
        await self.clean()
        await self.report()

    async def clean(self) -> None:
        await sweeper.clean(self.deps)

    async def report(self) -> None:
        """Post the report that is due, where the team has a place for it."""
        if self.posting is not None:
            await self.posting.run()


@asynccontextmanager
async def open_worker(
    settings: Settings,
    backend: Backend,
    *,
    at_once: int = MAX_AT_ONCE,
    sweeping: Sweeping | None = None,
    faults: Faults | None = None,
) -> AsyncIterator[Worker]:
    """Open the engine and publish its institution; on leaving, running turns get a little time, the rest stays durable.

    Without `sweeping` nothing is done that nobody asked for.
    """
    async with open_engine(settings, backend, faults=faults, limits=DrainLimits(at_once=at_once)) as engine:
        work = partial(drain, deps=engine.deps), partial(analyse, deps=engine.deps)
        queue = EmbeddedQueue(*work, at_once=at_once)
        worker = Worker(engine, queue, _posting(settings, engine.deps))
        try:
            async with (
                running_beside(_publish(engine)),
                running_beside(_sweeping(queue, engine.deps, sweeping)),
            ):
                yield worker
        finally:
            await queue.close(grace_seconds=GRACE_SECONDS)


async def _publish(engine: Engine) -> None:
    """Publish the documents in force, as soon as the store can: work begins without waiting for it."""
    while True:
        try:
            await engine.deps.store.institutions.publish(
                engine.rulebooks.current().institution, at=engine.deps.clock.now()
            )
        except TransientError as exc:
            log.warning("institution.unpublished", error=type(exc).__name__)
            await asyncio.sleep(PUBLISH_AGAIN_SECONDS)
        else:
            return


async def _sweeping(queue: EmbeddedQueue, deps: Dependencies, how: Sweeping | None) -> None:
    if how is not None:
        await sweeper.sweep_forever(queue, deps, every=how.every, tend_every=how.tend_every, analyses=how.analyses)


def _posting(settings: Settings, deps: Dependencies) -> ReportPosting | None:
    if settings.slack_webhook_url is None:
        return None
    reporting = Reporting(deps.inbox, deps.store, deps.clock, settings.zone, settings.budget_day_usd)
    webhook = SlackWebhook(settings.slack_webhook_url.get_secret_value())
    return ReportPosting(reporting, deps.store.records, webhook.post)


async def report_forever(worker: Worker) -> None:
    """The timer of a server that is one process; commands that open an engine for a moment have none."""
    while True:
        await worker.report()
        await asyncio.sleep(LOOK_FOR_REPORTS_SECONDS)
