"""Analyses of whole conversations, in the background: asked for once, worked on by one, announced at their end.

An analysis lives in a record whose key is the hash of everything it depends on, so that a second request for the same
context finds the first one, running or done. Whoever works on it claims the record by compare-and-set and leaves in
`due_at` when it is due again: after a worker that died, after a failure, or for the callback. A queue only says which
record to look at; a wake-up that is lost, doubled or late costs at most a moment.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from structlog.contextvars import bound_contextvars

from contracts.analysis import COLLECTION, Analysis, AnalysisKind, AnalysisStatus, CallbackState, Filed
from contracts.backoff import Backoff
from contracts.conversation import Speaker, State
from contracts.delivery import Record
from contracts.errors import CallbackRefusedError, PermanentError, TransientError, WorkerError, family_of
from contracts.ledger import BilledCall
from contracts.links import unlinked
from contracts.listing import ConversationQuery
from contracts.ports import WakeUps
from fsm.machine import migrate
from observability.logs import logger
from observability.metrics import ANALYSES, ANALYSIS_SECONDS, BACKGROUND_ERRORS, CALLBACKS
from observability.tracing import analysis_span
from prompts.tasks.analyses import BUDGET
from prompts.tasks.transcript import AnalysisView
from worker.analyses.requests import AnalysisRequests
from worker.dependencies import AnalysisDependencies
from worker.revisions import as_revised

log = logger(__name__)


# A claim outlasts all the time the work may take, so that it runs out only when its worker died.
LEASE = BUDGET + timedelta(seconds=15)
ATTEMPTS, CALLBACK_ATTEMPTS = 4, 5
# A callback's pauses are also its claims: each is longer than one call may take.
FIRST_CALLBACK_PAUSE = timedelta(seconds=10)
BACKOFF = Backoff(timedelta(seconds=2), timedelta(seconds=30))


def desk_of(deps: AnalysisDependencies, queue: WakeUps | None = None) -> AnalysisRequests:
    """Return the place where this worker's process asks for analyses."""

    async def institution_version() -> str:
        return deps.rulebook().institution.version

    return AnalysisRequests(
        store=deps.store,
        clock=deps.clock,
        model=deps.analyst.model,
        label=deps.analyst.label,
        institution_version=institution_version,
        queue=queue,
    )


# The work


async def analyse(key: str, deps: AnalysisDependencies) -> None:
    """Do what is due of an analysis: ask the model, call the receiver.

    Harmless when nothing is due, or when another worker is at it. Nothing is raised: what failed is due again by its
    record.
    """
    try:
        record = await deps.store.records.get(COLLECTION, key, at=deps.clock.now())
        if record is None:
            return
        filed = Filed.of(record)
        with bound_contextvars(conversation_id=filed.analysis.context.conversation_id):
            await _Work(deps).on(filed)
    except WorkerError as exc:
        family = family_of(exc)
        BACKGROUND_ERRORS.labels(job="analysis", family=family).inc()
        log.warning("analysis.error", analysis_id=key, family=family, error=type(exc).__name__)
    except Exception as exc:
        BACKGROUND_ERRORS.labels(job="analysis", family="defect").inc()
        log.error("analysis.defect", analysis_id=key, exc_info=exc)


class AnalysisPostponedError(TransientError):
    """The analysis, or its callback, is due again in `retry_after`."""


async def time_to_next_step(key: str, deps: AnalysisDependencies) -> timedelta | None:
    """The time until the analysis is due again after a failure; None when nothing is to be tried again.

    Raises:
        StoreUnavailableError: the store did not answer.
    """
    at = deps.clock.now()
    record = await deps.store.records.get(COLLECTION, key, at=at)
    if record is None or record.due_at is None:
        return None
    analysis = Filed.of(record).analysis
    was_tried = analysis.callback_attempts if analysis.is_finished else analysis.error
    return max(timedelta(0), record.due_at - at) if was_tried else None


