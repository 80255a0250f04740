"""Conversations that agents own: taken, answered, noted, handed back; and the assistant's silence meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from context.hours import handoff_text
from contracts.conversation import Owner, Speaker, State, Trigger
from contracts.errors import ChannelUnavailableError, IllegalTransitionError, ReplyRefusedError, ReplyWindowClosedError
from contracts.institution import FixedText
from contracts.messages import DeliveryState, MessageType, OutboundMessage, Template
from contracts.ports import ModelRequest
from tests.builders import (
    WEB_LIMITS,
    EngineBed,
    RecordingChannel,
    agreeable,
    conversation_id,
    decision,
    engine_bed,
    inbound,
    open_backend,
    pyloto,
    scripted,
)
from tests.scripted import ScriptedModel
from worker.drain import drain
from worker.outbox import flush
from worker.sweeper import sweep, tend

C1 = conversation_id()
HELLO = OutboundMessage.of_text("Oi, aqui é a Ana, do time.")


@pytest.fixture
async def beds(tmp_path: Path) -> AsyncIterator[Any]:
    async with open_backend("memory", tmp_path) as (inbox, store):
        yield lambda **options: engine_bed(inbox, store, **options)


async def say(bed: EngineBed, text: str) -> None:
    await bed.inbox.append([inbound(text, at=bed.clock.now())])
    await drain(C1, bed.engine.drain)
    assert await bed.inbox.pending(C1) == []


def sent(bed: EngineBed) -> list[str]:
    return [row.message.text for row in bed.channel.accepted]


async def head(bed: EngineBed) -> Any:
    found = await bed.store.conversations.load(C1)
    assert found
    return found


class Waking:
    async def wake(self, _: object) -> None: ...
    async def analyse(self, _: object) -> None: ...


async def test_the_assistant_is_silent_from_the_takeover_until_the_conversation_is_handed_back(beds: Any) -> None:
    bed = beds()
    team = bed.engine.operators.agents
    await say(bed, "Oi")
    taken = await team.take(C1, agent="ana")
    assert (taken.state, taken.owner, taken.agent) == (State.ESCALATING, Owner.AGENT, "ana")
    assert taken.handoff is not None
    assert (taken.handoff.reason, taken.handoff.taken_at) == ("operator", bed.clock.now())
    bed.clock.move(timedelta(minutes=30))
    await say(bed, "Alguém aí?")
    assert len(sent(bed)) == 1
    assert await team.take(C1, agent="ana") == await head(bed)
    back = await team.hand_back(C1, agent="ana")
    assert (back.state, back.owner, back.agent, back.handoff) == (State.AWAITING_USER, Owner.ASSISTANT, None, None)
    await say(bed, "E agora?")
    assert len(sent(bed)) == 2
    history = await bed.store.conversations.transitions(C1)
    moves = [(one.trigger, one.metadata) for one in history if one.trigger in (Trigger.TAKE, Trigger.HAND_BACK)]
    assert moves == [(one, {"reason": "operator", "agent": "ana"}) for one in (Trigger.TAKE, Trigger.HAND_BACK)]


@pytest.mark.parametrize("taken", [True, False])
async def test_a_reply_that_forms_before_the_person_s_eyes_stops_at_a_takeover(beds: Any, taken: bool) -> None:
    async def answer(request: ModelRequest) -> str:
        if taken and request.schema_name == "response_draft":
            await bed.engine.operators.agents.take(C1, agent="ana")
        return await agreeable(request)

    bed = beds(model=ScriptedModel(answer))
    taken, is_asked = False, taken
    await say(bed, "Oi")
    taken = is_asked
    async with bed.events.subscribe(C1) as news:
        await say(bed, "Quanto custa?")
        seen = []
        with suppress(TimeoutError):
            while True:
                seen.append((await asyncio.wait_for(anext(news), 0.05)).name)
    assert ("token" in seen) is not taken
    assert len(sent(bed)) == (1 if taken else 2)


async def test_an_agent_s_words_are_sent_once_and_known_to_the_assistant_afterwards(beds: Any) -> None:
    bed = beds()
    team = bed.engine.operators.agents
    await say(bed, "Oi")
    for _ in range(2):
        replied = await team.reply(C1, HELLO, agent="ana", request_id="r-1")
    assert (replied.agent, replied.handoff and replied.handoff.answered_at) == ("ana", bed.clock.now())
    await sweep(Waking(), bed.engine.sweep)
    await flush(C1, bed.engine.outbox)
    assert sent(bed)[1:] == [HELLO.text]
    assert bed.channel.accepted[-1].author == "ana"
    await team.note(C1, "Ligar para ela na sexta.", agent="ana", request_id="n-1")
    await team.note(C1, "Ligar para ela na sexta.", agent="ana", request_id="n-1")
    said = [(one.speaker, one.author) for one in await bed.store.conversations.transcript(C1)]
    assert said[2:] == [(Speaker.OPERATOR, "ana"), (Speaker.NOTE, "ana")]
    await team.hand_back(C1, agent="ana")
    await say(bed, "Obrigada")
    prompts = [request.user for request in bed.model.requests if request.schema_name == "state_decision"]
    assert HELLO.text in prompts[-1]
    assert not any("sexta" in prompt for prompt in prompts)


async def test_a_reply_committed_before_a_takeover_does_not_leave_after_it(beds: Any) -> None:
    """The platform is unavailable: the assistant's reply waits, an agent answers in the meantime and hands back."""
    bed = beds()
    team = bed.engine.operators.agents
    bed.channel.next_errors = [ChannelUnavailableError("unavailable")]
    await say(bed, "Oi")
    await team.reply(C1, HELLO, agent="ana", request_id="r-1")
    await team.hand_back(C1, agent="ana")
    bed.clock.move(timedelta(minutes=5))
    await flush(C1, bed.engine.outbox)
    assert sent(bed) == [HELLO.text]
    first, _ = await bed.store.outbox.rows(C1)
    assert (first.state, first.error_code, first.needs_escalation) == (DeliveryState.WITHDRAWN, "taken", False)


