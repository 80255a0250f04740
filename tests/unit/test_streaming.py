"""A text out of JSON that is still being written, and where its sentences end."""

import asyncio
import itertools
from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.decisions import ResponseDraft
from contracts.guardrails import ReplyPart, text_of
from contracts.ports import LiveEvent
from contracts.values import TurnId
from worker.replies.judging import FormingReply, LiveText, sentence_ends


def part(text: str, says: str = "ask", sources: tuple[str, ...] = ()) -> dict[str, object]:
    return {"says": says, "from": sources, "text": text}


def answer(*parts: dict[str, object]) -> str:
    return orjson.dumps({"parts": parts}).decode()


texts = st.text(min_size=1, max_size=30)


@given(said=st.lists(texts, min_size=1, max_size=3), cuts=st.lists(st.integers(0, 400), max_size=12))
def test_whatever_the_pieces_the_text_only_grows_and_is_whole_in_the_end(said: list[str], cuts: list[int]) -> None:
    whole = answer(*map(part, said))
    text = ResponseDraft.model_validate_json(whole).text
    ends = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})
    forming, before = FormingReply(), ""
    for start, end in itertools.pairwise(ends):
        now = text_of(forming.add(whole[start:end]))
        assert now.startswith(before)
        assert text.startswith(now)
        before = now
    assert before == text


@pytest.mark.parametrize(
    "broken",
    [
        "not json",
        '["text"]',
        '{"parts": 7}',
        '{"other": "x"}',
        '{"parts" []}',
        '{"parts": [7]}',
        '{"parts": [{"says": "sing", "text": "x"}]}',
        "\x00",
        "}",
    ],
)
def test_what_is_no_such_object_has_no_text(broken: str) -> None:
    assert FormingReply().add(broken) == ()


def test_escapes_that_are_not_whole_wait_for_their_rest() -> None:
    forming = FormingReply()
    assert text_of(forming.add('{"parts":[{"says":"ask","from":[],"text":"Oi \\ud83d')) == "Oi "
    assert text_of(forming.add("\\ude00!")) == "Oi 😀!"


def test_sources_are_whole_before_the_text_begins() -> None:
    forming = FormingReply()
    assert forming.add('{"parts":[{"says":"inform","from":["intent.ho') == ()
    assert forming.add('urs"],"text":"Das')[0].sources == ("intent.hours",)


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


OPENING = '{"parts":[{"says":"ask","from":[],"text":'


async def told(
    pieces: list[str],
    *,
    forbidden: str | None = None,
    doubted: str | None = None,
    again: list[str] | None = None,
) -> list[dict[str, object]]:
    events: list[LiveEvent] = []

    async def publish(event: LiveEvent) -> None:
        events.append(event)

    def permits(parts: Sequence[ReplyPart]) -> bool:
        return forbidden is None or forbidden not in text_of(parts)

    async def clears(parts: Sequence[ReplyPart]) -> bool:
        await asyncio.sleep(0)
        return doubted is None or doubted not in text_of(parts)

    live = LiveText(TurnId("t"), permits=permits, clears=clears, publish=publish)
    for attempt in filter(None, [pieces, again]):
        live.begin()
        for piece in attempt:
            await live.on_token(piece)
            for _ in range(3):  # the judge answers before the next piece comes
                await asyncio.sleep(0)
        await live.end()
    assert {event.name for event in events} <= {"token"}
    assert all(event.number is None for event in events)
    return [event.data for event in events]


async def test_sentences_are_told_as_they_end() -> None:
    assert await told([OPENING + '"Oi! Tu', "do bem? Até ", 'logo"}]}']) == [
        {"turn": "t", "index": 0, "text": "Oi!"},
        {"turn": "t", "index": 1, "text": " Tudo bem?"},
        {"turn": "t", "index": 2, "text": " Até logo"},
    ]


async def test_from_the_first_finding_on_nothing_more_is_told() -> None:
    data = await told([OPENING + '"Oi! Custa 50 reais. ', 'Até logo. Tchau. "}]}'], forbidden="50 reais")
    assert [one["text"] for one in data] == ["Oi!"]


async def test_a_repeated_call_begins_anew() -> None:
    data = await told([OPENING + '"Oi! Tudo '], again=[OPENING + '"Bom dia! Tudo bem?"}]}'])
    assert [(one["index"], one["text"]) for one in data] == [
        (0, "Oi!"),
        (1, " Tudo "),
        (0, "Bom dia!"),
        (1, " Tudo bem?"),
    ]


async def test_the_end_of_a_part_ends_a_sentence() -> None:
    data = await told([answer(part("Certo"), part("Qual é a cidade?"))])
    assert [one["text"] for one in data] == ["Certo", " Qual é a cidade?"]


async def test_what_the_judge_doubts_is_not_shown() -> None:
    pieces = [OPENING + '"Oi! Está ', 'fechado. Até logo."}]}']
    assert [one["text"] for one in await told(pieces, doubted="fechado")] == ["Oi!"]
