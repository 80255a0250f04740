"""One POST carries up to a thousand of anything: each piece gets what it would get alone."""

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from webhook_bed import ANA, WebhookBed, webhook_bed, whatsapp

from contracts.messages import InboundKind
from observability.metrics import OTHER_ACCOUNTS
from sandbox import whatsapp_webhooks as meta
from sandbox.whatsapp_webhooks import Change, envelope, to_bytes
from tests.builders import open_backend

NUMBERS = [f"55119{number:08d}" for number in range(50)]


def thousand_mixed() -> list[Change]:
    """700 messages of 50 people, 20 of each told apart by nothing but their ids, and 300 statuses."""
    changes = []
    for index in range(1000):
        person = NUMBERS[index % 50]
        if index % 10 < 7:
            changes.append(meta.inbound_text(person, f"mensagem {index}", id=f"wamid.{index}"))
        else:
            changes.append(meta.status(f"wamid.out.{index}", "sent", person))
    return changes


async def test_a_thousand_mixed_pieces_are_all_kept(durable_bed: WebhookBed) -> None:
    response = await durable_bed.post(*thousand_mixed())
    assert response.status_code == 200
    assert len(durable_bed.kept) == 700
    assert len(durable_bed.store.updates) == 300
    assert await durable_bed.inbox.depth() == 700
    assert Counter(durable_bed.queue.woken).most_common(1)[0][1] == 1, "a conversation is woken once"
    for conversation in set(durable_bed.queue.woken):
        numbers = [int(entry.message.text.split()[1]) for entry in await durable_bed.inbox.pending(conversation)]
        assert numbers == sorted(numbers)


async def test_the_same_batch_again_adds_nothing(durable_bed: WebhookBed) -> None:
    changes = thousand_mixed()
    for _ in range(3):
        assert (await durable_bed.post(*changes)).status_code == 200
    assert await durable_bed.inbox.depth() == 700


async def test_several_accounts_share_one_post(bed: WebhookBed) -> None:
    first = envelope(meta.inbound_text(ANA, "a", phone_number_id="1"), waba="W1")
    second = envelope(meta.inbound_text(ANA, "b", phone_number_id="2"), waba="W2")
    both = {"object": first["object"], "entry": first["entry"] + second["entry"]}
    assert (await bed.post_bytes(to_bytes(both))).status_code == 200
    assert [(message.address.account, message.text) for message in bed.kept] == [("1", "a"), ("2", "b")]


async def test_a_number_that_is_not_ours_is_recorded_and_counted(tmp_path: Path) -> None:
    async with webhook_bed("memory", tmp_path, inbound=whatsapp(numbers=("1", "2"))) as bed:
        before = OTHER_ACCOUNTS.labels(channel="whatsapp")._value.get()
        await bed.post(*(meta.inbound_text(ANA, f"to {number}", phone_number_id=number) for number in "123"))
        kept = [(one.address.account, one.is_recorded_only) for one in bed.kept]
        assert kept == [("1", False), ("2", False), ("3", True)]
        assert OTHER_ACCOUNTS.labels(channel="whatsapp")._value.get() == before + 1


async def test_messages_of_one_post_are_kept_in_the_order_in_which_they_were_written(bed: WebhookBed) -> None:
    changes = [
        meta.inbound_text(ANA, text, timestamp=moment) for text, moment in (("b", 1_700_000_060), ("a", 1_700_000_000))
    ]
    assert [one.text for one in await bed.receive(*changes)] == ["a", "b"]


async def test_messages_statuses_and_errors_in_one_value(bed: WebhookBed) -> None:
    change = meta.inbound_text(ANA, "Oi")
    change["value"]["statuses"] = [meta.status_element("wamid.OUT", "read", ANA)]
    change["value"]["errors"] = [meta.error_object(131000, "Something went wrong", "")]
    assert len(await bed.receive(change)) == 1
    assert [update.platform_message_id for update in bed.store.updates] == ["wamid.OUT"]
    assert await bed.raw_letters() == []


def without(name: str) -> Any:
    element = meta.inbound_text(ANA, "com defeito")["value"]["messages"][0]
    del element[name]
    return element


BROKEN_ELEMENTS: dict[str, Any] = {
    "no id": without("id"),
    "an empty id": without("id") | {"id": ""},
    "an id that is an object": without("id") | {"id": {"a": 1}},
    "an id of 5000 characters": without("id") | {"id": "w" * 5000},
    "nothing": None,
    "a number": 7,
    "a string": "mensagem",
    "a list": [{"id": "x"}],
    "true": True,
}