async def test_a_reply_committed_before_an_opt_out_does_not_leave_after_it(beds: Any) -> None:
    bed = beds()
    bed.channel.next_errors = [ChannelUnavailableError("unavailable")]
    await say(bed, "Oi")
    await say(bed, "parar")
    bed.clock.move(timedelta(minutes=5))
    await flush(C1, bed.engine.outbox)
    assert sent(bed) == [pyloto().text(FixedText.OPTED_OUT)]
    assert [row.error_code for row in await bed.store.outbox.rows(C1)] == ["opted_out", None]


async def test_a_turn_in_hand_says_nothing_after_a_takeover(beds: Any) -> None:
    bed = beds()
    await say(bed, "Oi")

    async def take_over() -> None:
        await bed.engine.operators.agents.take(C1, agent="ana")

    bed.faults.pausing["turn.before_commit"] = take_over
    await say(bed, "Quanto custa?")
    assert len(sent(bed)) == 1
    assert [one.text for one in (await head(bed)).window][-1] == "Quanto custa?"


async def test_what_the_platform_does_not_take_of_an_agent_is_refused_at_once(beds: Any) -> None:
    bed = beds()
    team = bed.engine.operators.agents
    await say(bed, "Oi")
    template = OutboundMessage(type=MessageType.TEMPLATE, template=Template(name="back", language="pt_BR"))
    with pytest.raises(ReplyRefusedError, match="web takes no template"):
        await team.reply(C1, template, agent="ana", request_id="r-1")
    with pytest.raises(ReplyRefusedError, match="at most 4096 characters, these are 4098"):
        await team.reply(C1, OutboundMessage.of_text("😀" * 2049), agent="ana", request_id="r-2")
    assert (await head(bed)).agent is None
    await team.reply(C1, OutboundMessage.of_text("😀" * 2048), agent="ana", request_id="r-3")


async def test_after_the_reply_window_only_a_template_is_sent(beds: Any) -> None:
    with_templates = WEB_LIMITS.model_copy(update={"types": frozenset(MessageType)})
    bed = beds(channel=RecordingChannel(limits=with_templates))
    team = bed.engine.operators.agents
    await say(bed, "Oi")
    bed.clock.move(timedelta(hours=25))
    with pytest.raises(ReplyWindowClosedError, match="24 hours"):
        await team.reply(C1, HELLO, agent="ana", request_id="r-1")
    assert (await head(bed)).agent is None
    template = OutboundMessage(type=MessageType.TEMPLATE, template=Template(name="back", language="pt_BR"))
    await team.reply(C1, template, agent="ana", request_id="r-2")
    await flush(C1, bed.engine.outbox)
    assert bed.channel.accepted[-1].message == template


