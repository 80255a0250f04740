"""The spans of the HTTP side: how a message was received, and what a platform said of a reply."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from contracts.delivery import Arrival, OutboxRow
from contracts.messages import InboundMessage, StatusUpdate
from contracts.values import ConversationId
from observability import attributes as names
from observability.tracing import UNRECORDED, Kind, Span, ended, inside, is_tracing, remote_span, root_span, span

# The webhook is everybody's way in: where nothing is recorded it pays for nothing.
NOTHING = nullcontext()


@dataclass(frozen=True)
class Reception:
    """Messages of one request, each with a trace of its own: one request may carry those of many people.

    `messages` name their spans, so that whoever goes on with them finds the trace. Without spans nothing is recorded.
    """

    messages: Sequence[InboundMessage]
    spans: Sequence[Span] = ()

    def appending(self) -> AbstractContextManager[None]:
        """One write for all of them, shown in each of the traces."""
        if not self.spans:
            return NOTHING
        return ended([span("inbox.append", kind=Kind.CLIENT, parent=received.context) for received in self.spans])

    def noting(self, number: int, arrival: Arrival) -> AbstractContextManager[None]:
        """What became of one of them, told in its trace."""
        if not self.spans:
            return NOTHING
        received = self.spans[number]
        received.set(names.OUTCOME, arrival.value)
        return inside(received.context)

    def waking(self, conversation_id: ConversationId) -> AbstractContextManager[object]:
        """The wake-up of a conversation: in the trace of its first message here."""
        if not self.spans:
            return NOTHING
        first = [message.conversation_id for message in self.messages].index(conversation_id)
        received = self.spans[first]
        if not received.sampled:
            return inside(received.context)
        return span("queue.wake", kind=Kind.PRODUCER, parent=received.context)


def receiving(messages: Sequence[InboundMessage]) -> AbstractContextManager[Reception]:
    """Open a span for each message, until all are durable and their conversations are woken."""
    return _receiving(messages) if is_tracing() else nullcontext(Reception(messages))


@contextmanager
def _receiving(messages: Sequence[InboundMessage]) -> Iterator[Reception]:
    spans = [_reception(message) for message in messages]
    named = [
        message.model_copy(update={"traceparent": received.traceparent})
        for message, received in zip(messages, spans, strict=True)
    ]
    with ended(spans):
        yield Reception(named, spans)


def _reception(message: InboundMessage) -> Span:
    described = {names.CHANNEL: message.address.channel.value, names.KIND: message.kind.value}
    of_message = {names.CONVERSATION: message.conversation_id, names.CORRELATION: message.id}
    return root_span("webhook.receive", described, kind=Kind.SERVER, inherited=of_message)


def status_span(row: OutboxRow, update: StatusUpdate, *, start_ns: int) -> AbstractContextManager[object]:
    """In the trace of the turn that wrote the reply."""
    turn = remote_span(row.traceparent)
    if turn is None:
        return UNRECORDED
    described = {names.OUTBOX: row.id, names.STATE: update.state.value, names.CONVERSATION: row.conversation_id}
    applied = span("status.apply", described, kind=Kind.SERVER, parent=turn, start_ns=start_ns)
    applied.set(names.CODE, update.error_code)
    return applied
