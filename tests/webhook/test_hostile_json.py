"""JSON that is none, or too much of it: read without harm, kept as it came when it was signed, refused in the chat."""

import json
import time
from typing import Any

import orjson
import pytest
from webhook_bed import ANA, WebhookBed, assert_problem

from adapters.http.inbound import MAX_DEPTH, parse_json
from contracts.errors import MalformedMessageError
from sandbox.whatsapp_webhooks import envelope, to_bytes
from tests import whatsapp_kinds as meta
from tests.builders import conversation_id

BOM = b"\xef\xbb\xbf"

NOT_JSON: dict[str, bytes] = {
    "nothing": b"",
    "blank": b"  \n",
    "words": "olá".encode(),
    "half an object": b'{"text": "oi"',
    "trailing comma": b'{"text": "oi",}',
    "single quotes": b"{'text': 'oi'}",
    "two values": b'{"text": "oi"} {"text": "oi"}',
    "NaN": b'{"text": NaN}',
    "Infinity": b'{"text": Infinity}',
    "-Infinity": b'{"text": -Infinity}',
    "NaN beside a lone surrogate": b'{"text": NaN, "x": "\\ud800"}',
    "a number beyond a double": b'{"text": "oi", "n": 1e999}',
    "the same beside a lone surrogate": b'{"text": "\\ud800", "n": 1e999}',
    "an integer beyond a double beside one": b'{"text": "\\ud800", "n": ' + b"9" * 400 + b"}",
    "an integer of 5000 digits beside one": b'{"text": "\\ud800", "n": ' + b"9" * 5000 + b"}",
    "byte order mark": BOM + b'{"text": "oi"}',
    "UTF-16": '{"text": "oi"}'.encode("utf-16"),
    "Latin-1": '{"text": "olá"}'.encode("latin-1"),
    "a raw surrogate": b'{"text": "\xed\xa0\x80"}',
    "an overlong slash": b'{"text": "\xc0\xaf"}',
    "a raw control character": b'{"text": "a\x00b"}',
    "a half escape": b'{"text": "\\u00"}',
    "100,000 brackets": b"[" * 100_000,
    "100,000 objects": b'{"a":' * 100_000,
    "100,000 closed brackets": b"[" * 100_000 + b"]" * 100_000,
    "one too deep": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "too deep behind closing brackets": b"]" * 100 + b"[" * 100_000,
    "an open string of backslashes": b'"' + b"\\" * 99_999,
}


@pytest.mark.parametrize("case", NOT_JSON)
def test_it_is_malformed(case: str) -> None:
    with pytest.raises(MalformedMessageError) as caught:
        parse_json(NOT_JSON[case])
    assert len(str(caught.value)) < 100, "the text of the error repeats nothing of the body"


@pytest.mark.parametrize("case", NOT_JSON)
async def test_a_signed_body_that_cannot_be_read_is_kept_as_it_came(durable_bed: WebhookBed, case: str) -> None:
    """Refusing it would make the platform repeat it for days."""
    body = NOT_JSON[case]
    response = await durable_bed.post_bytes(body)
    assert (response.status_code, response.text) == (200, "ok")
    assert await durable_bed.raw_letters() == [body.decode("utf-8", "replace")]
    assert not durable_bed.queue.woken


@pytest.mark.parametrize("case", [case for case in NOT_JSON if len(NOT_JSON[case]) < 64 * 1024])
async def test_the_chat_refuses_it(bed: WebhookBed, case: str) -> None:
    response = await bed.http.post("/chat/c-1/messages", content=NOT_JSON[case])
    assert_problem(response, 400)
    assert not bed.kept


@pytest.mark.parametrize("body", [b"null", b"7", b'"oi"', b"[]", b"true", b"{}", b'[{"text": "oi"}]'])
async def test_json_without_a_text_is_refused_by_the_chat(bed: WebhookBed, body: bytes) -> None:
    assert_problem(await bed.http.post("/chat/c-1/messages", content=body), 422)


def test_brackets_inside_strings_do_not_count() -> None:
    for text in ("[" * 100_000, '"[' * 1000, "\\[" * 1000, '\\"[{' * 1000, "]" * 50 + "[" * 500):
        assert parse_json(orjson.dumps({"text": text})) == {"text": text}
        assert parse_json(json.dumps({"a": text, "b": "\ud800"}).encode()) == {"a": text, "b": "\ufffd"}


def test_as_deep_as_allowed_is_read() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert parse_json(b"[" + b"[]," * 10_000 + b"[]]")


