"""Spans of a drain, a turn, a send and an analysis. Each turn has one trace: that of its first message."""

from contracts.analysis import Analysis
from contracts.delivery import OutboxRow
from contracts.turn import Turn
from contracts.values import ConversationId
from observability import attributes as names
from observability import tracing


def drain_span(conversation_id: ConversationId) -> tracing.Span:
    """Begin a span in the trace of the message that woke the drain; a drain of the sweep has none."""
    if tracing.current_span() is None:
        return tracing.UNRECORDED
    return tracing.span("drain", kind=tracing.Kind.CONSUMER, inherited={names.CONVERSATION: conversation_id})


def turn_span(turn: Turn) -> tracing.Span:
    """Begin a span in the trace of the turn's first message, linked to those of its other messages."""
    first, *merged = turn.messages
    described = {
        names.CHANNEL: first.address.channel.value,
        names.MESSAGES: len(turn.entries),
        names.ATTEMPT: turn.entries[0].attempts,
    }
    named = (tracing.remote_span(message.traceparent) for message in merged)
    return tracing.span(
        "turn",
        described,
        parent=tracing.nearest(first.traceparent),
        links=[one for one in named if one is not None and tracing.is_sampled(one)],
        inherited={names.CONVERSATION: turn.conversation_id, names.CORRELATION: turn.correlation_id},
    )


def analysis_span(analysis: Analysis) -> tracing.Span:
    """Begin a trace of its own: an analysis is asked for long after the turn."""
    described = {names.ANALYSIS: analysis.context.kind.value}
    return tracing.root_span("analysis", described, inherited={names.CONVERSATION: analysis.context.conversation_id})


def send_span(row: OutboxRow) -> tracing.Span:
    """Begin a span in the trace of the turn that wrote the reply, however late it is sent."""
    turn = tracing.remote_span(row.traceparent)
    if turn is None:
        return tracing.UNRECORDED
    described = {
        names.CHANNEL: row.address.channel.value,
        names.OUTBOX: row.id,
        names.ATTEMPT: row.attempts,
        names.CONVERSATION: row.conversation_id,
    }
    sent = tracing.span("outbox.send", described, kind=tracing.Kind.CLIENT, parent=turn)
    sent.set(names.CORRELATION, row.correlation_id)
    return sent
