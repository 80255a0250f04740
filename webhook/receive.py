"""Makes what arrived durable and wakes the worker: the only work between a platform's POST and its 200."""

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from adapters.channels.whatsapp_inbound import Broken
from adapters.http.problems import Problem
from contracts.delivery import Arrival, DeadLetter
from contracts.errors import InboxUnavailableError, StoreUnavailableError
from contracts.messages import ChannelName, InboundMessage, StatusUpdate, digest
from observability.logs import logger
from observability.metrics import DEAD_LETTERS, note_inbound, note_status
from webhook.dependencies import WebhookDependencies
from webhook.spans import receiving, status_span

log = logger(__name__)

T = TypeVar("T")


async def make_durable(messages: Sequence[InboundMessage], deps: WebhookDependencies) -> list[Arrival]:
    """Append all messages, then wake their conversations; durable on return.

    Raises:
        Problem: 503 when one of them could not be made durable; the sender tries all of them again.
    """
    if not messages:
        return []
    await deps.faults.reach("ingest.before_append")
    with receiving(messages) as reception:
        try:
            # What is appended after the time is over is a duplicate of what the sender then tries again.
            async with asyncio.timeout(deps.durable_within.total_seconds()):
                with reception.appending():
                    arrivals = await deps.inbox.append(reception.messages)
        except (InboxUnavailableError, TimeoutError) as exc:
            raise _unavailable() from exc
        await deps.faults.reach("ingest.appended")
        for number, (message, arrival) in enumerate(zip(messages, arrivals, strict=True)):
            with reception.noting(number, arrival):
                _tell(message, arrival)
        for conversation_id in dict.fromkeys(message.conversation_id for message in messages):
            with reception.waking(conversation_id):
                await deps.queue.wake(conversation_id)
    return arrivals


def _tell(message: InboundMessage, arrival: Arrival) -> None:
    note_inbound(message.address.channel, arrival)
    log.info(
        "message.received",
        correlation_id=message.id,
        conversation_id=message.conversation_id,
        channel=message.address.channel.value,
        kind=message.kind.value,
        outcome=arrival.value,
    )


async def apply_statuses(updates: Sequence[StatusUpdate], deps: WebhookDependencies) -> None:
    """Move the outbox rows forward. Statuses never reach the state machine, and wake nobody.

    There are three for each reply and nearly none has a consequence; the sweep finds a reply that waited for one.

    Raises:
        Problem: 503 when one could not be kept; the platform sends them again, which changes nothing.
    """
    began = time.time_ns()
    try:
        # A store writes those that come together at once; they begin in the order they came in.
        rows = await side_by_side([deps.store.outbox.apply_status(update) for update in updates])
    except StoreUnavailableError as exc:
        raise _unavailable() from exc
    for update, row in zip(updates, rows, strict=True):
        note_status(update.channel, update.state)
        if row is not None:
            with status_span(row, update, start_ns=began):
                log.info(
                    "status.applied",
                    correlation_id=row.correlation_id,
                    conversation_id=row.conversation_id,
                    outbox_id=row.id,
                    state=update.state.value,
                    code=update.error_code,
                )


async def side_by_side(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results, in order. Mostly it is one or nothing, for which a task would cost more than it saves."""
    if len(work) <= 1:
        return [await one for one in work]
    return await asyncio.gather(*work)


async def keep_broken(channel: ChannelName, pieces: Sequence[Broken], deps: WebhookDependencies) -> None:
    """Keep what nobody can process: refusing it would make the platform repeat it for days.

    Raises:
        Problem: 503 when it could not be kept.
    """
    try:
        for piece in pieces:
            await deps.store.dead_letters.add(
                DeadLetter(
                    id=digest(channel, piece.raw),
                    conversation_id=None,
                    message_id=None,
                    channel=channel,
                    reason=piece.reason,
                    attempts=0,
                    raw=piece.raw,
                    at=deps.clock.now(),
                )
            )
            DEAD_LETTERS.labels(reason="unreadable").inc()
            log.error("message.unreadable", channel=channel.value)
    except StoreUnavailableError as exc:
        raise _unavailable() from exc


def count_ignored(channel: ChannelName, names: Sequence[str]) -> None:
    if not names:
        return
    for name, count in Counter(names).items():
        log.info("event.ignored", channel=channel.value, kind=name, count=count)


def _unavailable() -> Problem:
    return Problem(503, "Not durable", "The message could not be stored; send it again.", headers={"Retry-After": "1"})
