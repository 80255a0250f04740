"""Whatever bytes come: taking them apart never raises, and every element of a known list comes out somewhere."""

import copy
from datetime import UTC, datetime
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webhook_bed import ANA

from adapters.channels.meta import is_signed
from adapters.channels.whatsapp.inbound import parse
from adapters.http.inbound import parse_json
from contracts.channels import Received
from contracts.errors import MalformedMessageError
from sandbox.whatsapp_webhooks import envelope, sign
from tests import whatsapp_kinds as meta

AT = datetime(2026, 11, 20, tzinfo=UTC)
MANY = settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)

# Surrogates are in: `json.dumps` escapes them, as hostile senders do.
texts = st.text(max_size=20) | st.text(alphabet=st.characters(categories=["Cs", "Cc", "Lu"]), max_size=5)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4))


def known(*names: str) -> st.SearchStrategy[str]:
    return st.sampled_from(names)


keys = known(
    *("id", "from", "from_user_id", "to", "timestamp", "type", "text", "body", "image", "caption", "interactive"),
    *("button_reply", "list_reply", "nfm_reply", "response_json", "title", "context", "group_id", "status", "errors"),
    *("code", "biz_opaque_callback_data", "location", "latitude", "contacts", "name", "formatted_name", "order"),
    *("product_items", "reaction", "emoji", "edit", "message", "system", "wa_id", "button", "payload", "referral"),
)
kinds = known("text", "image", "interactive", "button", "location", "contacts", "order", "reaction", "edit", "hologram")
likely = st.recursive(
    scalars | kinds | known("sent", "read", "wamid.1", ANA),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=6),
    max_leaves=12,
)
elements = st.dictionaries(keys, likely, max_size=8) | likely


def read(content: Any) -> Received:
    return parse(meta.to_bytes(content), id_salt="salt", at=AT)


def check(parsed: Received) -> None:
    """Everything that came out can be written down."""
    for value in (*parsed.messages, *parsed.statuses):
        value.model_dump_json().encode()
    for piece in parsed.unreadable:
        piece.raw.encode()
        piece.reason.encode()
    for name in parsed.ignored:
        assert name in {"other", "status", "errors"} or name.isidentifier()


@MANY
@given(st.binary(max_size=400))
def test_any_bytes_are_taken_apart(body: bytes) -> None:
    parsed = parse(body, id_salt="salt", at=AT)
    check(parsed)
    assert len(parsed.unreadable) == 1


@MANY
@given(values)
def test_any_json_is_taken_apart(content: Any) -> None:
    parsed = read(content)
    check(parsed)
    assert len(parsed.unreadable) == 1


@MANY
@given(values | st.lists(values, max_size=3))
def test_any_entry_comes_out(entry: Any) -> None:
    parsed = read({"object": "whatsapp_business_account", "entry": entry})
    check(parsed)
    if not isinstance(entry, list) or entry:
        assert parsed.unreadable


@MANY
@given(st.lists(elements, max_size=6), st.lists(elements, max_size=6), likely, likely)
def test_every_element_comes_out_once(messages: list[Any], statuses: list[Any], contacts: Any, metadata: Any) -> None:
    value = {"messages": messages, "statuses": statuses, "contacts": contacts, "metadata": metadata}
    parsed = read(envelope({"field": "messages", "value": value}))
    check(parsed)
    came_out = len(parsed.messages) + len(parsed.statuses) + len(parsed.unreadable) + parsed.ignored.count("status")
    assert came_out == len(messages) + len(statuses)


@MANY
@given(st.lists(elements, min_size=1, max_size=6))
def test_any_element_leaves_its_neighbours_alone(strange: list[Any]) -> None:
    change = meta.inbound_text(ANA, "antes", id="wamid.A")
    change["value"]["messages"] += [*strange, *meta.inbound_text(ANA, "depois", id="wamid.B")["value"]["messages"]]
    parsed = read(envelope(change))
    check(parsed)
    ids = [message.platform_id for message in parsed.messages]
    assert [one for one in ids if one in ("wamid.A", "wamid.B")] == ["wamid.A", "wamid.B"]
    assert len(parsed.messages) + len(parsed.unreadable) == 2 + len(strange)


VALID = envelope(
    meta.inbound_text(ANA, "Oi", id="wamid.1", timestamp=1_795_000_000, user_id="BR.1", reply_to="wamid.0"),
    meta.inbound_list_reply(ANA, "r", "Sábado", id="wamid.2", timestamp=1_795_000_000),
    meta.inbound_form_reply(ANA, {"nome": "Ana"}, id="wamid.3", timestamp=1_795_000_000),
    meta.inbound_document(ANA, id="wamid.4", timestamp=1_795_000_000),
    meta.inbound_order(ANA, "sku", id="wamid.5", timestamp=1_795_000_000),
    meta.statuses(meta.status_element("wamid.6", "failed", ANA, timestamp=1_795_000_000, error_code=131026)),
)


def places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [found for key, value in inner for found in ((*path, key), *places(value, (*path, key)))]


@MANY
@given(st.lists(st.tuples(st.sampled_from(places(VALID)), values | st.just(...)), min_size=1, max_size=3))
def test_a_valid_envelope_with_pieces_replaced_or_missing(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    content = copy.deepcopy(VALID)
    for path, value in changes:
        try:
            holder = content
            for key in path[:-1]:
                holder = holder[key]
            if value is ...:
                del holder[path[-1]]
            else:
                holder[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    check(read(content))


@MANY
@given(st.data())
def test_a_valid_body_with_bytes_changed(data: st.DataObject) -> None:
    body = bytearray(meta.to_bytes(VALID))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=8))
    check(parse(bytes(body), id_salt="salt", at=AT))


@MANY
@given(st.binary(max_size=100), st.none() | st.text(max_size=100), st.lists(st.text(max_size=10), max_size=3))
def test_no_header_makes_the_check_raise(body: bytes, header: str | None, secrets: list[str]) -> None:
    usable = [secret.encode("utf-8", "replace").decode() for secret in secrets]
    for given_header in (header, f"sha256={header}", sign(body, "another")):
        assert not is_signed(body, given_header, usable) or "another" in usable
    for secret in usable:
        assert is_signed(body, sign(body, secret), usable) is bool(secret)


@MANY
@given(values)
def test_what_is_json_is_read_as_it_was_written(content: Any) -> None:
    try:
        body = orjson.dumps(content)
    except TypeError:
        return  # lone surrogates and integers beyond 64 bits have their own tests
    assert orjson.dumps(parse_json(body)) == body


@MANY
@given(st.binary(max_size=200) | st.text(alphabet='[]{}":,\\u d8', max_size=60).map(str.encode))
def test_what_is_no_json_is_malformed_and_nothing_worse(body: bytes) -> None:
    try:
        orjson.dumps(parse_json(body))
    except MalformedMessageError:
        return
