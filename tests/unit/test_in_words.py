"""Replies in words, for platforms that refuse their form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.channels.whatsapp import LIMITS
from contracts.messages import ContactCard, Location, Media, MessageType, Option, OutboundMessage, Reaction, Template
from contracts.values import length
from worker.replies.composer import in_words

OPTIONS = (Option(id="1", title="Entregas", description="de moto"), Option(id="2", title="CRM"))
FILE = Media(link="https://pyloto.com.br/a.pdf")


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (OutboundMessage(type=MessageType.LIST, text="Qual?", rows=OPTIONS), "Qual?\n\n1. Entregas: de moto\n2. CRM"),
        (OutboundMessage(type=MessageType.BUTTON, text="Qual?", buttons=OPTIONS[1:]), "Qual?\n\n1. CRM"),
        (OutboundMessage(type=MessageType.DOCUMENT, text="Segue.", media=FILE), "Segue."),
        (OutboundMessage(type=MessageType.AUDIO, media=FILE), ""),
        (
            OutboundMessage(type=MessageType.LOCATION, location=Location(latitude=1, longitude=2, address="Rua A")),
            "Rua A",
        ),
        (OutboundMessage(type=MessageType.LOCATION, location=Location(latitude=1, longitude=2)), "1.0, 2.0"),
        (OutboundMessage(type=MessageType.CONTACT, contact=ContactCard(name="Ana", phone="+551")), "Ana\n+551"),
        (OutboundMessage(type=MessageType.TEMPLATE, template=Template(name="x", language="pt")), ""),
        (OutboundMessage(type=MessageType.REACTION, reaction=Reaction(platform_message_id="1", emoji="!")), ""),
        (OutboundMessage.of_text("Olá"), ""),
        (OutboundMessage(text="Olá", spoken=True), "Olá"),
    ],
)
def test_each_type_has_its_words(message: OutboundMessage, words: str) -> None:
    assert message.in_words == words


@given(st.text(min_size=1, max_size=6000))
def test_words_and_options_fit_into_one_text(text: str) -> None:
    message = in_words(OutboundMessage(type=MessageType.LIST, text=text, rows=OPTIONS), LIMITS)
    assert message.type is MessageType.TEXT
    assert length(message.text) <= LIMITS.text
    assert message.text.endswith("2. CRM")
