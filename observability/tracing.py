"""Traces: the steps of a message as spans of one trace across processes.

    with span("store.commit") as committing:
        committing.set(attributes.OUTCOME, "replied")

A span is the child of the current one, or of a given parent. OpenTelemetry's SDK makes and exports it
(`cli/tracing.py`); within a trace that is not sampled, and where tracing is off, the same lines do not reach it.
Another process continues a trace by its W3C `traceparent` (https://www.w3.org/TR/trace-context/#traceparent-header), a
string that is stored with its message.
"""

import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Token
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from opentelemetry import trace
from opentelemetry.context import Context, attach, create_key, detach, get_current, get_value, set_value
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from contracts.analysis import Analysis
from contracts.delivery import OutboxRow
from contracts.turn import Turn
from contracts.values import ConversationId
from observability import attributes as names

Attribute: TypeAlias = str | bool | int | float | tuple[str, ...]
Kind: TypeAlias = trace.SpanKind
Flush: TypeAlias = Callable[[timedelta], Awaitable[None]]

NOTHING: Mapping[str, str] = {}
# The parent of a span that begins a trace of its own, whatever the current one is.
NO_PARENT = Context()
INHERITED = create_key("prosa.inherited")
FRAMES = 6

_traceparents = TraceContextTextMapPropagator()


class Span:
    """One operation, current while its `with` block runs; `context` is the parent of its children.

    Without a context it is a no-op and leaves the current span unchanged. `sampled` means that it is recorded.
    """

    __slots__ = ("_has_failed", "_span", "_token", "context", "sampled")

    def __init__(self, span: trace.Span, context: Context | None) -> None:
        self._span = span
        self._token: Token[Context] | None = None
        self._has_failed = False
        self.context = context
        self.sampled = span.is_recording()

    @property
    def traceparent(self) -> str | None:
        return _traceparent(self.context)

    def set(self, name: str, value: Attribute | None) -> None:
        """Add an attribute; None adds nothing."""
        if self.sampled and value is not None:
            self._span.set_attribute(name, value)

    def update(self, attributes: Mapping[str, Attribute]) -> None:
        if self.sampled:
            self._span.set_attributes(attributes)

    def fail(self, error: BaseException) -> None:
        """Record the types and places of the first failure, not its text, which may quote what a person wrote."""
        if not self.sampled or self._has_failed:
            return
        self._has_failed = True
        kind = type(error).__name__
        described = {names.EXCEPTION_TYPE: kind, names.EXCEPTION_PLACES: "\n".join(places(error))}
        self._span.add_event("exception", described)
        self._span.set_attribute(names.ERROR, kind)
        self._span.set_status(trace.Status(trace.StatusCode.ERROR, kind))

    def end(self) -> None:
        if self.sampled:
            self._span.end()

    def __enter__(self) -> Self:
        if self.context is not None:
            self._token = attach(self.context)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._token is not None:
            detach(self._token)
        if error is not None:
            self.fail(error)
        self.end()


UNRECORDED = Span(trace.INVALID_SPAN, None)

_tracer: trace.Tracer | None = None
_flush: Flush | None = None


@contextmanager
def tracing_with(tracer: trace.Tracer, flush: Flush | None = None) -> Iterator[None]:
    """Record spans while the context is open; `flush` exports the ended ones within a time limit."""
    global _tracer, _flush
    before = _tracer, _flush
    _tracer, _flush = tracer, flush
    try:
        yield
    finally:
        _tracer, _flush = before


def is_tracing() -> bool:
    return _tracer is not None


def span(
    name: str,
    attributes: Mapping[str, Attribute] = NOTHING,
    *,
    kind: Kind = trace.SpanKind.INTERNAL,
    parent: Context | None = None,
    links: Sequence[Context] = (),
    inherited: Mapping[str, str] = NOTHING,
    start_ns: int | None = None,
) -> Span:
    """Open a span in the current one, or in `parent`; without either it begins a trace.

    `inherited` are attributes of it and of all its descendants. `start_ns`, nanoseconds since the epoch, is for work
    that began before its trace was known.
    """
    if _tracer is None:
        return UNRECORDED
    within = get_current() if parent is None else parent
    of_parent = trace.get_current_span(within).get_span_context()
    # The sampler would decide the same, after the SDK had made a span's context.
    if of_parent.is_valid and not of_parent.trace_flags.sampled:
        return UNRECORDED if parent is None else Span(trace.INVALID_SPAN, parent)
    passed = inherited_in(within)
    if inherited:
        passed = {**passed, **inherited}
        within = set_value(INHERITED, passed, within)
    linked = [trace.Link(trace.get_current_span(one).get_span_context()) for one in links]
    opened = _tracer.start_span(name, within, kind, {**passed, **attributes}, linked, start_ns)
    return Span(opened, trace.set_span_in_context(opened, within))


