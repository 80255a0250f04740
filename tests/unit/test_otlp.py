"""Our bytes, read with OpenTelemetry's own classes."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from observability.otlp import trace_request
from observability.tracing import Kind, RemoteSpan, Span, Tracer
from tests.collector import Received, received

INT64 = st.integers(-(2**63), 2**63 - 1)
VALUES = st.text() | st.booleans() | INT64 | st.floats(allow_nan=False) | st.tuples(st.text(), st.text())
ATTRIBUTES = st.dictionaries(st.text(min_size=1), VALUES, max_size=5)


class Nowhere:
    def add(self, span: Span) -> None:
        return

    async def flush(self, limit: Any) -> None:
        return


def made(**changes: Any) -> Span:
    tracer = Tracer(Nowhere(), seed=1, now_ns=iter((1_700_000_000_000_000_001, 1_700_000_000_000_000_002)).__next__)
    given: dict[str, Any] = {
        "name": "turn",
        "kind": Kind.CONSUMER,
        "trace_id": 2**127 + 5,
        "parent_id": 7,
        "attributes": {},
        "inherited": (),
        "links": (),
    }
    span = Span(tracer, **(given | changes))
    span.end()
    return span


def read(*spans: Span, **resource: Any) -> list[Received]:
    return list(received(trace_request(resource, spans)))


@given(
    name=st.text(max_size=300),
    attributes=ATTRIBUTES,
    inherited=st.dictionaries(st.text(min_size=1).map("of all: {}".format), st.text(), max_size=3),
    trace_id=st.integers(1, 2**128 - 1),
    parent_id=st.integers(0, 2**64 - 1),
    kind=st.sampled_from(Kind),
)
def test_every_span_reads_as_it_was(
    name: str, attributes: dict[str, Any], inherited: dict[str, str], trace_id: int, parent_id: int, kind: Kind
) -> None:
    span = made(
        name=name,
        attributes=attributes,
        inherited=tuple(inherited.items()),
        trace_id=trace_id,
        parent_id=parent_id,
        kind=kind,
    )
    (one,) = read(span)
    assert (one.name, one.kind) == (name, kind.name)
    assert (int(one.trace_id, 16), int(one.span_id, 16)) == (trace_id, span.span_id)
    assert one.parent_id == (f"{parent_id:016x}" if parent_id else "")
    expected = attributes | inherited
    assert one.attributes == expected
    assert {name: type(value) for name, value in one.attributes.items()} == {
        name: type(value) for name, value in expected.items()
    }
    assert (one.start_ns, one.end_ns) == (1_700_000_000_000_000_001, 1_700_000_000_000_000_002)
    assert one.failure is None


def test_a_failure_is_a_status_an_event_and_an_attribute() -> None:
    span = made()
    span.failure = ("KeyError", "KeyError at a.py:1 f")
    (one,) = read(span)
    assert one.failure == "KeyError"
    assert one.attributes == {"error.type": "KeyError"}
    assert one.events == (
        ("exception", {"exception.type": "KeyError", "exception.stacktrace": "KeyError at a.py:1 f"}),
    )


def test_links_name_the_other_traces() -> None:
    (one,) = read(made(links=[RemoteSpan(1, 2, sampled=True), RemoteSpan(3, 4, sampled=True)]))
    assert one.links == (f"{1:032x}", f"{3:032x}")


def test_a_batch_has_its_resource_once_and_nothing_that_is_not_known() -> None:
    body = trace_request({"service.name": "prosa"}, [made(), made()])
    request = ExportTraceServiceRequest.FromString(body)
    (of_resource,) = request.resource_spans
    assert [one.resource for one in received(body)] == [{"service.name": "prosa"}] * 2
    assert of_resource.scope_spans[0].scope.name == "prosa"
    assert request.SerializeToString() == body, "every field is one of the definition, in its order"
