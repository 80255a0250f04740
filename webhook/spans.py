"""The spans of the HTTP side: how a message was received, and what a platform said of a reply."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from contracts.delivery import Arrival, OutboxRow
from contracts.messages import InboundMessage, StatusUpdate
from contracts.values import ConversationId
from observability import attributes as names
from observability.tracing import UNRECORDED, AnySpan, Kind, ended, inside, is_tracing, remote_span, root_span, span


@dataclass(frozen=True)
class Reception:
    """Messages of one request, each with a trace of its own: one request may carry those of many people.

    `messages` name their spans, so that whoever goes on with them finds the trace. Without spans nothing is recorded.
    """

    messages: Sequence[InboundMessage]
    spans: Sequence[AnySpan] = ()

    @contextmanager
    def appending(self) -> Iterator[None]:
        """One write for all of them, shown in each of the traces."""
        writes = [span("inbox.append", kind=Kind.CLIENT, parent=received.context) for received in self.spans]
        with ended(writes):
            yield

    @contextmanager
    def noting(self, number: int, arrival: Arrival) -> Iterator[None]:
        """What became of one of them, told in its trace."""
        if not self.spans:
            yield
            return
        received = self.spans[number]
        received.set(names.OUTCOME, arrival.value)
        with inside(received.context):
            yield

    @contextmanager
    def waking(self, conversation_id: ConversationId) -> Iterator[None]:
        """The wake-up of a conversation: in the trace of its first message here."""
        for message, received in zip(self.messages, self.spans, strict=False):
            if message.conversation_id == conversation_id:
                with inside(received.context), span("queue.wake", kind=Kind.PRODUCER):
                    yield
                return
        yield


@contextmanager
def receiving(messages: Sequence[InboundMessage]) -> Iterator[Reception]:
    """Open a span for each message, until all are durable and their conversations are woken."""
    if not is_tracing():
        yield Reception(messages)
        return
    spans = [_reception(message) for message in messages]
    named = [
        message.model_copy(update={"traceparent": received.traceparent})
        for message, received in zip(messages, spans, strict=True)
    ]
    with ended(spans):
        yield Reception(named, spans)


def _reception(message: InboundMessage) -> AnySpan:
    described = {names.CHANNEL: message.address.channel.value, names.KIND: message.kind.value}
    of_message = ((names.CONVERSATION, message.conversation_id), (names.CORRELATION, message.id))
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
