"""Hand-offs of joined threads: who owns the thread decides what is sent, told and shown, whatever was joined to it."""

import itertools
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.conversation import Owner, State, Trigger
from contracts.errors import ChannelUnavailableError
from contracts.messages import ChannelName, DeliveryState, InboundMessage, OutboundMessage, StatusUpdate
from contracts.notices import NoticeEvent, NoticeMessage, NoticeTarget
from tests.builders import BACKENDS, RecordingChannel, engine_bed, open_backend, pyloto
from tests.engine.test_threads import ANA, ANA_ID, ANA_PARENT, Line
from worker.outbox import flush
from worker.people.notices import NoticeDelivery, Notices
from worker.people.privacy import erase
from worker.sweeper import tend

HELLO = "Em que posso ajudar?"


@pytest.fixture(params=BACKENDS)
async def line(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Line]:
    async with open_backend(request.param, tmp_path) as (inbox, store):
        notices = Notices(frozenset({NoticeTarget.SLACK}), frozenset(NoticeEvent))
        yield Line(engine_bed(inbox, store, channel=RecordingChannel(ChannelName.WHATSAPP), notices=notices))


async def unsent_reply_to(line: Line, *names: str) -> InboundMessage:
    line.bed.channel.next_errors.append(ChannelUnavailableError("503"))
    message = await line.hears("Oi", *names)
    assert [row.state for row in await line.bed.store.outbox.unsent(message.conversation_id)] == [DeliveryState.PENDING]
    return message


async def flushed(line: Line, *messages: InboundMessage) -> None:
    line.bed.channel.next_errors.clear()
    for message in messages * 2:
        line.bed.clock.move(timedelta(minutes=5))
        await flush(message.conversation_id, line.bed.engine.outbox)


@pytest.mark.parametrize("is_free_older", [True, False])
@pytest.mark.parametrize("silenced", ["taken", "opted out"])
async def test_a_reply_that_was_not_sent_does_not_leave_after_a_join_with_a_silenced_thread(
    line: Line, is_free_older: bool, silenced: str
) -> None:
    names = [(ANA,), ("", ANA_ID)]
    free_names, other_names = names if is_free_older else names[::-1]
    free = await unsent_reply_to(line, *free_names) if is_free_older else None
    other = await line.hears("Oi" if silenced == "taken" else "SAIR", *other_names)
    if silenced == "taken":
        await line.bed.engine.operators.agents.take(other.conversation_id, agent="bia")
    free = free or await unsent_reply_to(line, *free_names)
    sent = len(line.sent)
    head = await line.bed.engine.turn.threads.merge(free.conversation_id, other.conversation_id, by="agent")
    assert (head.agent, head.opted_out) == (("bia", False) if silenced == "taken" else (None, True))
    await flushed(line, free, other)
    assert line.sent[sent:] == []
    assert await line.bed.store.outbox.unsent_count() == 0


async def test_a_reply_of_the_joined_thread_leaves_once_from_the_thread_that_goes_on(line: Line) -> None:
    old, young = await line.hears("Oi", ANA), await unsent_reply_to(line, "", ANA_ID)
    sent, agents = len(line.sent), line.bed.engine.operators.agents
    threads = line.bed.engine.turn.threads
    for _ in range(2):
        # The second repeats the join, as after a crash.
        await threads.join(young.conversation_id, old.conversation_id, by="agent")
    await flushed(line, young, old)
    assert line.sent[sent:] == [HELLO]
    assert [row.state for row in await line.bed.store.outbox.rows(young.conversation_id)] == [DeliveryState.WITHDRAWN]
    await agents.reply(young.conversation_id, OutboundMessage.of_text("Sou a Bia"), agent="bia", request_id="1")
    await flushed(line, old)
    assert line.sent[sent:] == [HELLO, "Sou a Bia"]


async def test_an_agents_words_leave_whatever_is_joined(line: Line) -> None:
    await line.hears("Oi", ANA)
    young, agents = await line.hears("Oi", "", ANA_ID), line.bed.engine.operators.agents
    message = OutboundMessage.of_text("Olá, sou a Bia")
    await agents.reply(young.conversation_id, message, agent="bia", request_id="1")
    await line.hears("E aí?", ANA, ANA_ID)
    await flushed(line, young)
    assert line.sent[-1] == "Olá, sou a Bia"


