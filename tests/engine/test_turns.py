"""What becomes of a turn: the reply, the path through the table, and every way around the model."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from contracts.conversation import State, Trigger, TurnRecord, WaitingFor
from contracts.delivery import DeadLetter, Erasure
from contracts.errors import ChannelRefusedError, IllegalTransitionError, ModelUnavailableError
from contracts.institution import FixedText
from contracts.messages import InboundKind, InboundMessage, MessageType, address_digests
from contracts.ports import LiveEvent, ModelRequest
from tests.builders import (
    START,
    EngineBed,
    RecordingChannel,
    agreeable,
    conversation_id,
    decision,
    engine_bed,
    inbound,
    open_backend,
    pyloto,
    response,
    scripted,
)
from tests.scripted import ScriptedModel
from worker.drain import drain
from worker.people import privacy
from worker.sweeper import clean, sweep

C1 = conversation_id()
WHOLE_WAY = (
    State.UNDERSTANDING_INTENT,
    State.PROCESSING,
    State.GENERATING_RESPONSE,
    State.SELECTING_MESSAGE_TYPE,
    State.AWAITING_USER,
)


@pytest.fixture
async def beds(tmp_path: Path) -> AsyncIterator[Any]:
    async with open_backend("memory", tmp_path) as (inbox, store):
        yield lambda **options: engine_bed(inbox, store, **options)


async def say(bed: EngineBed, *texts: str | InboundMessage) -> TurnRecord:
    """The messages arrive together; returns the newest turn."""
    messages = [inbound(text, at=bed.clock.now()) if isinstance(text, str) else text for text in texts]
    await bed.inbox.append(messages)
    await drain(C1, bed.engine.drain)
    assert await bed.inbox.pending(C1) == []
    return (await bed.store.conversations.turns(C1))[-1]


def fixed(which: FixedText) -> str:
    return pyloto().text(which)


def sent(bed: EngineBed) -> list[str]:
    return [row.message.text for row in bed.channel.accepted]


@pytest.mark.parametrize(
    ("intent", "state", "after"),
    [
        ("distress", "ESCALATING", (FixedText.ESCALATED,)),
        ("complaint", "ESCALATING", (FixedText.ESCALATED,)),
        ("spam", "SPAM", ()),
    ],
)
async def test_what_the_institution_wrote_is_said_before_the_fixed_text(
    beds: Any, intent: str, state: str, after: tuple[FixedText, ...]
) -> None:
    bed = beds(model=scripted(state=decision(next_state=state, intent=intent)))
    turn = await say(bed, "quem escreve")
    written = pyloto().intent(intent)
    assert written
    assert sent(bed) == [written.answer, *map(fixed, after)]
    assert turn.state is State[state]


async def test_a_goodbye_is_answered_as_written_before_the_conversation_is_closed(beds: Any) -> None:
    states = [decision(), decision(next_state="COMPLETED", intent="goodbye")]
    bed = beds(model=scripted(state=states))
    await say(bed, "Oi")
    before = len(sent(bed))
    turn = await say(bed, "era só isso, obrigada")
    written = pyloto().intent("goodbye")
    assert written
    assert sent(bed)[before : before + 2] == [written.answer, fixed(FixedText.COMPLETED)]
    assert turn.state is State.COMPLETED


async def test_an_answer_that_does_not_escalate_is_not_said_when_the_model_escalates(beds: Any) -> None:
    """Its intent is what the person came with, and not why a person of the team is called."""
    bed = beds(model=scripted(state=decision(next_state="ESCALATING", intent="greeting")))
    await say(bed, "Oi")
    assert sent(bed) == [fixed(FixedText.ESCALATED)]


async def test_a_first_message_goes_the_whole_way(beds: Any) -> None:
    bed = beds(model=scripted(state=decision(intent="greeting", business_line="delivery"), text=response("Olá!")))
    turn = await say(bed, "Oi, bom dia")
    assert turn.path == (State.INIT, State.IDENTIFYING, *WHOLE_WAY)
    assert (turn.trigger, turn.confidence, turn.intent, turn.business_line) == (
        Trigger.PROCESS,
        0.9,
        "greeting",
        "delivery",
    )
    assert sent(bed) == ["Olá!"]
    assert [task.task for task in turn.tasks] == ["state", "response", "message_type"]
    assert turn.tokens.input == sum(task.tokens.input for task in turn.tasks) > 0
    assert turn.ms.total >= turn.ms.state
    history = await bed.store.conversations.transitions(C1)
    assert [record.dest for record in history] == list(turn.path[1:])
    assert [record.confidence for record in history if record.trigger is Trigger.PROCESS] == [0.9]


async def test_messages_that_wait_together_are_one_turn(beds: Any) -> None:
    bed = beds()
    turn = await say(bed, "Oi", "tudo bem?", "queria uma entrega")
    assert len(turn.message_ids) == 3
    assert len(bed.channel.accepted) == 1
    assert [said.text for said in await bed.store.conversations.transcript(C1)][:3] == [
        "Oi",
        "tudo bem?",
        "queria uma entrega",
    ]


async def test_a_second_message_starts_where_the_person_was_awaited(beds: Any) -> None:
    bed = beds()
    await say(bed, "Oi")
    assert (await say(bed, "e o horário?")).path == (State.AWAITING_USER, *WHOLE_WAY)


async def test_a_newer_message_joins_the_turn_that_is_thought_about(beds: Any) -> None:
    """A draft that does not know what the person just added is dropped, a bounded number of times."""
    texts: list[int] = []

    async def answer(request: ModelRequest) -> str:
        if request.schema_name == "state_decision":
            texts.append(request.user.count('"kind":"text"'))
            if len(texts) < 5:
                await bed.inbox.append([inbound("mais uma coisa")])
        return await agreeable(request)

    bed = beds(model=ScriptedModel(answer))
    await bed.inbox.append([inbound("Oi")])
    await drain(C1, bed.engine.drain)
    turns = await bed.store.conversations.turns(C1)
    assert texts[:3] == [1, 2, 3]
    assert [len(turn.message_ids) for turn in turns] == [3, 2]
    assert len(bed.channel.accepted) == 2


async def test_fields_are_collected_and_never_asked_for_twice(beds: Any) -> None:
    asked = decision(ask_field="company", collected=[{"name": "need", "value": "um site"}])
    bed = beds(model=scripted(state=[asked, decision()]))
    await say(bed, "quero um site")
    head = await bed.store.conversations.load(C1)
    assert head
    assert (head.fields, head.asked_fields) == ({"need": "um site"}, ("company",))
    await say(bed, "não quero dizer")
    model = bed.model
    second = [request for request in model.requests if request.schema_name == "state_decision"][1]
    askable = second.output_schema["properties"]["ask_field"]["anyOf"][0]["enum"]
    assert "company" not in askable
    assert "need" not in askable


@pytest.mark.parametrize(
    ("next_state", "text", "state"),
    [("ESCALATING", FixedText.ESCALATED, State.ESCALATING), ("SPAM", None, State.SPAM)],
)
async def test_fixed_texts_take_the_place_of_tasks_2_and_3(
    beds: Any, next_state: str, text: FixedText | None, state: State
) -> None:
    bed = beds(model=scripted(state=decision(next_state=next_state)))
    turn = await say(bed, "...")
    assert turn.state is state
    assert [task.task for task in turn.tasks] == ["state"]
    assert sent(bed) == ([fixed(text)] if text else [])


async def test_a_conversation_that_ended_continues_as_its_successor(beds: Any) -> None:
    bed = beds(model=scripted(state=[decision(), decision(next_state="COMPLETED"), decision()]))
    await say(bed, "Oi")
    turn = await say(bed, "obrigado, era isso")
    assert turn.state is State.COMPLETED
    assert sent(bed)[-2:] == [fixed(FixedText.COMPLETED), fixed(FixedText.SATISFACTION)]
    turn = await say(bed, "voltei")
    assert (turn.episode, turn.path[0]) == (2, State.INIT)
    head = await bed.store.conversations.load(C1)
    assert head
    assert [episode.state for episode in head.previous_episodes] == [State.COMPLETED]


ENDING = [decision(), decision(next_state="COMPLETED"), decision()]


@pytest.mark.parametrize(("pressed", "course"), [("Sim, resolveu", "satisfied"), ("ainda não ", "unsatisfied")])
async def test_who_is_asked_at_the_end_may_say_whether_it_helped(beds: Any, pressed: str, course: str) -> None:
    bed = beds(model=scripted(state=ENDING))
    await say(bed, "Oi")
    await say(bed, "obrigado, era isso")
    asked = bed.channel.accepted[-1].message
    assert [option.title for option in asked.buttons] == ["Sim, resolveu", "Ainda não"]
    rated = await say(bed, pressed)
    assert (rated.state, rated.episode, rated.reason, rated.tasks) == (State.COMPLETED, 1, course, ())
    assert sent(bed)[-1] == fixed(FixedText.RATED)
    # Once: the same words again are the beginning of another conversation, as anything else is.
    again = await say(bed, pressed)
    assert (again.episode, again.state) == (2, State.AWAITING_USER)


@pytest.mark.parametrize("said", ["Sim", "resolveu sim, obrigado!", "quero outra coisa"])
async def test_who_says_something_else_begins_anew(beds: Any, said: str) -> None:
    bed = beds(model=scripted(state=ENDING))
    await say(bed, "Oi")
    await say(bed, "obrigado, era isso")
    turn = await say(bed, said)
    assert (turn.episode, turn.state) == (2, State.AWAITING_USER)


async def test_an_opt_out_at_the_end_is_an_opt_out(beds: Any) -> None:
    bed = beds(model=scripted(state=ENDING))
    await say(bed, "Oi")
    await say(bed, "obrigado, era isso")
    assert (await say(bed, "parar")).reason == "opt_out"


async def test_the_model_cannot_end_a_conversation_at_its_first_message(beds: Any) -> None:
    bed = beds(model=scripted(state=decision(next_state="COMPLETED")))
    turn = await say(bed, "Oi")
    assert turn.state is State.ESCALATING
    assert (turn.reason, turn.fallback, sent(bed)) == ("model_output_unusable", True, [fixed(FixedText.MODEL_AWAY)])


async def test_a_model_that_is_away_is_answered_for(beds: Any) -> None:
    async def away(request: ModelRequest) -> str:
        raise ModelUnavailableError("529")

    bed = beds(model=ScriptedModel(away))
    turn = await say(bed, "Oi")
    assert (turn.state, turn.reason, turn.fallback) == (State.ESCALATING, "model_unavailable", True)
    assert sent(bed) == [fixed(FixedText.MODEL_AWAY)]


async def test_when_only_task_2_is_away_the_canonical_answer_speaks(beds: Any) -> None:
    async def half(request: ModelRequest) -> str:
        if request.schema_name == "response_draft":
            raise ModelUnavailableError("529")
        return decision(intent="opening_hours") if request.schema_name == "state_decision" else await agreeable(request)

    bed = beds(model=ScriptedModel(half))
    turn = await say(bed, "qual o horário?")
    intent = pyloto().intent("opening_hours")
    assert intent
    assert sent(bed) == [intent.answer]
    assert (turn.state, turn.fallback) == (State.AWAITING_USER, True)


async def test_when_only_task_3_fails_the_options_choose_the_form(beds: Any) -> None:
    bed = beds(model=scripted(state=decision(options=["Sim", "Não"]), form="nonsense"))
    turn = await say(bed, "Oi")
    assert (turn.replies[0].type, turn.fallback) == (MessageType.BUTTON, True)


async def test_an_unclear_message_is_asked_about_then_a_person_is_called(beds: Any) -> None:
    bed = beds(model=scripted(state=decision(confidence=0.2)))
    for _ in range(2):
        turn = await say(bed, "asdf")
        assert (turn.state, turn.reason, turn.waiting_for) == (
            State.AWAITING_USER,
            "unclear",
            WaitingFor.CLARIFICATION,
        )
        assert turn.replies[-1].options
        assert [task.task for task in turn.tasks] == ["state"]
    turn = await say(bed, "asdf")
    assert turn.state is State.ESCALATING
    assert sent(bed)[-1] == fixed(FixedText.ESCALATED)


async def test_a_clear_message_forgets_the_unclear_ones(beds: Any) -> None:
    answers = [decision(confidence=0.2), decision(), decision(confidence=0.2), decision(confidence=0.2)]
    bed = beds(model=scripted(state=answers))
    for text in ("asdf", "entregas", "hjkl", "asdf"):
        turn = await say(bed, text)
        assert turn.state is State.AWAITING_USER


PRICED = response("Uma entrega custa R$ 15,00.")


async def test_a_draft_that_breaks_a_rule_is_rewritten_once(beds: Any) -> None:
    bed = beds(model=scripted(text=[PRICED, response("Quem passa os valores é a nossa equipe.")]))
    turn = await say(bed, "quanto custa?")
    assert sent(bed) == ["Quem passa os valores é a nossa equipe."]
    assert {found.rule for found in turn.violations} >= {"price"}
    assert [task.task for task in turn.tasks] == ["state", "response", "message_type", "response", "judge"]
    rewrite = [one for one in bed.model.requests if one.schema_name == "response_draft"][-1]
    (told,) = orjson.loads(rewrite.user.split("<conversation>")[1].split("</conversation>")[0])["rewrite"]
    assert told == {
        "sentence": "Uma entrega custa R$ 15,00.",
        "excerpt": "R$ 15,00",
        "rule": "price",
        "why": "a sum of money is never said",
    }


async def test_a_draft_that_breaks_it_again_gives_way_to_the_canonical_answer(beds: Any) -> None:
    bed = beds(model=scripted(state=decision(intent="price"), text=PRICED))
    turn = await say(bed, "quanto custa?")
    intent = pyloto().intent("price")
    assert intent
    assert sent(bed) == [intent.answer]
    assert (turn.state, turn.fallback) == (State.AWAITING_USER, True)
    assert {found.draft for found in turn.violations} == {1, 2}


async def test_an_intent_that_escalates_does_so_where_the_model_forgets_it(beds: Any) -> None:
    intent = next(one for one in pyloto().intents if one.escalate)
    bed = beds(model=scripted(state=decision(intent=intent.id, next_state="PROCESSING")))
    turn = await say(bed, "preciso de alguém")
    assert (turn.state, turn.reason) == (State.ESCALATING, "decided")
    assert sent(bed)[0] == intent.answer


async def test_without_a_canonical_answer_a_person_is_called(beds: Any) -> None:
    bed = beds(model=scripted(state=decision(intent=None), text=PRICED))
    turn = await say(bed, "quanto custa?")
    assert sent(bed) == [fixed(FixedText.BLOCKED)]
    assert (turn.state, turn.reason, turn.fallback) == (State.ESCALATING, "gate", True)


async def test_a_hidden_sum_over_two_parts_is_found(beds: Any) -> None:
    parts = [{"says": "echo", "from": [], "text": text} for text in ("Fica em cinquenta", "reais")]
    bed = beds(model=scripted(state=decision(intent=None), text=orjson.dumps({"parts": parts}).decode()))
    assert (await say(bed, "quanto custa?")).reason == "gate"
    assert sent(bed) == [fixed(FixedText.BLOCKED)]


async def test_the_gate_reads_the_buttons_too(beds: Any) -> None:
    bed = beds(model=scripted(state=decision(options=["Fechar por R$ 50", "Entregas"])))
    turn = await say(bed, "Oi")
    assert {found.rule for found in turn.violations} == {"price"}
    assert [option.title for option in turn.replies[-1].options] == ["Entregas"]


async def test_a_part_that_informs_without_a_source_is_repaired_once(beds: Any) -> None:
    uncited = orjson.dumps({"parts": [{"says": "inform", "from": [], "text": "Entregamos."}]}).decode()
    bed = beds(model=scripted(text=[uncited, response("Certo. Como posso ajudar?")]))
    turn = await say(bed, "Oi")
    assert [task.outcome for task in turn.tasks if task.task == "response"] == ["repaired"]
    assert sent(bed) == ["Certo. Como posso ajudar?"]


async def test_while_a_person_has_the_word_the_assistant_is_silent(beds: Any) -> None:
    bed = beds(model=scripted(state=decision(next_state="ESCALATING")))
    await say(bed, "quero falar com alguém")
    turn = await say(bed, "alô?")
    assert (turn.replies, turn.path, turn.tasks) == ((), (State.ESCALATING,), ())
    bed.clock.move(timedelta(minutes=11))
    assert (await say(bed, "alô?")).replies[0].text == fixed(FixedText.ESCALATED)


async def test_a_person_hands_the_conversation_back(beds: Any) -> None:
    bed = beds(model=scripted(state=[decision(next_state="ESCALATING"), decision()]))
    await say(bed, "quero falar com alguém")
    await bed.engine.operators.agents.hand_back(C1, agent="ana")
    assert (await say(bed, "e o horário?")).state is State.AWAITING_USER


async def test_spam_is_not_answered_until_an_operator_undoes_it(beds: Any) -> None:
    bed = beds(model=scripted(state=[decision(next_state="SPAM"), decision()]))
    await say(bed, "GANHE DINHEIRO")
    turn = await say(bed, "GANHE MAIS")
    assert (turn.state, turn.tasks) == (State.SPAM, ())
    assert sent(bed) == []
    await bed.engine.operators.agents.reopen(C1, agent="ana")
    assert (await say(bed, "desculpe, era engano")).state is State.AWAITING_USER
    with pytest.raises(IllegalTransitionError):
        await bed.engine.operators.agents.reopen(C1, agent="ana")


async def test_somebody_we_know_is_not_spam(beds: Any) -> None:
    collected = decision(collected=[{"name": "need", "value": "entrega"}])
    bed = beds(model=scripted(state=[collected, *[decision(next_state="SPAM")] * 2]))
    await say(bed, "quero entrega")
    assert (await say(bed, "http://x.example")).state is State.ESCALATING


async def test_a_word_of_opt_out_is_kept_outside_the_table(beds: Any) -> None:
    bed = beds()
    turn = await say(bed, "PARAR")
    assert (turn.path, turn.tasks, sent(bed)) == ((State.INIT,), (), [fixed(FixedText.OPTED_OUT)])
    turn = await say(bed, "quanto custa?")
    assert (turn.replies, turn.tasks) == ((), ())
    turn = await say(bed, pyloto().opt_in_words[0])
    assert sent(bed)[-1] == fixed(FixedText.OPTED_IN)
    assert (await say(bed, "quanto custa?")).replies


@pytest.mark.parametrize(
    ("posts", "opted_out"),
    [
        ([[("VOLTAR", 10), ("SAIR", 60)]], False),
        ([[("SAIR", 10), ("VOLTAR", 60)]], True),
        ([[("SAIR", 10)], [("VOLTAR", 60)]], True),
        ([[("VOLTAR", 10)], [("SAIR", 60)]], False),
        ([[("SAIR", 60)], [("VOLTAR", 10)]], False),
        ([[("SAIR", 10)], [("VOLTAR", 60)], [("VOLTAR", 5)]], False),
        ([[("SAIR", 10), ("que horas abre?", 5)], [("VOLTAR", 60), ("e o preço?", 1)]], True),
        ([[("VOLTAR", -3600)], [("SAIR", 0)]], True),
        ([[("SAIR", None)], [("VOLTAR", 60)]], True),
    ],
)
async def test_the_newest_wish_by_the_platforms_time_counts(
    beds: Any, posts: list[list[tuple[str, int | None]]], opted_out: bool
) -> None:
    """Each wish with the seconds since it was written, in the order of arrival."""
    bed = beds()
    for post in posts:
        await bed.inbox.append(
            [
                inbound(text, sent_at=None if age is None else START - timedelta(seconds=age), id=f"{text}-{age}")
                for text, age in post
            ]
        )
        await drain(C1, bed.engine.drain)
    head = await bed.store.conversations.load(C1)
    assert head.opted_out is opted_out


async def test_an_overtaken_wish_is_kept_and_not_answered(beds: Any) -> None:
    bed = beds()
    for text, age in (("VOLTAR", 10), ("SAIR", 60)):
        await bed.inbox.append([inbound(text, sent_at=START - timedelta(seconds=age), id=text)])
        await drain(C1, bed.engine.drain)
    assert (await bed.store.conversations.turns(C1))[-1].reason == "record"


@pytest.mark.parametrize(
    ("words", "opted_out"), [(("SAIR", "VOLTAR"), False), (("VOLTAR", "SAIR"), True), (("SAIR",), True)]
)
async def test_the_last_word_of_consent_counts(beds: Any, words: tuple[str, ...], opted_out: bool) -> None:
    bed = beds()
    await say(bed, *words)
    head = await bed.store.conversations.load(C1)
    assert head
    assert head.opted_out is opted_out


async def test_consent_is_kept_in_every_state(beds: Any) -> None:
    bed = beds(model=scripted(state=decision(next_state="SPAM")))
    await say(bed, "GANHE DINHEIRO")
    await say(bed, "SAIR")
    await bed.engine.operators.agents.reopen(C1, agent="ana")
    assert (await say(bed, "oi")).reason == "record"


async def test_a_flood_is_told_once_and_not_thought_about(beds: Any) -> None:
    bed = beds()
    turn = await say(bed, *(f"mensagem {n}" for n in range(41)))
    assert (turn.reason, turn.tasks, sent(bed)) == ("flood", (), [fixed(FixedText.TOO_MANY)])
    assert (await say(bed, "mais")).replies == ()
    bed.clock.move(timedelta(minutes=2))
    assert (await say(bed, "mais")).tasks


@pytest.mark.parametrize("kind", [InboundKind.AUDIO, InboundKind.STICKER, InboundKind.UNSUPPORTED, InboundKind.IMAGE])
async def test_what_cannot_be_read_is_said_so(beds: Any, kind: InboundKind) -> None:
    bed = beds()
    turn = await say(bed, inbound("", kind=kind))
    assert (turn.tasks, sent(bed)) == ((), [fixed(FixedText.UNREADABLE)])
    assert turn.state is State.AWAITING_USER


async def test_that_nothing_can_be_read_is_said_again_only_after_a_while_or_a_readable_word(beds: Any) -> None:
    bed = beds()

    async def photo(kind: InboundKind = InboundKind.IMAGE) -> int:
        bed.clock.move(timedelta(seconds=20))
        await say(bed, inbound("", kind=kind, at=bed.clock.now()))
        return sent(bed).count(fixed(FixedText.UNREADABLE))

    assert [await photo() for _ in range(25)] == [1] * 25
    assert await photo(InboundKind.STICKER) == 1
    assert (await say(bed, "conseguiu ver?")).tasks
    assert await photo() == 2
    bed.clock.move(timedelta(minutes=10))
    assert [await photo(), await photo()] == [3, 3]
    assert (await say(bed, inbound("este aqui", kind=InboundKind.IMAGE))).tasks


@pytest.mark.parametrize(
    "kind", [InboundKind.REACTION, InboundKind.EDIT, InboundKind.REVOKE, InboundKind.SYSTEM, InboundKind.WELCOME]
)
async def test_what_is_not_for_answering_is_recorded(beds: Any, kind: InboundKind) -> None:
    bed = beds()
    message = inbound("👍", kind=kind)
    turn = await say(bed, message)
    assert (turn.replies, turn.tasks, turn.state) == ((), (), State.INIT)
    receipt = await bed.store.conversations.receipt(C1, message.id)
    assert receipt
    assert receipt.message == message


async def test_a_wait_that_lasts_too_long_ends(beds: Any) -> None:
    bed = beds()
    await say(bed, "Oi")
    bed.clock.move(timedelta(hours=24))
    await sweep(NoQueue(), bed.engine.sweep)
    head = await bed.store.conversations.load(C1)
    assert head
    assert head.state is State.COMPLETED
    assert (await bed.store.conversations.transitions(C1))[-1].trigger is Trigger.TIME_OUT


async def test_a_reply_that_the_platform_refuses_calls_a_person(beds: Any) -> None:
    bed = beds()
    bed.channel.next_errors = [ChannelRefusedError("window closed", code="131047")]
    await say(bed, "Oi")
    await sweep(NoQueue(), bed.engine.sweep)
    head = await bed.store.conversations.load(C1)
    assert head
    assert head.state is State.ESCALATING
    assert (await bed.store.conversations.transitions(C1))[-1].metadata == {"reason": "undeliverable 131047"}
    assert await bed.store.outbox.to_escalate(limit=1) == []


async def test_conversations_are_forgotten_after_their_time(beds: Any) -> None:
    bed = beds()
    await say(bed, "Oi")
    await clean(bed.engine.sweep)
    assert await bed.store.conversations.turns(C1)
    bed.clock.move(timedelta(days=91))
    await clean(bed.engine.sweep)
    assert await bed.store.conversations.turns(C1) == []


async def test_an_erasure_takes_the_unreadable_letters_of_the_person(beds: Any) -> None:
    """By every name the platform ever gave the person; those of others stay."""
    bed = beds()
    address = inbound().address.model_copy(update={"person": "BR.ANA1", "aliases": ("5511987653004",)})
    await say(bed, inbound("Oi", address=address))
    raws = {
        "phone": '{"from":"5511987653004"}',
        "id": '{"from_user_id":"BR.ANA1"}',
        "other": '{"from":"5511987653005"}',
    }
    for name, raw in raws.items():
        await bed.store.dead_letters.add(
            DeadLetter(
                id=name,
                conversation_id=None,
                message_id=None,
                channel="whatsapp",
                reason="unreadable",
                attempts=0,
                raw=raw,
                addresses=address_digests("salt", raw),
                at=START,
            )
        )
    erasure = await privacy.erase(C1, bed.engine.operators)
    assert erasure.dead_letters == 2
    assert [letter.id for letter in await bed.store.dead_letters.letters()] == ["other"]


async def test_an_export_holds_everything_and_an_erasure_leaves_nothing(beds: Any) -> None:
    bed = beds()
    await say(bed, "meu segredo é azul")
    exported = await privacy.export(C1, bed.engine.operators)
    assert exported
    assert str(exported).count("meu segredo é azul") >= 2
    erasure = await privacy.erase(C1, bed.engine.operators)
    assert erasure == Erasure(conversation=1, outbox=1, names=1)
    assert await privacy.export(C1, bed.engine.operators) is None
    assert (await privacy.erase(C1, bed.engine.operators)).is_empty


class NoQueue:
    async def wake(self, conversation_id: str) -> None:
        return


@pytest.mark.parametrize("is_watched", [True, False])
async def test_how_far_a_turn_has_come_is_told_where_somebody_may_watch(beds: Any, is_watched: bool) -> None:
    """A platform's people watch nothing here: their turns pay for no news."""
    channel = RecordingChannel(is_watched=is_watched, shows_forming_text=False)
    bed: EngineBed = beds(channel=channel)
    last = LiveEvent(name="last", data={})
    async with bed.events.subscribe(C1) as news:
        await say(bed, "Oi, bom dia")
        await bed.events.publish(C1, last)
        told = [event async for event in until(last, news)]
    states = [State.UNDERSTANDING_INTENT, State.GENERATING_RESPONSE, State.AWAITING_USER]
    assert [event.data["state"] for event in told] == (states if is_watched else [])


async def until(last: LiveEvent, news: AsyncIterator[LiveEvent]) -> AsyncIterator[LiveEvent]:
    async for event in news:
        if event == last:
            return
        yield event
