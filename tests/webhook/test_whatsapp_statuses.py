"""What Meta reports about our own messages goes to the outbox, and never to the state machine."""

import itertools
from typing import Any

import pytest
from webhook_bed import ACCOUNT, ANA, WebhookBed

from contracts.conversation import Conversation
from contracts.delivery import OutboxRow, TurnCommit
from contracts.messages import DeliveryState, Media, MessageType, OutboundMessage
from contracts.values import ConversationId, OutboxId, TurnId
from sandbox import whatsapp_webhooks as meta
from tests.builders import START

CONVERSATION = ConversationId("wa:1")
ROW = OutboxId("wa:1/1/0")
PLATFORM_ID = "wamid.OUT"
ORDERS = list(itertools.permutations(["sent", "delivered", "read"]))


async def commit_row(bed: WebhookBed, state: DeliveryState = DeliveryState.SENT, **changes: Any) -> None:
    row = OutboxRow(
        id=ROW,
        conversation_id=CONVERSATION,
        turn_id=TurnId("wa:1/1"),
        number=1,
        address={"channel": "whatsapp", "account": ACCOUNT, "person": ANA},  # type: ignore[arg-type]
        state=state,
        created_at=START,
        updated_at=START,
        **({"platform_message_id": PLATFORM_ID, "message": OutboundMessage.of_text("Pois não")} | changes),
    )
    await bed.store.conversations.commit(TurnCommit(conversation=Conversation(id=CONVERSATION), outbox=(row,)))


async def row_of(bed: WebhookBed) -> OutboxRow:
    (row,) = await bed.store.outbox.rows(CONVERSATION)
    return row  # type: ignore[no-any-return]


async def report(bed: WebhookBed, *states: str, **details: Any) -> None:
    changes = [meta.status(PLATFORM_ID, state, ANA, **details) for state in states]
    assert await bed.receive(*changes) == []


@pytest.mark.parametrize(
    ("reported", "state"),
    [("sent", "sent"), ("delivered", "delivered"), ("read", "read"), ("played", "read"), ("failed", "failed")],
)
async def test_every_state_moves_the_row(durable_bed: WebhookBed, reported: str, state: str) -> None:
    await commit_row(durable_bed, DeliveryState.SENDING)
    await report(durable_bed, reported)
    assert (await row_of(durable_bed)).state == state


@pytest.mark.parametrize("order", ORDERS)
async def test_in_any_order_the_highest_stays(durable_bed: WebhookBed, order: tuple[str, ...]) -> None:
    await commit_row(durable_bed)
    for state in order:
        await report(durable_bed, state)
    assert (await row_of(durable_bed)).state is DeliveryState.READ


@pytest.mark.parametrize("order", ORDERS)
async def test_in_any_order_within_one_post_too(durable_bed: WebhookBed, order: tuple[str, ...]) -> None:
    await commit_row(durable_bed)
    await report(durable_bed, *order)
    assert (await row_of(durable_bed)).state is DeliveryState.READ


async def test_a_failure_carries_its_code_and_asks_for_a_person(durable_bed: WebhookBed) -> None:
    await commit_row(durable_bed)
    await report(durable_bed, "failed", error_code=131047)
    row = await row_of(durable_bed)
    assert (row.state, row.error_code, row.needs_escalation) == (DeliveryState.FAILED, "131047", True)


@pytest.mark.parametrize(("code", "goes_in_words"), [(131053, True), (131009, True), (131047, False), (131042, False)])
async def test_a_failed_form_goes_in_words_and_wakes_a_worker(
    durable_bed: WebhookBed, code: int, goes_in_words: bool
) -> None:
    brochure = OutboundMessage(type=MessageType.DOCUMENT, text="Segue", media=Media(link="https://pyloto.com.br/a.pdf"))
    await commit_row(durable_bed, message=brochure)
    await report(durable_bed, "failed", error_code=code, client_reference=ROW)
    row = await row_of(durable_bed)
    assert row.state is (DeliveryState.PENDING if goes_in_words else DeliveryState.FAILED)
    assert durable_bed.queue.woken == ([CONVERSATION] if goes_in_words else [])


async def test_proof_of_delivery_outweighs_a_failure(durable_bed: WebhookBed) -> None:
    await commit_row(durable_bed)
    await report(durable_bed, "failed", error_code=131026)
    await report(durable_bed, "delivered")
    assert (await row_of(durable_bed)).state is DeliveryState.DELIVERED


