"""Committed replies leave here: in order for each conversation, at least once, and settled when the answer got lost."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from contracts.delivery import OutboxRow
from contracts.errors import ChannelRefusedError, ChannelUnavailableError, SendOutcomeUnknownError
from contracts.messages import DeliveryState
from contracts.performance import Cause
from contracts.ports import Channel
from contracts.values import ConversationId
from observability.logs import logger
from observability.metrics import SENDS, note_reply
from worker.dependencies import Dependencies
from worker.spans import send_span

log = logger(__name__)

FIRST_BACKOFF = timedelta(seconds=1)
LONGEST_BACKOFF = timedelta(minutes=1)
WINDOW_CLOSED = "window_closed"


async def flush(conversation_id: ConversationId, deps: Dependencies) -> None:
    """Send what may be sent now. A row that has to wait holds back the later ones of its conversation."""
    for row in await deps.store.outbox.unsent(conversation_id):
        if not await _send(row, deps):
            return


async def _wait_for_channel(row: OutboxRow, deps: Dependencies) -> None:
    """The channel is not set up in this process any more: its replies wait, new messages are still worked on."""
    SENDS.labels(channel=row.address.channel.value, outcome="no_channel").inc()
    log.error(
        "outbox.no_channel",
        conversation_id=row.conversation_id,
        correlation_id=row.correlation_id,
        outbox_id=row.id,
        channel=row.address.channel,
    )
    not_before = deps.clock.now() + LONGEST_BACKOFF
    await deps.store.outbox.postpone(row.id, not_before=not_before, error_code="no_channel", at=deps.clock.now())


@dataclass(frozen=True)
class _Attempt:
    """One attempt at one row: where it is logged and counted from."""

    row: OutboxRow
    channel: Channel

    def note(self, outcome: str, **details: object) -> None:
        SENDS.labels(channel=self.channel.name.value, outcome=outcome).inc()
        log.info(
            f"outbox.{outcome}",
            conversation_id=self.row.conversation_id,
            correlation_id=self.row.correlation_id,
            outbox_id=self.row.id,
            attempt=self.row.attempts,
            **details,
        )


async def _send(row: OutboxRow, deps: Dependencies) -> bool:
    """Try one row; True when the next one may follow."""
    now = deps.clock.now()
    if row.sendable_at > now:
        return False
    channel = deps.channels.get(row.address.channel)
    if channel is None:
        await _wait_for_channel(row, deps)
        return False
    if channel.reply_window is not None and now > row.created_at + channel.reply_window:
        await deps.store.outbox.mark_failed(row.id, error_code=WINDOW_CLOSED, at=now)
        _Attempt(row, channel).note("refused", code=WINDOW_CLOSED)
        deps.ledger.book_failure(Cause.REFUSED)
        return True
    if row.state is DeliveryState.SENDING:
        if now < deps.listening_since + channel.settle_after:
            # While nobody listened no status could come: it gets its time now.
            return False
        # Its deadline passed and no status settled it: one more send is the lesser evil.
        _Attempt(row, channel).note("resent")
    sending = await deps.store.outbox.begin_send(
        row, deadline=now + channel.send_timeout + channel.settle_after, at=now
    )
    if sending is None:
        return False
    await deps.faults.reach("outbox.sending")
    return await _undisturbed(_deliver(_Attempt(sending, channel), deps))


async def _undisturbed(work: Coroutine[Any, Any, bool]) -> bool:
    """Finish the work even when its drain is cancelled: a request that has left cannot be called back, and who does not
    wait for the answer does not know whether to send again."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await asyncio.wait([task])
        raise


async def _deliver(attempt: _Attempt, deps: Dependencies) -> bool:
    row = attempt.row
    try:
        with send_span(row):
            platform_message_id = await _send_in_time(attempt)
    except ChannelUnavailableError as exc:
        not_before = deps.clock.now() + _backoff(row.attempts, exc, deps)
        await deps.store.outbox.postpone(row.id, not_before=not_before, error_code=str(exc), at=deps.clock.now())
        attempt.note("postponed", reason=str(exc))
        return False
    except SendOutcomeUnknownError:
        # The row stays `sending`: a status settles it, or its deadline brings the next attempt.
        attempt.note("unknown")
        return False
    except ChannelRefusedError as exc:
        await deps.store.outbox.mark_failed(row.id, error_code=exc.code, at=deps.clock.now())
        attempt.note("refused", code=exc.code)
        deps.ledger.book_failure(Cause.REFUSED)
        return True
    await deps.faults.reach("outbox.accepted")
    at = deps.clock.now()
    await _mark_sent(row, platform_message_id, at, deps)
    attempt.note("sent")
    if row.received_at is not None:
        note_reply(attempt.channel.name, (at - row.received_at).total_seconds())
        deps.ledger.book_reply(received_at=row.received_at, sent_at=at)
    return True


async def _send_in_time(attempt: _Attempt) -> str:
    """Send within the channel's time in all; a platform that drips its answer may well have taken the message."""
    try:
        async with asyncio.timeout(attempt.channel.send_timeout.total_seconds()):
            return await attempt.channel.send(attempt.row)
    except TimeoutError as exc:
        raise SendOutcomeUnknownError("no answer within the channel's time") from exc


async def _mark_sent(row: OutboxRow, platform_message_id: str, at: datetime, deps: Dependencies) -> None:
    await deps.store.outbox.mark_sent(row, platform_message_id=platform_message_id, at=at)
    await deps.faults.reach("outbox.marked")


def _backoff(attempts: int, error: ChannelUnavailableError, deps: Dependencies) -> timedelta:
    """Exponential with jitter; never less than the platform asked for."""
    ceiling: timedelta = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(attempts - 1, 10))
    return max(error.retry_after or timedelta(0), ceiling * (0.5 + deps.chance() / 2))