async def test_an_agent_has_the_longer_window_where_the_platform_gives_one(beds: Any) -> None:
    longer = WEB_LIMITS.model_copy(update={"agent_window": timedelta(days=7)})
    bed = beds(channel=RecordingChannel(limits=longer))
    team = bed.engine.operators.agents
    await say(bed, "Oi")
    bed.clock.move(timedelta(hours=25))
    await team.reply(C1, HELLO, agent="ana", request_id="r-1")
    await flush(C1, bed.engine.outbox)
    assert (bed.channel.accepted[-1].message, bed.channel.accepted[-1].author) == (HELLO, "ana")
    bed.clock.move(timedelta(days=6))
    with pytest.raises(ReplyWindowClosedError, match="168 hours"):
        await team.reply(C1, HELLO, agent="ana", request_id="r-2")


async def test_an_ended_conversation_is_taken_as_its_successor(beds: Any) -> None:
    bed = beds(model=scripted(state=decision(next_state="SPAM", intent="spam")))
    team = bed.engine.operators.agents
    await say(bed, "Compre já")
    taken = await team.take(C1, agent="ana")
    assert (taken.owner, taken.episode) == (Owner.AGENT, 2)
    assert (await team.close(C1, agent="ana")).state is State.COMPLETED
    with pytest.raises(IllegalTransitionError):
        await team.hand_back(C1, agent="ana")
    with pytest.raises(IllegalTransitionError, match="no conversation"):
        await team.take(conversation_id("nobody"), agent="ana")


async def test_a_conversation_that_waits_is_never_given_up_and_an_agent_s_silence_gives_it_back(beds: Any) -> None:
    bed = beds(model=scripted(state=[decision(next_state="ESCALATING", intent="complaint"), decision()]))
    await say(bed, "Quero falar com alguém")
    first = len(sent(bed))
    for _ in range(4):
        bed.clock.move(timedelta(hours=21))
        await tend(bed.engine.sweep)
        await flush(C1, bed.engine.outbox)
    assert sent(bed)[first:] == [pyloto().text(FixedText.STILL_WAITING)]
    waiting = await head(bed)
    assert (waiting.owner, waiting.handoff.reason) == (Owner.NOBODY, "decided")
    await bed.engine.operators.agents.take(C1, agent="ana")
    bed.clock.move(pyloto().hand_back_after - timedelta(minutes=1))
    await tend(bed.engine.sweep)
    assert (await head(bed)).owner is Owner.AGENT
    bed.clock.move(timedelta(minutes=2))
    await tend(bed.engine.sweep)
    assert (await head(bed)).owner is Owner.ASSISTANT


async def test_a_person_who_waits_comes_back_to_the_assistant_by_a_word(beds: Any) -> None:
    """The answer to it is true: the next message is answered."""
    bed = beds(model=scripted(state=[decision(next_state="ESCALATING", intent="complaint"), decision()]))
    await say(bed, "Quero reclamar")
    before = len(sent(bed))
    await say(bed, "voltar")
    assert sent(bed)[before:] == [pyloto().text(FixedText.HANDED_BACK)]
    assert (await head(bed)).owner is Owner.ASSISTANT
    await say(bed, "Vocês entregam aos sábados?")
    assert len(sent(bed)) == before + 2


async def test_a_word_of_coming_back_does_not_interrupt_an_agent_and_the_wish_for_the_assistant_does(beds: Any) -> None:
    bed = beds()
    await say(bed, "Oi")
    await bed.engine.operators.agents.take(C1, agent="ana")
    await say(bed, "voltar")
    assert (await head(bed)).owner is Owner.AGENT
    await say(bed, "Quero falar com o assistente")
    assert sent(bed)[1:] == [pyloto().text(FixedText.HANDED_BACK)]


async def test_who_opted_out_and_waits_is_answered_again_as_the_text_promises(beds: Any) -> None:
    bed = beds(model=scripted(state=[decision(next_state="ESCALATING", intent="complaint"), decision()]))
    await say(bed, "Quero reclamar")
    await say(bed, "parar")
    await say(bed, "voltar")
    assert sent(bed)[-1] == pyloto().text(FixedText.OPTED_IN)
    await say(bed, "Vocês entregam?")
    assert len(sent(bed)) == 5


