"""A completed form of a business line leads to the team, once, and a digression does not end it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.conversation import State, TurnRecord
from contracts.institution import FixedText
from contracts.notices import COLLECTION, NoticeTarget
from contracts.turn import TurnReason
from tests.builders import EngineBed, conversation_id, decision, engine_bed, inbound, open_backend, pyloto, scripted
from worker.drain import drain
from worker.people.notices import Notices

C1 = conversation_id()
DELIVERY = {"intent": "delivery_limits", "business_line": "delivery"}
ITEM = {"collected": [{"name": "item", "value": "uma caixa"}]}


@pytest.fixture
async def beds(tmp_path: Path) -> AsyncIterator[Any]:
    async with open_backend("memory", tmp_path) as (inbox, store):
        yield lambda **options: engine_bed(inbox, store, **options)


async def say(bed: EngineBed, text: str) -> TurnRecord:
    bed.clock.move(timedelta(seconds=30))
    await bed.inbox.append([inbound(text, at=bed.clock.now())])
    await drain(C1, bed.engine.drain)
    return (await bed.store.conversations.turns(C1))[-1]


async def test_the_last_field_of_the_intent_hands_over(beds: Any) -> None:
    bed = beds(model=scripted(state=[decision(**DELIVERY, ask_field="item"), decision(**DELIVERY, **ITEM)]))
    assert (await say(bed, "qual o peso máximo?")).state is State.AWAITING_USER
    turn = await say(bed, "é uma caixa")
    assert (turn.state, turn.reason) == (State.ESCALATING, TurnReason.FORM_COMPLETED)
    assert [one.text for one in turn.replies] == [pyloto().text(FixedText.ESCALATED)]


async def test_a_digression_ends_nothing_and_a_declined_field_does_not_keep_the_form_open(beds: Any) -> None:
    names = decision(intent="delivery_area", business_line="delivery", ask_field="pickup")
    asked = decision(
        intent="delivery_area",
        business_line="delivery",
        ask_field="destination",
        collected=[{"name": "pickup", "value": "Valinhos"}],
    )
    hours, declined = decision(intent="opening_hours"), decision(intent="delivery_area", business_line="delivery")
    bed = beds(model=scripted(state=[names, asked, hours, declined]))
    states = [(await say(bed, text)).state for text in ("entregam aqui?", "em Valinhos", "que horas abre?")]
    assert set(states) == {State.AWAITING_USER}
    # Back at the delivery, with nothing new, the turn after the digression answers; the next one ends the form.
    assert (await say(bed, "prefiro não dizer o destino")).state is State.AWAITING_USER


async def test_once_for_each_line_and_episode(beds: Any) -> None:
    states = [decision(**DELIVERY, ask_field="item"), decision(**DELIVERY, **ITEM), decision(**DELIVERY, **ITEM)]
    bed = beds(model=scripted(state=states))
    await say(bed, "qual o peso máximo?")
    await say(bed, "é uma caixa")
    await bed.engine.operators.agents.hand_back(C1, agent="ana")
    assert (await say(bed, "na verdade uma caixa grande")).state is State.AWAITING_USER
    head = await bed.store.conversations.load(C1)
    assert head.completed_lines == ("delivery",)
    assert head.successor(bed.clock.now()).completed_lines == ()


async def test_a_line_without_it_goes_on(beds: Any) -> None:
    crm = {"intent": "crm_how", "business_line": "crm"}
    fields = [{"name": name, "value": "Ana"} for name in pyloto().intent("crm_how").fields]  # type: ignore[union-attr]
    bed = beds(model=scripted(state=decision(**crm, collected=fields)))
    assert (await say(bed, "Ana")).state is State.AWAITING_USER


async def test_a_completed_form_is_sent_to_the_webhook_whatever_other_events_are_chosen(beds: Any) -> None:
    states = [decision(**DELIVERY, ask_field="item"), decision(**DELIVERY, **ITEM)]
    bed = beds(model=scripted(state=states), notices=Notices(frozenset({NoticeTarget.WEBHOOK})))
    await say(bed, "qual o peso máximo?")
    assert await bed.store.records.page(COLLECTION, at=bed.clock.now()) == []
    await say(bed, "é uma caixa")
    [record] = await bed.store.records.page(COLLECTION, at=bed.clock.now())
    assert record.body["event"] == "form"
    expected = {"business_line": "delivery", "intent": "delivery_limits", "fields": {"item": "uma caixa"}}
    assert record.body["data"] == expected
