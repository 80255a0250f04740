"""Sweep for work without a wake-up: it bounds every recovery, whatever happened to the queue."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from itertools import chain

from contracts.errors import IllegalTransitionError, WorkerError, family_of
from contracts.ports import Inbox, WakeUps
from observability.logs import logger
from observability.metrics import DRAIN_ERRORS
from worker.analyses.processing import recover_analyses, renew_handoffs, request_noted
from worker.dependencies import SweepDependencies
from worker.drain import UNAVAILABLE
from worker.people.privacy import expire
from worker.scheduling.limiter import PROBE_BACKOFF, Attempt

log = logger(__name__)

INTERVAL = timedelta(milliseconds=250)
BATCH = 200
# Where no message waits, one sweep is made of so many that are within that time. A lost wake-up then waits as long; a
# lease of a killed worker lasts longer.
SWEEPS_PER_REST, LONGEST_REST = 4, timedelta(seconds=1)
SWEEPS_PER_CLEANING = 240
# A look at the store costs money where it is paid by the document. Replies of a worker that died are found with their
# messages; here it is about those that had to wait, for half a second or longer.
SWEEPS_PER_LOOK_AT_REPLIES = 4
# No person waits in the chat for an analysis.
SWEEPS_PER_LOOK_AT_ANALYSES = 12
# Longer than any platform repeats a message (WhatsApp: seven days).
REDELIVERY = timedelta(days=9)


async def sweep_forever(
    queue: WakeUps,
    deps: SweepDependencies,
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
        is_short = deps.limiter.in_outage or deps.limiter.limit < deps.limiter.at_once
        has_answered = rests = False
        with deps.limiter.probe() as attempt:
            if attempt is not None:
                replies = is_short or number % SWEEPS_PER_LOOK_AT_REPLIES == 0
                # At the same time, so that one Redis answers all in one round trip.
                _, rests = await asyncio.gather(
                    _tolerating(partial(recover, queue, deps, attempt, replies=replies), "sweep.error"),
                    _tolerating(partial(_may_rest, deps.inbox, every), "sweep.error"),
                )
                has_answered = not attempt.has_failed
        took = min(PROBE_BACKOFF.longest, timedelta(seconds=deps.monotonic() - began))
        sweeps = SWEEPS_PER_REST - number % SWEEPS_PER_REST if rests and not is_short else 1
        if has_answered:
            await _tolerating(partial(settle_refunds, deps), "sweep.error")
            if number % SWEEPS_PER_LOOK_AT_ANALYSES == 0:
                await _tolerating(partial(request_noted, deps.analyses), "sweep.analyses")
                if analyses:
                    await _tolerating(partial(recover_analyses, queue, deps.analyses, limit=BATCH), "sweep.analyses")
            if number % sweeps_per_tending == 0:
                await _tolerating(partial(tend, deps), "sweep.error")
            if number % SWEEPS_PER_CLEANING == 0:
                await _tolerating(partial(clean, deps), "sweep.clean")
            number += sweeps
        # A store that is slow to answer is not asked all the time.
        await asyncio.sleep(max(every * sweeps, took, deps.limiter.pause_left).total_seconds())


async def _may_rest(inbox: Inbox, every: timedelta) -> bool:
    """Return whether no message waits; where sweeps are rare already it is not asked."""
    return every * SWEEPS_PER_REST <= LONGEST_REST and await inbox.depth() == 0


async def recover(
    queue: WakeUps, deps: SweepDependencies, attempt: Attempt | None = None, *, replies: bool = True
) -> None:
    """Wake, each once, the conversations with due messages, and those with `replies` to send; report to `attempt`."""
    now = deps.clock.now()
    looks = [
        deps.inbox.due(at=now, limit=BATCH),
        *([deps.store.outbox.sendable(at=now, limit=BATCH)] if replies else []),
    ]
    try:
        # At the same time, so that one Redis answers both in one round trip.
        found = await asyncio.gather(*looks)
    except UNAVAILABLE:
        if attempt is not None:
            attempt.failed()
        raise
    if attempt is not None:
        attempt.answered()
    for conversation_id in dict.fromkeys(chain.from_iterable(found)):
        await queue.wake(conversation_id)


async def sweep(queue: WakeUps, deps: SweepDependencies) -> None:
    """Do everything that is due, once."""
    await recover(queue, deps)
    await settle_refunds(deps)
    await tend(deps)
    await request_noted(deps.analyses)
    await recover_analyses(queue, deps.analyses, limit=BATCH)


async def settle_refunds(deps: SweepDependencies) -> None:
    """Take back the attempts that an outage ended, of conversations that other workers hold by now."""
    for conversation_id in deps.refunds.conversations:
        await deps.refunds.refund(conversation_id)


async def tend(deps: SweepDependencies) -> None:
    """End the waits that lasted too long, and escalate where a reply was refused."""
    for conversation_id in await deps.store.conversations.timed_out(at=deps.clock.now(), limit=BATCH):
        await _tolerating(partial(deps.operators.agents.time_out, conversation_id), "sweep.time_out")
    for row in await deps.store.outbox.to_escalate(limit=BATCH):
        reason = f"undeliverable {row.error_code}"
        escalation = partial(deps.operators.agents.escalate, row.conversation_id, agent="", reason=reason)
        if await _tolerating(escalation, "sweep.escalate"):
            await deps.store.outbox.escalation_done(row.id)


async def clean(deps: SweepDependencies) -> None:
    """Forget what is older than the time of retention: conversations, dead letters, deduplication keys."""
    now = deps.clock.now()
    for conversation_id in await deps.store.conversations.expired(updated_before=now - deps.retention, limit=BATCH):
        await _tolerating(partial(expire, conversation_id, deps.operators), "sweep.expire")
        log.info("conversation.expired", conversation_id=conversation_id)
    await _tolerating(partial(renew_handoffs, deps.analyses, limit=BATCH), "sweep.analyses")
    await deps.store.dead_letters.prune(before=now - deps.retention)
    await deps.store.records.prune(at=now)
    await deps.inbox.prune(before=now - REDELIVERY)


async def _tolerating(work: Callable[[], Awaitable[object]], event: str) -> bool:
    """Return whether the work is done, and is not False; what fails must not keep the sweep from the others."""
    try:
        return await work() is not False
    except IllegalTransitionError as exc:
        log.warning(event, error=type(exc).__name__)
        return True
    except WorkerError as exc:
        DRAIN_ERRORS.labels(family=family_of(exc)).inc()
        log.warning(event, error=type(exc).__name__)
    except Exception as exc:
        DRAIN_ERRORS.labels(family="defect").inc()
        log.error(event, exc_info=exc)
    return False
