"""Drain of one conversation by one worker: take the lease, answer what waits, give the lease back."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from structlog.contextvars import bound_contextvars

from contracts.calls import TurnCost
from contracts.delivery import InboxEntry, Lease
from contracts.errors import (
    ConversationConflictError,
    ConversationJoinedError,
    ConversationMovedError,
    InboxUnavailableError,
    LeaseLostError,
    MalformedMessageError,
    PermanentError,
    StoreUnavailableError,
    TransientError,
    family_of,
    leaves_of,
)
from contracts.turn import Turn
from contracts.values import ConversationId
from observability import attributes as names
from observability.logs import logger
from observability.metrics import DRAIN_ERRORS, TURNS
from observability.tracing import drain_span, turn_span
from worker import outbox
from worker.dead_letters import give_up
from worker.dependencies import DrainDependencies
from worker.pipeline import Outcome, answer_turn
from worker.scheduling.limiter import Attempt
from worker.scheduling.quiet import GROWS_FOR, quiet_until

log = logger(__name__)

HEARTBEATS_PER_LEASE = 4
UNAVAILABLE = (StoreUnavailableError, InboxUnavailableError)
# What costs a message no attempt.
OUTAGES = (*UNAVAILABLE, ConversationMovedError)


@dataclass
class DrainProgress:
    """Messages in hand, attempts at those of the newest turn, and the thread that the conversation was joined to."""

    entries: Sequence[InboxEntry] = ()
    attempts: int = 0
    is_releasing: bool = False
    joined_to: ConversationId | None = None


async def drain(conversation_id: ConversationId, deps: DrainDependencies) -> timedelta | None:
    """Answer everything that waits in a conversation. Harmless when nothing does, or when another worker holds it.

    Returns the pause until it is to be drained again, where the person may not have finished; the sweep knows it too.

    An outage of inbox or store ends it at once: the sweep comes back to what waits. Errors, by what follows:

    - `PermanentError` of one message: `settle_current` gives the message up and goes on.
    - `CancelledError`: the process stops; the lease is given back at once, so that another one goes on.
    - `LeaseLostError`: another worker holds the conversation, and does what was not committed here.
    - Any other error: the lease is given back with a back-off. An outage takes back the attempts of the messages in
      hand; what is not a `WorkerError` is a defect, and logged with its traceback.
    """
    progress = DrainProgress()
    async with deps.limiter.conversation(conversation_id) as attempt:
        if attempt is None:
            return None
        with bound_contextvars(conversation_id=conversation_id), drain_span(conversation_id):
            try:
                lease = await deps.inbox.claim(conversation_id, ttl=deps.limits.lease, at=deps.clock.now())
            except TransientError as exc:
                note_errors(exc)
                attempt.failed()
                return None
            if lease is None:
                return None
            await deps.faults.reach("drain.claimed")
            try:
                async with asyncio.TaskGroup() as group:
                    heartbeat = group.create_task(_keep_lease(lease, progress, deps))
                    pause = await answer_pending(lease, attempt, progress, deps)
                    heartbeat.cancel()
                if progress.joined_to is None:
                    return pause
            except asyncio.CancelledError:
                await asyncio.shield(_give_back(lease, timedelta(0), deps))
                raise
            except ExceptionGroup as group_error:
                errors = leaves_of(group_error)
                with _logged(progress.entries):
                    note_errors(*errors)
                    if any(family_of(error) == "defect" for error in errors):
                        log.error("drain.defect", exc_info=group_error)
                own = [error for error in errors if not isinstance(error, LeaseLostError)]
                if not own:
                    return None
                if any(isinstance(error, UNAVAILABLE) for error in own):
                    attempt.failed()
                failures = max(progress.attempts, deps.limiter.failures(conversation_id))
                is_given_back = await _give_back(lease, deps.backoff.pause(failures, deps.chance), deps)
                if all(isinstance(error, OUTAGES) for error in own):
                    await _refund(progress.entries, deps, now=is_given_back)
    return None if progress.joined_to is None else await drain(progress.joined_to, deps)


async def answer_pending(
    lease: Lease, attempt: Attempt, progress: DrainProgress, deps: DrainDependencies
) -> timedelta | None:
    """Send the replies of earlier turns, then answer turn after turn until nothing waits and the lease is given back.

    Who may not have finished is waited for: the lease is given back until then, and the pause returned.

    Raises:
        LeaseLostError, TransientError: as the ports say; what was not committed waits.
    """
    # This also meets an unavailable store before an attempt is counted.
    waits = partial(deps.inbox.has_newer, lease.conversation_id, 0)
    forbids = partial(may_forbid_replies, lease, deps)
    await outbox.flush(lease.conversation_id, deps.outbox, unless=forbids, is_written_to=waits)
    attempt.answered()
    await deps.refunds.refund(lease.conversation_id)
    async with deps.isolation.of(lease.oldest_attempts):
        is_released = False
        while not is_released:
            if (pause := await pause_for_more(lease.conversation_id, deps)) is not None:
                progress.is_releasing = True
                await deps.inbox.abandon(lease, due_at=deps.clock.now() + pause)
                break
            entries = await deps.inbox.take(lease, isolate_after=deps.limits.isolate_after)
            await deps.faults.reach("drain.taken")
            settled: Sequence[int] = ()
            if entries:
                progress.entries, progress.attempts = entries, entries[0].attempts
                with _logged(entries):
                    try:
                        settled = await settle_current(lease.conversation_id, entries, deps)
                    except ConversationJoinedError as exc:
                        progress.joined_to = ConversationId(exc.into)
                progress.entries = ()
            await deps.faults.reach("drain.releasing")
            # A heartbeat behind the release would lock a conversation that nothing holds.
            progress.is_releasing = True
            # Mostly nothing has come since; else the lease is kept, and the next messages are taken.
            is_released = await deps.inbox.release(lease, answered=settled)
            progress.is_releasing = is_released
    attempt.answered()
    return pause


async def may_forbid_replies(lease: Lease, deps: DrainDependencies) -> bool:
    """Whether an agent's words or an opt-out wait: earlier replies that are not sent yet are for that turn to judge."""
    consent = deps.turn.rulebook().consent
    waiting = [entry.message for entry in await deps.inbox.pending(lease.conversation_id)]
    return any(one.is_echo or consent.is_opt_out(one.text) for one in waiting)


