"""Finds what nobody was woken for: it bounds every recovery, whatever happened to the queue."""

import asyncio
from collections.abc import Coroutine, Iterable
from datetime import timedelta
from typing import Any

from contracts.errors import IllegalTransitionError, TransientError, WorkerError
from contracts.ports import WakeUps
from contracts.values import ConversationId
from observability.logs import logger
from observability.metrics import DRAIN_ERRORS
from worker.analyses.processing import recover_analyses, renew_handoffs, request_handoffs
from worker.dependencies import Dependencies
from worker.drain import AWAY, return_attempts
from worker.operator_actions import escalate, expire, time_out
from worker.scheduling.admission import LONGEST_PAUSE, Visit

log = logger(__name__)

INTERVAL = timedelta(milliseconds=250)
BATCH = 200
SWEEPS_PER_CLEANING = 240
# A look at the store costs money where it is paid by the document. Replies of a worker that died are found with their
# messages; here it is about those that had to wait, for half a second or longer.
SWEEPS_PER_LOOK_AT_REPLIES = 4
# Nobody waits in the chat for an analysis.
SWEEPS_PER_LOOK_AT_ANALYSES = 12
# Longer than any platform repeats a message (WhatsApp: seven days).
REDELIVERY = timedelta(days=9)


async def sweep_forever(
    queue: WakeUps,
    deps: Dependencies,
    *,
    every: timedelta = INTERVAL,
    tend_every: timedelta = INTERVAL,
    analyses: bool = True,
) -> None:
    """Sweep until cancelled, whatever happens: recovery must not end with the one thing that could not be recovered.

    Where a process for timers runs, the workers tend as well, but rarely: its absence makes time-outs late, not lost.
    Without `analyses` those that are due are left to other workers.
    """
    sweeps_per_tending = max(1, round(tend_every / every))
    number = 0
    while True:
        began = deps.monotonic()
        # While anything fails, an answer of the inbox alone must not pass for one of both.
        is_short = deps.admission.is_away or deps.admission.room < deps.drain_limits.at_once
        has_answered = await _look(queue, deps, replies=is_short or number % SWEEPS_PER_LOOK_AT_REPLIES == 0)
        took = min(LONGEST_PAUSE, timedelta(seconds=deps.monotonic() - began))
        if has_answered:
            await _tolerating(settle_attempts(deps), "sweep.error")
            if number % SWEEPS_PER_LOOK_AT_ANALYSES == 0:
                await _tolerating(request_handoffs(deps), "sweep.analyses")
                if analyses:
                    await _tolerating(recover_analyses(queue, deps, limit=BATCH), "sweep.analyses")
            if number % sweeps_per_tending == 0:
                await _tolerating(tend(deps), "sweep.error")
            if number % SWEEPS_PER_CLEANING == 0:
                await _tolerating(clean(deps), "sweep.clean")
            number += 1
        # A store that is slow to answer is not asked all the time.
        await asyncio.sleep(max(every, took, deps.admission.pause_left).total_seconds())


async def _look(queue: WakeUps, deps: Dependencies, *, replies: bool) -> bool:
    """Look once for what to wake, unless there is an outage; whether inbox and store have answered."""
    with deps.admission.look() as visit:
        if visit is None:
            return False
        await _tolerating(_recover_visiting(queue, deps, visit, replies=replies), "sweep.error")
        return not visit.has_failed


async def _recover_visiting(queue: WakeUps, deps: Dependencies, visit: Visit, *, replies: bool) -> None:
    try:
        found = await _unattended(deps, replies=replies)
    except AWAY:
        visit.failed()
        raise
    visit.answered()
    for conversation_id in found:
        await queue.wake(conversation_id)


async def sweep(queue: WakeUps, deps: Dependencies) -> None:
    """Everything that is due, once."""
    await recover(queue, deps)
    await settle_attempts(deps)
    await tend(deps)
    await request_handoffs(deps)
    await recover_analyses(queue, deps, limit=BATCH)


async def recover(queue: WakeUps, deps: Dependencies) -> None:
    """Wake every conversation with something to do."""
    for conversation_id in await _unattended(deps, replies=True):
        await queue.wake(conversation_id)


async def _unattended(deps: Dependencies, *, replies: bool) -> Iterable[ConversationId]:
    """Conversations with messages, or with `replies` also those with replies, that wait for nobody, each once."""
    now = deps.clock.now()
    if not replies:
        return await deps.inbox.due(at=now, limit=BATCH)
    # At the same time, so that one Redis answers both in one round trip.
    due, sendable = await asyncio.gather(
        deps.inbox.due(at=now, limit=BATCH), deps.store.outbox.sendable(at=now, limit=BATCH)
    )
    return dict.fromkeys([*due, *sendable])


async def settle_attempts(deps: Dependencies) -> None:
    """Take back the attempts that an outage ended, of conversations that are worked on elsewhere by now."""
    for conversation_id in deps.attempts.conversations:
        await return_attempts(conversation_id, deps)


async def tend(deps: Dependencies) -> None:
    """End the waits that lasted too long, and call a person where a reply was refused."""
    for conversation_id in await deps.store.conversations.timed_out(at=deps.clock.now(), limit=BATCH):
        await _tolerating(time_out(conversation_id, deps), "sweep.time_out")
    for row in await deps.store.outbox.to_escalate(limit=BATCH):
        escalation = escalate(row.conversation_id, deps, reason=f"undeliverable {row.error_code}")
        if await _tolerating(escalation, "sweep.escalate"):
            await deps.store.outbox.escalation_done(row.id)


async def clean(deps: Dependencies) -> None:
    """Forget what is older than the time of retention: conversations, dead letters, deduplication keys."""
    now = deps.clock.now()
    for conversation_id in await deps.store.conversations.expired(updated_before=now - deps.retention, limit=BATCH):
        await _tolerating(expire(conversation_id, deps), "sweep.expire")
        log.info("conversation.expired", conversation_id=conversation_id)
    await _tolerating(renew_handoffs(deps, limit=BATCH), "sweep.analyses")
    await deps.store.dead_letters.prune(before=now - deps.retention)
    await deps.store.records.prune(at=now)
    await deps.inbox.prune(before=now - REDELIVERY)


async def _tolerating(work: Coroutine[Any, Any, None], event: str) -> bool:
    """Whether the work is done with; one conversation that cannot be moved must not keep the sweep from the others."""
    try:
        await work
    except IllegalTransitionError as exc:
        log.warning(event, error=type(exc).__name__)
    except WorkerError as exc:
        DRAIN_ERRORS.labels(family="transient" if isinstance(exc, TransientError) else "permanent").inc()
        log.warning(event, error=type(exc).__name__)
        return False
    except Exception as exc:
        DRAIN_ERRORS.labels(family="defect").inc()
        log.error(event, exc_info=exc)
        return False
    return True
