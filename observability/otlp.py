"""Spans as OTLP's protobuf, written by hand: the fields of seven messages, most of their bytes the same each time.

Why not by the SDK: `docs/decisions/0016-spans-of-our-own.md`. The tests read them back with its classes. Source of the
field numbers: opentelemetry-proto 1.x, trace/v1/trace.proto and common/v1/common.proto.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from struct import Struct

from observability import attributes as names
from observability.tracing import Attribute, Inherited, Span

LENGTH_DELIMITED, VARINT, FIXED64 = 2, 0, 1
STATUS_ERROR = 2

_times = Struct("<BQBQ").pack
_double = Struct("<d").pack
_fixed64 = Struct("<Q").pack

START_TAG, END_TAG = 7 << 3 | FIXED64, 8 << 3 | FIXED64


def trace_request(resource: Mapping[str, Attribute], spans: Iterable[Span]) -> bytes:
    """The body of one POST to `/v1/traces`: an `ExportTraceServiceRequest`."""
    scope = _field(1, _field(1, b"prosa"))
    body = scope + b"".join(_field(2, _span(span)) for span in spans)
    described = _field(1, b"".join(_key_value(1, name, value) for name, value in resource.items()))
    return _field(1, described + _field(2, body))


def _span(span: Span) -> bytes:
    content = (
        b"\x0a\x10%b\x12\x08%b" % (span.trace_id.to_bytes(16, "big"), span.span_id.to_bytes(8, "big"))
        + (b"\x22\x08" + span.parent_id.to_bytes(8, "big") if span.parent_id else b"")
        + _name_and_kind(span.name, span.kind)
        + _times(START_TAG, span.start_ns, END_TAG, span.end_ns)
        + (_attributes(span.inherited) if span.inherited else b"")
    )
    if span.attributes:
        content += b"".join([_key_value(9, name, value) for name, value in span.attributes.items()])
    for link in span.links:
        ids = b"\x0a\x10" + link.trace_id.to_bytes(16, "big") + b"\x12\x08" + link.span_id.to_bytes(8, "big")
        content += _field(13, ids)
    return content if span.failure is None else content + _failure(span.failure, span.end_ns)


def _failure(failure: tuple[str, str], at_ns: int) -> bytes:
    """An event `exception`, a status, and the attribute by which failures are counted."""
    kind, places = failure
    described = _key_value(3, names.EXCEPTION_TYPE, kind) + _key_value(3, names.EXCEPTION_PLACES, places)
    event = bytes((1 << 3 | FIXED64,)) + _fixed64(at_ns) + _field(2, b"exception") + described
    status = _field(2, kind.encode()) + bytes((3 << 3 | VARINT, STATUS_ERROR))
    return _key_value(9, names.ERROR, kind) + _field(11, event) + _field(15, status)


@lru_cache(maxsize=256)
def _name_and_kind(name: str, kind: int) -> bytes:
    return _field(5, name.encode()) + bytes((6 << 3 | VARINT, kind))


@lru_cache(maxsize=1_024)
def _attributes(pairs: Inherited) -> bytes:
    return b"".join(_key_value(9, name, value) for name, value in pairs)


# Ids come a few times each, in the spans of their turn; everything else always again.
@lru_cache(maxsize=4_096, typed=True)
def _key_value(number: int, name: str, value: Attribute) -> bytes:
    return _field(number, _key(name) + _field(2, _any_value(value)))


@lru_cache(maxsize=256)
def _key(name: str) -> bytes:
    return _field(1, name.encode())


def _any_value(value: Attribute) -> bytes:
    match value:
        case bool():
            return bytes((2 << 3 | VARINT, value))
        case str():
            return _field(1, value.encode("utf-8", "replace"))
        case int():
            return bytes((3 << 3 | VARINT,)) + _varint(value & (1 << 64) - 1)
        case float():
            return bytes((4 << 3 | FIXED64,)) + _double(value)
        case tuple():
            return _field(5, _values(value))


def _values(values: Sequence[str]) -> bytes:
    return b"".join(_field(1, _any_value(value)) for value in values)


def _field(number: int, content: bytes) -> bytes:
    size = len(content)
    if number < 16 and size < 128:
        return bytes((number << 3 | LENGTH_DELIMITED, size)) + content
    if number < 16 and size < 16_384:
        return bytes((number << 3 | LENGTH_DELIMITED, size & 0x7F | 0x80, size >> 7)) + content
    return _varint(number << 3 | LENGTH_DELIMITED) + _varint(size) + content


def _varint(number: int) -> bytes:
    written = bytearray()
    while number >= 0x80:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
