"""Traces: what a message meets on its way, as spans that belong together across processes.

    with span("store.commit") as committing:
        committing.set(attributes.OUTCOME, "replied")

A span is the child of the one it is opened in, or of the one named. Where it was decided that a trace is not recorded,
and where tracing is off, the same lines do next to nothing. What else is opened in other processes is reached by the
W3C `traceparent` (https://www.w3.org/TR/trace-context/#traceparent-header), a string kept with what it is about.
"""

import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar, Token
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from types import TracebackType
from typing import Final, Protocol, Self, TypeAlias

from observability.places import places

Attribute: TypeAlias = str | bool | int | float | tuple[str, ...]
Inherited: TypeAlias = tuple[tuple[str, str], ...]
NOTHING: Mapping[str, Attribute] = {}

TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
LOW_BITS = (1 << 64) - 1


class Kind(IntEnum):
    """OTLP's `SpanKind`."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


@dataclass(frozen=True, slots=True)
class RemoteSpan:
    """A span that was opened elsewhere: what is needed to be its child."""

    trace_id: int
    span_id: int
    sampled: bool
    inherited: Inherited = ()

    @property
    def traceparent(self) -> str:
        return _traceparent(self.trace_id, self.span_id, self.sampled)


class Span:
    """One piece of work, open while its context is. Goes to the collector when it ends; what it is told after is lost.

    Times are nanoseconds since the epoch. `inherited` are attributes of it and of all spans opened in it.
    """

    __slots__ = (
        "_tracer",
        "_was",
        "attributes",
        "end_ns",
        "failure",
        "inherited",
        "kind",
        "links",
        "name",
        "parent_id",
        "span_id",
        "start_ns",
        "trace_id",
    )

    sampled: Final = True

    def __init__(
        self,
        tracer: "Tracer",
        name: str,
        kind: Kind,
        trace_id: int,
        parent_id: int,
        attributes: Mapping[str, Attribute],
        inherited: Inherited,
        links: Sequence[RemoteSpan],
    ) -> None:
        self._tracer = tracer
        self._was: Token[Context | None] | None = None
        self.name = name
        self.kind = kind
        self.trace_id = trace_id
        self.span_id = tracer.new_id(64)
        self.parent_id = parent_id
        self.attributes = dict(attributes)
        self.inherited = inherited
        self.links = links
        self.failure: tuple[str, str] | None = None
        self.start_ns = tracer.now_ns()
        self.end_ns = 0

    @property
    def traceparent(self) -> str:
        return _traceparent(self.trace_id, self.span_id, sampled=True)

    def set(self, name: str, value: Attribute | None) -> None:
        """Add an attribute; None adds nothing."""
        if value is not None and not self.end_ns:
            self.attributes[name] = value

    def fail(self, error: BaseException) -> None:
        """The work has failed: its types and places are kept, not its text, which may quote what a person wrote."""
        self.failure = (type(error).__name__, "\n".join(places(error)))

    def end(self) -> None:
        self.end_ns = self._tracer.now_ns()
        self._tracer.ended(self)

    @property
    def context(self) -> "Context | None":
        """What others are opened in."""
        return self

    def __enter__(self) -> Self:
        self._was = _current.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._was is not None:
            _current.reset(self._was)
        if error is not None and self.failure is None:
            self.fail(error)
        self.end()


class Unrecorded:
    """Stands for a span that nobody will see. In it, where it begins such a trace, nothing else is recorded either."""

    __slots__ = ("_begins", "_was")

    sampled: Final = False
    attributes: Final[dict[str, Attribute]] = {}

    def __init__(self, begins: RemoteSpan | None = None) -> None:
        self._begins = begins
        self._was: Token[Context | None] | None = None

    @property
    def traceparent(self) -> str | None:
        return self._begins.traceparent if self._begins else None

    @property
    def context(self) -> "Context | None":
        return self._begins

    def set(self, name: str, value: Attribute | None) -> None:
        return

    def fail(self, error: BaseException) -> None:
        return

    def end(self) -> None:
        return

    def __enter__(self) -> Self:
        if self._begins is not None:
            self._was = _current.set(self._begins)
        return self

    def __exit__(self, *_: object) -> None:
        if self._was is not None:
            _current.reset(self._was)


Context: TypeAlias = Span | RemoteSpan
AnySpan: TypeAlias = Span | Unrecorded

UNRECORDED = Unrecorded()
_current: ContextVar[Context | None] = ContextVar("span", default=None)


class Exporter(Protocol):
    """Where spans go when they have ended. Neither waits nor fails."""

    def add(self, span: Span) -> None: ...

    async def flush(self, limit: timedelta) -> None:
        """Return when all that was added is with the collector, or after `limit`."""
        ...


class Tracer:
    """Makes spans. Whether a trace is recorded is decided at its first span, by its id, in `sample` of the cases.

    Source: the ratio is held against the low 64 bits of the id, as OpenTelemetry's `TraceIdRatioBased` does.
    """

    def __init__(
        self,
        exporter: Exporter,
        *,
        sample: float = 1.0,
        now_ns: Callable[[], int] = time.time_ns,
        seed: int | None = None,
    ) -> None:
        self._bound = round(sample * (LOW_BITS + 1))
        self.exporter = exporter
        self.ended = exporter.add
        self.now_ns = now_ns
        # Its own, seeded anew: processes that were forked would else give the same ids.
        self.new_id = random.Random(os.urandom(16) if seed is None else seed).getrandbits

    def root(
        self,
        name: str,
        kind: Kind,
        attributes: Mapping[str, Attribute],
        inherited: Inherited,
        links: Sequence[RemoteSpan],
    ) -> AnySpan:
        trace_id = self.new_id(128)
        if trace_id & LOW_BITS < self._bound:
            return Span(self, name, kind, trace_id, 0, attributes, inherited, links)
        return Unrecorded(RemoteSpan(trace_id, self.new_id(64), sampled=False))


_tracer: Tracer | None = None


@contextmanager
def tracing_with(tracer: Tracer) -> Iterator[None]:
    """Record what this process does while the context is open."""
    global _tracer
    before, _tracer = _tracer, tracer
    try:
        yield
    finally:
        _tracer = before


def is_tracing() -> bool:
    return _tracer is not None


def span(
    name: str,
    attributes: Mapping[str, Attribute] = NOTHING,
    *,
    kind: Kind = Kind.INTERNAL,
    parent: Context | None = None,
    links: Sequence[RemoteSpan] = (),
    inherited: Inherited = (),
    start_ns: int | None = None,
) -> AnySpan:
    """Open a span in the current one, or in `parent`; without either it begins a trace.

    `inherited` goes to all spans within as well. `start_ns` is for work that had begun before it was known what it
    belongs to.
    """
    tracer = _tracer
    if tracer is None:
        return UNRECORDED
    within = parent or _current.get()
    if within is None:
        return tracer.root(name, kind, attributes, inherited, links)
    if not within.sampled:
        return UNRECORDED if parent is None else Unrecorded(within)  # type: ignore[arg-type]
    passed = tuple((dict(within.inherited) | dict(inherited)).items()) if inherited else within.inherited
    opened = Span(tracer, name, kind, within.trace_id, within.span_id, attributes, passed, links)
    if start_ns is not None:
        opened.start_ns = start_ns
    return opened


def root_span(
    name: str,
    attributes: Mapping[str, Attribute],
    *,
    kind: Kind = Kind.INTERNAL,
    inherited: Inherited = (),
) -> AnySpan:
    """Open a span that begins a trace, whatever it is opened in."""
    return _tracer.root(name, kind, attributes, inherited, ()) if _tracer is not None else UNRECORDED


def inside(context: Context | None) -> AbstractContextManager[None]:
    """Open spans in one that is not ended here: of another process, or of several that are open side by side."""
    return _Inside(context) if context is not None else nullcontext()


class _Inside:
    """A class, since a generator takes several times as long."""

    __slots__ = ("_context", "_was")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._was = _current.set(self._context)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._was)


@contextmanager
def ended(spans: Sequence[AnySpan]) -> Iterator[None]:
    """End all of them with the context; what is raised in it is what they failed with."""
    try:
        yield
    except BaseException as exc:
        for one in spans:
            one.fail(exc)
        raise
    finally:
        for one in spans:
            one.end()


def remote_span(traceparent: str | None) -> RemoteSpan | None:
    """The span of that name; None when tracing is off, when there is none, and when it is malformed."""
    if _tracer is None or traceparent is None:
        return None
    match = TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    trace_id, span_id = int(match[1], 16), int(match[2], 16)
    return RemoteSpan(trace_id, span_id, bool(int(match[3], 16) & 1)) if trace_id and span_id else None


def nearest(traceparent: str | None) -> Context | None:
    """The current span where it is of that trace, else the one named: a child of what happens, in the trace it is of.

    Without a name, the current one.
    """
    named, current = remote_span(traceparent), _current.get()
    # What came with a wake-up may have been changed on its way: a proxy decides for itself what it records.
    is_ours = isinstance(current, Span) and named is not None and current.trace_id == named.trace_id
    return current if named is None or is_ours else named


def current_span() -> Context | None:
    return _current.get()


def current_traceparent() -> str | None:
    """The name of the current span, for who goes on with its trace elsewhere; None where there is none."""
    current = _current.get() if _tracer is not None else None
    return current.traceparent if current is not None else None


async def flush_spans(limit: timedelta) -> None:
    """Return when what has ended until now is with the collector, or after `limit`; a collector that is away is not
    waited for."""
    if _tracer is not None:
        await _tracer.exporter.flush(limit)


def trace_id_of(traceparent: str | None) -> str | None:
    """The id of the trace in hex digits, as collectors show it; None unless it was recorded."""
    match = TRACEPARENT.fullmatch(traceparent or "")
    return match[1] if match is not None and int(match[3], 16) & 1 else None


def _traceparent(trace_id: int, span_id: int, sampled: bool) -> str:
    return f"00-{trace_id:032x}-{span_id:016x}-{'01' if sampled else '00'}"
