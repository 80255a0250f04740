"""The spans of the worker: a drain, a turn, a send. One trace for each turn: that of its first message."""

from contracts.analysis import Analysis
from contracts.delivery import OutboxRow
from contracts.values import ConversationId
from observability import attributes as names
from observability.tracing import (
    UNRECORDED,
    Kind,
    Span,
    current_span,
    is_sampled,
    nearest,
    remote_span,
    root_span,
    span,
)
from worker.turn import Turn


def drain_span(conversation_id: ConversationId) -> Span:
    """In the trace of the message that it was woken for; a drain that the sweep began has none of its own."""
    if current_span() is None:
        return UNRECORDED
    return span("drain", kind=Kind.CONSUMER, inherited={names.CONVERSATION: conversation_id})


def turn_span(turn: Turn) -> Span:
    """In the trace of the turn's first message, linked to those of the messages that it answers as well."""
    first, *merged = turn.messages
    described = {
        names.CHANNEL: first.address.channel.value,
        names.MESSAGES: len(turn.entries),
        names.ATTEMPT: turn.entries[0].attempts,
    }
    named = (remote_span(message.traceparent) for message in merged)
    return span(
        "turn",
        described,
        parent=nearest(first.traceparent),
        links=[one for one in named if one is not None and is_sampled(one)],
        inherited={names.CONVERSATION: turn.conversation_id, names.CORRELATION: turn.correlation_id},
    )


def analysis_span(analysis: Analysis) -> Span:
    """A trace of its own: it is asked for when its conversation is long past the turn."""
    described = {names.ANALYSIS: analysis.context.kind.value}
    return root_span("analysis", described, inherited={names.CONVERSATION: analysis.context.conversation_id})


def send_span(row: OutboxRow) -> Span:
    """In the trace of the turn that wrote the reply, whoever sends it and however late."""
    turn = remote_span(row.traceparent)
    if turn is None:
        return UNRECORDED
    described = {
        names.CHANNEL: row.address.channel.value,
        names.OUTBOX: row.id,
        names.ATTEMPT: row.attempts,
        names.CONVERSATION: row.conversation_id,
    }
    sent = span("outbox.send", described, kind=Kind.CLIENT, parent=turn)
    sent.set(names.CORRELATION, row.correlation_id)
    return sent
