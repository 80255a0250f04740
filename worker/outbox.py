"""Outbox: committed replies are sent in order for each conversation, at least once.

What the platform refuses for its form, at the send or in a later status, goes once more in words; only when these are
refused too is a person called.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import zip_longest

from contracts.backoff import Backoff
from contracts.delivery import OutboxRow
from contracts.errors import ChannelAccountError, ChannelRefusedError, ChannelUnavailableError, SendOutcomeUnknownError
from contracts.messages import DeliveryState, MessageType
from contracts.performance import Cause
from contracts.ports import Channel, SentLookup
from contracts.values import ConversationId
from observability.logs import logger
from observability.metrics import REPLY_SECONDS, SENDS
from observability.tracing import send_span
from worker.dependencies import OutboxDependencies
from worker.replies.composer import in_words
from worker.scheduling.limiter import wait_for_place

log = logger(__name__)

BACKOFF = Backoff(timedelta(seconds=1), timedelta(minutes=1))
WINDOW_CLOSED, OVERTAKEN, PACED, TIER = "window_closed", "overtaken", "paced", "tier"
# A pause that a send waits for where it is; the sweep comes back for a longer one.
SHORT_PAUSE = timedelta(seconds=1)
REMINDER_GOOD_FOR = timedelta(minutes=5)


async def flush(
    conversation_id: ConversationId,
    deps: OutboxDependencies,
    *,
    unless: Callable[[], Awaitable[bool]] | None = None,
    is_written_to: Callable[[], Awaitable[bool]] | None = None,
) -> None:
    """Send what may be sent now. A row that has to wait holds back the later ones of its conversation.

    `unless` is asked only where there is something to send; true: nothing may be sent yet. A reminder that is late, or
    that the person has answered before it left, is dropped without calling anyone.
    """
    rows = await deps.store.outbox.unsent(conversation_id)
    if rows and unless is not None and await unless():
        return
    for row, following in zip_longest(rows, rows[1:]):
        if row.is_reminder and row.state is DeliveryState.PENDING:
            is_late = deps.clock.now() > row.created_at + REMINDER_GOOD_FOR
            if is_late or (is_written_to is not None and await is_written_to()):
                await deps.store.outbox.mark_failed(row.id, error_code=OVERTAKEN, at=deps.clock.now())
                await deps.store.outbox.escalation_done(row.id)
                _note(row, "refused", code=OVERTAKEN)
                continue
        if not await _send(row, deps, is_followed=following is not None and following.turn_id == row.turn_id):
            return


async def _send(row: OutboxRow, deps: OutboxDependencies, *, is_followed: bool) -> bool:
    """Try one row, which the next bubble of the same reply may follow; True when the next row may be sent now."""
    now, channel = deps.clock.now(), deps.channels.get(row.address.channel)
    if row.sendable_at > now:
        return False
    if row.is_accepted and row.platform_message_id is not None:
        # Its status is lost or late; the next bubble has waited long enough.
        await deps.store.outbox.mark_sent(row, platform_message_id=row.platform_message_id, at=now)
        _note(row, "unreported")
        return True
    if channel is None:
        # It is not set up in this process any more: its replies wait, new messages are still worked on.
        _note(row, "no_channel", error=True, channel=row.address.channel)
        not_before = now + BACKOFF.longest
        await deps.store.outbox.postpone(row.id, not_before=not_before, error_code="no_channel", at=now)
        return False
    is_free = row.message.type is not MessageType.TEMPLATE
    window = (row.author and channel.limits.agent_window) or channel.reply_window
    if is_free and window is not None and now > (row.window_from or row.created_at) + window:
        await deps.store.outbox.mark_failed(row.id, error_code=WINDOW_CLOSED, at=now)
        _note(row, "refused", code=WINDOW_CLOSED)
        deps.ledger.book_failure(Cause.REFUSED)
        return True
    if row.state is DeliveryState.SENDING:
        if now < deps.listening_since + channel.settle_after:
            # Until then no status could come: it gets its time now.
            return False
        if isinstance(channel, SentLookup) and (found := await channel.find_sent(row)):
            await deps.store.outbox.mark_sent(row, platform_message_id=found, at=now)
            _note(row, "found")
            return True
        # Its deadline passed and no status settled it: one more send is the lesser evil.
        _note(row, "resent")
    if free_at := await wait_for_place(row, channel, deps.store.records, now):
        _note(row, "tier")
        await deps.store.outbox.postpone(row.id, not_before=free_at, error_code=TIER, at=now)
        return False
    # A row that waited for its place has it: it is not queued once more.
    leaves = now if row.error_code == PACED else deps.pace.reserve(row.address, channel.limits, now)
    if leaves - now > SHORT_PAUSE:
        _note(row, "paced")
        await deps.store.outbox.postpone(row.id, not_before=leaves, error_code=PACED, at=now)
        return False
    if leaves > now:
        await asyncio.sleep((leaves - now).total_seconds())
        now = deps.clock.now()
    spoken = await deps.speech.of(row, channel) if deps.speech else None
    now = deps.clock.now() if spoken else now
    sending = await deps.store.outbox.begin_send(
        row, deadline=now + channel.send_timeout + channel.settle_after, at=now
    )
    if sending is None:
        return False
    if sending.is_in_words and sending.attempts == 1:
        _note(sending, "in_words", code=sending.refused_code)
    if spoken is not None:
        sending = sending.model_copy(update={"message": spoken})
    await deps.faults.reach("outbox.sending")
    # A request that has left cannot be called back, and without its answer it is not known whether to send again: so
    # it is waited for even when the drain is cancelled.
    delivery = asyncio.ensure_future(_deliver(sending, channel, deps, is_followed=is_followed))
    try:
        return await asyncio.shield(delivery)
    except asyncio.CancelledError:
        if not delivery.done():
            await asyncio.wait([delivery])
        raise


async def _deliver(row: OutboxRow, channel: Channel, deps: OutboxDependencies, *, is_followed: bool) -> bool:
    """Send the row and settle it by the answer; True when the next one may follow.

    Platforms show what is on its way at the same time in any order: the next bubble waits for a status of this one.
    """
    try:
        with send_span(row):
            async with asyncio.timeout(channel.send_timeout.total_seconds()):
                said = in_words(row.message, channel.limits) if row.is_in_words else row.message
                platform_message_id = await channel.send(row.model_copy(update={"message": said}))
    except ChannelUnavailableError as exc:
        # Never sooner than the platform asks for.
        pause = max(exc.retry_after or timedelta(0), BACKOFF.pause(row.attempts, deps.chance))
        at = deps.clock.now()
        await deps.store.outbox.postpone(row.id, not_before=at + pause, error_code=str(exc), at=at)
        is_account = isinstance(exc, ChannelAccountError)
        _note(row, "account" if is_account else "postponed", error=is_account, reason=str(exc))
        return False
    except (SendOutcomeUnknownError, TimeoutError):
        # A platform that drips its answer may well have taken the message. The row stays `sending`: a status settles
        # it, or its deadline brings the next attempt.
        _note(row, "unknown")
        return False
    except ChannelRefusedError as exc:
        refused = await deps.store.outbox.mark_failed(
            row.id, error_code=exc.code, at=deps.clock.now(), in_any_form=exc.in_any_form
        )
        await deps.faults.reach("outbox.refused")
        if refused is not None and refused.is_unsent:
            return await _send(refused, deps, is_followed=is_followed)
        _note(row, "refused", code=exc.code)
        deps.ledger.book_failure(Cause.REFUSED)
        return True
    await deps.faults.reach("outbox.accepted")
    at, within = deps.clock.now(), channel.limits.reported_within
    reported_by = at + within if within and is_followed else None
    marked = await deps.store.outbox.mark_sent(
        row, platform_message_id=platform_message_id, at=at, reported_by=reported_by
    )
    await deps.faults.reach("outbox.marked")
    _note(row, "sent")
    if row.message.template is not None and not row.is_in_words:
        deps.ledger.book_template(row.message.template, channel.name)
    if row.received_at is not None:
        REPLY_SECONDS.labels(channel.name).observe((at - row.received_at).total_seconds())
        deps.ledger.book_reply(received_at=row.received_at, sent_at=at)
    return marked is None or not marked.is_unsent


def _note(row: OutboxRow, outcome: str, *, error: bool = False, **details: object) -> None:
    """Count and log one attempt at a row."""
    SENDS.labels(channel=row.address.channel.value, outcome=outcome).inc()
    (log.error if error else log.info)(
        f"outbox.{outcome}",
        conversation_id=row.conversation_id,
        correlation_id=row.correlation_id,
        outbox_id=row.id,
        attempt=row.attempts,
        **details,
    )
