"""Sentences end where a reader ends them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from context.guardrails.sentences import LONGEST_SENTENCE, folded, seen, sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Olá! Tudo bem? Sim.", ["Olá!", "Tudo bem?", "Sim."]),
        ("We open at 9 a.m. on Monday.", ["We open at 9 a.m. on Monday."]),
        ("Fica na Av. Brasil, 10. Até logo.", ["Fica na Av. Brasil, 10.", "Até logo."]),
        ("Leva 12 kg. Mais?", ["Leva 12 kg.", "Mais?"]),
        ("1. Nome\n2. Cidade", ["1. Nome", "2. Cidade"]),
        ("Escolha: 1\ufe0f\u20e3 Nome 2\ufe0f\u20e3 Cidade", ["Escolha:", "1. Nome", "2. Cidade"]),
        ("*1.* Nome\n*2.* Cidade", ["1. Nome", "2. Cidade"]),
        ("Pode (1) levar (2) buscar", ["Pode", "1. levar", "2. buscar"]),
        ("\u2460 Nome \u2461 Cidade", ["1. Nome", "2. Cidade"]),
        ("1 - Nome\n2 - Cidade", ["1. Nome", "2. Cidade"]),
        ("8 - 18h\n9 - 12h", ["8 - 18h", "9 - 12h"]),
        ("Veja pyloto.com.br agora", ["Veja pyloto.com.br agora"]),
        ("um\n\ndois", ["um", "dois"]),
        ('Ele disse "sim." Depois saiu.', ['Ele disse "sim."', "Depois saiu."]),
        ("", []),
    ],
)
def test_examples(text: str, expected: list[str]) -> None:
    assert list(sentences(text)) == expected


@given(st.text())
def test_a_line_end_always_ends_one(text: str) -> None:
    assert list(sentences(f"{text}\n{text}")) == [*sentences(text), *sentences(text)]


@given(st.text())
def test_folding_keeps_positions(text: str) -> None:
    assert len(folded(text)) == len(text)
    assert seen(seen(text)) == seen(text)


@given(
    st.lists(st.sampled_from(["1", "2", "3", "\u20e3", "\ufe0f", "(", ")", " ", "\n", "*", ".", "a", "\u2460", "-"]))
)
def test_the_numbers_of_a_list_are_seen_once(pieces: list[str]) -> None:
    text = seen("".join(pieces))
    assert seen(text) == text


def test_an_endless_one_is_cut_at_blanks() -> None:
    pieces = list(sentences("palavra " * 1_000))
    assert all(len(piece) <= LONGEST_SENTENCE for piece in pieces)
    assert " ".join(pieces) == ("palavra " * 1_000).strip()