@pytest.mark.parametrize("case", BROKEN_ELEMENTS)
async def test_a_broken_element_costs_only_itself(durable_bed: WebhookBed, case: str) -> None:
    change = meta.inbound_text(ANA, "antes", id="wamid.A")
    after = meta.inbound_text(ANA, "depois", id="wamid.B")["value"]["messages"]
    change["value"]["messages"] += [BROKEN_ELEMENTS[case], *after]
    messages = await durable_bed.receive(change)
    assert [message.text for message in messages] == ["antes", "depois"]
    (raw,) = await durable_bed.raw_letters()
    assert json.loads(raw) == BROKEN_ELEMENTS[case]


async def test_a_broken_element_that_comes_again_is_kept_once(durable_bed: WebhookBed) -> None:
    change = meta.inbound_text(ANA, "Oi")
    change["value"]["messages"].append({"type": "text"})
    for _ in range(2):
        assert (await durable_bed.post(change)).status_code == 200
    assert len(await durable_bed.raw_letters()) == 1


@pytest.mark.parametrize("key", ["text", "image", "interactive", "button", "location", "contacts", "reaction", "order"])
@pytest.mark.parametrize("content", [None, "x", 7, [], {}, [None], {"type": None}, {"id": [], "body": {}, "text": 1}])
async def test_content_of_the_wrong_shape_is_still_a_message(bed: WebhookBed, key: str, content: Any) -> None:
    """Who wrote is known, so somebody must answer: an empty message is better than none."""
    (message,) = await bed.receive(meta.message(ANA, key, content))
    assert isinstance(message.kind, InboundKind)
    assert await bed.raw_letters() == []


async def test_without_an_account_a_message_is_kept_as_it_came(durable_bed: WebhookBed) -> None:
    change = meta.inbound_text(ANA, "Oi")
    del change["value"]["metadata"]
    assert await durable_bed.receive(change) == []
    (raw,) = await durable_bed.raw_letters()
    assert json.loads(raw)["text"] == {"body": "Oi"}


def broken_envelopes() -> dict[str, Any]:
    whole = envelope(meta.inbound_text(ANA, "Oi"))

    def changed(**changes: Any) -> Any:
        return copy.deepcopy(whole) | changes

    return {
        "another object": changed(object="page"),
        "no object": {"entry": whole["entry"]},
        "no entry": {"object": whole["object"]},
        "entry not a list": changed(entry=whole["entry"][0]),
        "entry of nothing": changed(entry=[None]),
        "changes missing": changed(entry=[{"id": "1"}]),
        "changes not a list": changed(entry=[{"id": "1", "changes": whole["entry"][0]["changes"][0]}]),
        "change without value": changed(entry=[{"id": "1", "changes": [{"field": "messages"}]}]),
        "change not an object": changed(entry=[{"id": "1", "changes": ["messages"]}]),
        "messages not a list": changed(
            entry=[{"id": "1", "changes": [{"field": "messages", "value": {"messages": {"id": "1"}}}]}]
        ),
        "a list": [whole],
        "a string": "messages",
        "null": None,
    }


@pytest.mark.parametrize("case", broken_envelopes())
async def test_an_envelope_of_the_wrong_shape_is_kept_and_not_repeated(durable_bed: WebhookBed, case: str) -> None:
    response = await durable_bed.post_bytes(to_bytes(broken_envelopes()[case]))
    assert response.status_code == 200
    assert not durable_bed.kept
    assert len(await durable_bed.raw_letters()) == 1


async def test_a_broken_entry_costs_only_itself(bed: WebhookBed) -> None:
    content = envelope(meta.inbound_text(ANA, "Oi"))
    content["entry"] = [None, {"id": "1", "changes": "?"}, *content["entry"], {"id": "2", "changes": [7]}]
    assert (await bed.post_bytes(to_bytes(content))).status_code == 200
    assert [message.text for message in bed.kept] == ["Oi"]
    assert len(await bed.raw_letters()) == 3


async def test_what_was_kept_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    async with webhook_bed("sqlite", tmp_path) as bed:
        (message,) = await bed.receive(meta.inbound_text(ANA, "Olá \x00 ção 🇧🇷", id="wamid.Z"))
    async with open_backend("sqlite", tmp_path) as (inbox, _):
        (entry,) = await inbox.pending(message.conversation_id)
        assert entry.message == message
