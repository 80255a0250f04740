"""Two automatons do not talk for ever: repetition, speed, one hand-off, silence; and people are not taken for one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.conversation import Conversation, State
from contracts.institution import FixedText
from contracts.messages import InboundKind
from contracts.turn import TurnReason
from tests.builders import (
    SteppingClock,
    conversation_id,
    decision,
    engine_bed,
    inbound,
    memory_inbox,
    memory_store,
    open_backend,
    pyloto,
    response,
    scripted,
)
from worker.automatons import CHARACTERS_A_SECOND, FAST
from worker.drain import drain

C1 = conversation_id()
AWAY = "Olá! Agradecemos o contato. No momento não podemos responder, retornaremos em breve."
CHANGING = (
    "Thank you for calling! Ticket #{n} was opened at 10:{n:02} AM. We will answer within {n} hours.",
    "Obrigado pelo contato!{dots} São {n:02}h{n:02} e o seu protocolo é {n}-A{n}. Um atendente responderá em breve.",
    "Out of office until {n:02}/12. For urgent matters write to the help desk, please.",
    "PROTOCOLO {n}: sua mensagem foi recebida às {n:02}:{n:02}; aguarde o nosso retorno",
)
WORDS = [
    "caixa",
    "horário",
    "bairro",
    "moto",
    "pedido",
    "loja",
    "rua",
    "portão",
    "chave",
    "recibo",
    "nota",
    "cliente",
    "viagem",
    "preço",
    "prazo",
    "retirada",
    "galpão",
    "balcão",
    "fornecedor",
    "remessa",
    "etiqueta",
    "balança",
    "motorista",
    "janela",
    "agenda",
    "feriado",
    "sábado",
    "volume",
    "contrato",
    "proposta",
]


@dataclass
class Played:
    """How often the person was answered and handed over, and the last head."""

    replies: int
    handed_over: int
    head: Conversation


async def play(texts: Sequence[str], pauses: Sequence[timedelta], *, concludes: bool = False) -> Played:
    """Write each text after its pause, in a conversation of its own; `concludes` ends it with every reply."""
    answer = decision(next_state="COMPLETED", intent="goodbye") if concludes else decision()
    bed = engine_bed(memory_inbox(), memory_store(), model=scripted(state=answer), clock=SteppingClock())
    for text, pause in zip(texts, pauses, strict=True):
        bed.clock.move(pause)
        await bed.inbox.append([inbound(text, at=bed.clock.now(), sent_at=bed.clock.now())])
        await drain(C1, bed.engine.drain)
    head = await bed.store.conversations.load(C1)
    assert head
    turns = await bed.store.conversations.turns(C1)
    moves = await bed.store.conversations.transitions(C1)
    handed_over = sum(move.dest is State.ESCALATING for move in moves)
    return Played(sum(bool(turn.replies) for turn in turns), handed_over, head)


def every(pause: float, count: int) -> list[timedelta]:
    return [timedelta(seconds=pause)] * count


@given(
    text=st.sampled_from((AWAY, *CHANGING)),
    pauses=st.lists(st.floats(0.5, 900), min_size=30, max_size=30),
    concludes=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_the_same_text_again_and_again_ends_in_one_hand_off(text: str, pauses: list[float], concludes: bool) -> None:
    """At any pace where it is the same to the letter, faster than it is written where it changes."""
    texts = ["Oi", *(text.format(n=n + 3, dots="." * (n % 3)) for n in range(29))]
    if text != AWAY:
        pauses = [min(pause, len(text) / CHARACTERS_A_SECOND) for pause, text in zip(pauses, texts, strict=True)]
    played = asyncio.run(play(texts, [timedelta(seconds=pause) for pause in pauses], concludes=concludes))
    assert played.replies <= 12
    assert (played.handed_over, played.head.state) == (1, State.ESCALATING)


@given(
    texts=st.lists(st.lists(st.sampled_from(WORDS), min_size=4, max_size=12), min_size=30, max_size=30),
    pauses=st.lists(st.floats(0, FAST.total_seconds()), min_size=30, max_size=30),
)
@settings(max_examples=25, deadline=None)
def test_answers_within_seconds_round_after_round_end_in_one_hand_off(
    texts: list[list[str]], pauses: list[float]
) -> None:
    played = asyncio.run(play([" ".join(words) for words in texts], [timedelta(seconds=pause) for pause in pauses]))
    assert played.replies <= 20
    assert played.handed_over == 1


QUEUE = "Obrigado pela mensagem. Você é o número {n} da fila de atendimento da Loja X."


@pytest.mark.parametrize(
    "texts",
    [
        [QUEUE.format(n=word) for word in ("um", "dois", "três", "quatro", "cinco", "seis", "sete") * 3],
        [QUEUE.format(n=f"{n} às {n:02}:{n * 7 % 60:02}") for n in range(21)],
        [f"{'😀😃😄'[n % 3] * (1 + n % 2)} {AWAY.replace('!', '!' * (n % 3))}" for n in range(21)],
        [(AWAY, QUEUE, "Opção inválida: digite 1, 2 ou 3 para continuar.")[n % 3] for n in range(21)],
    ],
    ids=["words", "times", "signs", "three in turn"],
)
@pytest.mark.parametrize("pause", [9, 240])
async def test_an_announcement_that_changes_a_little_ends_at_any_pace(texts: list[str], pause: float) -> None:
    played = await play(["Oi", *texts], every(pause, 22))
    assert (played.handed_over, played.head.state) == (1, State.ESCALATING)
    assert played.replies <= 13


async def test_a_person_in_a_hurry_who_asks_again_is_answered() -> None:
    texts = ["oi", "tem entrega hoje?", "alo", "tem hoje??", "responde", "oi", "tem alguém?", "ok", "ok", "sim", "kkk"]
    played = await play(texts, every(2.5, len(texts)))
    assert (played.handed_over, played.replies) == (0, len(texts))


async def test_an_echo_of_every_reply_ends_in_one_hand_off() -> None:
    """Whatever our replies say, the other side gives the last one back."""
    replies = [response(f"Como posso ajudar com {' '.join(WORDS[n : n + 4])}?") for n in range(16)]
    bed = engine_bed(memory_inbox(), memory_store(), model=scripted(text=cycle(replies)), clock=SteppingClock())
    said = "Quero falar de uma entrega de amanhã, por favor"
    for _ in range(20):
        bed.clock.move(timedelta(seconds=20))
        await bed.inbox.append([inbound(said, at=bed.clock.now(), sent_at=bed.clock.now())])
        await drain(C1, bed.engine.drain)
        turns = await bed.store.conversations.turns(C1)
        said = f"{turns[-1].replies[-1].text} " if turns[-1].replies else said
    head = await bed.store.conversations.load(C1)
    assert head
    assert (sum(bool(turn.replies) for turn in turns) <= 12, head.state) == (True, State.ESCALATING)


async def test_one_question_with_another_number_each_time_is_a_person_s_at_a_person_s_pace() -> None:
    texts = [f"Qual o prazo da entrega do pedido {number}, por favor?" for number in range(40)]
    played = await play(texts, every(8, 40))
    assert (played.handed_over, played.replies) == (0, 40)


@given(
    texts=st.lists(
        st.one_of(
            st.lists(st.sampled_from(WORDS), min_size=5, max_size=9, unique=True).map(" ".join),
            st.sampled_from(["ok", "sim", "Sim!", "não", "yes", "thanks", "👍", "3"]),
        ),
        min_size=5,
        max_size=25,
    ),
    pauses=st.lists(st.floats(6, 300), min_size=25, max_size=25),
)
@settings(max_examples=25, deadline=None)
def test_a_person_who_takes_their_time_is_not_an_automaton(texts: list[str], pauses: list[float]) -> None:
    """Short words come again and again; two longer texts in a row are never the same here."""
    longer = [text for text in texts if " " in text]
    if len(texts) - len(longer) > 12 or len({*longer}) < len(longer):
        return
    played = asyncio.run(play(texts, [timedelta(seconds=pause) for pause in pauses[: len(texts)]]))
    assert (played.handed_over, played.replies) == (0, len(texts))


@pytest.mark.parametrize("word", ["ok", "sim", "Sim.", "👍", "thank you"])
@pytest.mark.parametrize("pause", [1.0, 20.0])
async def test_several_short_words_are_not_one(word: str, pause: float) -> None:
    played = await play(["Quero uma entrega", *[word] * 12], every(pause, 13))
    assert (played.handed_over, played.replies) == (0, 13)


async def test_a_short_word_for_ever_is_one() -> None:
    played = await play(["ok"] * 60, every(30, 60))
    assert (played.handed_over, played.head.state) == (1, State.ESCALATING)
    assert played.replies <= 20


async def test_one_slow_new_text_begins_the_count_again() -> None:
    texts = [AWAY] * 8 + ["Oi, agora sou eu, a Ana da loja"] + [AWAY] * 8
    assert (await play(texts, every(2, 8) + every(60, 1) + every(2, 8))).handed_over == 0


async def test_a_head_of_an_older_release_begins_at_zero_and_an_older_one_reads_past_it() -> None:
    head = (await play([AWAY] * 4, every(2, 4))).head
    assert head.automaton_points > 0
    stored = head.model_dump(mode="json")
    assert Conversation.model_validate(stored | {"a_field_to_come": 1}) == head
    del stored["automaton_points"]
    assert Conversation.model_validate(stored).automaton_points == 0
    assert "automaton_points" not in Conversation(id=C1).model_dump(mode="json")


async def test_silence_lasts_until_the_team_hands_the_conversation_back(tmp_path: Path) -> None:
    async with open_backend("sqlite", tmp_path) as (inbox, store):
        bed = engine_bed(inbox, store)

        async def say(text: str, pause: timedelta) -> str:
            bed.clock.move(pause)
            await bed.inbox.append([inbound(text, at=bed.clock.now(), sent_at=bed.clock.now())])
            await drain(C1, bed.engine.drain)
            return (await bed.store.conversations.turns(C1))[-1].reason

        for _ in range(12):
            reason = await say(AWAY, timedelta(seconds=2))
        assert reason == TurnReason.AUTOMATON
        assert bed.channel.accepted[-1].message.text == pyloto().text(FixedText.ESCALATED)
        sends = len(bed.channel.accepted)
        assert await say(AWAY, timedelta(hours=1)) == TurnReason.AUTOMATON
        assert await say("Um texto novo, horas depois de tudo", timedelta(hours=1)) == TurnReason.AUTOMATON
        assert len(bed.channel.accepted) == sends
        await bed.engine.operators.agents.hand_back(C1, agent="ana")
        assert await say("Oi, aqui é a Ana, posso perguntar?", timedelta(minutes=5)) == TurnReason.DECIDED


async def test_photos_in_a_row_are_no_rounds() -> None:
    bed = engine_bed(memory_inbox(), memory_store())
    for _ in range(35):
        bed.clock.move(timedelta(seconds=2))
        image = inbound("", kind=InboundKind.IMAGE, at=bed.clock.now(), sent_at=bed.clock.now())
        await bed.inbox.append([image])
        await drain(C1, bed.engine.drain)
    head = await bed.store.conversations.load(C1)
    assert head
    assert (head.automaton_points, head.state) == (0, State.AWAITING_USER)
    assert [row.message.text for row in bed.channel.accepted] == [pyloto().text(FixedText.UNREADABLE)]
