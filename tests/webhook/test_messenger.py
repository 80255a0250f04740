"""Messenger and Instagram: every documented event, echoes and standby, what leaves, and its refusals."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import orjson
import pytest
from webhook_bed import START

from adapters.channels.messenger import Instagram, Messenger
from adapters.channels.messenger.inbound import MessengerInbound
from adapters.channels.messenger.outbound import MessengerChannel, payload
from adapters.http.listener import listen
from cli.doctor import examine_channel
from cli.serving import server_of
from cli.settings import read_settings
from contracts.channels import Post, Received
from contracts.errors import ChannelRefusedError, ChannelUnavailableError
from contracts.findings import Health
from contracts.messages import (
    ChannelName,
    DeliveryState,
    InboundKind,
    Location,
    Media,
    MessageType,
    Option,
    OutboundMessage,
)
from sandbox.app import SandboxSettings, create_app
from sandbox.behaviour import PlatformBehaviour, ScriptedSend
from sandbox.messenger_api import MessengerSandbox, echo, envelope, event
from tests.builders import outbox_row, pyloto

ANA, INSTAGRAM = "2000007", Instagram.name


def received(*events: Any, key: str = "messaging") -> Received:
    inbound = MessengerInbound(ChannelName.MESSENGER, app_secret="s", verify_token="v", id_salt="salt")
    return inbound.parse(Post(orjson.dumps(envelope(*events, key=key))), at=START)


def attached(kind: str, **content: Any) -> dict[str, Any]:
    return {"message": {"mid": "m_1", "attachments": [{"type": kind, "payload": {"url": "https://cdn/x", **content}}]}}


@pytest.mark.parametrize(
    ("content", "kind", "text"),
    [
        ({"message": {"mid": "m_1", "text": "Olá"}}, InboundKind.TEXT, "Olá"),
        (
            {"message": {"mid": "m_1", "text": "Sim", "quick_reply": {"payload": "option-1"}}},
            InboundKind.CHOICE,
            "Sim",
        ),
        ({"postback": {"title": "Começar", "payload": "start"}}, InboundKind.CHOICE, "Começar"),
        (attached("image"), InboundKind.IMAGE, ""),
        (attached("image", sticker_id=369), InboundKind.STICKER, ""),
        (attached("video"), InboundKind.VIDEO, ""),
        (attached("audio"), InboundKind.AUDIO, ""),
        (attached("file"), InboundKind.DOCUMENT, ""),
        (attached("location", coordinates={"lat": -25.4, "long": -49.3}), InboundKind.LOCATION, "-25.4, -49.3"),
        (attached("story_mention"), InboundKind.UNSUPPORTED, ""),
        (attached("ig_reel"), InboundKind.UNSUPPORTED, ""),
        (
            {"message": {"mid": "m_1", "text": "https://a.b", "attachments": [{"type": "fallback"}]}},
            InboundKind.TEXT,
            "https://a.b",
        ),
        ({"message_edit": {"mid": "m_1", "text": "amanhã", "num_edit": 1}}, InboundKind.EDIT, "amanhã"),
        ({"message": {"mid": "m_1", "is_deleted": True}}, InboundKind.REVOKE, ""),
        ({"reaction": {"mid": "m_1", "action": "react", "emoji": "👍"}}, InboundKind.REACTION, "👍"),
        ({"reaction": {"mid": "m_1", "action": "unreact", "emoji": "👍"}}, InboundKind.REACTION, ""),
        ({"referral": {"ref": "promo", "source": "SHORTLINK"}}, InboundKind.WELCOME, ""),
    ],
)
def test_every_event_of_a_person_is_read(content: dict[str, Any], kind: InboundKind, text: str) -> None:
    (read,) = received(event(ANA, **content)).messages
    assert (read.kind, read.text, read.address.person, read.recorded_only) == (kind, text, ANA, False)
    if kind in (InboundKind.EDIT, InboundKind.REVOKE):
        assert read.revises == received(event(ANA, message={"mid": "m_1", "text": "x"})).messages[0].id


def test_a_postback_without_an_id_has_a_key_of_its_own() -> None:
    tap = {"postback": {"title": "Sim", "payload": "option-1"}}
    first, again, later = (
        received(event(ANA, timestamp=moment, **tap)).messages[0].dedup_key
        for moment in (1_790_000_000_000, 1_790_000_000_000, 1_790_000_000_001)
    )
    assert first == again != later


def test_an_agents_answer_is_recorded_and_ours_settles_its_row() -> None:
    found = received(
        echo(ANA, {"mid": "m_2", "text": "Sou a Rita"}), echo(ANA, {"mid": "m_3", "text": "x", "metadata": "c/1/0"})
    )
    (agents,) = found.messages
    assert (agents.address.person, agents.text, agents.is_recorded_only) == (ANA, "Sou a Rita", True)
    (status,) = found.statuses
    assert (status.state, status.client_reference, status.platform_message_id) == (DeliveryState.SENT, "c/1/0", "m_3")


def test_what_comes_while_another_app_holds_the_conversation_is_recorded() -> None:
    (read,) = received(event(ANA, message={"mid": "m_1", "text": "Olá"}), key="standby").messages
    assert (read.is_recorded_only, read.data) == (True, {"standby": "yes"})


def test_receipts_that_name_messages_are_statuses() -> None:
    found = received(
        event(ANA, delivery={"mids": ["m_1", "m_2"], "watermark": 1}),
        event(ANA, read={"mid": "m_1"}),
        event(ANA, read={"watermark": 1}),
        event(ANA, optin={}),
    )
    assert [(one.platform_message_id, one.state.value) for one in found.statuses] == [
        ("m_1", "delivered"),
        ("m_2", "delivered"),
        ("m_1", "read"),
    ]
    assert found.ignored == ("read", "optin")


def test_messages_come_in_the_order_in_which_they_were_written() -> None:
    later, first = (
        event(ANA, timestamp=moment, message={"mid": f"m_{moment}", "text": str(moment)})
        for moment in (1_790_000_000_002, 1_790_000_000_001)
    )
    assert [one.text for one in received(later, first).messages] == ["1790000000001", "1790000000002"]


def test_each_form_as_each_of_the_two_takes_it() -> None:
    options = (Option(id="option-1", title="Sim"),)
    buttons = OutboundMessage(type=MessageType.BUTTON, text="Ok?", buttons=options)
    template = payload(buttons, ChannelName.MESSENGER)["attachment"]["payload"]
    assert (template["template_type"], template["buttons"][0]["payload"]) == ("button", "option-1")
    assert payload(buttons, INSTAGRAM)["quick_replies"][0]["payload"] == "option-1"
    file = OutboundMessage(type=MessageType.DOCUMENT, media=Media(link="https://a.b/c.pdf"))
    assert payload(file, ChannelName.MESSENGER)["attachment"]["type"] == "file"
    assert payload(file, INSTAGRAM) == {"text": "https://a.b/c.pdf"}
    place = OutboundMessage(type=MessageType.LOCATION, location=Location(latitude=1, longitude=2, name="Loja"))
    assert payload(place, INSTAGRAM) == {"text": "Loja"}


@asynccontextmanager
async def sandboxed(name: str) -> AsyncIterator[tuple[str, MessengerSandbox]]:
    app = create_app(SandboxSettings(institution=pyloto()))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        yield f"{url}/{name}/v26.0", app.state.platforms[name]


async def test_its_refusals_are_classed() -> None:
    async with sandboxed("messenger") as (url, double):
        channel = MessengerChannel(ChannelName.MESSENGER, Messenger.limits, url, "t")
        row = outbox_row(ChannelName.MESSENGER, ANA, account="1000003")
        for code, pause in {613: None, 1200: None, 200: timedelta(minutes=5)}.items():
            double.behave(PlatformBehaviour(script=(ScriptedSend(code=code),)))
            with pytest.raises(ChannelUnavailableError) as caught:
                await channel.send(row)
            assert caught.value.retry_after == pause
        for code, said, in_any_form in ((10, "10/2018278", True), (551, "551", True), (100, "100", False)):
            double.behave(PlatformBehaviour(script=(ScriptedSend(code=code),)))
            with pytest.raises(ChannelRefusedError) as refused:
                await channel.send(row)
            assert (refused.value.code, refused.value.in_any_form) == (said, in_any_form)
        await channel.close()


async def test_what_fits_by_the_limit_of_instagram_fits_its_bytes() -> None:
    async with sandboxed("instagram") as (url, double):
        channel = MessengerChannel(INSTAGRAM, Instagram.limits, url, "t")
        longest = OutboundMessage.of_text("€" * Instagram.limits.text)
        await channel.send(outbox_row(INSTAGRAM, ANA, longest, account="1000003"))
        assert len(double.messages) == 1
        await channel.close()


@pytest.mark.parametrize("platform", [Messenger(), Instagram()])
async def test_the_doctor_and_the_set_up_ask_it(platform: Messenger) -> None:
    async with sandboxed(platform.name) as (url, _):
        prefix = platform.name.upper()
        given = {f"{prefix}_{key}": "s" for key in ("APP_SECRET", "VERIFY_TOKEN", "ACCESS_TOKEN")}
        settings = read_settings(given | {f"{prefix}_API_URL": url}, env_file=None)
        found = await examine_channel(platform, settings)
        assert (found.health, found.next_step) == (Health.FAILED, f"prosa channels setup {platform.name}")
        done = await platform.set_up(settings, "https://prosa.example.com")
        assert done is not None
        assert done.health is Health.OK
        assert (await examine_channel(platform, settings)).health is Health.OK
        wrong = given | {f"{prefix}_API_URL": url, f"{prefix}_ACCESS_TOKEN": "invalid"}
        refused = await examine_channel(platform, read_settings(wrong, env_file=None))
        assert (refused.health, refused.detail) == (Health.FAILED, "the token is refused (190)")


@pytest.mark.parametrize(("author", "hours", "tag"), [("rita", 25, "HUMAN_AGENT"), ("rita", 1, None), (None, 25, None)])
async def test_an_agent_answers_after_the_window_under_the_tag_of_people(
    author: str | None, hours: int, tag: str | None
) -> None:
    app = create_app(SandboxSettings(institution=pyloto()))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        channel = MessengerChannel(Messenger.name, Messenger.limits, f"{url}/messenger/v26.0", "token")
        row = outbox_row(ChannelName.MESSENGER, ANA)
        changes = {"author": author, "window_from": START, "updated_at": START + timedelta(hours=hours)}
        await channel.send(row.model_copy(update=changes))
        await channel.close()
    body = app.state.platforms["messenger"].messages[0]["body"]
    assert (body["messaging_type"], body.get("tag")) == ("MESSAGE_TAG" if tag else "RESPONSE", tag)
