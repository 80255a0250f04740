"""Long texts in a prompt: beginning and end are kept, signs stay whole, and the whole has a bound."""

import unicodedata
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.conversation import Conversation, Speaker, State, Utterance
from contracts.messages import ChannelName, InboundMessage
from contracts.values import MAX_SIGN, SHORTEST, ConversationId, kept_end, shortened
from prompts.request import (
    HISTORY_CHARACTERS,
    MESSAGE_CHARACTERS,
    MESSAGES_CHARACTERS,
    UTTERANCE_CHARACTERS,
    TurnView,
    conversation_json,
    with_questions,
)
from tests.builders import inbound, pyloto

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MARK = " characters left out …] "
SIGNS = ("a", "ã", "a\u0303", "👩‍👩‍👧", "🇧🇷", "👍🏽", "한", "\u1112\u1161\u11ab", "कि", " ", "\r\n")
PARTS = st.lists(st.sampled_from(SIGNS), min_size=1, max_size=12)


def content(*said: str, messages: tuple[InboundMessage, ...] = ()) -> dict[str, list[dict[str, str]]]:
    window = tuple(Utterance(speaker=Speaker.PERSON, text=text, at=AT) for text in said)
    view = TurnView(
        institution=pyloto(),
        conversation=Conversation(id=ConversationId("c"), state=State.UNDERSTANDING_INTENT, window=window),
        messages=messages or (inbound("Oi"),),
        channel=ChannelName.WEB,
        allowed_states=(State.PROCESSING,),
        askable_fields=(),
    )
    found: dict[str, list[dict[str, str]]] = orjson.loads(conversation_json(view))
    return found


@given(PARTS, st.integers(1, 900), st.integers(SHORTEST, 4_000))
def test_a_shortened_text_has_its_bound_and_its_end_and_no_sign_is_cut(
    parts: list[str], times: int, limit: int
) -> None:
    text = "".join(parts) * times
    short = shortened(text, limit)
    assert len(short) <= limit
    if len(text) <= limit:
        assert short == text
        return
    assert short.endswith(text[-kept_end(limit) :])
    head, tail = short.split(" [… ")[0], short.split(MARK)[1]
    left_out = int(short.split(" [… ")[1].split(MARK)[0])
    assert text.startswith(head)
    assert text.endswith(tail)
    assert left_out == len(text) - len(head) - len(tail)
    # Every begin of a sign is a sum of the lengths of signs.
    begins, position = {0}, 0
    for part in parts * times:
        position += len(part)
        begins.add(position)
    assert {len(head), len(text) - len(tail)} <= begins


@given(st.text(st.sampled_from("a\u0301\u0302"), min_size=4_001, max_size=6_000))
def test_a_letter_with_endless_marks_is_cut_and_the_bound_holds(text: str) -> None:
    short = shortened(text, 4_000)
    assert len(short) <= 4_000
    tail = short.split(MARK)[1]
    is_mark = unicodedata.category(tail[0]).startswith("M")
    assert not is_mark or all(
        unicodedata.category(one).startswith("M") for one in text[-len(tail) - MAX_SIGN : -len(tail)]
    )


@pytest.mark.parametrize("length", [8_001, 8_200, 20_000])
def test_the_model_reads_a_question_at_the_end_of_a_long_message(length: int) -> None:
    text = ("Segue o histórico. " * 1_200)[:length] + " que horas abre?"
    for found in (content(messages=(inbound(text),))["messages"][0], content(text)["history"][0]):
        assert found["text"].startswith("Segue o histórico.")
        assert found["text"].endswith(" que horas abre?")
        assert MARK in found["text"]


@pytest.mark.parametrize("before", [4_100, 9_500])
@pytest.mark.parametrize(
    "asked", ["que horas abre?", "👩\u200d👧 e vocês abrem no sábado?", "a\u0301 que horas fecha?"]
)
def test_the_model_reads_a_question_in_the_middle_of_a_long_message(before: int, asked: str) -> None:
    filler = "Segue o histórico da conversa. " * 700
    found = content(messages=(inbound(f"{filler[:before]}. {asked} {filler[:9_500]}"),))["messages"][0]["text"]
    assert asked in found
    assert len(found) <= MESSAGE_CHARACTERS


@given(PARTS, st.integers(1, 900), st.integers(SHORTEST, 4_000))
def test_questions_are_kept_within_the_bound(parts: list[str], times: int, limit: int) -> None:
    for text in ("".join(parts) * times, f"{''.join(parts) * times}? Isso? " * 9):
        kept = with_questions(text, limit)
        assert len(kept) <= limit
        assert kept == text or MARK.strip() in kept


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=30))
def test_history_and_messages_are_bounded_and_the_newest_are_kept(lengths: list[int]) -> None:
    texts = [f"{index}:".ljust(length, "x") for index, length in enumerate(lengths)]
    found = content(*texts, messages=tuple(inbound(text) for text in texts))
    history, messages = [one["text"] for one in found["history"]], [one["text"] for one in found["messages"]]
    assert sum(map(len, history)) <= HISTORY_CHARACTERS
    assert sum(map(len, messages)) <= MESSAGES_CHARACTERS
    assert all(len(text) <= UTTERANCE_CHARACTERS for text in history)
    assert all(len(text) <= MESSAGE_CHARACTERS for text in messages)
    newest = texts[-len(messages) :]
    assert [text.split(":")[0] for text in messages] == [text.split(":")[0] for text in newest]
    assert found.get("earlier_messages_left_out", 0) == len(texts) - len(messages)
    assert history[-1].split(":")[0] == str(len(texts) - 1)
    if all(length <= UTTERANCE_CHARACTERS for length in lengths) and sum(lengths) <= MESSAGES_CHARACTERS:
        assert messages == texts
        assert history == texts[-12:]