async def test_a_hand_off_of_a_joined_thread_leads_to_the_thread_and_is_repeated_while_that_waits(line: Line) -> None:
    told: list[NoticeMessage] = []

    async def tell(message: NoticeMessage) -> None:
        told.append(message)

    bed, agents = line.bed, line.bed.engine.operators.agents
    delivery = NoticeDelivery(
        bed.store, pyloto, bed.clock, bed.faults, random.Random(0).random, {NoticeTarget.SLACK: tell}
    )
    old, young = await line.hears("Oi", ANA), await line.hears("Oi", "", ANA_ID)
    await agents.escalate(young.conversation_id, agent="x", reason="operator")
    await line.hears("E aí?", ANA, ANA_ID)
    for _ in range(2):
        await delivery.send_due()
        bed.clock.move(timedelta(minutes=10))
    assert [(one.content["conversation"], one.content["number"]) for one in told] == [
        (old.conversation_id, 1),
        (old.conversation_id, 2),
    ]
    assert "person: E aí?" in told[1].content["last_messages"]
    # The link of an earlier notice leads to the thread.
    assert (await agents.take(young.conversation_id, agent="bia")).id == old.conversation_id
    for _ in range(4):
        bed.clock.move(timedelta(hours=6))
        await delivery.send_due()
    assert len(told) == 2


async def test_a_reply_that_the_platform_refuses_after_the_join_calls_an_agent_to_the_thread(line: Line) -> None:
    old, young = await line.hears("Oi", ANA), await line.hears("Oi", "", ANA_ID)
    (row,) = await line.bed.store.outbox.rows(young.conversation_id)
    await line.bed.engine.turn.threads.join(young.conversation_id, old.conversation_id, by="agent")
    status = StatusUpdate(
        channel=ChannelName.WHATSAPP,
        account=row.address.account,
        platform_message_id=row.platform_message_id or "",
        state=DeliveryState.FAILED,
        error_code="131026",
        in_any_form=True,
        at=line.bed.clock.now(),
    )
    await line.bed.store.outbox.apply_status(status)
    await tend(line.bed.engine.sweep)
    assert (await line.head(old)).owner is Owner.NOBODY


async def test_three_threads_of_three_owners_have_one_with_the_history_that_led_to_it(line: Line) -> None:
    agents, bed = line.bed.engine.operators.agents, line.bed
    one, two = await line.hears("Oi, um", ANA), await line.hears("Oi, dois", "", ANA_ID)
    three = await line.hears("Oi, três", "", "", ANA_PARENT)
    await agents.escalate(one.conversation_id, agent="x", reason="operator")
    await agents.take(two.conversation_id, agent="ana")
    line.bed.clock.move(timedelta(minutes=1))
    await agents.take(three.conversation_id, agent="rui")
    head = await line.head(await line.hears("E aí?", ANA, ANA_ID, ANA_PARENT))
    assert (head.id, head.agent, len(head.threads)) == (one.conversation_id, "rui", 3)
    await agents.hand_back(two.conversation_id, agent="rui")
    sent = len(line.sent)
    await line.hears("E agora?", "", "", ANA_PARENT)
    assert len(line.sent) == sent + 1
    await erase(two.conversation_id, bed.engine.operators)
    for each in (one, two, three):
        assert await bed.store.conversations.transcript(each.conversation_id) == []
        assert await bed.store.outbox.rows(each.conversation_id) == []


async def test_the_history_of_a_thread_leads_to_the_state_that_a_join_gave_it(line: Line) -> None:
    agents = line.bed.engine.operators.agents
    await line.hears("Oi", ANA)
    young = await line.hears("Oi", "", ANA_ID)
    await agents.take(young.conversation_id, agent="rui")
    head = await line.head(await line.hears("E aí?", ANA, ANA_ID))
    await agents.hand_back(head.id, agent="rui")
    history = await line.bed.store.conversations.transitions(head.id)
    assert all(two.source in (one.dest, State.INIT) for one, two in itertools.pairwise(history))
    assert [one.metadata["agent"] for one in history if one.trigger in (Trigger.TAKE, Trigger.HAND_BACK)] == ["rui"] * 2


async def test_who_opted_out_is_silent_under_a_renamed_user_id_or_parent_id(line: Line) -> None:
    out = await line.hears("SAIR", ANA, "BR.ana", "BR.ENT.ana")
    sent = len(line.sent)
    for names in (("", "BR.ana2", "BR.ENT.ana"), ("", "BR.ana2", "BR.ENT.new"), ("", "", "BR.ENT.new"), (ANA,)):
        assert await line.thread_of(await line.hears("Oi", *names)) == out.conversation_id
    assert len(line.sent) == sent
