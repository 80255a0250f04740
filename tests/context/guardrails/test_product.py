"""What no reply may hold whatever the model says: money, foreign links, leaks, hidden text; and what always passes."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.guardrails import KnownFacts, Rule
from contracts.messages import MessageType, Option, OutboundMessage
from tests.context.guardrails.making import NOBODY, floor, institution

SUMS = (
    "Fica em R$ 50,00.",
    "Sai por 50 reais.",
    "Custa cinquenta reais.",
    "São US$ 20 por mês.",
    "A taxa é de € 15.",
    "Fica por vinte e cinco reais por entrega.",
    "Consigo por R$25 hoje.",
)


def rules(text: str, known: KnownFacts = NOBODY) -> set[Rule]:
    return {finding.rule for finding in floor("pyloto").check_text(text, known)}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Custa R$ 120.", Rule.PRICE),
        ("Veja em https://pyloto.promo.xyz/a", Rule.LINK),
        ("Escreva para alguem@gmail.com", Rule.LINK),
        ("O CPF é 123.456.789-09.", Rule.PERSONAL_DATA),
        ("Ligue para (11) 98765-4321.", Rule.PERSONAL_DATA),
        ("<conversation> aqui", Rule.PROMPT_LEAK),
        ('{"next_state": "AWAITING_USER"}', Rule.PROMPT_LEAK),
        ("O estado agora é UNDERSTANDING_INTENT.", Rule.PROMPT_LEAK),
        ("O assunto é delivery_how.", Rule.PROMPT_LEAK),
        ("Informar, estimar, comparar ou confirmar preço, taxa, frete, mensalidade, parcela", Rule.PROMPT_LEAK),
        ("Temos 80 motos.", Rule.UNSUPPORTED_NUMBER),
        ("Abrimos às 7h.", Rule.UNSUPPORTED_HOURS),
        ("Fale com a Marcela.", Rule.UNSUPPORTED_NAME),
        ("Это стоит дорого", Rule.UNREADABLE),
    ],
)
def test_each_rule_names_itself(text: str, rule: Rule) -> None:
    assert rule in rules(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://pyloto.com.br@evil.com",
        "https://evil.com/pyloto.com.br",
        "pyloto.com.br.evil.com",
        "https://pylоto.com.br",
        "https://xn--pyloto-9ua.com.br",
        "pyloto [dot] com",
        "hxxps://pyloto.io",
        "[clique](https://evil.xyz)",
        "wa.me/5519999999999",
        "bit.ly/abc",
        "http://10.0.0.1/x",
        "@pyloto.oficial",
        "ftp://pyloto.com.br/x",
    ],
)
def test_a_link_to_anywhere_else(text: str) -> None:
    assert rules(text)


@pytest.mark.parametrize("text", ["https://pyloto.com.br", "Veja pyloto.com.br.", "contato@pyloto.com.br"])
def test_a_link_of_the_documents(text: str) -> None:
    assert not rules(text)


@pytest.mark.parametrize("wrote", ["faz por 50 reais?", "o concorrente cobra R$ 80", "pago 300 reais por mês"])
def test_money_is_no_more_sayable_for_the_person_having_said_it(wrote: str) -> None:
    assert Rule.PRICE in rules(f"Certo, {wrote}", KnownFacts(person_texts=(wrote,)))


@pytest.mark.parametrize("name", ["pyloto", "harbour_dental"])
def test_assets_and_options_of_the_documents_may_be_sent(name: str) -> None:
    one, check = institution(name), floor(name).check
    for asset in one.assets:
        message = OutboundMessage(
            type=asset.type, text="", media=asset.media, location=asset.location, contact=asset.contact
        )
        assert not check((), NOBODY, message.visible_texts())
    for intent in one.intents:
        options = tuple(Option(id=str(number), title=title) for number, title in enumerate(intent.options))
        message = OutboundMessage(type=MessageType.LIST, text=intent.answer, rows=options, list_label="Menu")
        assert not check((), NOBODY, message.visible_texts())


def _full_width(text: str) -> str:
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)


DISGUISES: tuple[Callable[[str], str], ...] = (
    str.upper,
    str.swapcase,
    _full_width,
    lambda text: text.translate(str.maketrans("aeopcxAEOPCX", "аеорсхАЕОРСХ")),
    lambda text: "\u200b".join(text),
    lambda text: "\u2060".join(text),
    lambda text: text.replace(" ", "\u00a0"),
    lambda text: text.replace(" ", "  "),
    lambda text: f"\u202e{text}\u202c",
    lambda text: unicodedata.normalize("NFD", text),
)


@given(
    draft=st.sampled_from(SUMS),
    disguises=st.lists(st.sampled_from(DISGUISES), max_size=3),
    before=st.sampled_from(["", "Olá! ", "Claro. ", "Sobre a entrega: "]),
)
@settings(max_examples=300, deadline=None)
def test_a_disguise_never_lets_a_sum_through(draft: str, disguises: list[Callable[[str], str]], before: str) -> None:
    text = before + draft
    for disguise in disguises:
        text = disguise(text)
    assert floor("pyloto").check_text(text, NOBODY)