async def pause_for_more(conversation_id: ConversationId, deps: DrainDependencies) -> timedelta | None:
    """Return how long the person's next message is waited for, with the typing indicator on; None: answer now.

    What was tried before has been waited for.
    """
    if not deps.quiet.is_on:
        return None
    waiting = await deps.inbox.pending(conversation_id)
    if not waiting or waiting[0].attempts:
        return None
    newest, now = waiting[-1].message, deps.clock.now()
    longest = deps.quiet.of(newest.address.channel)
    if not longest:
        return None
    head, rulebook = await deps.turn.store.conversations.load(conversation_id), deps.turn.rulebook()
    until = quiet_until(
        [entry.message for entry in waiting],
        head,
        longest=longest,
        late_after=deps.turn.ages.delayed,
        consent=rulebook.consent,
        institution=rulebook.institution,
    )
    if until is None or until <= now:
        return None
    if channel := deps.turn.channels.get(newest.address.channel):
        channel.acknowledge(newest.address, newest.platform_id)
    return until - now


async def settle_current(
    conversation_id: ConversationId, entries: Sequence[InboxEntry], deps: DrainDependencies
) -> Sequence[int]:
    """Answer the messages as one turn, or give one up that fails for good or was tried too often.

    What arrives before the commit joins the turn, a bounded number of times.

    Returns:
        The sequences that are settled, for the inbox to release: not those given up, which have left it, nor those that
        go back into the quiet window.

    Raises:
        TransientError: nothing was written; the messages are tried again.
    """
    limits, first = deps.limits, entries[0]
    is_waited_for = bool(deps.quiet.of(first.message.address.channel))
    if first.attempts > limits.attempts:
        await give_up(first, "attempts", deps.operators, deps.outbox)
        return ()
    turn, cost, stale, conflicts = Turn(conversation_id, tuple(entries)), TurnCost(), 0, 0
    try:
        if any(entry.raw is not None for entry in entries):
            raise MalformedMessageError("this release cannot read a message of the inbox")
        while turn.entries:
            may_grow = first.attempts < limits.isolate_after and stale < limits.stale_drafts
            if is_waited_for:
                may_grow = may_grow and deps.clock.now() < first.message.received_at + GROWS_FOR
            try:
                with turn_span(turn) as answered:
                    outcome = await answer_turn(turn, deps.turn, cost, may_grow=may_grow)
                    answered.set(names.OUTCOME, outcome.value)
            except ConversationConflictError:
                conflicts += 1
                if conflicts >= limits.conflicts:
                    raise
                turn = await _still_pending(turn, deps, grow=False)
                continue
            TURNS.labels(outcome=outcome.value).inc()
            if outcome is not Outcome.STALE:
                ended = {"outcome": outcome.value, "messages": len(turn.entries)}
                log.info("turn.ended", correlation_id=turn.correlation_id, **ended)
                break
            stale += 1
            if is_waited_for:
                # The one more message may not be the last: back into the quiet window, without an attempt counted.
                await deps.inbox.refund_attempts(conversation_id, [entry.sequence for entry in turn.entries])
                return ()
            turn = await _still_pending(turn, deps, grow=True)
    except PermanentError as exc:
        note_errors(exc)
        if len(entries) > 1:
            # One bad message must not take its neighbours along: each is tried alone.
            return [one for entry in entries for one in await settle_current(conversation_id, [entry], deps)]
        await give_up(first, type(exc).__name__, deps.operators, deps.outbox)
        return ()
    await outbox.flush(conversation_id, deps.outbox)
    await deps.faults.reach("drain.flushed")
    return [entry.sequence for entry in turn.entries]


