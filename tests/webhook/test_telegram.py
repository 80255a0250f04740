"""Telegram: every kind of update in its documented bytes, what leaves, its refusals, and its set-up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import orjson
import pytest
from webhook_bed import START

from adapters.channels.telegram import Telegram
from adapters.channels.telegram.inbound import TelegramInbound
from adapters.channels.telegram.outbound import TelegramChannel, call, to_html
from adapters.http.listener import listen
from cli.doctor import examine_channel
from cli.serving import server_of
from cli.settings import read_settings
from contracts.channels import Post, Received
from contracts.delivery import OutboxRow
from contracts.errors import ChannelAccountError, ChannelRefusedError, ChannelUnavailableError, ConfigurationError
from contracts.findings import Health
from contracts.messages import ChannelName, InboundKind, MessageType, Option, OutboundMessage
from sandbox.app import SandboxSettings, create_app
from sandbox.behaviour import PlatformBehaviour, ScriptedSend
from sandbox.telegram_api import TelegramSandbox, message, update
from tests.builders import outbox_row, pyloto

ANA = 52998224725


def received(content: Any, *, groups: bool = False) -> Received:
    inbound = TelegramInbound("token", bot="1000001", id_salt="salt", answers_groups=groups)
    return inbound.parse(Post(orjson.dumps(content)), at=START)


FILE = {"file_id": "AgAC", "file_unique_id": "u", "mime_type": "video/mp4", "file_name": "a.mp4"}


@pytest.mark.parametrize(
    ("content", "kind", "text"),
    [
        ({"text": "Olá"}, InboundKind.TEXT, "Olá"),
        ({"text": "/start"}, InboundKind.TEXT, "/start"),
        ({"photo": [{"file_id": "small"}, {"file_id": "AgAC"}], "caption": "isto"}, InboundKind.IMAGE, "isto"),
        ({"video": FILE}, InboundKind.VIDEO, ""),
        ({"animation": FILE, "document": {"file_id": "other"}}, InboundKind.VIDEO, ""),
        ({"video_note": FILE}, InboundKind.VIDEO, ""),
        ({"voice": FILE}, InboundKind.AUDIO, ""),
        ({"audio": FILE, "caption": "c"}, InboundKind.AUDIO, "c"),
        ({"document": FILE}, InboundKind.DOCUMENT, ""),
        ({"sticker": {"file_id": "AgAC", "emoji": "👍"}}, InboundKind.STICKER, ""),
        ({"location": {"latitude": -25.4, "longitude": -49.3}}, InboundKind.LOCATION, "-25.4, -49.3"),
        (
            {"location": {"latitude": -25.4, "longitude": -49.3}, "venue": {"title": "Loja", "address": "Rua 1"}},
            InboundKind.LOCATION,
            "Loja - Rua 1",
        ),
        ({"contact": {"first_name": "Rita", "phone_number": "+5541"}}, InboundKind.CONTACTS, "Rita +5541"),
        ({"web_app_data": {"data": "{}", "button_text": "b"}}, InboundKind.FORM, "{}"),
        ({"poll": {"question": "?"}}, InboundKind.UNSUPPORTED, ""),
        ({"dice": {"emoji": "🎲", "value": 3}}, InboundKind.UNSUPPORTED, ""),
    ],
)
def test_every_kind_of_message_is_read(content: dict[str, Any], kind: InboundKind, text: str) -> None:
    (read,) = received(update(1, message=message(ANA, 5, **content))).messages
    assert (read.kind, read.text, read.is_recorded_only) == (kind, text, False)
    if kind in (InboundKind.IMAGE, InboundKind.VIDEO, InboundKind.AUDIO, InboundKind.DOCUMENT, InboundKind.STICKER):
        assert read.media is not None
        assert read.media.reference == "AgAC"


def test_a_deep_link_is_no_word_of_the_person() -> None:
    (read,) = received(update(1, message=message(ANA, 5, text="/start promo-1"))).messages
    assert (read.text, read.data) == ("/start", {"start": "promo-1"})


def test_an_edit_revises_the_message_and_is_another_one() -> None:
    first = received(update(1, message=message(ANA, 5, text="amanha"))).messages[0]
    (edit,) = received(update(2, edited_message=message(ANA, 5, text="amanhã", edit_date=1_790_000_060))).messages
    assert (edit.kind, edit.revises, edit.text) == (InboundKind.EDIT, first.id, "amanhã")
    assert edit.conversation_id == first.conversation_id
    assert edit.dedup_key != first.dedup_key


def test_a_tap_is_a_choice_and_ends_the_spinning_of_its_button() -> None:
    keyboard = {"inline_keyboard": [[{"text": "Sábado", "callback_data": "option-1"}]]}
    bots = {**message(ANA, 9, text="Quando?", reply_markup=keyboard), "from": {"id": 1, "is_bot": True}}
    query = {"id": "431", "from": {"id": ANA, "first_name": "Ana"}, "message": bots, "data": "option-1"}
    found = received(update(3, callback_query=query))
    (tap,) = found.messages
    assert (tap.kind, tap.text, tap.choice_id) == (InboundKind.CHOICE, "Sábado", "option-1")
    assert tap.conversation_id == received(update(1, message=message(ANA, 5, text="Oi"))).messages[0].conversation_id
    assert orjson.loads(found.answer) == {"method": "answerCallbackQuery", "callback_query_id": "431"}


def test_groups_are_recorded_unless_they_are_answered() -> None:
    content = update(1, message=message(ANA, 5, chat=-100, text="Oi"))
    assert received(content).messages[0].is_recorded_only
    (read,) = received(content, groups=True).messages
    assert (read.is_recorded_only, read.address.person, read.address.aliases) == (False, "-100", (str(ANA),))


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (update(1, my_chat_member={}), "my_chat_member"),
        (update(1, hologram={}), "other"),
        (update(1, message={**message(ANA, 5, text="Oi"), "from": {"id": 2, "is_bot": True}}), "bot"),
        (update(1, message=message(ANA, 5, chat=-1, new_chat_members=[])), "service"),
    ],
)
def test_what_is_no_persons_message_is_counted(content: Any, name: str) -> None:
    assert received(content) == Received(ignored=(name,))


def test_a_reply_and_a_reaction_name_the_message_they_are_about() -> None:
    (reply,) = received(update(1, message=message(ANA, 6, text="esse", reply_to_message={"message_id": 5}))).messages
    assert reply.reply_to == f"{ANA}:5"
    reaction = {"chat": {"id": ANA, "type": "private"}, "message_id": 5, "date": 1, "user": {"id": ANA}}
    (mark,) = received(update(2, message_reaction={**reaction, "new_reaction": [{"emoji": "👍"}]})).messages
    assert (mark.kind, mark.text, mark.data) == (InboundKind.REACTION, "👍", {"to": f"{ANA}:5"})


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a < b & *negrito* _itálico_ ~não~", "a &lt; b &amp; <b>negrito</b> <i>itálico</i> <s>não</s>"),
        ("*um _dois_ três*", "<b>um <i>dois</i> três</b>"),
        ("2*3*4 e snake_case_nome", "2*3*4 e snake_case_nome"),
        ("`<x> *y*`", "<code>&lt;x&gt; *y*</code>"),
        ("```\na <b>\n```", "<pre>a &lt;b&gt;</pre>"),
        ("*a _b* c_", "<b>a _b</b> c_"),
        ("* item\n* outro", "* item\n* outro"),
    ],
)
def test_marks_become_html_and_everything_else_is_escaped(text: str, html: str) -> None:
    assert to_html(text) == html


def test_short_buttons_share_a_line_and_others_do_not() -> None:
    short = tuple(Option(id=f"option-{number}", title=f"Dia {number}") for number in range(3))
    reply = OutboundMessage(type=MessageType.BUTTON, text="Quando?", buttons=short)
    assert [len(line) for line in call(reply, "1")[1]["reply_markup"]["inline_keyboard"]] == [3]
    listed = OutboundMessage(type=MessageType.LIST, text="Quando?", rows=short)
    assert [len(line) for line in call(listed, "1")[1]["reply_markup"]["inline_keyboard"]] == [1, 1, 1]


@asynccontextmanager
async def sandboxed() -> AsyncIterator[tuple[str, TelegramSandbox]]:
    app = create_app(SandboxSettings(institution=pyloto()))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        yield f"{url}/telegram", app.state.platforms["telegram"]


def row(text: str) -> OutboxRow:
    return outbox_row(ChannelName.TELEGRAM, str(ANA), OutboundMessage.of_text(text))


async def test_its_refusals_are_classed_as_it_documents_them() -> None:
    async with sandboxed() as (url, double):
        channel = TelegramChannel(url, "1000001:t")

        def refusing(code: int) -> None:
            double.behave(PlatformBehaviour(script=(ScriptedSend(code=code),)))

        refusing(429)
        with pytest.raises(ChannelUnavailableError) as limited:
            await channel.send(row("Oi"))
        assert limited.value.retry_after == timedelta(seconds=1)
        refusing(403)
        with pytest.raises(ChannelRefusedError) as blocked:
            await channel.send(row("Oi"))
        assert (blocked.value.code, blocked.value.in_any_form) == ("403 bot was blocked by the user", True)
        with pytest.raises(ChannelRefusedError) as too_long:
            await channel.send(row("😀" * 2049))
        assert (too_long.value.code, too_long.value.in_any_form) == ("400 message is too long", False)
        await channel.close()
        refused = TelegramChannel(url, "1000001:invalid")
        with pytest.raises(ChannelAccountError) as account:
            await refused.send(row("Oi"))
        assert account.value.retry_after == timedelta(minutes=5)
        await refused.close()


@pytest.fixture
def given() -> dict[str, str]:
    return {"TELEGRAM_BOT_TOKEN": "1000001:t", "TELEGRAM_SECRET_TOKEN": "s"}


async def test_the_doctor_and_the_set_up_ask_it(given: dict[str, str]) -> None:
    async with sandboxed() as (url, double):
        settings = read_settings(given | {"TELEGRAM_API_URL": url}, env_file=None)
        found = await examine_channel(Telegram(), settings)
        assert (found.health, found.next_step) == (
            Health.FAILED,
            "prosa channels setup telegram --url https://YOUR-HOST",
        )
        done = await Telegram().set_up(settings, "https://prosa.example.com")
        assert done is not None
        assert (done.health, double.webhook["url"]) == (Health.OK, "https://prosa.example.com/webhooks/telegram")
        assert (await examine_channel(Telegram(), settings)).health is Health.OK
        double.webhook["last_error_message"] = "Wrong response from the webhook: 401 Unauthorized"
        assert (await examine_channel(Telegram(), settings)).health is Health.NOTE
        wrong = read_settings(given | {"TELEGRAM_API_URL": url, "TELEGRAM_BOT_TOKEN": "1:invalid"}, env_file=None)
        assert "@BotFather" in (await examine_channel(Telegram(), wrong)).next_step


def test_a_token_that_is_none_stops_the_process(given: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="TELEGRAM_BOT_TOKEN: it is a number"):
        read_settings(given | {"TELEGRAM_BOT_TOKEN": "abc"}, env_file=None)


@pytest.mark.parametrize(("chat", "quoted"), [("-100", 5), ("7", None)])
async def test_an_answer_in_a_group_is_a_reply_to_its_question(chat: str, quoted: int | None) -> None:
    app = create_app(SandboxSettings(institution=pyloto()))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        channel = TelegramChannel(f"{url}/telegram", "1000001:token")
        row = outbox_row(ChannelName.TELEGRAM, chat).model_copy(update={"quotes": f"{chat}:5"})
        await channel.send(row)
        await channel.send(row.model_copy(update={"quotes": "callback:5x"}))
        await channel.close()
    first, second = (one["body"].get("reply_parameters") for one in app.state.platforms["telegram"].messages)
    assert (first or {}).get("message_id") == quoted
    assert second is None