@dataclass(frozen=True)
class _Work:
    """Work of one job on one analysis. Each step is a compare-and-set: who loses one leaves the rest."""

    _deps: AnalysisDependencies

    async def on(self, filed: Filed) -> None:
        analysis, at = filed.analysis, self._deps.clock.now()
        if not analysis.is_finished:
            is_new = analysis.status is AnalysisStatus.QUEUED and analysis.attempts == 0
            if not is_new and not _is_due(filed.record, at):
                return
            if analysis.attempts >= ATTEMPTS:
                # The last attempt has died.
                await self._end(filed, analysis, error="attempts")
                return
            mine = analysis.with_changes(status=AnalysisStatus.RUNNING, attempts=analysis.attempts + 1)
            claimed = await self._write(filed, mine, due_at=at + LEASE)
            if claimed is None:
                return
            await self._deps.faults.reach("analysis.claimed")
            answered = await self._answered(claimed)
            if answered is None:
                return
            filed = answered
            await self._deps.faults.reach("analysis.answered")
        await self._tell(filed)

    async def _answered(self, claimed: Filed) -> Filed | None:
        """The analysis with its end, written; None when it is to be tried again, or no longer wanted."""
        deps, analysis = self._deps, claimed.analysis
        head = await deps.store.conversations.load(analysis.context.conversation_id)
        if head is None or head.turns == 0 or head.moved_to is not None:
            # Erased, or gone to another store: there is no conversation left.
            await deps.store.records.drop(COLLECTION, analysis.id)
            self._note(analysis, "dropped")
            return None
        started = deps.monotonic()
        try:
            said = await deps.store.conversations.transcript(head.id)
            transcript = as_revised([one for one in said if one.speaker is not Speaker.NOTE])
            view = AnalysisView(deps.rulebook().institution, migrate(head), transcript)
            with analysis_span(analysis):
                result = await deps.analyst.write(analysis.context.kind, view)
        except asyncio.CancelledError:
            # Given back at once by a process that has to stop; that was no attempt.
            waiting = analysis.with_changes(status=AnalysisStatus.QUEUED, attempts=analysis.attempts - 1)
            try:
                await asyncio.shield(self._write(claimed, waiting, due_at=deps.clock.now()))
            except TransientError as exc:
                # The store is unavailable: the claim runs out by itself.
                log.warning("analysis.error", analysis_id=analysis.id, family="transient", error=type(exc).__name__)
            raise
        ANALYSIS_SECONDS.labels(kind=analysis.context.kind.value).observe(deps.monotonic() - started)
        # Before the result is written: a record of an analysis does not last, and one that is lost is paid again.
        deps.ledger.book_apart(BilledCall.of((result.record,)), line=head.business_line)
        try:
            await deps.ledger.flush()
        except TransientError as exc:
            # It stays booked in this process, which goes on trying.
            log.warning("ledger.late", error=type(exc).__name__)
        await deps.faults.reach("analysis.thought")
        billed = analysis.with_changes(tasks=(*analysis.tasks, result.record))
        if result.value is not None:
            said = unlinked(result.value.model_dump(mode="json"), deps.rulebook().institution)
            return await self._end(claimed, billed, result=said)
        error = type(result.error).__name__
        if isinstance(result.error, PermanentError) or analysis.attempts >= ATTEMPTS:
            return await self._end(claimed, billed, error=error)
        waiting = billed.with_changes(status=AnalysisStatus.QUEUED, error=error)
        pause = BACKOFF.pause(analysis.attempts, deps.chance)
        if await self._write(claimed, waiting, due_at=deps.clock.now() + pause):
            self._note(waiting, "postponed")
        return None

    async def _end(
        self, filed: Filed, analysis: Analysis, *, result: dict[str, Any] | None = None, error: str | None = None
    ) -> Filed | None:
        at = self._deps.clock.now()
        tells = self._deps.callback is not None
        ended = analysis.with_changes(
            status=AnalysisStatus.FAILED if result is None else AnalysisStatus.DONE,
            result=result,
            error=error,
            finished_at=at,
            callback=CallbackState.PENDING if tells else None,
        )
        written = await self._write(filed, ended, due_at=at if tells else None)
        # The record is gone with its conversation, or another worker has taken it since: what was thought is dropped.
        self._note(ended, ended.status.value if written else "dropped")
        return written

    # The callback

    async def _tell(self, filed: Filed) -> None:
        deps, analysis, at = self._deps, filed.analysis, self._deps.clock.now()
        if analysis.callback is not CallbackState.PENDING or not _is_due(filed.record, at):
            return
        if deps.callback is None:
            # There was a receiver when it ended; there is none any more.
            await self._write(filed, analysis.with_changes(callback=None), due_at=None)
            return
        if analysis.callback_attempts >= CALLBACK_ATTEMPTS:
            await self._settle_callback(filed, CallbackState.GIVEN_UP)
            return
        counted = analysis.with_changes(callback_attempts=analysis.callback_attempts + 1)
        pause = FIRST_CALLBACK_PAUSE * 4**analysis.callback_attempts * (1 + deps.chance() / 2)
        claimed = await self._write(filed, counted, due_at=at + pause)
        if claimed is None:
            return
        await deps.faults.reach("callback.claimed")
        try:
            await deps.callback.send(callback_content(analysis), delivery_id=analysis.delivery_id, at=at)
        except CallbackRefusedError as exc:
            if claimed.analysis.callback_attempts >= CALLBACK_ATTEMPTS:
                await self._settle_callback(claimed, CallbackState.GIVEN_UP)
                return
            CALLBACKS.labels(outcome="refused").inc()
            attempts = claimed.analysis.callback_attempts
            log.warning("callback.refused", analysis_id=analysis.id, attempts=attempts, reason=str(exc))
            return
        await deps.faults.reach("callback.accepted")
        await self._settle_callback(claimed, CallbackState.ACCEPTED)

    async def _settle_callback(self, filed: Filed, state: CallbackState) -> None:
        analysis = filed.analysis
        if await self._write(filed, analysis.with_changes(callback=state), due_at=None):
            CALLBACKS.labels(outcome=state.value).inc()
            say = log.info if state is CallbackState.ACCEPTED else log.error
            say("callback.settled", analysis_id=analysis.id, outcome=state.value, attempts=analysis.callback_attempts)

    async def _write(self, filed: Filed, analysis: Analysis, *, due_at: datetime | None) -> Filed | None:
        changed = filed.changed(analysis, due_at=due_at, at=self._deps.clock.now())
        saved = await self._deps.store.records.put(changed.record)
        return Filed(record=saved, analysis=analysis) if saved else None

    def _note(self, analysis: Analysis, outcome: str) -> None:
        kind = analysis.context.kind.value
        ANALYSES.labels(kind=kind, outcome=outcome).inc()
        described = {"kind": kind, "outcome": outcome, "attempts": analysis.attempts, "error": analysis.error}
        log.info("analysis.worked_on", analysis_id=analysis.id, **described)


