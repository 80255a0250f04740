"""A text out of JSON that is still being written, and where its sentences end."""

import itertools

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.ports import LiveEvent
from contracts.values import TurnId
from prompts.execution.streaming import FormingText, sentence_ends
from worker.live_reply import LiveText


@given(text=st.text(max_size=60), cuts=st.lists(st.integers(0, 400), max_size=12))
def test_whatever_the_pieces_the_text_only_grows_and_is_whole_in_the_end(text: str, cuts: list[int]) -> None:
    whole = orjson.dumps({"text": text}).decode()
    ends = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})
    forming, before = FormingText("text"), ""
    for start, end in itertools.pairwise(ends):
        now = forming.add(whole[start:end])
        assert now.startswith(before)
        assert text.startswith(now)
        before = now
    assert before == text


@pytest.mark.parametrize(
    "broken", ["not json", '["text"]', '{"text": 7}', '{"other": "x"}', '{"text" "x"}', "\x00", "}"]
)
def test_what_is_no_such_object_has_no_text(broken: str) -> None:
    assert FormingText("text").add(broken) == ""


def test_escapes_that_are_not_whole_wait_for_their_rest() -> None:
    forming = FormingText("text")
    assert forming.add('{"text":"Oi \\ud83d') == "Oi "
    assert forming.add("\\ude00!") == "Oi 😀!"


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", ""),
        ("Oi", ""),
        ("Oi.", ""),
        ("Oi. ", "Oi."),
        ("Custa R$ 1.", ""),
        ("Custa R$ 1.500 hoje", ""),
        ("Tudo bem? Sim", "Tudo bem?"),
        ('Ele disse "oi!" e saiu. Depois', 'Ele disse "oi!" e saiu.'),
        ("linha\noutra", "linha\n"),
        ("Olá… tudo", "Olá…"),
    ],
)
def test_a_sentence_has_ended_when_something_follows_it(text: str, whole: str) -> None:
    assert text[: (sentence_ends(text) or [0])[-1]] == whole


async def told(
    pieces: list[str], *, forbidden: str | None = None, again: list[str] | None = None
) -> list[dict[str, object]]:
    events: list[LiveEvent] = []

    async def publish(event: LiveEvent) -> None:
        events.append(event)

    live = LiveText(TurnId("t"), permits=lambda text: forbidden is None or forbidden not in text, publish=publish)
    for attempt in filter(None, [pieces, again]):
        live.begin()
        for piece in attempt:
            await live.on_token(piece)
        await live.end()
    assert {event.name for event in events} <= {"token"}
    assert all(event.number is None for event in events)
    return [event.data for event in events]


async def test_sentences_are_told_as_they_end() -> None:
    assert await told(['{"text":"Oi! Tu', "do bem? Até ", 'logo"}']) == [
        {"turn": "t", "index": 0, "text": "Oi!"},
        {"turn": "t", "index": 1, "text": " Tudo bem?"},
        {"turn": "t", "index": 2, "text": " Até logo"},
    ]


async def test_from_the_first_finding_on_nothing_more_is_told() -> None:
    data = await told(['{"text":"Oi! Custa 50 reais. ', 'Até logo. Tchau. "}'], forbidden="50 reais")
    assert [one["text"] for one in data] == ["Oi!"]


async def test_a_repeated_call_begins_anew() -> None:
    data = await told(['{"text":"Oi! Tudo '], again=['{"text":"Bom dia! Tudo bem?"}'])
    assert [(one["index"], one["text"]) for one in data] == [
        (0, "Oi!"),
        (1, " Tudo "),
        (0, "Bom dia!"),
        (1, " Tudo bem?"),
    ]
