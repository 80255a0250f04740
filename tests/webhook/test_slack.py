"""Slack: which events are a person speaking, what they say, and what leaves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from webhook_bed import START

from adapters.channels.slack import Slack
from adapters.channels.slack.inbound import SlackInbound
from adapters.channels.slack.outbound import SlackChannel, payload
from adapters.http.listener import listen
from cli.doctor import examine_channel
from cli.serving import server_of
from cli.settings import read_settings
from contracts.channels import Post, Received
from contracts.errors import ChannelAccountError, ChannelRefusedError, ChannelUnavailableError
from contracts.findings import Health
from contracts.messages import (
    Address,
    ChannelName,
    ContactCard,
    DeliveryState,
    InboundKind,
    Media,
    MessageType,
    Option,
    OutboundMessage,
)
from contracts.values import OutboxId
from sandbox.app import SandboxSettings, create_app
from sandbox.behaviour import PlatformBehaviour, ScriptedSend, SendFault
from sandbox.slack_api import SlackSandbox, chosen, event, signed
from tests.builders import engine_bed, inbound, open_backend, outbox_row, pyloto
from worker.drain import drain
from worker.outbox import flush


def received(content: Any, *, is_form: bool = False) -> Received:
    body, headers = signed(content, "agora", at=START.timestamp(), is_form=is_form)
    post = Post(body, [(name.encode(), value.encode()) for name, value in headers.items()])
    inbound = SlackInbound("agora", id_salt="salt")
    inbound.verify(post, at=START)
    return inbound.parse(post, at=START)


@pytest.mark.parametrize(
    ("content", "kind", "text"),
    [
        ({"text": "1 &lt; 2"}, InboundKind.TEXT, "1 < 2"),
        ({"text": "<@UBOT> veja <https://a.b/c|isto>"}, InboundKind.TEXT, "veja isto (https://a.b/c)"),
        ({"text": "<#C1|geral> <!here> <mailto:a@b.c|a@b.c>"}, InboundKind.TEXT, "#geral @here a@b.c"),
        (
            {
                "subtype": "file_share",
                "text": "isto",
                "files": [{"id": "F1", "mimetype": "image/png", "name": "a.png"}],
            },
            InboundKind.IMAGE,
            "isto",
        ),
        ({"subtype": "file_share", "files": [{"id": "F1", "mimetype": "application/pdf"}]}, InboundKind.DOCUMENT, ""),
    ],
)
def test_every_kind_of_message_is_read(content: dict[str, Any], kind: InboundKind, text: str) -> None:
    (read,) = received(event(**content)).messages
    assert (read.kind, read.text, read.is_recorded_only) == (kind, text, False)


def test_a_mention_comes_twice_and_has_one_key() -> None:
    words = {"channel": "C1", "channel_type": "channel", "text": "<@UBOT> Oi", "ts": "1790000000.1"}
    mention = received(event("Ev1", **words | {"type": "app_mention"})).messages[0]
    plain = received(event("Ev2", **words)).messages[0]
    assert mention.dedup_key == plain.dedup_key
    assert mention.address.person == "C1/1790000000.1"
    inside = received(event("Ev3", **words | {"ts": "1790000060.2", "thread_ts": "1790000000.1"})).messages[0]
    assert inside.conversation_id == mention.conversation_id


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ({"channel": "C1", "text": "entre nós"}, "not_mentioned"),
        ({"bot_id": "B1", "text": "x"}, "bot_message"),
        ({"user": "UBOT", "text": "x"}, "bot_message"),
        ({"subtype": "bot_message", "text": "x"}, "bot_message"),
        ({"subtype": "channel_join", "text": "x"}, "subtype"),
        ({"type": "reaction_added"}, "reaction_added"),
        ({"type": "hologram"}, "other"),
    ],
)
def test_what_is_no_person_speaking_to_us_is_counted(content: dict[str, Any], name: str) -> None:
    assert received(event(**content)) == Received(ignored=(name,))


def test_an_edit_a_deletion_and_an_unfurled_link() -> None:
    first = received(event(text="amanha", ts="1.1")).messages[0]
    before = {"user": "UANA", "ts": "1.1", "text": "amanha"}
    changed = {"subtype": "message_changed", "ts": "2.1", "previous_message": before}
    (edit,) = received(event(**changed, message=before | {"text": "amanhã"})).messages
    assert (edit.kind, edit.text, edit.revises) == (InboundKind.EDIT, "amanhã", first.id)
    assert received(event(**changed, message=before | {"attachments": []})).messages == ()
    (gone,) = received(event(subtype="message_deleted", ts="3.1", previous_message=before)).messages
    assert (gone.kind, gone.revises) == (InboundKind.REVOKE, first.id)


def test_a_button_is_a_choice_and_its_answer_shows_nothing() -> None:
    found = received(chosen("option-1", "Sábado"), is_form=True)
    (tap,) = found.messages
    assert (tap.kind, tap.text, tap.choice_id, found.answer) == (InboundKind.CHOICE, "Sábado", "option-1", "")
    assert tap.conversation_id == received(event(text="Oi")).messages[0].conversation_id


def test_what_it_has_no_form_for_goes_in_words() -> None:
    card = OutboundMessage(type=MessageType.CONTACT, contact=ContactCard(name="Rita & Cia", phone="+5541"))
    assert payload(card, "C1/1.1")["text"] == "Rita &amp; Cia\n+5541"
    file = OutboundMessage(type=MessageType.DOCUMENT, text="Veja", media=Media(link="https://a.b/c.pdf"))
    assert payload(file, "D1") == {"channel": "D1", "text": "Veja\nhttps://a.b/c.pdf", "unfurl_links": False}


@asynccontextmanager
async def sandboxed() -> AsyncIterator[tuple[str, SlackSandbox]]:
    app = create_app(SandboxSettings(institution=pyloto()))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        yield f"{url}/slack/api", app.state.platforms["slack"]


async def test_its_refusals_are_classed() -> None:
    async with sandboxed() as (url, double):
        channel = SlackChannel(url, "xoxb-t")
        row = outbox_row(ChannelName.SLACK, "C1/1.1")
        assert (await channel.send(row)).startswith("C1/")
        assert double.messages[0]["body"]["thread_ts"] == "1.1"
        expected = {429: timedelta(seconds=1), 500: None, 401: timedelta(minutes=5)}
        for code, pause in expected.items():
            double.behave(PlatformBehaviour(script=(ScriptedSend(code=code),)))
            with pytest.raises(ChannelUnavailableError) as caught:
                await channel.send(row)
            assert caught.value.retry_after == pause
            assert isinstance(caught.value, ChannelAccountError) is (code == 401)
        for code, in_any_form in {404: True, 400: False}.items():
            double.behave(PlatformBehaviour(script=(ScriptedSend(code=code),)))
            with pytest.raises(ChannelRefusedError) as refused:
                await channel.send(row)
            assert refused.value.in_any_form is in_any_form
        await channel.close()


async def test_the_doctor_asks_it() -> None:
    async with sandboxed() as (url, _):
        given = {"SLACK_SIGNING_SECRET": "s", "SLACK_BOT_TOKEN": "xoxb-t", "SLACK_API_URL": url}
        found = await examine_channel(Slack(), read_settings(given, env_file=None))
        assert (found.health, found.detail) == (Health.OK, "prosa in Prosa sandbox")
        wrong = await examine_channel(Slack(), read_settings(given | {"SLACK_BOT_TOKEN": "invalid"}, env_file=None))
        assert (wrong.health, wrong.detail) == (Health.FAILED, "the token is refused (invalid_auth)")


def test_options_are_blocks() -> None:
    options = (Option(id="option-1", title="Sim"), Option(id="option-2", title="Não"))
    buttons = payload(OutboundMessage(type=MessageType.BUTTON, text="Ok?", buttons=options), "D1")["blocks"]
    assert [one["type"] for one in buttons] == ["section", "actions"]
    assert [one["value"] for one in buttons[1]["elements"]] == ["option-1", "option-2"]
    listed = payload(OutboundMessage(type=MessageType.LIST, text="Ok?", rows=options, list_label="Ver"), "D1")["blocks"]
    assert listed[1]["elements"][0]["placeholder"]["text"] == "Ver"


@pytest.mark.parametrize("person", ["D1", "C1/1.1"])
async def test_a_send_whose_answer_was_lost_is_found_in_the_history_and_not_made_again(person: str) -> None:
    async with sandboxed() as (url, double), open_backend("memory", Path()) as (inbox, store):
        channel = SlackChannel(url, "xoxb-t")
        bed = engine_bed(inbox, store, channels={ChannelName.SLACK: channel})
        message = inbound().model_copy(update={"address": Address(channel="slack", account="T1", person=person)})
        await inbox.append([message])
        cut = PlatformBehaviour(script=(ScriptedSend(fault=SendFault.CUT_AFTER_ACCEPTING),))
        double.behave(cut)
        await drain(message.conversation_id, bed.engine.drain)
        (row,) = await store.outbox.unsent(message.conversation_id)
        bed.clock.move(timedelta(minutes=1))
        await flush(message.conversation_id, bed.engine.outbox)
        (sent,) = await store.outbox.rows(message.conversation_id)
        assert (sent.state, sent.platform_message_id) == (DeliveryState.SENT, f"{person[:2]}/1790000000.000001")
        assert len(double.messages) == 1
        assert await channel.find_sent(row.model_copy(update={"id": OutboxId("another")})) is None
        await channel.close()