def echo(bed: EngineBed, text: str, **changes: Any) -> Any:
    """What the platform gives back of an agent's message in its own app."""
    data = {"echo": "smb_message_echoes"}
    return inbound(text, at=bed.clock.now(), **{"data": data, "recorded_only": True, "person_name": None, **changes})


async def test_an_agent_who_writes_from_the_phone_takes_the_conversation(beds: Any) -> None:
    bed = beds()
    await say(bed, "Oi")
    opened = (await head(bed)).last_inbound_at
    bed.clock.move(timedelta(minutes=1))
    await bed.inbox.append([echo(bed, "Aqui é a Rita, já vejo isso."), inbound("Obrigado", at=bed.clock.now())])
    await drain(C1, bed.engine.drain)
    taken = await head(bed)
    assert (taken.owner, taken.agent, taken.handoff.reason) == (Owner.AGENT, "phone", "echo")
    assert taken.handoff.answered_at == bed.clock.now()
    assert taken.last_inbound_at > opened
    assert len(sent(bed)) == 1
    lines = [(one.speaker, one.author, one.text) for one in await bed.store.conversations.transcript(C1)]
    assert (Speaker.OPERATOR, "phone", "Aqui é a Rita, já vejo isso.") in lines
    bed.clock.move(timedelta(minutes=20))
    await bed.inbox.append([echo(bed, "Pronto.")])
    await drain(C1, bed.engine.drain)
    later = await head(bed)
    assert later.last_inbound_at == taken.last_inbound_at
    assert later.handoff.last_word_at == bed.clock.now()
    await bed.engine.operators.agents.hand_back(C1, agent="ana")
    await say(bed, "E o prazo?")
    prompt = [request.user for request in bed.model.requests if request.schema_name == "state_decision"][-1]
    assert "já vejo isso" in prompt


async def test_an_echo_of_our_own_reply_is_no_takeover(beds: Any) -> None:
    bed = beds()
    await say(bed, "Oi")
    (row,) = await bed.store.outbox.rows(C1)
    await bed.inbox.append([echo(bed, row.message.text, platform_id=row.platform_message_id)])
    await drain(C1, bed.engine.drain)
    assert (await head(bed)).owner is Owner.ASSISTANT
    assert len(await bed.store.conversations.transcript(C1)) == 2


async def test_an_agent_who_writes_while_the_model_thinks_is_not_talked_over(beds: Any) -> None:
    bed = beds()
    await say(bed, "Oi")

    async def from_the_phone() -> None:
        await bed.inbox.append([echo(bed, "Deixa comigo.")])

    bed.faults.pausing["turn.thought"] = from_the_phone
    await say(bed, "Quanto custa?")
    assert len(sent(bed)) == 1
    assert (await head(bed)).agent == "phone"


async def test_a_reply_that_waits_for_the_platform_is_withdrawn_by_an_agent_s_words_in_the_inbox(beds: Any) -> None:
    bed = beds()
    bed.channel.next_errors = [ChannelUnavailableError("unavailable")]
    await say(bed, "Oi")
    bed.clock.move(timedelta(minutes=5))
    await bed.inbox.append([echo(bed, "Oi! Sou a Rita.")])
    await drain(C1, bed.engine.drain)
    assert sent(bed) == []
    assert [row.error_code for row in await bed.store.outbox.rows(C1)] == ["taken"]


async def test_what_is_said_without_a_model_is_in_the_person_s_language(beds: Any) -> None:
    """The newest text that decides the language does: at the hand-off, after a long wait, and for a short word."""
    english = pyloto().speaking("en")
    bed = beds(model=scripted(state=[decision(next_state="ESCALATING", intent="complaint")]))
    await say(bed, "Hello, I would like to talk to a person about the order that you have")
    assert sent(bed)[-1] == english.text(FixedText.ESCALATED)
    bed.clock.move(timedelta(hours=21))
    await tend(bed.engine.sweep)
    await flush(C1, bed.engine.outbox)
    assert sent(bed)[-1] == english.text(FixedText.STILL_WAITING)
    bed.clock.move(timedelta(minutes=30))
    await say(bed, "ok")
    assert sent(bed)[-1] == handoff_text(english, bed.clock.now())
    bed.clock.move(timedelta(minutes=30))
    await say(bed, "Você pode me dizer quando uma pessoa vai responder?")
    assert sent(bed)[-1] == handoff_text(pyloto(), bed.clock.now())
