"""Messages that arrive long after they were written, and in another order."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.conversation import State
from contracts.institution import FixedText
from contracts.messages import InboundMessage
from contracts.turn import TurnReason
from tests.builders import START, EngineBed, conversation_id, engine_bed, inbound, open_backend, pyloto
from worker.drain import drain
from worker.routing import AgePolicy

C1 = conversation_id()


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[EngineBed]:
    async with open_backend("memory", tmp_path) as (inbox, store):
        yield engine_bed(inbox, store)


async def arrive(bed: EngineBed, text: str, age: timedelta, **changes: Any) -> str:
    """Deliver a message of that age; return the reason of its turn."""
    await bed.inbox.append([inbound(text, at=bed.clock.now(), sent_at=bed.clock.now() - age, **changes)])
    await drain(C1, bed.engine.drain)
    assert await bed.inbox.pending(C1) == []
    return (await bed.store.conversations.turns(C1))[-1].reason


def sent(bed: EngineBed) -> list[str]:
    return [row.message.text for row in bed.channel.accepted]


async def test_a_message_of_half_an_hour_ago_is_answered_with_one_word_about_it(bed: EngineBed) -> None:
    for minutes in (32, 31, 30):
        assert await arrive(bed, "que horas abre?", timedelta(minutes=minutes)) == TurnReason.DECIDED
        bed.clock.move(timedelta(seconds=1))
    delayed = pyloto().text(FixedText.DELAYED)
    assert sent(bed)[0] == delayed
    assert sent(bed).count(delayed) == 1
    assert len(sent(bed)) == 4


async def test_messages_of_this_morning_are_one_matter_for_the_team(bed: EngineBed) -> None:
    reasons = [await arrive(bed, text, timedelta(hours=8)) for text in ("Oi", "que horas abre", "alguém?")]
    assert reasons == [TurnReason.OLD, TurnReason.RECORDED_ONLY, TurnReason.RECORDED_ONLY]
    assert sent(bed) == [pyloto().text(FixedText.DELAYED), pyloto().text(FixedText.ESCALATED)]
    bed.clock.move(timedelta(minutes=20))
    assert await arrive(bed, "deixa", timedelta(hours=7)) == TurnReason.RECORDED_ONLY
    head = await bed.store.conversations.load(C1)
    assert head is not None
    assert head.state is State.ESCALATING
    assert bed.model.requests == []


async def test_beyond_the_window_of_the_platform_the_team_is_called_without_a_word(bed: EngineBed) -> None:
    assert await arrive(bed, "que horas abre?", timedelta(hours=30)) == TurnReason.OLD
    assert sent(bed) == []
    head = await bed.store.conversations.load(C1)
    assert head is not None
    assert head.state is State.ESCALATING


async def test_where_people_answer_later_than_the_platform_lets_them_the_model_is_not_asked(tmp_path: Path) -> None:
    ages = AgePolicy(hand_off=timedelta(hours=48))
    async with open_backend("memory", tmp_path) as (inbox, store):
        bed = engine_bed(inbox, store, ages=ages)
        assert await arrive(bed, "que horas abre?", timedelta(hours=23)) == TurnReason.DECIDED
        asked = len(bed.model.requests)
        bed.clock.move(timedelta(hours=30))
        assert await arrive(bed, "e sábado?", timedelta(hours=25)) == TurnReason.OLD
        assert (len(bed.model.requests), len(sent(bed))) == (asked, 2)
        head = await store.conversations.load(C1)
        assert head is not None
        assert head.state is State.ESCALATING


async def test_messages_of_days_ago_are_recorded_and_a_new_one_is_answered(bed: EngineBed) -> None:
    for text in ("Oi", "que horas abre", "entrega em valinhos?", "alguém?", "deixa, já resolvi"):
        assert await arrive(bed, text, timedelta(days=5)) == TurnReason.TOO_OLD
    assert sent(bed) == []
    assert await arrive(bed, "e hoje?", timedelta(seconds=2)) == TurnReason.DECIDED
    assert [said.text for said in await bed.store.conversations.transcript(C1)][:2] == ["Oi", "que horas abre"]
    assert len(sent(bed)) == 1


async def test_an_old_word_of_consent_still_counts(bed: EngineBed) -> None:
    assert await arrive(bed, "sair", timedelta(days=5)) == TurnReason.OPTED_OUT


async def test_a_turn_is_read_in_the_order_in_which_it_was_written(bed: EngineBed) -> None:
    def written(text: str, seconds: int) -> InboundMessage:
        return inbound(text, at=START, sent_at=START - timedelta(seconds=seconds))

    await bed.inbox.append([written("em Valinhos?", 1), written("vocês entregam", 5)])
    await drain(C1, bed.engine.drain)
    said = [one.text for one in await bed.store.conversations.transcript(C1)][:2]
    assert said == ["em Valinhos?", "vocês entregam"]
    head = await bed.store.conversations.load(C1)
    assert head is not None
    assert [one.text for one in head.window][:2] == ["vocês entregam", "em Valinhos?"]
    prompt = bed.model.requests[0].user
    assert prompt.index("vocês entregam") < prompt.index("em Valinhos?")
