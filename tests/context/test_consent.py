"""Words for leaving and coming back."""

import pytest

from tests.context.guardrails.making import institution
from worker.routing import ConsentWords

PYLOTO, HARBOUR = ConsentWords(institution("pyloto")), ConsentWords(institution("harbour_dental"))


@pytest.mark.parametrize(
    "text",
    ["PARAR", "parar!", " Parar. ", "por favor, parar", "Sair por favor", "cancelar inscricao", "ＳＡＩＲ", "stop"],
)
def test_the_whole_message_says_it(text: str) -> None:
    assert PYLOTO.is_opt_out(text)
    assert not PYLOTO.is_opt_in(text)


@pytest.mark.parametrize(
    "text", ["não quero parar a entrega", "onde posso parar o carro?", "vou sair às 18h", "", "parar parar", "a" * 500]
)
def test_a_message_that_contains_the_word(text: str) -> None:
    assert not PYLOTO.is_opt_out(text)


def test_the_way_back_and_the_other_language() -> None:
    assert PYLOTO.is_opt_in("Voltar, por favor!")
    assert HARBOUR.is_opt_out("Please stop")
    assert HARBOUR.is_opt_in("START")
    assert not HARBOUR.is_opt_out("parar")


def test_the_wish_for_the_assistant() -> None:
    assert PYLOTO.asks_for_assistant("Quero falar com o assistente, por favor")
    assert not PYLOTO.asks_for_assistant("não quero falar com o assistente")
    assert HARBOUR.asks_for_assistant("Talk to the bot!")
