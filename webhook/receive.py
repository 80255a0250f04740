"""Durable reception: append, wake the worker, apply statuses; the only work between a platform's POST and its 200."""

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

from adapters.http.inbound import Problem
from contracts.channels import Unreadable
from contracts.delivery import Arrival, DeadLetter, OutboxRow
from contracts.errors import IllegalTransitionError, InboxUnavailableError, StoreUnavailableError, TransientError
from contracts.messages import OTHER_ACCOUNT, ChannelName, DeliveryState, InboundMessage, StatusUpdate, digest
from contracts.values import ConversationId
from observability import attributes as names
from observability.logs import logger
from observability.metrics import DEAD_LETTERS, INBOUND, OTHER_ACCOUNTS, STATUSES
from observability.tracing import NO_PARENT, UNRECORDED, Kind, Span, ended, inside, is_tracing, remote_span, span
from webhook.settings import WebhookDependencies

log = logger(__name__)

T = TypeVar("T")


async def make_durable(messages: Sequence[InboundMessage], deps: WebhookDependencies) -> None:
    """Append all messages, then wake the conversations that hold them; durable on return.

    Raises:
        Problem: 503 when one of them could not be made durable; the sender tries all of them again.
    """
    if not messages:
        return
    await deps.faults.reach("ingest.before_append")
    with receiving(messages) as reception:
        try:
            # An append that ends after the time-out makes a duplicate of the sender's next attempt.
            async with asyncio.timeout(deps.durable_within.total_seconds()):
                with reception.appending():
                    appended = await deps.inbox.append(reception.messages)
        except (InboxUnavailableError, TimeoutError) as exc:
            raise _unavailable() from exc
        await deps.faults.reach("ingest.appended")
        first: dict[ConversationId, int] = {}
        for number, (message, one) in enumerate(zip(messages, appended, strict=True)):
            first.setdefault(one.conversation_id, number)
            with reception.noting(number, one.arrival):
                INBOUND.labels(message.address.channel, one.arrival).inc()
                if OTHER_ACCOUNT in message.data:
                    OTHER_ACCOUNTS.labels(channel=message.address.channel.value).inc()
                log.info(
                    "message.received",
                    correlation_id=message.id,
                    conversation_id=one.conversation_id,
                    channel=message.address.channel.value,
                    kind=message.kind.value,
                    outcome=one.arrival.value,
                )
        for conversation_id, number in first.items():
            with reception.waking(number):
                await deps.queue.wake(conversation_id)


async def apply_statuses(updates: Sequence[StatusUpdate], deps: WebhookDependencies) -> None:
    """Move the outbox rows forward. Statuses never reach the state machine.

    There are three for each reply and nearly none has a consequence; the sweep finds a reply that waited for one. Only
    what is to go again, in words, and what the next bubble of its reply waits for wake a worker.

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
        STATUSES.labels(update.channel, update.state).inc()
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
            is_to_repeat = update.state is DeliveryState.FAILED and row.state is DeliveryState.PENDING
            is_awaited = row.deadline is not None and deps.clock.now() < row.deadline and not row.is_unsent
            if is_to_repeat or is_awaited:
                await deps.queue.wake(row.conversation_id)


async def side_by_side(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the results, in order. Mostly there is one or none, for which a task would cost more than it saves."""
    if len(work) <= 1:
        return [await one for one in work]
    return await asyncio.gather(*work)


async def keep_unreadable(channel: ChannelName, pieces: Sequence[Unreadable], deps: WebhookDependencies) -> None:
    """Keep unreadable pieces as dead letters: a refusal would make the platform repeat them for days.

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
                    addresses=piece.addresses,
                    at=deps.clock.now(),
                )
            )
            DEAD_LETTERS.labels(reason="unreadable").inc()
            log.error("message.unreadable", channel=channel.value)
    except StoreUnavailableError as exc:
        raise _unavailable() from exc


async def hand_back(returned: Sequence[ConversationId], channel: ChannelName, deps: WebhookDependencies) -> None:
    """Let the assistant answer again where the platform's help desk is done; elsewhere nothing changes.

    Raises:
        Problem: 503 when one could not be kept.
    """
    for conversation_id in returned:
        try:
            await deps.operators.hand_back(conversation_id, agent=channel.value)
        except IllegalTransitionError:
            log.info("event.ignored", channel=channel.value, kind="returned", count=1)
        except TransientError as exc:
            raise _unavailable() from exc


def count_ignored(channel: ChannelName, ignored: Sequence[str]) -> None:
    for name, count in Counter(ignored).items():
        log.info("event.ignored", channel=channel.value, kind=name, count=count)


def _unavailable() -> Problem:
    return Problem(503, "Not durable", "The message could not be stored; send it again.", headers={"Retry-After": "1"})


# Where nothing is recorded a reception pays for no span.
NOTHING = nullcontext()


@dataclass(frozen=True)
class Reception:
    """Messages of one request, each with a trace of its own: one request may carry those of many people.

    `messages` name their spans, so that the worker continues the trace. Without spans nothing is recorded.
    """

    messages: Sequence[InboundMessage]
    spans: Sequence[Span] = ()

    def appending(self) -> AbstractContextManager[None]:
        """Record the one write of all messages in each of the traces."""
        if not self.spans:
            return NOTHING
        return ended([span("inbox.append", kind=Kind.CLIENT, parent=received.context) for received in self.spans])

    def noting(self, number: int, arrival: Arrival) -> AbstractContextManager[None]:
        """Record the outcome of one message in its trace."""
        if not self.spans:
            return NOTHING
        received = self.spans[number]
        received.set(names.OUTCOME, arrival.value)
        return inside(received.context)

    def waking(self, first: int) -> AbstractContextManager[object]:
        """Record the wake-up of a conversation in the trace of its first message here, by its number."""
        if not self.spans:
            return NOTHING
        received = self.spans[first]
        if not received.sampled:
            return inside(received.context)
        return span("queue.wake", kind=Kind.PRODUCER, parent=received.context)


@contextmanager
def receiving(messages: Sequence[InboundMessage]) -> Iterator[Reception]:
    """Open a span for each message, until all are durable and their conversations are woken."""
    if not is_tracing():
        yield Reception(messages)
        return
    named, spans = [], []
    for message in messages:
        described = {names.CHANNEL: message.address.channel.value, names.KIND: message.kind.value}
        of_message = {names.CONVERSATION: message.conversation_id, names.CORRELATION: message.id}
        spans.append(span("webhook.receive", described, kind=Kind.SERVER, parent=NO_PARENT, inherited=of_message))
        named.append(message.model_copy(update={"traceparent": spans[-1].traceparent}))
    with ended(spans):
        yield Reception(named, spans)


def status_span(row: OutboxRow, update: StatusUpdate, *, start_ns: int) -> AbstractContextManager[object]:
    """Open a span in the trace of the turn that wrote the reply."""
    turn = remote_span(row.traceparent)
    if turn is None:
        return UNRECORDED
    described = {names.OUTBOX: row.id, names.STATE: update.state.value, names.CONVERSATION: row.conversation_id}
    applied = span("status.apply", described, kind=Kind.SERVER, parent=turn, start_ns=start_ns)
    applied.set(names.CODE, update.error_code)
    return applied
