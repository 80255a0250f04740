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


@pytest.mark.parametrize(
    "text",
    [
        "quero voltar para o robô",
        "Quero voltar pro robô!",
        "quero voltar a falar com o robô",
        "posso falar com o assistente de novo?",
        "oi, prefiro falar com o bot, por favor",
        "voltar para o assistente virtual",
        "quero o robô de volta",
        "me volta pro bot",
        "volta o robô",
        "falar com a IA",
        "I want to go back to the bot",
        "I'd like to talk to the assistant again",
        "Can I talk to the bot, please?",
        "I would rather chat with the AI assistant",
        "let me speak to the robot",
        "back to the bot",
        "bring back the bot",
        "quiero volver al asistente",
        "puedo hablar con el robot otra vez",
    ],
)
def test_the_wish_for_the_assistant_in_own_words(text: str) -> None:
    assert PYLOTO.asks_for_assistant(text)
    assert HARBOUR.asks_for_assistant(text)


@pytest.mark.parametrize(
    "text",
    [
        "não quero falar com o robô",
        "I don't want to talk to the bot",
        "quero falar com uma assistente",
        "quero falar com a assistente",
        "falar com assistente",
        "I want to talk to an assistant",
        "o robô",
        "the bot",
        "o assistente não entendeu",
        "o robô quebrou de novo",
        "quero voltar amanhã",
        "posso voltar para a clínica?",
        "vocês vendem robô?",
        "quero comprar o robô",
        "quero o robô",
        "can you fix the robot",
        "é o robô que responde?",
        "chega de robô",
        "quero " * 60 + "o bot não",
    ],
)
def test_other_words_about_the_assistant_or_a_person(text: str) -> None:
    assert not PYLOTO.asks_for_assistant(text)