def inherited_in(context: Context) -> Mapping[str, str]:
    """Return the attributes that every span opened in the context inherits."""
    passed = get_value(INHERITED, context)
    return passed if isinstance(passed, dict) else NOTHING


def inside(context: Context | None) -> AbstractContextManager[None]:
    """Make a span current without ending it: one of another process, or one of several that are open concurrently."""
    return _Inside(context) if context is not None else nullcontext()


class _Inside:
    """Context manager as a class, since a generator takes several times as long."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = attach(self._context)

    def __exit__(self, *_: object) -> None:
        detach(self._token)


@contextmanager
def ended(spans: Sequence[Span]) -> Iterator[None]:
    """End all of them with the context; an exception in it is recorded as their failure."""
    try:
        yield
    except BaseException as exc:
        for one in spans:
            one.fail(exc)
        raise
    finally:
        for one in spans:
            one.end()


def remote_span(traceparent: str | None) -> Context | None:
    """Return the context of another process's span; None if tracing is off or `traceparent` is missing or malformed."""
    if _tracer is None or traceparent is None:
        return None
    return _traceparents.extract({"traceparent": traceparent}) or None


def nearest(traceparent: str | None) -> Context | None:
    """Return the parent for a span of the named trace: None, for the current span, if that belongs to the same trace.

    A proxy may have changed a wake-up's context, as it decides for itself what to record: then `traceparent` wins.
    """
    named, current = remote_span(traceparent), current_span()
    if named is None or current is None or current.is_remote:
        return named
    return None if current.trace_id == trace.get_current_span(named).get_span_context().trace_id else named


def is_sampled(context: Context) -> bool:
    return trace.get_current_span(context).get_span_context().trace_flags.sampled


def current_span() -> trace.SpanContext | None:
    """Return the ids of the current span, recorded or not."""
    current = trace.get_current_span().get_span_context()
    return current if current.is_valid else None


def current_traceparent() -> str | None:
    """Return the current span's traceparent, for the process that continues its trace; None without a span."""
    return _traceparent(get_current()) if _tracer is not None else None


def trace_id_of(traceparent: str | None) -> str | None:
    """Return the trace id in hex digits, as collectors show it; None unless it was recorded."""
    context = _traceparents.extract({"traceparent": traceparent}) if traceparent else Context()
    if not is_sampled(context):
        return None
    return trace.format_trace_id(trace.get_current_span(context).get_span_context().trace_id)


async def flush_spans(limit: timedelta) -> None:
    """Wait until the ended spans are exported, at most `limit`; return at once while the collector is unavailable."""
    if _flush is not None:
        await _flush(limit)


def _traceparent(context: Context | None) -> str | None:
    carrier: dict[str, str] = {}
    if context is not None:
        _traceparents.inject(carrier, context)
    return carrier.get("traceparent")


def places(error: BaseException) -> Iterator[str]:
    """Yield each exception of a group and each cause, with its innermost frames: no text, which may quote a person."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    yield f"{type(error).__name__} at {where}" if where else type(error).__name__
    for part in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from places(part)
    if error.__cause__ is not None:
        yield from places(error.__cause__)


# Spans of a message: each turn has one trace, that of its first message


def drain_span(conversation_id: ConversationId) -> Span:
    """Begin a span in the trace of the message that woke the drain; a drain of the sweep has none."""
    if current_span() is None:
        return UNRECORDED
    return span("drain", kind=Kind.CONSUMER, inherited={names.CONVERSATION: conversation_id})


def turn_span(turn: Turn) -> Span:
    """Begin a span in the trace of the turn's first message, linked to those of its other messages."""
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
    """Begin a trace of its own: an analysis is asked for long after the turn."""
    described = {names.ANALYSIS: analysis.context.kind.value}
    return span(
        "analysis", described, parent=NO_PARENT, inherited={names.CONVERSATION: analysis.context.conversation_id}
    )


def send_span(row: OutboxRow) -> Span:
    """Begin a span in the trace of the turn that wrote the reply, however late it is sent."""
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
