"""Markdown of the models, as each channel shows it; everything else stays as it is written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.channels.web import LIMITS as WEB
from adapters.channels.whatsapp import LIMITS as WHATSAPP
from contracts.decisions import MessageTypeChoice
from contracts.messages import MessageType
from contracts.ports import ChannelLimits
from tests.builders import pyloto
from worker.replies.composer import MAX_PARTS, fit, to_markup

INSTITUTION = pyloto()

AS_WRITTEN = [
    "2 * 3 * 4",
    "2*3*4 = 24",
    "2**3 e 3**2",
    "snake_case_name e cod_1_x",
    "R$ 10,00* ou R$ 20,00*\n*sem a taxa",
    "#1 da fila, #entregas",
    "joao_da_silva_@exemplo.com.br",
    "@_pyloto_ no Instagram",
    "https://pyloto.com.br/_a_/b_c_?x=*y*&z=~~1~~",
    "pyloto.com.br/_fotos_/*todas*",
    "- um\n- dois\n  - três\n\n1. a\n2) b\n> citado",
    "* um\n* dois",
    "    recuado\n\n\tcom tab",
    "Temos:\n-\n- nada",
    "[1] veja a nota",
    "AT&amp;T <b>não</b> ~ 5 dias",
    "a | b\nc | d",
    "____",
    "---",
    "#",
]

CONVERTED = [
    ("**Horário:** 8h", "*Horário:* 8h", "Horário: 8h"),
    ("__Horário__ e *só isso* e _isto_", "*Horário* e _só isso_ e _isto_", "Horário e só isso e isto"),
    ("***muito*** ~~caro~~ `cod_1`", "_*muito*_ ~caro~ `cod_1`", "muito caro cod_1"),
    ("### Aviso\nFechado.", "*Aviso*\nFechado.", "Aviso\nFechado."),
    ("## **Aviso** importante ##", "*Aviso importante*", "Aviso importante"),
    ("Aviso\n=====\n\nFechado.", "*Aviso*\n\nFechado.", "Aviso\n\nFechado."),
    ("- **A**: x\n  - **B**", "- *A*: x\n  - *B*", "- A: x\n  - B"),
    ("1. **A**\n2. B", "1. *A*\n2. B", "1. A\n2. B"),
    ("> **A**", "> *A*", "> A"),
    ("[site](https://a.co/x_y_z)", "site: https://a.co/x_y_z", "site: https://a.co/x_y_z"),
    ("[https://a.co](https://a.co/)", "https://a.co", "https://a.co"),
    ("<https://a.co/x>", "https://a.co/x", "https://a.co/x"),
    ("[escreva](mailto:a_b@c.co)", "escreva: a_b@c.co", "escreva: a_b@c.co"),
    ("![foto](https://a.co/f.png)", "foto: https://a.co/f.png", "foto: https://a.co/f.png"),
    ("**[site](https://a.co)**", "*site: https://a.co*", "site: https://a.co"),
    ("**https://a.co/x_y**", "*https://a.co/x_y*", "https://a.co/x_y"),
    ("**a\nb**", "*a*\n*b*", "a\nb"),
    ("```python\nx_1 = 2\n```", "```\nx_1 = 2\n```", "x_1 = 2"),
    ("| a | **b** |\n|---|---|\n| 1 | 2 |", "a | *b*\n1 | 2", "a | b\n1 | 2"),
    ("um\n\n---\n\ndois", "um\n\n\ndois", "um\n\n\ndois"),
    (r"R\$ 10 \*sem taxa", "R$ 10 *sem taxa", "R$ 10 *sem taxa"),
]


@pytest.mark.parametrize("text", AS_WRITTEN)
@pytest.mark.parametrize("limits", [WHATSAPP, WEB])
def test_what_only_looks_like_markdown_stays_as_written(text: str, limits: ChannelLimits) -> None:
    assert to_markup(text, limits.markup) == text


@pytest.mark.parametrize(("text", "whatsapp", "web"), CONVERTED)
def test_markdown_becomes_what_the_channel_shows(text: str, whatsapp: str, web: str) -> None:
    assert to_markup(text, WHATSAPP.markup) == whatsapp
    assert to_markup(text, WEB.markup) == web


plain = st.text(st.characters(exclude_characters="*_~`#\\[]<>|=-", exclude_categories=["C", "Z"]), min_size=1)
lines = st.lists(st.lists(plain, min_size=1).map(" ".join), min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(lines.map("\n".join), st.sampled_from([WHATSAPP, WEB]))
def test_a_text_without_markup_passes_unchanged(text: str, limits: ChannelLimits) -> None:
    assert to_markup(text, limits.markup) == text


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab1 *_~`#\\[]()<>|=-\n.:/@!"), max_size=60), st.sampled_from([WHATSAPP, WEB]))
def test_words_are_never_lost(text: str, limits: ChannelLimits) -> None:
    letters = [character for character in text if character in "ab1"]
    shown = [character for character in to_markup(text, limits.markup) if character in "ab1"]
    # The language of a code block, and an address that the text of its link repeats, are not shown.
    if "```" not in text and "~~~" not in text and "](" not in text:
        assert shown == letters


addresses = st.lists(st.text("abz019-_.", min_size=1, max_size=40), min_size=1, max_size=8).map(
    lambda path: "https://pyloto.com.br/" + "/".join(path) + "/fim"
)
words = st.sampled_from(["entregas", "hoje.", "sim!", "e", "**Veja:**", "_agora_", "às 8h,"])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(words, addresses), min_size=1, max_size=300).map(" ".join),
    st.sampled_from(["TEXT", "BUTTON"]),
    st.integers(400, 900),
)
def test_no_address_is_broken(text: str, kind: str, room: int) -> None:
    limits = WHATSAPP.model_copy(update={"text": room, "button_body": 400})
    sent = fit(text, MessageTypeChoice(type=MessageType(kind)), ("Sim", "Não"), INSTITUTION, limits)
    shown = [word for message in sent for word in message.text.split()]
    written = [word for word in text.split() if word.startswith("https://")]
    addresses = [word.removesuffix("…") for word in shown if "://" in word or word.startswith("http")]
    # Of a text that is too long for `MAX_PARTS` messages the end is missing.
    assert addresses == written[: len(addresses)]
    assert len(sent) == MAX_PARTS or addresses == written


def test_titles_show_no_markup() -> None:
    (message,) = fit("Qual?", MessageTypeChoice(type=MessageType.BUTTON), ("**Sim**", "_Não_"), INSTITUTION, WHATSAPP)
    assert [option.title for option in message.buttons] == ["Sim", "Não"]


def test_marks_count_for_the_limits() -> None:
    (first, *_) = fit("**a** " * 900, MessageTypeChoice(type=MessageType.TEXT), (), INSTITUTION, WHATSAPP)
    assert first.text.startswith("*a* *a*")
    assert len(first.text) <= WHATSAPP.text
