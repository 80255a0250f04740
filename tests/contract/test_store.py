"""What every store guarantees, on each of them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.conversation import (
    Conversation,
    Handoff,
    Owner,
    Speaker,
    State,
    TransitionRecord,
    Trigger,
    TurnRecord,
    Utterance,
)
from contracts.delivery import ConversationArchive, DeadLetter, InboxEntry, OutboxRow, Record, TurnCommit
from contracts.errors import BadCursorError, ConversationConflictError
from contracts.listing import ConversationQuery, Order
from contracts.messages import (
    Address,
    ChannelName,
    DeliveryState,
    InboundMessage,
    MessageType,
    Option,
    OutboundMessage,
    StatusUpdate,
)
from contracts.paging import all_conversations
from contracts.ports import Store
from contracts.values import ConversationId, MessageId, OutboxId, TurnId
from tests.builders import BACKENDS, START, conversation_id, inbound, open_backend, pyloto
from worker.migration.conversations import archive_of

C1 = conversation_id("c-1")
SECOND = timedelta(seconds=1)


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with open_backend(request.param, tmp_path) as (_, store):
        yield store


def turn_commit(
    head: Conversation | None = None,
    message: InboundMessage | None = None,
    *,
    state: State = State.AWAITING_USER,
    replies: int = 1,
) -> TurnCommit:
    head = head or Conversation(id=C1)
    message = message or inbound(conversation=head.id.removeprefix("web:"))
    sequence = head.last_sequence + 1
    turn_id = TurnId(f"{head.id}/{sequence}")
    at = START + sequence * SECOND
    said = Utterance(speaker=Speaker.PERSON, text=message.text, at=at)
    rows = tuple(
        OutboxRow(
            id=OutboxId(f"{turn_id}/{index}"),
            conversation_id=head.id,
            turn_id=turn_id,
            number=head.next_outbox_number + index,
            address=message.address,
            message=OutboundMessage.of_text("Olá"),
            created_at=at,
            updated_at=at,
        )
        for index in range(replies)
    )
    changed = head.model_copy(
        update={
            "state": state,
            "turns": head.turns + 1,
            "last_sequence": sequence,
            "next_outbox_number": head.next_outbox_number + replies,
            "updated_at": at,
        }
    )
    move = TransitionRecord(source=head.state, dest=state, trigger=Trigger.SEND, confidence=0.5, at=at)
    record = TurnRecord(
        id=turn_id, conversation_id=head.id, episode=1, message_ids=(message.id,), path=(state,), state=state, at=at
    )
    entry = InboxEntry(sequence=sequence, attempts=1, message=message)
    return TurnCommit(
        conversation=changed, transitions=(move,), utterances=(said,), turn=record, answered=(entry,), outbox=rows
    )


async def test_a_commit_is_read_back_whole(store: Store) -> None:
    message = inbound("Olá 👋", id="m-1")
    commit = turn_commit(message=message)
    saved = await store.conversations.commit(commit)
    assert saved.version == 1
    assert await store.conversations.load(C1) == saved
    assert await store.conversations.transitions(C1) == list(commit.transitions)
    assert await store.conversations.transcript(C1) == list(commit.utterances)
    assert await store.conversations.turns(C1) == [commit.turn]
    assert await store.outbox.rows(C1) == list(commit.outbox)
    receipt = await store.conversations.receipt(C1, MessageId("m-1"))
    assert receipt
    assert (receipt.message, receipt.sequence) == (message, 1)
    assert await store.conversations.turn_of(receipt) == commit.turn
    assert await store.conversations.receipts(C1) == [receipt]
    assert await store.conversations.find_message(MessageId("m-1")) == [C1]


async def test_a_commit_withdraws_a_row_only_as_it_was_read(store: Store) -> None:
    """A takeover and a send at the same moment: either the row has left, or it is withdrawn; never both."""
    head = await store.conversations.commit(turn_commit(replies=2))
    first, second = await store.outbox.unsent(C1)
    at = START + SECOND
    sending = await store.outbox.begin_send(first, deadline=at + SECOND, at=at)
    assert sending
    stale = TurnCommit(conversation=head).withdrawing([first, second], reason="taken", at=at)
    with pytest.raises(ConversationConflictError):
        await store.conversations.commit(stale)
    assert await store.outbox.unsent(C1) == [sending, second]
    record = Record(collection="notices", key="k", body={"a": 1}, owner=C1, due_at=at, updated_at=at)
    fresh = TurnCommit(conversation=head, records=(record,)).withdrawing([sending, second], reason="taken", at=at)
    assert (await store.conversations.commit(fresh)).version == 2
    assert await store.outbox.unsent(C1) == []
    assert await store.outbox.begin_send(second, deadline=at, at=at) is None
    assert await store.records.due("notices", at=at, limit=9) == [record.model_copy(update={"version": 1})]
    await store.outbox.mark_sent(sending, platform_message_id="w-1", at=at)
    states = [row.state for row in await store.outbox.rows(C1)]
    assert states == [DeliveryState.SENT, DeliveryState.WITHDRAWN]
    assert await store.outbox.apply_status(status(second, DeliveryState.FAILED, reference=second.id)) is not None
    assert (await store.outbox.rows(C1))[1].state is DeliveryState.WITHDRAWN
    await store.conversations.erase(C1, at=at)
    assert await store.records.due("notices", at=at, limit=9) == []


async def test_what_was_never_written_is_not_there(store: Store) -> None:
    assert await store.conversations.load(C1) is None
    assert await store.conversations.receipt(C1, MessageId("no")) is None
    assert await store.conversations.find_message(MessageId("no")) == []
    assert await store.conversations.turns(C1) == []
    assert await store.outbox.rows(C1) == []


async def test_the_second_of_two_concurrent_commits_is_refused(store: Store) -> None:
    """Two workers load the same conversation; only one of them may write it back, and nothing of the other stays."""
    mine = theirs = await store.conversations.commit(turn_commit())
    await store.conversations.commit(turn_commit(mine))
    with pytest.raises(ConversationConflictError):
        await store.conversations.commit(turn_commit(theirs, inbound(id="lost")))
    assert len(await store.conversations.turns(C1)) == 2
    assert await store.conversations.receipt(C1, MessageId("lost")) is None


async def test_of_many_first_commits_one_wins(store: Store) -> None:
    commits = [turn_commit(message=inbound(id=f"first-{n}")) for n in range(20)]
    results = await asyncio.gather(*(store.conversations.commit(commit) for commit in commits), return_exceptions=True)
    assert sum(1 for result in results if isinstance(result, Conversation)) == 1
    assert all(isinstance(result, Conversation | ConversationConflictError) for result in results)
    assert len(await store.outbox.rows(C1)) == 1


async def test_turns_can_be_limited_to_the_newest(store: Store) -> None:
    head = await store.conversations.commit(turn_commit())
    for _ in range(4):
        head = await store.conversations.commit(turn_commit(head))
    assert [turn.id for turn in await store.conversations.turns(C1, limit=2)] == [f"{C1}/4", f"{C1}/5"]
    assert len(await store.conversations.turns(C1, limit=50)) == 5


async def test_an_erased_conversation_refuses_the_commit_of_whoever_loaded_it_before(store: Store) -> None:
    loaded = await store.conversations.commit(turn_commit())
    assert await store.conversations.erase(C1, at=START)
    with pytest.raises(ConversationConflictError):
        await store.conversations.commit(turn_commit(loaded))
    for left in (
        await store.conversations.turns(C1),
        await store.outbox.rows(C1),
        await store.conversations.transcript(C1),
        await store.conversations.receipts(C1),
    ):
        assert left == []
    assert (await store.conversations.find()).items == ()
    empty = await store.conversations.load(C1)
    assert empty
    assert (empty.turns, empty.version, empty.state) == (0, 2, State.INIT)
    assert (empty.last_sequence, empty.next_outbox_number) == (loaded.last_sequence, loaded.next_outbox_number)
    assert not await store.conversations.erase(C1, at=START, answered_up_to=7)
    passed = await store.conversations.load(C1)
    assert passed
    assert passed.last_sequence == 7
    assert not await store.conversations.erase(C1, at=START)


async def test_an_erasure_before_the_first_commit_refuses_it_too(store: Store) -> None:
    assert not await store.conversations.erase(C1, at=START)
    with pytest.raises(ConversationConflictError):
        await store.conversations.commit(turn_commit())


async def test_after_an_erasure_a_new_conversation_can_begin(store: Store) -> None:
    await store.conversations.commit(turn_commit())
    await store.conversations.erase(C1, at=START)
    empty = await store.conversations.load(C1)
    saved = await store.conversations.commit(turn_commit(empty))
    assert saved.version == 3
    assert len(await store.conversations.turns(C1)) == 1


def person(name: str, number: str, state: State = State.AWAITING_USER, **changes: object) -> Conversation:
    """The head of a person of WhatsApp before its first turn."""
    address = Address(channel=ChannelName.WHATSAPP, account="1", person=number)
    head = Conversation(id=ConversationId(f"whatsapp:{name.split()[0].casefold()}"), person_name=name, address=address)
    return head.model_copy(update={"state": state} | changes)


async def fill(store: Store) -> None:
    """Four conversations, a second apart; two wait for an agent, the later one for longer."""
    waits = {"handoff": Handoff(reason="asked", at=START + SECOND), "state": State.ESCALATING}
    waits_longer = {"handoff": Handoff(reason="asked", at=START), "state": State.ESCALATING}
    people = (
        (person("Conceição Lima", "5511987654321", **waits), "Quero um orçamento de automação"),
        (person("João Prado", "5521912345678"), "Qual é o preço?"),
        (person("Ana Lima", "351912345678", **waits_longer), "Me liga no +55 (11) 3333-4444"),
        (
            person(
                "Rui", "5511900000000", State.ESCALATING, agent="Bia Sá", person_name=None, fields={"name": "Raimundo"}
            ),
            "o orçamento, por favor",
        ),
    )
    for number, (head, text) in enumerate(people):
        head = head.model_copy(update={"last_sequence": number})
        commit = turn_commit(head, inbound(text, conversation=head.id.removeprefix("web:")), state=head.state)
        await store.conversations.commit(commit)


async def names(store: Store, **conditions: Any) -> list[str]:
    query = ConversationQuery(**conditions)
    found = [head async for head in all_conversations(store.conversations, query)]
    return [head.id.removeprefix("whatsapp:") for head in found]


async def test_conversations_are_found_by_name_number_text_and_id(store: Store) -> None:
    await fill(store)
    assert await names(store) == ["rui", "ana", "joão", "conceição"]
    for text, found in {
        "conceicao": ["conceição"],
        "LIMA": ["ana", "conceição"],
        "lima ana": ["ana"],
        "conc": ["conceição"],
        "orçamento": ["rui", "conceição"],
        "ORCAMENTO automacao": ["conceição"],
        "+55 11 98765-4321": ["conceição"],
        "98765-4321": ["conceição"],
        "4321": ["conceição"],
        "(11) 3333-4444": ["ana"],
        "whatsapp:rui": ["rui"],
        "preço lima": [],
        "nothing": [],
        "raim": ["rui"],
        " ": ["rui", "ana", "joão", "conceição"],
        "...": [],
        "%": [],
        "😀": [],
    }.items():
        assert await names(store, text=text) == found, text


async def test_conversations_are_found_by_owner_state_channel_and_time(store: Store) -> None:
    await fill(store)
    assert await names(store, owner=Owner.AGENT) == await names(store, agent="Bia Sá") == ["rui"]
    assert await names(store, agent="Bia") == await names(store, channel=ChannelName.WEB) == []
    assert await names(store, states={State.AWAITING_USER}) == ["joão"]
    assert await names(store, states={State.AWAITING_USER, State.ESCALATING}, text="lima") == ["ana", "conceição"]
    assert await names(store, since=START + 2 * SECOND, until=START + 4 * SECOND) == ["ana", "joão"]
    assert await names(store, owner=Owner.NOBODY) == ["ana", "conceição"]
    assert await names(store, order=Order.WAITING) == ["ana", "conceição"]
    assert await names(store, order=Order.WAITING, text="lima", since=START + SECOND) == ["conceição"]
    head = await store.conversations.load(ConversationId("whatsapp:ana"))
    assert head
    await store.conversations.commit(turn_commit(head.model_copy(update={"handoff": None})))
    assert await names(store, order=Order.WAITING) == ["conceição"]
    assert await names(store, text="lima", states={State.AWAITING_USER}) == ["ana"]


@pytest.mark.parametrize("order", Order)
async def test_pages_follow_one_another_also_when_many_share_a_moment(store: Store, order: Order) -> None:
    for number in range(7):
        head = person(f"P{number}", "1", State.ESCALATING, handoff=Handoff(reason="asked", at=START))
        await store.conversations.commit(turn_commit(head, inbound("Olá!"), state=head.state))
    found: list[str] = []
    cursor = None
    while True:
        page = await store.conversations.find(ConversationQuery(order=order, text="olá"), limit=2, cursor=cursor)
        found += [head.id for head in page.items]
        assert len(page.items) <= 2
        if (cursor := page.next_cursor) is None:
            break
        if len(found) == 4:
            # What moves away before the next page neither repeats nor hides others.
            first = await store.conversations.load(ConversationId(found[0]))
            await store.conversations.commit(turn_commit(first, inbound("outra"), state=State.AWAITING_USER))
    assert sorted(found) == [f"whatsapp:p{number}" for number in range(7)]
    assert found == sorted(found, reverse=order is Order.UPDATED)
    with pytest.raises(BadCursorError):
        await store.conversations.find(cursor="bm8")


async def test_what_is_erased_or_restored_is_found_accordingly(store: Store) -> None:
    await fill(store)
    ana = ConversationId("whatsapp:ana")
    archive = await archive_of(ana, store)
    assert archive
    await store.conversations.erase(ana, at=START)
    assert await names(store, text="lima") == await names(store, order=Order.WAITING) == ["conceição"]
    await store.conversations.restore(archive)
    assert await names(store, text="3333-4444") == ["ana"]
    assert await names(store, order=Order.WAITING) == ["ana", "conceição"]


async def test_time_outs_and_expiry_are_found(store: Store) -> None:
    commit = turn_commit()
    head = commit.conversation.model_copy(update={"times_out_at": START + timedelta(hours=1)})
    await store.conversations.commit(commit.model_copy(update={"conversation": head}))
    assert await store.conversations.timed_out(at=START, limit=10) == []
    assert await store.conversations.timed_out(at=START + timedelta(hours=1), limit=10) == [C1]
    assert await store.conversations.expired(updated_before=START, limit=10) == []
    assert await store.conversations.expired(updated_before=START + timedelta(days=1), limit=10) == [C1]


async def test_a_row_is_sent_by_one_worker_only(store: Store) -> None:
    await store.conversations.commit(turn_commit())
    (row,) = await store.outbox.unsent(C1)
    began = await asyncio.gather(*(store.outbox.begin_send(row, deadline=START + SECOND, at=START) for _ in range(10)))
    assert sum(1 for one in began if one) == 1
    (sending,) = await store.outbox.unsent(C1)
    assert (sending.state, sending.attempts) == (DeliveryState.SENDING, 1)


async def test_rows_wait_for_their_time_and_for_their_turn(store: Store) -> None:
    await store.conversations.commit(turn_commit(replies=2))
    later = START + timedelta(minutes=1)
    assert await store.outbox.sendable(at=later, limit=10) == [C1]
    assert await store.outbox.unsent_count() == 2
    first, second = await store.outbox.unsent(C1)
    await store.outbox.postpone(first.id, not_before=later, error_code="busy", at=START)
    assert await store.outbox.sendable(at=later - SECOND, limit=10) == []
    await store.outbox.mark_sent(first, platform_message_id="p-1", at=later)
    assert await store.outbox.sendable(at=later, limit=10) == [C1]
    assert await store.outbox.unsent(C1) == [second]
    assert await store.outbox.unsent_count() == 1


@pytest.mark.parametrize("by", ["status", "time"])
async def test_an_accepted_row_whose_status_is_awaited_holds_back_the_next(store: Store, by: str) -> None:
    await store.conversations.commit(turn_commit(replies=2))
    first, second = await store.outbox.unsent(C1)
    sending = await store.outbox.begin_send(first, deadline=START + timedelta(minutes=1), at=START)
    assert sending is not None
    due = START + timedelta(seconds=3)
    marked = await store.outbox.mark_sent(sending, platform_message_id="p-1", at=START, reported_by=due)
    assert marked is not None
    assert (marked.is_accepted, marked.sendable_at) == (True, due)
    assert await store.outbox.unsent(C1) == [marked, second]
    assert await store.outbox.sendable(at=due - SECOND, limit=10) == []
    if by == "time":
        assert await store.outbox.sendable(at=due, limit=10) == [C1]
        assert await store.outbox.mark_sent(marked, platform_message_id="p-1", at=due)
    else:
        reported = await store.outbox.apply_status(status(marked, DeliveryState.SENT, reference=None))
        assert reported is not None
        assert reported.deadline == due, "by which the webhook knows that something waits for it"
    assert await store.outbox.sendable(at=due, limit=10) == [C1]
    assert await store.outbox.unsent(C1) == [second]


@pytest.mark.parametrize("by", ["reference", "platform_id"])
async def test_statuses_only_move_forward(store: Store, by: str) -> None:
    await store.conversations.commit(turn_commit())
    (row,) = await store.outbox.unsent(C1)
    await store.outbox.begin_send(row, deadline=START + SECOND, at=START)
    if by == "platform_id":
        await store.outbox.mark_sent(row, platform_message_id="p-1", at=START)
    for state in (DeliveryState.DELIVERED, DeliveryState.SENT, DeliveryState.FAILED):
        changed = await store.outbox.apply_status(status(row, state, reference=row.id if by == "reference" else None))
        assert changed
        assert changed.state is DeliveryState.DELIVERED
    assert await store.outbox.unsent(C1) == []
    if by == "reference":
        await store.outbox.mark_sent(row, platform_message_id="p-1", at=START)
    (stored,) = await store.outbox.rows(C1)
    assert (stored.state, stored.platform_message_id) == (DeliveryState.DELIVERED, "p-1")


async def test_a_status_before_its_message_is_parked(store: Store) -> None:
    await store.conversations.commit(turn_commit())
    (row,) = await store.outbox.unsent(C1)
    assert await store.outbox.apply_status(status(row, DeliveryState.READ, reference=None)) is None
    await store.outbox.mark_sent(row, platform_message_id="p-1", at=START)
    (stored,) = await store.outbox.rows(C1)
    assert stored.state is DeliveryState.READ


async def test_a_status_of_another_channel_does_not_touch_the_row(store: Store) -> None:
    await store.conversations.commit(turn_commit())
    (row,) = await store.outbox.unsent(C1)
    foreign = status(row, DeliveryState.FAILED, reference=row.id).model_copy(
        update={"channel": ChannelName.WHATSAPP, "account": "other"}
    )
    assert await store.outbox.apply_status(foreign) is None
    assert await store.outbox.unsent(C1) == [row]


@pytest.mark.parametrize("how", ["refused", "reported"])
async def test_a_failed_row_asks_for_an_escalation_once(store: Store, how: str) -> None:
    await store.conversations.commit(turn_commit())
    (row,) = await store.outbox.unsent(C1)
    await store.outbox.begin_send(row, deadline=START + SECOND, at=START)
    if how == "refused":
        await store.outbox.mark_failed(row.id, error_code="131047", at=START)
    else:
        await store.outbox.mark_sent(row, platform_message_id="p-1", at=START)
        await store.outbox.apply_status(status(row, DeliveryState.FAILED, reference=row.id))
    (failed,) = await store.outbox.to_escalate(limit=10)
    assert (failed.id, failed.error_code) == (row.id, "131047")
    await store.outbox.escalation_done(row.id)
    assert await store.outbox.to_escalate(limit=10) == []


async def commit_buttons(store: Store) -> OutboxRow:
    """A reply with buttons that was sent as `p-1`."""
    buttons = OutboundMessage(
        type=MessageType.BUTTON, text="Qual?", buttons=(Option(id="1", title="Sim"), Option(id="2", title="Não"))
    )
    commit = turn_commit()
    rows = tuple(row.model_copy(update={"message": buttons}) for row in commit.outbox)
    await store.conversations.commit(commit.model_copy(update={"outbox": rows}))
    (row,) = await store.outbox.unsent(C1)
    sending = await store.outbox.begin_send(row, deadline=START + SECOND, at=START)
    assert sending is not None
    return sending


@pytest.mark.parametrize("by", ["refusal", "reference", "platform_id"])
async def test_what_is_refused_for_its_form_is_pending_in_words_once(store: Store, by: str) -> None:
    row = await commit_buttons(store)
    if by == "refusal":
        await store.outbox.mark_failed(row.id, error_code="131009", at=START, in_any_form=False)
    else:
        await store.outbox.mark_sent(row, platform_message_id="p-1", at=START)
        reference = row.reference if by == "reference" else None
        changed = await store.outbox.apply_status(status(row, DeliveryState.FAILED, reference=reference))
        assert changed is not None
        assert changed.state is DeliveryState.PENDING
    (again,) = await store.outbox.unsent(C1)
    assert again.message.in_words == "Qual?\n\n1. Sim\n2. Não"
    assert (again.state, again.is_in_words, again.platform_message_id) == (DeliveryState.PENDING, True, None)
    assert await store.outbox.sendable(at=START + 9 * SECOND, limit=9) == [C1]
    assert await store.outbox.to_escalate(limit=9) == []
    sending = await store.outbox.begin_send(again, deadline=START + SECOND, at=START)
    assert sending is not None
    refused = await store.outbox.mark_failed(row.id, error_code="131009", at=START, in_any_form=False)
    assert refused is not None
    assert await store.outbox.to_escalate(limit=9) == [refused]
    assert await store.outbox.unsent(C1) == []


async def test_late_statuses_of_the_refused_form_do_not_touch_the_words(store: Store) -> None:
    row = await commit_buttons(store)
    await store.outbox.mark_sent(row, platform_message_id="p-1", at=START)
    for _ in range(2):
        await store.outbox.apply_status(status(row, DeliveryState.FAILED, reference=row.reference))
    for reference in (row.reference, None):
        await store.outbox.apply_status(status(row, DeliveryState.SENT, reference=reference))
        await store.outbox.apply_status(status(row, DeliveryState.FAILED, reference=reference))
    (again,) = await store.outbox.unsent(C1)
    assert again.state is DeliveryState.PENDING
    sending = await store.outbox.begin_send(again, deadline=START + SECOND, at=START)
    assert sending is not None
    assert sending.attempts == 1
    in_words = status(sending, DeliveryState.SENT, reference=sending.reference)
    settled = await store.outbox.apply_status(in_words.model_copy(update={"platform_message_id": "p-2"}))
    assert settled is not None
    assert (settled.state, settled.platform_message_id) == (DeliveryState.SENT, "p-2")
    delivered = await store.outbox.apply_status(
        in_words.model_copy(
            update={"platform_message_id": "p-2", "client_reference": None, "state": DeliveryState.DELIVERED}
        )
    )
    assert delivered is not None
    assert delivered.state is DeliveryState.DELIVERED


async def test_a_report_names_its_row_on_every_channel_by_equality(store: Store) -> None:
    """A platform without a member of `ChannelName` has another object for its name in each message."""
    commit = turn_commit()
    address = Address(channel=ChannelName("instagram"), account="1", person="7")
    rows = tuple(row.model_copy(update={"address": address}) for row in commit.outbox)
    await store.conversations.commit(commit.model_copy(update={"outbox": rows}))
    (row,) = await store.outbox.unsent(C1)
    settled = await store.outbox.apply_status(status(row, DeliveryState.SENT, reference=row.reference))
    assert settled is not None
    assert (settled.state, settled.platform_message_id) == (DeliveryState.SENT, "p-1")


async def test_a_refused_form_that_arrived_after_all_is_not_said_again(store: Store) -> None:
    row = await commit_buttons(store)
    await store.outbox.mark_sent(row, platform_message_id="p-1", at=START)
    for state in (DeliveryState.FAILED, DeliveryState.DELIVERED):
        await store.outbox.apply_status(status(row, state, reference=row.reference))
    assert await store.outbox.unsent(C1) == []


@pytest.mark.parametrize("how", ["refusal", "status"])
async def test_what_fails_in_any_form_is_not_tried_in_words(store: Store, how: str) -> None:
    row = await commit_buttons(store)
    if how == "refusal":
        await store.outbox.mark_failed(row.id, error_code="131047", at=START)
    else:
        update = status(row, DeliveryState.FAILED, reference=row.reference)
        await store.outbox.apply_status(update.model_copy(update={"in_any_form": True}))
    (failed,) = await store.outbox.to_escalate(limit=9)
    assert not failed.is_in_words


def status(row: OutboxRow, state: DeliveryState, *, reference: str | None) -> StatusUpdate:
    return StatusUpdate(
        channel=row.address.channel,
        account=row.address.account,
        platform_message_id="p-1",
        state=state,
        client_reference=reference,
        error_code="131047" if state is DeliveryState.FAILED else None,
        at=START,
    )


async def test_dead_letters_are_kept_once_and_can_be_dropped(store: Store) -> None:
    letter = DeadLetter(
        id="l-1",
        conversation_id=C1,
        message_id=MessageId("m-1"),
        channel="web",
        reason="attempts",
        attempts=6,
        message=inbound(id="m-1"),
        at=START,
    )
    await store.dead_letters.add(letter)
    await store.dead_letters.add(letter.model_copy(update={"reason": "again"}))
    assert await store.dead_letters.letters() == [letter]
    assert await store.dead_letters.get("l-1") == letter
    assert await store.dead_letters.drop("l-1")
    assert not await store.dead_letters.drop("l-1")
    assert await store.dead_letters.get("l-1") is None


async def test_erasing_a_conversation_erases_its_dead_letters(store: Store) -> None:
    letter = DeadLetter(
        id="l-1", conversation_id=C1, message_id=None, channel="web", reason="x", attempts=1, raw="said", at=START
    )
    await store.dead_letters.add(letter)
    await store.conversations.erase(C1, at=START)
    assert await store.dead_letters.letters() == []


async def test_letters_are_found_and_forgotten_by_the_addresses_in_them(store: Store) -> None:
    held = {"l-0": ("a", "b"), "l-1": ("b",), "l-2": ("c",), "l-3": ()}
    for name, addresses in held.items():
        letter = DeadLetter(
            id=name,
            conversation_id=None,
            message_id=None,
            channel="whatsapp",
            reason="x",
            attempts=0,
            raw="said",
            addresses=addresses,
            at=START,
        )
        await store.dead_letters.add(letter)
    assert await store.dead_letters.forget(["a", "b", "z"]) == 2
    assert await store.dead_letters.forget(["a", "b"]) == 0
    assert await store.dead_letters.forget([]) == 0
    assert {letter.id for letter in await store.dead_letters.letters()} == {"l-2", "l-3"}
    assert await store.dead_letters.drop("l-2")
    assert await store.dead_letters.forget(["c"]) == 0


async def test_dead_letters_of_one_conversation_can_be_asked_for(store: Store) -> None:
    for number, name in enumerate(("a", "b", "a")):
        letter = DeadLetter(
            id=f"l-{number}",
            conversation_id=conversation_id(name),
            message_id=None,
            channel="web",
            reason="x",
            attempts=1,
            at=START + number * SECOND,
        )
        await store.dead_letters.add(letter)
    assert [letter.id for letter in await store.dead_letters.letters(conversation_id=conversation_id("a"))] == [
        "l-2",
        "l-0",
    ]
    assert [letter.id for letter in await store.dead_letters.letters(limit=2)] == ["l-2", "l-1"]
    assert [letter.id for letter in await store.dead_letters.letters(until=START + SECOND)] == ["l-1", "l-0"]
    assert await store.dead_letters.letters(until=START - SECOND) == []
    assert await store.dead_letters.prune(before=START + SECOND) == 1
    assert len(await store.dead_letters.letters()) == 2


async def test_a_conversation_is_restored_as_another_store_had_it(store: Store) -> None:
    """Whatever was here under that id is gone; indexes, receipts and unsent replies are as they were there."""
    await store.conversations.commit(turn_commit(message=inbound(id="of another life")))
    elsewhere = turn_commit(message=inbound("Olá", id="m-1"), replies=2)
    head = elsewhere.conversation.model_copy(update={"version": 7, "times_out_at": START + timedelta(hours=1)})
    letter = DeadLetter(
        id="l-1", conversation_id=C1, message_id=None, channel="web", reason="x", attempts=1, raw="said", at=START
    )
    assert elsewhere.turn
    archive = ConversationArchive(
        head=head,
        transitions=elsewhere.transitions,
        utterances=elsewhere.utterances,
        turns=(elsewhere.turn,),
        receipts=elsewhere.receipts,
        outbox=elsewhere.outbox,
        dead_letters=(letter,),
    )
    for _ in range(2):
        await store.conversations.restore(archive)
        assert await store.conversations.load(C1) == head
        assert await store.conversations.transitions(C1) == list(archive.transitions)
        assert await store.conversations.transcript(C1) == list(archive.utterances)
        assert await store.conversations.turns(C1) == list(archive.turns)
        assert await store.conversations.receipts(C1) == list(archive.receipts)
        assert await store.outbox.rows(C1) == list(archive.outbox)
        assert await store.dead_letters.letters(conversation_id=C1) == [letter]
    assert await store.conversations.find_message(MessageId("of another life")) == []
    assert await store.conversations.find_message(MessageId("m-1")) == [C1]
    assert await store.outbox.sendable(at=START + timedelta(days=1), limit=10) == [C1]
    assert await store.conversations.timed_out(at=START + timedelta(days=1), limit=10) == [C1]
    saved = await store.conversations.commit(turn_commit(head))
    assert saved.version == 8


async def test_a_long_conversation_is_restored_in_its_order(store: Store) -> None:
    turn = turn_commit(message=inbound("Olá", id="m-1"))
    said = tuple(turn.utterances[0].model_copy(update={"text": f"{number}"}) for number in range(650))
    archive = ConversationArchive(
        head=turn.conversation.model_copy(update={"version": 3}),
        transitions=turn.transitions * 450,
        utterances=said,
        receipts=tuple(
            turn.receipts[0].model_copy(update={"sequence": number, "message": inbound("Olá", id=f"m-{number}")})
            for number in range(1, 451)
        ),
    )
    await store.conversations.restore(archive)
    assert await store.conversations.load(C1) == archive.head
    assert await store.conversations.transcript(C1) == list(said)
    assert len(await store.conversations.transitions(C1)) == len(archive.transitions)
    assert await store.conversations.receipts(C1) == list(archive.receipts)


async def test_institutions_are_kept_by_version(store: Store) -> None:
    institution = pyloto()
    assert await store.institutions.current() is None
    assert await store.institutions.publish(institution, at=START)
    assert not await store.institutions.publish(institution, at=START + SECOND)
    newer = institution.model_copy(update={"version": "newer"})
    assert await store.institutions.publish(newer, at=START + 2 * SECOND)
    assert await store.institutions.current() == newer
    assert [version for version, _ in await store.institutions.versions()] == ["newer", institution.version]
    assert await store.institutions.get(institution.version) == institution
    assert await store.institutions.get("never") is None
    assert await store.institutions.publish(institution, at=START + 3 * SECOND)
    assert await store.institutions.current() == institution


async def test_it_answers_that_it_is_there(store: Store) -> None:
    await store.ping()
