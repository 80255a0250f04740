"""Wishes that Task 1 finds, what it may collect, what Task 3 may offer, and replies that only repeat."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.conversation import State, TurnRecord
from contracts.decisions import StateDecision
from contracts.institution import FixedText
from contracts.messages import MessageType
from contracts.ports import ModelRequest
from contracts.turn import TurnReason
from prompts.tasks.message_type import schema
from tests.builders import (
    START,
    EngineBed,
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
from tests.models import turn_view
from tests.scripted import ScriptedModel
from worker.drain import drain

C1 = conversation_id()
UNSUBSCRIBE = pyloto().opt_out_words[0]


@pytest.fixture
async def beds(tmp_path: Path) -> AsyncIterator[Any]:
    async with open_backend("memory", tmp_path) as (inbox, store):
        yield lambda **options: engine_bed(inbox, store, **options)


async def say(bed: EngineBed, text: str, **changes: Any) -> TurnRecord:
    bed.clock.move(timedelta(seconds=30))
    await bed.inbox.append([inbound(text, at=bed.clock.now(), **changes)])
    await drain(C1, bed.engine.drain)
    return (await bed.store.conversations.turns(C1))[-1]


async def test_a_sure_wish_to_leave_is_followed(beds: Any) -> None:
    bed = beds(model=scripted(state=decision(wish="opt_out", confidence=0.9)))
    turn = await say(bed, "quero me descadastrar disso aí")
    head = await bed.store.conversations.load(C1)
    assert head.opted_out
    assert (turn.reason, head.state) == (TurnReason.OPTED_OUT, State.AWAITING_USER)
    assert [one.text for one in turn.replies] == [pyloto().text(FixedText.OPTED_OUT)]
    assert (await say(bed, "alô?")).replies == ()
    assert (await say(bed, "voltar")).reason == TurnReason.OPTED_IN


async def test_an_unsure_wish_is_asked_back_with_the_institutions_word_as_the_button(beds: Any) -> None:
    bed = beds(model=scripted(state=decision(wish="opt_out", confidence=0.6)))
    turn = await say(bed, "ai chega")
    [question] = turn.replies
    assert question.text == pyloto().text(FixedText.CONFIRM_OPT_OUT)
    assert [one.title for one in question.options] == [UNSUBSCRIBE]
    head = await bed.store.conversations.load(C1)
    assert not head.opted_out
    assert (await say(bed, UNSUBSCRIBE)).reason == TurnReason.OPTED_OUT


async def test_a_wish_that_was_written_before_a_newer_word_changes_nothing(beds: Any) -> None:
    bed = beds(model=scripted(state=[decision(), decision(wish="opt_out", confidence=0.9)]))
    await say(bed, "voltar", sent_at=START + timedelta(seconds=20))
    turn = await say(bed, "me remove da lista", sent_at=START + timedelta(seconds=10))
    assert turn.reason == TurnReason.DECIDED
    assert not (await bed.store.conversations.load(C1)).opted_out


async def test_a_wish_for_an_agent_hands_over_whatever_else_was_decided(beds: Any) -> None:
    bed = beds(model=scripted(state=decision(wish="agent", confidence=0.4)))
    assert (await say(bed, "não, alguém de verdade")).state is State.ESCALATING


@pytest.mark.parametrize(
    ("said", "value", "is_kept"),
    [
        ("sou da Padaria Sol", "Padaria Sol", True),
        ("é a padaria do sol", "Padaria do Sol Ltda", True),
        ("são umas cinco caixas", "5 caixas", True),
        ("12 caixas", "15 caixas", False),
        ("meu tel é (19) 9 8888-7777", "+5519988887777", False),
        ("meu tel é (19) 9 8888-7777", "19988887777", True),
        ("quero uma entrega amanhã", "2026-11-21", True),
        ("Oi, bom dia", "Transportes Andrade", False),
        ("quero saber o horário", "Campinas", False),
    ],
)
async def test_a_collected_value_stands_in_what_the_person_wrote(
    beds: Any, said: str, value: str, is_kept: bool
) -> None:
    bed = beds(model=scripted(state=decision(collected=[{"name": "need", "value": value}])))
    await say(bed, said)
    head = await bed.store.conversations.load(C1)
    assert head.fields == ({"need": value} if is_kept else {})


async def test_a_short_yes_collects_what_was_proposed(beds: Any) -> None:
    where = pyloto().intent("address")
    assert where
    states = [decision(), decision(collected=[{"name": "city", "value": "Campinas"}])]
    bed = beds(model=scripted(state=states, text=[response(where.answer), response()]))
    await say(bed, "preciso de um técnico")
    await say(bed, "isso mesmo")
    assert (await bed.store.conversations.load(C1)).fields == {"city": "Campinas"}


@pytest.mark.parametrize(("intent", "asset"), [("address", "office"), ("greeting", None), (None, None)])
def test_only_the_asset_of_the_intent_is_offered(intent: str | None, asset: str | None) -> None:
    chosen = StateDecision(next_state=State.PROCESSING, confidence=1, intent=intent)
    properties = schema(replace(turn_view(), decision=chosen))["properties"]
    assert ("LOCATION" in properties["type"]["enum"]) == (asset is not None)
    assert (properties["asset"] == {"type": "null"}) == (asset is None)


async def test_an_asset_that_the_intent_does_not_have_is_not_sent(beds: Any) -> None:
    form = '{"type": "LOCATION", "asset": "office", "list_label": ""}'
    bed = beds(model=scripted(form=form))
    [reply] = (await say(bed, "Oi")).replies
    assert (reply.type, reply.location) == (MessageType.TEXT, None)


class Parrot:
    """A model whose replies are those of a list, and that keeps what each was asked with."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts, self.rewrites = list(texts), 0

    async def __call__(self, request: ModelRequest) -> str:
        if request.schema_name == "state_decision":
            return decision()
        if request.schema_name != "response_draft":
            return await agreeable(request)
        self.rewrites += '"rewrite"' in request.user
        return response(self.texts.pop(0))


LONG = "Trabalhamos com entregas, serviços de campo, tecnologia sob medida e CRM."
ASKED = "vocês fazem entrega em Campinas aos sábados?"
OTHER = "Em que posso ajudar?"


@pytest.mark.parametrize(
    ("said", "texts", "rewrites", "last"),
    [
        # The person's own question, once and again: the canonical answer goes out.
        (["Oi", ASKED], [OTHER, ASKED.title(), ASKED.upper()], 1, None),
        (["Oi", "e o resto, o que mais vocês fazem?"], [LONG, LONG, OTHER], 1, OTHER),
        # Said again after a rewrite, it is sent; whoever asks the same again gets the same answer.
        (["Oi", "e o resto, o que mais vocês fazem?"], [LONG, LONG, LONG], 1, LONG),
        (["o que vocês fazem?", "o que vocês fazem?"], [LONG, LONG], 0, LONG),
        (["Oi", "e agora?"], [OTHER, OTHER], 0, OTHER),
    ],
)  # fmt: skip
async def test_a_reply_that_repeats_is_written_once_more(
    beds: Any, said: list[str], texts: list[str], rewrites: int, last: str | None
) -> None:
    model = Parrot(texts)
    bed = beds(model=ScriptedModel(model))
    for text in said:
        turn = await say(bed, text)
    greeting = pyloto().intent("greeting")
    assert greeting
    assert (model.rewrites, turn.replies[0].text) == (rewrites, last or greeting.answer)
    assert turn.fallback == (last is None)
