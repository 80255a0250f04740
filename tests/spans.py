"""Spans as OpenTelemetry's SDK made them, kept in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Tracer, format_span_id, format_trace_id

from observability.tracing import tracing_with
from tests.collector import Received


class Kept:
    """What has ended, in the shape in which a collector gets it."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()

    @property
    def spans(self) -> list[Received]:
        return [_received(span) for span in self.exporter.get_finished_spans()]

    def named(self, name: str) -> Received:
        (found,) = [span for span in self.spans if span.name == name]
        return found


def tracer(kept: Kept, *, sample: float = 1.0) -> Tracer:
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(sample)), resource=Resource({}), shutdown_on_exit=False
    )
    provider.add_span_processor(SimpleSpanProcessor(kept.exporter))
    return provider.get_tracer("test")


@contextmanager
def keeping(*, sample: float = 1.0) -> Iterator[Kept]:
    """Record what is done while the context is open."""
    kept = Kept()
    with tracing_with(tracer(kept, sample=sample)):
        yield kept


def _received(span: ReadableSpan) -> Received:
    return Received(
        name=span.name,
        trace_id=format_trace_id(span.context.trace_id),
        span_id=format_span_id(span.context.span_id),
        parent_id=format_span_id(span.parent.span_id) if span.parent else "",
        kind=span.kind.name,
        attributes=_plain(span.attributes),
        links=tuple(format_trace_id(link.context.trace_id) for link in span.links),
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        failure=span.status.description,
        events=tuple((event.name, _plain(event.attributes)) for event in span.events),
        resource={},
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return dict(attributes or {})