def callback_content(analysis: Analysis) -> dict[str, str]:
    """Return the content of the callback: no word of a person; the result is fetched from the status endpoint."""
    return {
        "id": analysis.id,
        "kind": analysis.context.kind.value,
        "conversation": analysis.context.conversation_id,
        "status": analysis.status.value,
        "at": analysis.finished_at.isoformat() if analysis.finished_at else "",
    }


def _is_due(record: Record, at: datetime) -> bool:
    return record.due_at is not None and record.due_at <= at


# The sweep's part


async def recover_analyses(queue: WakeUps, deps: AnalysisDependencies, *, limit: int) -> None:
    """Wake whoever works on analyses for every one that is due."""
    for record in await deps.store.records.due(COLLECTION, at=deps.clock.now(), limit=limit):
        await queue.analyse(record.key)


async def request_noted(deps: AnalysisDependencies) -> None:
    """Ask for the analyses that turns of this process have noted since the last look."""
    desk = desk_of(deps)
    while noted := deps.analyses.take():
        try:
            await desk.request(*noted)
        except TransientError as exc:
            # `renew_handoffs` will see that there is no summary.
            log.warning("analysis.error", family="transient", error=type(exc).__name__)
            return


async def renew_handoffs(deps: AnalysisDependencies, *, limit: int) -> None:
    """See to it that the conversations passed to a person have a summary, and one of what was said since.

    Those whose process died before it asked, those that an operator passed on, and those in which the person goes on
    writing. A failed one is left as it is: it would fail again.
    """
    desk = desk_of(deps)
    waiting = ConversationQuery(states=frozenset({State.ESCALATING}))
    for conversation in (await deps.store.conversations.find(waiting, limit=limit)).items:
        newest = await desk.newest(conversation.id, AnalysisKind.HANDOFF_SUMMARY)
        if newest is None or (conversation.updated_at and newest.requested_at < conversation.updated_at):
            await desk.request(conversation.id, AnalysisKind.HANDOFF_SUMMARY)
