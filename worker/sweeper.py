"""Finds what nobody was woken for: it bounds every recovery, whatever happened to the queue."""

import asyncio
import itertools
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from contracts.errors import IllegalTransitionError, TransientError, WorkerError
from contracts.ports import WakeUps
from observability.logs import logger
from observability.metrics import DRAIN_ERRORS
from worker.dependencies import Dependencies
from worker.operations import erase, escalate, time_out

log = logger(__name__)

INTERVAL = timedelta(milliseconds=250)
BATCH = 200
SWEEPS_PER_CLEANING = 240


async def sweep_forever(queue: WakeUps, deps: Dependencies, *, every: timedelta = INTERVAL) -> None:
    """Sweep until cancelled; an outage is logged once for each sweep that meets it and changes nothing."""
    sweeps = itertools.count()
    while True:
        try:
            await sweep(queue, deps)
            if next(sweeps) % SWEEPS_PER_CLEANING == 0:
                await clean(deps)
        except TransientError as exc:
            DRAIN_ERRORS.labels(family="transient").inc()
            log.warning("sweep.error", error=type(exc).__name__)
        await asyncio.sleep(every.total_seconds())


async def sweep(queue: WakeUps, deps: Dependencies) -> None:
    """Wake every conversation with something to do: messages, replies, time-outs, replies that were refused."""
    now = deps.clock.now()
    for conversation_id in await deps.inbox.due(at=now, limit=BATCH):
        await queue.wake(conversation_id)
    for conversation_id in await deps.store.sendable(at=now, limit=BATCH):
        await queue.wake(conversation_id)
    for conversation_id in await deps.store.timed_out(at=now, limit=BATCH):
        await _tolerating(time_out(conversation_id, deps), "sweep.time_out")
    for row in await deps.store.to_escalate(limit=BATCH):
        escalation = escalate(row.conversation_id, deps, reason=f"undeliverable {row.error_code}")
        if await _tolerating(escalation, "sweep.escalate"):
            await deps.store.escalation_done(row.id)


async def clean(deps: Dependencies) -> None:
    """Erase conversations that nobody has touched for the time of retention."""
    before = deps.clock.now() - deps.retention
    for conversation_id in await deps.store.expired(updated_before=before, limit=BATCH):
        await erase(conversation_id, deps)
        log.info("conversation.expired", conversation_id=conversation_id)


async def _tolerating(work: Coroutine[Any, Any, None], event: str) -> bool:
    """One conversation that cannot be moved must not keep the sweep from the others; a conflict is tried next time."""
    try:
        await work
    except IllegalTransitionError as exc:
        log.warning(event, error=type(exc).__name__)
        return True
    except WorkerError as exc:
        log.warning(event, error=type(exc).__name__)
        return False
    return True