async def _still_pending(turn: Turn, deps: DrainDependencies, *, grow: bool) -> Turn:
    """Return the turn as the inbox has it now: an erased message is gone from it, a newer one may have come."""
    pending = await deps.inbox.pending(turn.conversation_id)
    mine = {entry.sequence: entry for entry in turn.entries}
    kept = [
        mine.get(entry.sequence, entry) for entry in pending if (grow and entry.raw is None) or entry.sequence in mine
    ]
    return replace(turn, entries=tuple(kept))


# The lease


async def _keep_lease(lease: Lease, progress: DrainProgress, deps: DrainDependencies) -> None:
    """Extend the lease until cancelled; when it is lost, the work stops with `LeaseLostError`."""
    ttl = deps.limits.lease
    every = ttl.total_seconds() / HEARTBEATS_PER_LEASE
    while True:
        # All at the same moments, so that the leases of a process are extended in one write.
        await asyncio.sleep(every - deps.monotonic() % every)
        if not progress.is_releasing:
            await deps.inbox.renew(lease, ttl=ttl, at=deps.clock.now())


async def _give_back(lease: Lease, pause: timedelta, deps: DrainDependencies) -> bool:
    """Give the lease back with work left; False: the inbox is unavailable, and the lease runs out by itself."""
    try:
        await deps.inbox.abandon(lease, due_at=deps.clock.now() + pause)
    except TransientError as exc:
        note_errors(exc)
        return False
    return True


# Errors


async def _refund(entries: Sequence[InboxEntry], deps: DrainDependencies, *, now: bool) -> None:
    """Take back the attempt of messages that met an outage, `now` or when the inbox answers again.

    Only while they are young: a message that brings the outage about itself has to be given up some day.
    """
    young = deps.clock.now() - deps.limits.outage_patience
    refunded = [entry for entry in entries if entry.message.received_at > young]
    if not refunded:
        return
    conversation_id = refunded[0].message.conversation_id
    deps.refunds.note(conversation_id, [entry.sequence for entry in refunded])
    if now:
        try:
            await deps.refunds.refund(conversation_id)
        except InboxUnavailableError as exc:
            note_errors(exc)


def note_errors(*errors: BaseException) -> None:
    """Count and log errors by their own names: their texts may come from outside."""
    for error in errors:
        family = family_of(error)
        DRAIN_ERRORS.labels(family=family).inc()
        log.warning("drain.error", family=family, error=type(error).__name__)


def _logged(entries: Sequence[InboxEntry]) -> AbstractContextManager[None]:
    """Name the first of the messages in hand in every log line about them."""
    return bound_contextvars(correlation_id=entries[0].message.id) if entries else nullcontext()