def test_three_megabytes_are_scanned_quickly() -> None:
    """The event loop waits for it: a tenth of a second is usual, ten times that the bound."""
    body = b'["' + b"\\\\[" * 1_000_000 + b'"' + b",[]" * 100 + b"]"
    started = time.perf_counter()
    parse_json(body)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("escaped", "read"),
    [
        ("a\\ud800b", "a\ufffdb"),
        ("a\\udfffb", "a\ufffdb"),
        ("\\ude00\\ud83d", "\ufffd\ufffd"),
        ("\\ud83d\\ude00", "😀"),
        ("\\ud800\\ud83d\\ude00", "\ufffd😀"),
        ("nul\\u0000nul", "nul\x00nul"),
        ("\\ufffe\\uffff", "\ufffe\uffff"),
        ("\\u202eolá\\u200d", "\u202eolá\u200d"),
    ],
)
async def test_broken_text_is_whole_all_the_way_to_the_store(durable_bed: WebhookBed, escaped: str, read: str) -> None:
    body = to_bytes(envelope(meta.inbound_text(ANA, "MARK", name="MARK"))).replace(b"MARK", escaped.encode())
    assert (await durable_bed.post_bytes(body)).status_code == 200
    (from_whatsapp,) = await durable_bed.inbox.pending(durable_bed.kept[0].conversation_id)
    assert (from_whatsapp.message.text, from_whatsapp.message.person_name) == (read, read)

    chat = f'{{"id": "m-1", "text": "{escaped}", "name": "{escaped}"}}'
    assert (await durable_bed.http.post("/chat/c-1/messages", content=chat.encode())).status_code == 202
    (from_chat,) = await durable_bed.inbox.pending(conversation_id("c-1"))
    assert (from_chat.message.text, from_chat.message.person_name) == (read, read)


async def test_lone_surrogates_anywhere_reach_the_store(durable_bed: WebhookBed) -> None:
    """In ids, captions, file names, form answers, keys, and in pieces that are broken."""
    lone = "\ud800"
    broken = meta.inbound_text(ANA, "x")
    del broken["value"]["messages"][0]["id"]
    broken["value"]["messages"][0][lone] = lone
    response = await durable_bed.post(
        meta.inbound_text(ANA, "x", id=f"wamid.{lone}"),
        meta.inbound_document(ANA, "1", lone, lone),
        meta.inbound_button_reply(ANA, lone, lone, reply_to=lone),
        meta.inbound_form_reply(ANA, '{"nome": "\\ud800"}'),
        meta.inbound_reaction(ANA, lone, lone),
        meta.message(ANA, lone),
        meta.inbound_text(lone, "x", user_id=lone),
        meta.other(lone),
        meta.status(lone, "failed", lone, client_reference=lone),
        broken,
    )
    assert response.status_code == 200
    assert await durable_bed.inbox.depth() == 7
    assert len(await durable_bed.raw_letters()) == 1
    for conversation in set(durable_bed.queue.woken):
        for entry in await durable_bed.inbox.pending(conversation):
            entry.message.model_dump_json().encode()


@pytest.mark.parametrize("number", ["9" * 19, "9" * 20, "9" * 300, "-" + "9" * 30, "1e300", "0.1", "-0"])
@pytest.mark.parametrize("beside", ['"x"', '"\\ud800"'])
async def test_large_numbers_break_nothing(durable_bed: WebhookBed, number: str, beside: str) -> None:
    """The same with both parsers: one piece that is read, and one that is kept raw."""
    body = to_bytes(envelope(meta.inbound_text(ANA, "Oi"))).replace(
        b'"type":"text"', f'"type":"text","big":{number},"beside":{beside}'.encode()
    )
    broken = body.replace(b'"id":"wamid', b'"no":"wamid')
    assert (await durable_bed.post_bytes(body)).status_code == 200
    assert (await durable_bed.post_bytes(broken)).status_code == 200
    assert [message.text for message in durable_bed.kept] == ["Oi"]
    assert len(await durable_bed.raw_letters()) == 1


async def test_of_two_equal_keys_the_last_one_counts(bed: WebhookBed) -> None:
    body = b'{"text": "primeiro", "text": "segundo"}'
    assert (await bed.http.post("/chat/c-1/messages", content=body)).status_code == 202
    assert bed.kept[0].text == "segundo"
    assert parse_json(b'{"a": 1, "a": "\\ud800"}') == {"a": "\ufffd"}


@pytest.mark.parametrize("name", ["__proto__", "constructor", "$ref", ""])
async def test_keys_have_no_power(bed: WebhookBed, name: str) -> None:
    content: dict[str, Any] = {"text": "oi", name: {"text": "outro"}}
    assert (await bed.http.post("/chat/c-1/messages", json=content)).status_code == 202
    assert bed.kept[0].text == "oi"
