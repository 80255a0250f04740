"""Addresses in what could not be read: every form of it is found by the person, and nothing shows the address."""

from typing import Any

import orjson
import pytest

from adapters.channels.whatsapp.inbound import parse
from contracts.messages import address_digests
from tests.builders import START

PHONE = "5511987653004"
(PERSON,) = address_digests("salt", f"+{PHONE}")
MESSAGE = {"from": PHONE, "type": "text", "text": {"body": "moro na rua das Flores"}}
CONTACTS = [{"wa_id": PHONE, "profile": {"name": "Zulmira"}}]
METADATA = {"phone_number_id": "106540352242922"}


def posted(value: Any) -> bytes:
    change = {"field": "messages", "value": value}
    return orjson.dumps({"object": "whatsapp_business_account", "entry": [{"changes": [change]}]})


@pytest.mark.parametrize(
    "body",
    [
        posted({"metadata": METADATA, "contacts": CONTACTS, "messages": [MESSAGE]}),
        posted({"contacts": CONTACTS, "messages": [MESSAGE | {"id": "wamid.1"}]}),
        posted({"metadata": METADATA, "contacts": CONTACTS, "messages": MESSAGE}),
        posted({"metadata": METADATA, "contacts": CONTACTS * 2, "messages": [{"text": {"body": "Flores"}, "id": "w"}]}),
        posted({"metadata": METADATA, "contacts": CONTACTS, "messages": ["Flores"]}),
        posted([MESSAGE]),
        posted({"metadata": METADATA, "statuses": [{"status": "sent", "recipient_id": PHONE}]}),
        orjson.dumps([MESSAGE]),
        orjson.dumps({"object": "page", "entry": [MESSAGE | {"from": int(PHONE)}]}),
        b'{"object": "whatsapp_business_account", "from": "' + PHONE.encode() + b'", "text": "Flores',
        b'{"text": "ligue\\n' + PHONE.encode(),
    ],
)
def test_an_unreadable_piece_is_found_by_the_person(body: bytes) -> None:
    pieces = parse(body, id_salt="salt", at=START).unreadable
    assert pieces
    assert all(PERSON in piece.addresses for piece in pieces)
    assert PHONE not in str([piece.addresses for piece in pieces])


def test_another_salt_gives_another_digest() -> None:
    assert address_digests("other", PHONE) != address_digests("salt", PHONE)
