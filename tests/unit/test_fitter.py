"""The fitter: whatever the two tasks say, nothing leaves that breaks a limit of the platform."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.channels.web import LIMITS as WEB
from adapters.channels.whatsapp import LIMITS as WHATSAPP
from contracts.decisions import MessageTypeChoice
from contracts.messages import MessageType, OutboundMessage
from contracts.ports import ChannelLimits
from contracts.values import length
from tests.builders import pyloto
from worker.replies.composer import MAX_PARTS, fit

PLAIN = ChannelLimits(types=frozenset({MessageType.TEXT}), text=160)
CHANNELS = (WHATSAPP, WEB, PLAIN)
INSTITUTION = pyloto()


def assert_within(message: OutboundMessage, limits: ChannelLimits) -> None:
    assert message.type in limits.types
    if message.type is MessageType.TEXT:
        assert 1 <= length(message.text) <= limits.text
    if message.type is MessageType.BUTTON:
        assert 1 <= len(message.buttons) <= limits.buttons
        assert 1 <= length(message.text) <= limits.button_body
        assert all(1 <= length(option.title) <= limits.button_title for option in message.buttons)
    if message.type is MessageType.LIST:
        assert 1 <= len(message.rows) <= limits.rows
        assert 1 <= length(message.text) <= limits.list_body
        assert all(1 <= length(option.title) <= limits.row_title for option in message.rows)
        assert 1 <= length(message.list_label) <= limits.list_label
    options = message.options
    assert len({option.id for option in options}) == len(options)
    assert len({option.title.casefold() for option in options}) == len(options)


texts = st.one_of(
    st.text(min_size=1, max_size=200),
    st.builds(lambda word, times: (word + " ") * times, st.text(min_size=1, max_size=12), st.integers(1, 3000)),
    st.builds(
        lambda word, times: word * times, st.sampled_from(["a", "ç", "🏍️", "Olá. ", "fim!\n"]), st.integers(1, 6000)
    ),
)
choices = st.builds(
    MessageTypeChoice,
    type=st.sampled_from(MessageType),
    asset=st.sampled_from([None, "nowhere", *(asset.id for asset in INSTITUTION.assets)]),
    list_label=st.text(max_size=60),
)


@settings(max_examples=300, deadline=None)
@given(texts, choices, st.lists(st.text(max_size=60), max_size=14), st.sampled_from(CHANNELS))
def test_nothing_breaks_a_limit(text: str, choice: MessageTypeChoice, titles: list[str], limits: ChannelLimits) -> None:
    messages = fit(text, choice, titles, INSTITUTION, limits)
    for message in messages:
        assert_within(message, limits)
    assert len(messages) <= MAX_PARTS + 1


def fitted(text: str, kind: str = "TEXT", titles: tuple[str, ...] = (), limits: ChannelLimits = WHATSAPP) -> tuple:  # type: ignore[type-arg]
    return fit(text, MessageTypeChoice(type=MessageType(kind)), titles, INSTITUTION, limits)


def test_three_short_options_are_buttons_with_unique_ids() -> None:
    (message,) = fitted("Qual?", "BUTTON", ("Entregas", "Serviços", "CRM"))
    assert message.type is MessageType.BUTTON
    assert [option.title for option in message.buttons] == ["Entregas", "Serviços", "CRM"]
    assert len({option.id for option in message.buttons}) == 3


def test_buttons_that_do_not_fit_become_a_list() -> None:
    four = ("Entregas", "Serviços", "CRM", "Outro")
    assert fitted("Qual?", "BUTTON", four)[0].type is MessageType.LIST
    assert fitted("Qual?", "BUTTON", ("Falar com a equipe agora",))[0].type is MessageType.LIST


def test_a_list_that_does_not_fit_becomes_numbered_text() -> None:
    titles = tuple(f"Opção {number}" for number in range(12))
    (message,) = fitted("Qual?", "LIST", titles)
    assert message.type is MessageType.TEXT
    assert message.text.startswith("Qual?\n\n1. Opção 0\n2. Opção 1")
    (message,) = fitted("Qual?", "LIST", ("um título que é longo demais para uma linha",))
    assert message.text == "Qual?\n\n1. um título que é longo demais para uma linha"


def test_options_that_say_the_same_are_one() -> None:
    (message,) = fitted("Qual?", "BUTTON", ("Sim", "sim ", "Não", ""))
    assert [option.title for option in message.buttons] == ["Sim", "Não"]


def test_a_title_holds_no_sign_that_turns_its_direction() -> None:
    (reply,) = fitted("Ok?", "BUTTON", ("\u202eoãN\u202c", "Sim\u2066"))
    assert [option.title for option in reply.buttons] == ["oãN", "Sim"]


def test_options_are_shown_even_when_plain_text_was_chosen() -> None:
    assert fitted("Qual?", "TEXT", ("Sim", "Não"))[0].type is MessageType.BUTTON


def test_a_long_text_is_split_between_sentences_and_nothing_is_lost() -> None:
    sentences = [f"Esta é a frase de número {number}." for number in range(300)]
    messages = fitted(" ".join(sentences))
    assert len(messages) == 3
    assert all(message.text.endswith(".") for message in messages)
    assert " ".join(message.text for message in messages) == " ".join(sentences)


def test_a_text_without_an_end_is_shortened() -> None:
    messages = fitted("palavra " * 5_000)
    assert len(messages) == MAX_PARTS
    assert messages[-1].text.endswith("…")


def test_a_body_too_long_for_buttons_puts_the_rest_before_them() -> None:
    text = "Uma frase que conta alguma coisa. " * 60
    *before, last = fitted(text, "BUTTON", ("Sim", "Não"))
    assert [message.type for message in before] == [MessageType.TEXT]
    assert last.type is MessageType.BUTTON
    assert length(last.text) <= WHATSAPP.button_body


def test_an_asset_goes_with_the_words() -> None:
    location = next(asset for asset in INSTITUTION.assets if asset.type is MessageType.LOCATION)
    choice = MessageTypeChoice(type=MessageType.LOCATION, asset=location.id)
    words, place = fit("Ficamos aqui.", choice, (), INSTITUTION, WHATSAPP)
    assert (words.type, words.text) == (MessageType.TEXT, "Ficamos aqui.")
    assert (place.type, place.location) == (MessageType.LOCATION, location.location)


def test_an_asset_that_does_not_exist_leaves_the_words() -> None:
    choice = MessageTypeChoice(type=MessageType.DOCUMENT, asset="nowhere")
    (message,) = fit("Segue.", choice, (), INSTITUTION, WHATSAPP)
    assert (message.type, message.text) == (MessageType.TEXT, "Segue.")


def test_control_characters_do_not_reach_a_person() -> None:
    (message,) = fitted("Olá\x00\x07,\n\n\n\ntudo bem?\u202e  ")
    assert message.text == "Olá,\n\ntudo bem?"


SPACES = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Zs"]


@pytest.mark.parametrize("space", [*SPACES, "\t"], ids=lambda space: f"{ord(space):04x}")
def test_a_space_of_any_width_is_a_space(space: str) -> None:
    (message,) = fitted(f"Claro!{space}Sobre qual delas?")
    assert message.text == "Claro! Sobre qual delas?"


@pytest.mark.parametrize("end", ["\r\n", "\r", "\u2028", "\u2029", "\x85"], ids=ascii)
def test_a_line_end_of_any_kind_is_a_line_end(end: str) -> None:
    (message,) = fitted(f"Claro!{end}Sobre qual delas?")
    assert message.text == "Claro!\nSobre qual delas?"


SIGNS = [
    "\U0001f469\u200d\u2695\ufe0f",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0001f3f3\ufe0f\u200d\U0001f308",
    "\U0001f44d\U0001f3fd",
    "\U0001f469\U0001f3ff\u200d\U0001f680",
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "1\ufe0f\u20e3",
    "\U0001f1e7\U0001f1f7",
]


@pytest.mark.parametrize("sign", [*SIGNS, "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"], ids=ascii)
def test_a_sign_of_several_characters_arrives_whole(sign: str) -> None:
    (message,) = fitted(f"Oi! {sign} Em que posso ajudar?")
    assert message.text == f"Oi! {sign} Em que posso ajudar?"


@pytest.mark.parametrize("sign", SIGNS[:6], ids=ascii)
def test_a_title_is_not_cut_within_a_sign(sign: str) -> None:
    for before in range(14, 22):
        (message,) = fitted("Qual delas?", "LIST", ("a" * before + sign + "b" * 9, "Outra", "Mais uma", "E outra"))
        titles = [option.title for option in message.options] or message.text.splitlines()
        for title in titles:
            rest = title.partition("a" * before)[2]
            assert rest.rstrip("b…") in ("", sign) or not title.startswith("a"), ascii(title)


def test_a_joiner_that_joins_nothing_does_not_hide_a_word() -> None:
    (message,) = fitted("o pre\u200d\u00e7o \u200d e o p\u200dre\u200cço \u200b!")
    assert "\u200d" not in message.text
    assert "\u200c" not in message.text
