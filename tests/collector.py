"""A collector that speaks OTLP over HTTP, for real: it reads what it is sent with OpenTelemetry's own classes."""

import gzip
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status


@dataclass(frozen=True)
class Received:
    """A span as the collector got it; ids in hex digits, empty where there is no parent."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    attributes: dict[str, Any]
    links: tuple[str, ...]
    start_ns: int
    end_ns: int
    failure: str | None
    events: tuple[tuple[str, dict[str, Any]], ...]
    resource: dict[str, Any]


@dataclass
class Collector:
    """What came in, and how it behaves: `status` answers each batch after `delay_seconds`, `silent` never does.

    `refused` are the statuses of what was not taken.
    """

    url: str = ""
    status: int = 200
    delay_seconds: float = 0.0
    silent: bool = False
    closes: bool = False
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def spans(self) -> list[Received]:
        return [span for body in list(self.bodies) for span in received(body)]

    def named(self, name: str) -> list[Received]:
        return [span for span in self.spans if span.name == name]

    def until(self, *names: str, seconds: float = 60) -> list[Received]:
        """Wait until there is a span of each name."""
        ends = time.monotonic() + seconds
        while missing := set(names) - {span.name for span in self.spans}:
            if time.monotonic() > ends:
                raise AssertionError(f"no {sorted(missing)} among {sorted({span.name for span in self.spans})}")
            time.sleep(0.02)
        return self.spans


def received(body: bytes) -> Iterator[Received]:
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield _received(span, resource)


def _received(span: SpanMessage, resource: dict[str, Any]) -> Received:
    return Received(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=SpanMessage.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        attributes=_attributes(span.attributes),
        links=tuple(link.trace_id.hex() for link in span.links),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        failure=span.status.message if span.status.code == Status.STATUS_CODE_ERROR else None,
        events=tuple((event.name, _attributes(event.attributes)) for event in span.events),
        resource=resource,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    names = [pair.key for pair in pairs]
    assert len(names) == len(set(names)), names
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return tuple(map(_value, value.array_value.values)) if kind == "array_value" else getattr(value, kind or "")


@contextmanager
def collecting(*, tls: ssl.SSLContext | None = None, **behaviour: Any) -> Iterator[Collector]:
    """Serve a collector on a free port."""
    collector = Collector(**behaviour)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if collector.silent:
                collector.released.wait()
                self.close_connection = True
                return
            time.sleep(collector.delay_seconds)
            if self.path != "/v1/traces":
                self.send_error(404)
                return
            status = collector.status
            if status == 200:
                is_packed = self.headers["Content-Encoding"] == "gzip"
                collector.bodies.append(gzip.decompress(body) if is_packed else body)
                collector.headers.append({name.lower(): value for name, value in self.headers.items()})
            else:
                collector.refused.append(status)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            if collector.closes:
                # Without a word of it, as a balancer does.
                self.close_connection = True
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    collector.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector
    finally:
        collector.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
