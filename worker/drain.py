"""One worker, one conversation: take the lease, answer what waits, give the lease back when nothing does."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import timedelta

from contracts.delivery import DeadLetter, InboxEntry, Lease
from contracts.errors import (
    ConversationConflictError,
    ConversationMovedError,
    InboxUnavailableError,
    LeaseLostError,
    PermanentError,
    StoreUnavailableError,
    TransientError,
    WorkerError,
)
from contracts.values import ConversationId
from fsm.migrations import migrate
from observability import attributes as names
from observability.logs import conversation_logged, logger, message_logged
from observability.metrics import DEAD_LETTERS, DRAIN_ERRORS, TURNS
from worker import outbox
from worker.dependencies import Dependencies
from worker.operator_actions import escalate_for_dead_letter
from worker.pipeline import Outcome, answer_turn
from worker.scheduling.admission import Visit
from worker.spans import drain_span, turn_span
from worker.turn import Turn

log = logger(__name__)

HEARTBEATS_PER_LEASE = 4
AWAY = (StoreUnavailableError, InboxUnavailableError)
# What costs a message no attempt.
OUTAGES = (*AWAY, ConversationMovedError)


async def drain(conversation_id: ConversationId, deps: Dependencies) -> None:
    """Answer everything that waits in a conversation. Harmless when nothing does, or when somebody else is at it.

    In an outage of inbox or store it returns at once: the sweep comes back to what waits.
    """
    async with deps.admission.conversation(conversation_id) as visit:
        if visit is not None:
            with conversation_logged(conversation_id), drain_span(conversation_id):
                await _drain_admitted(conversation_id, visit, deps)


async def _drain_admitted(conversation_id: ConversationId, visit: Visit, deps: Dependencies) -> None:
    try:
        lease = await deps.inbox.claim(conversation_id, ttl=deps.drain_limits.lease, at=deps.clock.now())
    except TransientError as exc:
        _note(exc)
        visit.failed()
        return
    if lease is None:
        return
    await deps.faults.reach("drain.claimed")
    await _drain_holding(lease, visit, deps)


async def _drain_holding(lease: Lease, visit: Visit, deps: Dependencies) -> None:
    """Work under the lease; a process that is told to stop gives it back at once, so that another goes on."""
    try:
        await _settling_errors(lease, visit, deps)
    except asyncio.CancelledError:
        await asyncio.shield(_abandon(lease, timedelta(0), deps))
        raise


async def _settling_errors(lease: Lease, visit: Visit, deps: Dependencies) -> None:
    """Decide what an error means: leave the work to another worker, wait, or count a defect."""
    work = _Drain(lease, visit, deps)
    try:
        async with asyncio.TaskGroup() as group:
            heartbeat = group.create_task(work.keep_lease())
            await work.until_empty()
            heartbeat.cancel()
    except* LeaseLostError as errors:
        # Another worker holds it; whatever was not committed here is theirs to do.
        with _logged(work.hands):
            _note(errors)
    except* WorkerError as errors:
        with _logged(work.hands):
            _note(errors)
        leaves = _leaves(errors)
        if any(isinstance(leaf, AWAY) for leaf in leaves):
            visit.failed()
        failures = max(work.attempts, deps.admission.failures(lease.conversation_id))
        is_back = await _abandon(lease, _backoff(failures, deps), deps)
        if all(isinstance(leaf, OUTAGES) for leaf in leaves):
            await _spare(work.hands, deps, now=is_back)
    except* Exception as errors:
        with _logged(work.hands):
            _note(errors)
            log.error("drain.defect", exc_info=errors)
        await _abandon(lease, _backoff(work.attempts, deps), deps)


def _logged(entries: Sequence[InboxEntry]) -> AbstractContextManager[None]:
    """Every line about messages that are in hand names the first of them."""
    return message_logged(entries[0].message.id) if entries else nullcontext()


class _Drain:
    """The work on one conversation while its lease is held."""

    def __init__(self, lease: Lease, visit: Visit, deps: Dependencies) -> None:
        self._lease = lease
        self._visit = visit
        self._deps = deps
        self.attempts = 0
        self.hands: Sequence[InboxEntry] = ()
        self._releasing = False

    async def keep_lease(self) -> None:
        """Extend the lease until cancelled; when it is lost, the work stops with `LeaseLostError`."""
        deps, ttl = self._deps, self._deps.drain_limits.lease
        every = ttl.total_seconds() / HEARTBEATS_PER_LEASE
        while True:
            # All at the same moments, so that the leases of a process are extended in one write.
            await asyncio.sleep(every - deps.monotonic() % every)
            if not self._releasing:
                await deps.inbox.renew(self._lease, ttl=ttl, at=deps.clock.now())

    async def until_empty(self) -> None:
        conversation_id, deps = self._lease.conversation_id, self._deps
        # Replies of an earlier turn go first. This also meets a store that is away before an attempt is counted.
        await outbox.flush(conversation_id, deps)
        self._visit.answered()
        await return_attempts(conversation_id, deps)
        async with deps.lanes.of(self._lease.oldest_attempts):
            await self._take_until_empty()
        self._visit.answered()

    async def _take_until_empty(self) -> None:
        deps = self._deps
        while True:
            entries = await deps.inbox.take(self._lease, isolate_after=deps.drain_limits.isolate_after)
            await deps.faults.reach("drain.taken")
            answered: Sequence[int] = ()
            if entries:
                self.attempts = entries[0].attempts
                self.hands = entries
                with _logged(entries):
                    answered = await self._settle(entries)
                self.hands = ()
            # Mostly nothing has come meanwhile; else the lease is kept, and the next ones are taken.
            if await self._release(answered):
                return

    async def _settle(self, entries: list[InboxEntry]) -> Sequence[int]:
        """Answer the messages, or give up the one that was tried too often; return those that wait no more."""
        deps = self._deps
        if entries[0].attempts > deps.drain_limits.attempts:
            await give_up(entries[0], "attempts", deps)
            return ()
        try:
            answered = await self._answer(entries)
        except PermanentError as exc:
            _note(exc)
            return await self._give_up_all(entries, type(exc).__name__)
        await outbox.flush(self._lease.conversation_id, deps)
        await deps.faults.reach("drain.flushed")
        return [entry.sequence for entry in answered]

    async def _give_up_all(self, entries: list[InboxEntry], reason: str) -> Sequence[int]:
        """One bad message must not take its neighbours along: of several, each is first tried alone."""
        if len(entries) == 1:
            await give_up(entries[0], reason, self._deps)
            return ()
        return [sequence for entry in entries for sequence in await self._settle([entry])]

    async def _answer(self, entries: Sequence[InboxEntry]) -> Sequence[InboxEntry]:
        """Answer the entries as one turn; what arrives meanwhile joins it, a bounded number of times."""
        deps = self._deps
        turn = Turn(self._lease.conversation_id, tuple(entries))
        alone = entries[0].attempts >= deps.drain_limits.isolate_after
        stale = conflicts = 0
        while turn.entries:
            may_grow = not alone and stale < deps.drain_limits.stale_drafts
            try:
                with turn_span(turn) as answered:
                    outcome = await answer_turn(turn, deps, may_grow=may_grow)
                    answered.set(names.OUTCOME, outcome.value)
            except ConversationConflictError:
                conflicts += 1
                if conflicts >= deps.drain_limits.conflicts:
                    raise
                turn = await self._still_pending(turn, grow=False)
                continue
            TURNS.labels(outcome=outcome.value).inc()
            if outcome is not Outcome.STALE:
                log.info(
                    "turn.ended",
                    correlation_id=turn.correlation_id,
                    outcome=outcome.value,
                    messages=len(turn.entries),
                )
                return turn.entries
            stale += 1
            turn = await self._still_pending(turn, grow=True)
        return ()

    async def _still_pending(self, turn: Turn, *, grow: bool) -> Turn:
        """The turn as the inbox has it now: an erased message is gone from it, a newer one may have come."""
        pending = await self._deps.inbox.pending(turn.conversation_id)
        mine = {entry.sequence: entry for entry in turn.entries}
        kept = [mine.get(entry.sequence, entry) for entry in pending if grow or entry.sequence in mine]
        return replace(turn, entries=tuple(kept))

    async def _release(self, answered: Sequence[int]) -> bool:
        await self._deps.faults.reach("drain.releasing")
        # A heartbeat that came behind the release would lock the conversation for nobody.
        self._releasing = True
        self._releasing = released = await self._deps.inbox.release(self._lease, answered=answered)
        return released


async def give_up(entry: InboxEntry, reason: str, deps: Dependencies) -> None:
    """Keep the message as a dead letter, tell the conversation, go on. Doing it twice is the same as once.

    Raises:
        TransientError: also when the conversation is not this worker's to answer, and so not its to give up.
    """
    message = entry.message
    head = await deps.store.conversations.load(message.conversation_id)
    if head is not None:
        migrate(head)
    await deps.store.dead_letters.add(
        DeadLetter(
            id=message.dedup_key,
            conversation_id=message.conversation_id,
            message_id=message.id,
            channel=message.address.channel,
            reason=reason,
            attempts=entry.attempts,
            message=message,
            at=deps.clock.now(),
        )
    )
    DEAD_LETTERS.labels(reason=reason if reason == "attempts" else "permanent").inc()
    log.error("message.dead_lettered", correlation_id=message.id, reason=reason, attempts=entry.attempts)
    await deps.faults.reach("dead_letter.kept")
    if await _was_erased(entry, deps):
        await deps.store.dead_letters.drop(message.dedup_key)
        return
    await escalate_for_dead_letter(entry, deps)
    await outbox.flush(message.conversation_id, deps)
    await deps.inbox.remove(message.conversation_id, [entry.sequence])


async def _was_erased(entry: InboxEntry, deps: Dependencies) -> bool:
    """Whether the conversation was erased since its message was taken: an empty head that has passed it."""
    head = await deps.store.conversations.load(entry.message.conversation_id)
    return head is not None and head.turns == 0 and head.last_sequence >= entry.sequence


def _backoff(attempts: int, deps: Dependencies) -> timedelta:
    """Exponential with jitter, also when the work failed before an attempt was counted."""
    limits = deps.drain_limits
    pause: timedelta = min(limits.longest_backoff, limits.first_backoff * 2 ** max(0, attempts - 1))
    return pause * (0.5 + deps.chance() / 2)


async def _abandon(lease: Lease, pause: timedelta, deps: Dependencies) -> bool:
    """Whether the lease was given back. Else the inbox is away: it runs out, and the sweeper finds the conversation."""
    due_at = deps.clock.now() + pause
    try:
        await deps.inbox.abandon(lease, due_at=due_at)
    except TransientError as exc:
        _note(exc)
        return False
    return True


async def _spare(entries: Sequence[InboxEntry], deps: Dependencies, *, now: bool) -> None:
    """Take back the attempt of messages that met an outage, `now` or when the inbox answers again: they must not be
    given up for it.

    Only while they are young: a message that brings the outage about itself has to be given up some day.
    """
    young = deps.clock.now() - deps.drain_limits.outage_patience
    spared = [entry for entry in entries if entry.message.received_at > young]
    if not spared:
        return
    conversation_id = spared[0].message.conversation_id
    deps.attempts.note(conversation_id, [entry.sequence for entry in spared])
    if now:
        try:
            await return_attempts(conversation_id, deps)
        except InboxUnavailableError as exc:
            _note(exc)


async def return_attempts(conversation_id: ConversationId, deps: Dependencies) -> None:
    """Take back what is noted of the conversation's attempts.

    Raises:
        InboxUnavailableError: it stays noted.
    """
    sequences = deps.attempts.take(conversation_id)
    if not sequences:
        return
    try:
        await deps.inbox.spare(conversation_id, sequences)
    except InboxUnavailableError:
        deps.attempts.note(conversation_id, sequences)
        raise


def _note(error: BaseException) -> None:
    """Count and log the families of errors, by their own names: their texts may come from outside."""
    leaves = _leaves(error)
    for leaf in leaves:
        family = "transient" if isinstance(leaf, TransientError) else "defect"
        family = "permanent" if isinstance(leaf, PermanentError) else family
        DRAIN_ERRORS.labels(family=family).inc()
        log.warning("drain.error", family=family, error=type(leaf).__name__)


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]