async def test_a_send_whose_answer_was_lost_is_settled_by_our_own_reference(durable_bed: WebhookBed) -> None:
    await commit_row(durable_bed, DeliveryState.SENDING, platform_message_id=None)
    await report(durable_bed, "sent", client_reference=ROW)
    row = await row_of(durable_bed)
    assert (row.state, row.platform_message_id) == (DeliveryState.SENT, PLATFORM_ID)
    assert not await durable_bed.store.outbox.unsent(CONVERSATION)


async def test_a_status_before_its_message_waits_for_it(durable_bed: WebhookBed) -> None:
    await commit_row(durable_bed, DeliveryState.SENDING, platform_message_id=None)
    await report(durable_bed, "delivered")
    assert (await row_of(durable_bed)).state is DeliveryState.SENDING
    assert not durable_bed.queue.woken
    await durable_bed.store.outbox.mark_sent(await row_of(durable_bed), platform_message_id=PLATFORM_ID, at=START)
    assert (await row_of(durable_bed)).state is DeliveryState.DELIVERED


async def test_a_status_of_somebody_elses_message_is_not_an_error(durable_bed: WebhookBed) -> None:
    await report(durable_bed, "sent", client_reference="another system's")
    assert not durable_bed.queue.woken
    assert await durable_bed.raw_letters() == []


@pytest.mark.parametrize("state", ["deleted", "warning", "hologram", "", "SENT"])
async def test_an_unknown_state_changes_nothing(durable_bed: WebhookBed, state: str) -> None:
    await commit_row(durable_bed)
    await report(durable_bed, state)
    assert (await row_of(durable_bed)).state is DeliveryState.SENT
    assert await durable_bed.raw_letters() == []


async def test_statuses_never_become_messages(durable_bed: WebhookBed) -> None:
    await commit_row(durable_bed)
    await report(durable_bed, "sent", "delivered", "read", "played", "failed", "deleted")
    assert not durable_bed.kept
    assert await durable_bed.inbox.depth() == 0


async def test_statuses_wake_nobody(durable_bed: WebhookBed) -> None:
    """There are three for each reply; the sweep finds the rare reply that waited for one."""
    await commit_row(durable_bed)
    await report(durable_bed, *["sent", "delivered", "read"] * 100)
    assert durable_bed.queue.woken == []
    assert (await row_of(durable_bed)).state is DeliveryState.READ


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ([{"code": 131026}], "131026"),
        ([{"code": "131026"}], "131026"),
        ([{"title": "no code"}, {"code": 470}], "470"),
        ([{"code": {"text": "Olá"}}], "unknown"),
        ([{"code": "9" * 5000}], "9" * 32),
        (["?", None], "unknown"),
        ({"code": 1}, "unknown"),
        ([], "unknown"),
        (None, "unknown"),
    ],
)
async def test_a_code_is_read_from_whatever_comes(bed: WebhookBed, errors: Any, code: str) -> None:
    await commit_row(bed)
    element = meta.status_element(PLATFORM_ID, "failed", ANA) | {"errors": errors}
    await bed.receive(meta.statuses(element))
    assert (await row_of(bed)).error_code == code


@pytest.mark.parametrize("field", ["timestamp", "recipient_id", "pricing", "recipient_user_id"])
async def test_what_may_be_missing_is_not_missed(bed: WebhookBed, field: str) -> None:
    await commit_row(bed)
    change = meta.status(PLATFORM_ID, "delivered", ANA)
    del change["value"]["statuses"][0][field]
    change["value"].pop("contacts")
    await bed.receive(change)
    assert (await row_of(bed)).state is DeliveryState.DELIVERED


@pytest.mark.parametrize("broken", [{"status": "sent"}, {"id": "", "status": "sent"}, None, "sent", [1]])
async def test_a_broken_status_costs_only_itself(durable_bed: WebhookBed, broken: Any) -> None:
    await commit_row(durable_bed)
    change = meta.status(PLATFORM_ID, "delivered", ANA)
    change["value"]["statuses"].insert(0, broken)
    await durable_bed.receive(change)
    assert (await row_of(durable_bed)).state is DeliveryState.DELIVERED
    assert len(await durable_bed.raw_letters()) == 1


@pytest.mark.parametrize("timestamp", [1795000000, "x", "9" * 30, None, "-62135596800", 253402300799])
async def test_any_moment_is_stored(durable_bed: WebhookBed, timestamp: Any) -> None:
    change = meta.status("wamid.UNKNOWN", "sent", ANA)
    change["value"]["statuses"][0]["timestamp"] = timestamp
    await durable_bed.receive(change)
    await commit_row(durable_bed, DeliveryState.SENDING, platform_message_id=None)
    await durable_bed.store.outbox.mark_sent(await row_of(durable_bed), platform_message_id="wamid.UNKNOWN", at=START)
    assert (await row_of(durable_bed)).state is DeliveryState.SENT
