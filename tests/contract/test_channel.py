"""The guarantees of every channel, on each of them: WhatsApp over its double, web chat, and the sample platform."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import orjson
import pytest

from adapters.channels.chatwoot.inbound import ChatwootInbound
from adapters.channels.chatwoot.outbound import ChatwootChannel
from adapters.channels.messenger import Instagram, Messenger
from adapters.channels.messenger.inbound import MessengerInbound
from adapters.channels.messenger.outbound import MessengerChannel
from adapters.channels.registry import PLATFORMS
from adapters.channels.sending import HttpChannel
from adapters.channels.slack.inbound import SlackInbound
from adapters.channels.slack.outbound import SlackChannel
from adapters.channels.telegram.inbound import TelegramInbound
from adapters.channels.telegram.outbound import TelegramChannel
from adapters.channels.web import Web, WebChannel, read_message
from adapters.channels.whatsapp.inbound import WhatsAppInbound
from adapters.channels.whatsapp.outbound import WhatsAppChannel
from adapters.http.listener import listen
from adapters.memory.events import MemoryEvents
from cli.serving import server_of
from contracts.channels import OriginRefusedError, Post, Received, Unreadable
from contracts.decisions import MessageTypeChoice
from contracts.delivery import OutboxRow
from contracts.errors import ChannelRefusedError, ChannelUnavailableError, SendOutcomeUnknownError
from contracts.messages import (
    Address,
    ChannelName,
    ContactCard,
    DeliveryState,
    InboundKind,
    InboundMessage,
    Location,
    Media,
    MessageType,
    Option,
    OutboundMessage,
    Reaction,
    StatusUpdate,
    Template,
    digest,
)
from contracts.ports import Channel, ChannelInbound, ChannelLimits, LiveEvent
from contracts.settings import Settings
from contracts.values import ConversationId, MessageId
from sandbox import chatwoot_api, messenger_api, slack_api, telegram_api
from sandbox import whatsapp_webhooks as meta
from sandbox.app import SandboxSettings, create_app
from sandbox.behaviour import GraphBehaviour, PlatformBehaviour, ScriptedSend, SendFault
from tests.builders import START, outbox_row, pyloto
from tests.extension.sample_platform import Carrier
from tests.extension.sample_platform.double import SECRET, TOKEN, CarrierDouble, Fault, message, signed
from tests.extension.sample_platform.inbound import CarrierInbound
from tests.extension.sample_platform.outbound import CarrierChannel
from worker.replies.composer import fit

ANA, ACCOUNT = "5511987654321", meta.DEFAULT_PHONE_NUMBER_ID


@dataclass
class Outbound:
    """A channel, and the other side of it: texts with references that it took, and its ways to fail."""

    channel: Channel
    taken: Callable[[], list[tuple[str, str]]]
    refuse: Callable[[], None] | None = None
    fail: Callable[[], None] | None = None
    cut: Callable[[], None] | None = None
    echoes: bool = True
    """Whether the platform takes a reference along, for its statuses."""


def row(channel: Channel, reply: OutboundMessage | None = None) -> OutboxRow:
    return outbox_row(channel.name, ANA, reply or OutboundMessage.of_text("Pois não 👋"), account=ACCOUNT)


@asynccontextmanager
async def open_whatsapp() -> AsyncIterator[Outbound]:
    app = create_app(SandboxSettings(institution=pyloto()))
    graph = app.state.graph
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        channel = WhatsAppChannel(api_url=f"{url}/graph/v26.0", access_token="t", phone_number_id=ACCOUNT)

        def taken() -> list[tuple[str, str]]:
            bodies = [accepted["body"] for accepted in graph.messages]
            return [(body.get("text", {}).get("body", ""), body["biz_opaque_callback_data"]) for body in bodies]

        def scripted(**send: Any) -> Callable[[], None]:
            return lambda: graph.behave(GraphBehaviour(script=(ScriptedSend(**send),)))

        yield Outbound(
            channel,
            taken,
            refuse=scripted(code=131026),
            fail=scripted(fault=SendFault.UNAVAILABLE),
            cut=scripted(fault=SendFault.CUT_BEFORE_ACCEPTING),
        )
        await channel.close()


DOUBLES: dict[str, tuple[Callable[[str], HttpChannel], int]] = {
    "telegram": (lambda url: TelegramChannel(f"{url}/telegram", "1000001:token"), 403),
    "slack": (lambda url: SlackChannel(f"{url}/slack/api", "xoxb-token"), 404),
    "messenger": (lambda url: graph(Messenger, url), 551),
    "instagram": (lambda url: graph(Instagram, url), 551),
    "chatwoot": (lambda url: ChatwootChannel(f"{url}/chatwoot", "token", "1"), 404),
}
"""The sending side of each platform at the sandbox's address, and a code of a final refusal."""


def graph(kind: type[Messenger], url: str) -> MessengerChannel:
    return MessengerChannel(kind.name, kind.limits, f"{url}/{kind.name}/v26.0", "token")


@asynccontextmanager
async def open_double(name: str) -> AsyncIterator[Outbound]:
    app = create_app(SandboxSettings(institution=pyloto()))
    double = app.state.platforms[name]
    opened, refusal = DOUBLES[name]
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        channel: Any = opened(url)

        def scripted(**send: Any) -> Callable[[], None]:
            return lambda: double.behave(PlatformBehaviour(script=(ScriptedSend(**send),)))

        yield Outbound(
            channel,
            lambda: [(double.text_of(one["body"]), double.reference_of(one["body"])) for one in double.messages],
            refuse=scripted(code=refusal),
            fail=scripted(fault=SendFault.UNAVAILABLE),
            cut=scripted(fault=SendFault.CUT_BEFORE_ACCEPTING),
            echoes=double.echoes,
        )
        await channel.close()


@asynccontextmanager
async def open_carrier() -> AsyncIterator[Outbound]:
    double = CarrierDouble()
    async with server_of(double.app).running(listen("127.0.0.1", 0)) as url:
        channel = CarrierChannel(f"{url}/v1", TOKEN, Carrier.name, Carrier.limits)

        def meeting(fault: Fault) -> Callable[[], None]:
            return lambda: setattr(double, "fault", fault)

        yield Outbound(
            channel,
            lambda: [(body["text"], body["reference"]) for body in double.accepted],
            refuse=meeting(Fault.REFUSED),
            fail=meeting(Fault.UNAVAILABLE),
            cut=meeting(Fault.CUT),
        )
        await channel.close()


@asynccontextmanager
async def open_web() -> AsyncIterator[Outbound]:
    events = MemoryEvents()
    taken: list[tuple[str, str]] = []

    def note(event: LiveEvent) -> None:
        taken.append((event.data["reply"]["text"], event.data["id"]))

    async with events.subscribe(ConversationId("c-1")) as news:

        async def watch() -> None:
            async for event in news:
                note(event)

        watching = asyncio.create_task(watch())
        yield Outbound(WebChannel(events), lambda: taken)
        watching.cancel()


OPENING: dict[str, Callable[[], AbstractAsyncContextManager[Outbound]]] = {
    "whatsapp": open_whatsapp,
    "web": open_web,
    "carrier": open_carrier,
    **{name: partial(open_double, name) for name in DOUBLES},
}
WITH_A_PLATFORM = ("whatsapp", "carrier", *DOUBLES)


@pytest.fixture(params=OPENING)
async def outbound(request: pytest.FixtureRequest) -> AsyncIterator[Outbound]:
    async with OPENING[request.param]() as outbound:
        yield outbound


@pytest.fixture(params=WITH_A_PLATFORM)
async def platform(request: pytest.FixtureRequest) -> AsyncIterator[Outbound]:
    """Channels whose platform can fail."""
    async with OPENING[request.param]() as outbound:
        yield outbound


def test_every_registered_channel_is_held_to_this() -> None:
    assert set(PLATFORMS) <= set(OPENING)
    assert {name for name, platform in PLATFORMS.items() if platform.settings} <= set(RECEIVING)


@pytest.mark.parametrize("name", DOUBLES)
async def test_a_window_is_known_without_opening_the_channel(name: str) -> None:
    channel = DOUBLES[name][0]("http://127.0.0.1:9")
    assert PLATFORMS[ChannelName(name)].reply_window == channel.reply_window
    await channel.close()


async def test_a_reply_arrives_with_the_reference_of_its_row(outbound: Outbound) -> None:
    assert await outbound.channel.send(row(outbound.channel))
    await asyncio.sleep(0)
    assert outbound.taken() == [("Pois não 👋", "c-1/1/0" if outbound.echoes else "")]


async def test_a_refusal_is_final_and_has_a_code(platform: Outbound) -> None:
    assert platform.refuse
    platform.refuse()
    with pytest.raises(ChannelRefusedError) as caught:
        await platform.channel.send(row(platform.channel))
    assert caught.value.code
    assert platform.taken() == []


async def test_a_platform_that_is_unavailable_has_not_taken_it(platform: Outbound) -> None:
    assert platform.fail
    platform.fail()
    with pytest.raises(ChannelUnavailableError):
        await platform.channel.send(row(platform.channel))
    assert platform.taken() == []


async def test_a_connection_that_breaks_leaves_the_outcome_unknown(platform: Outbound) -> None:
    assert platform.cut
    platform.cut()
    with pytest.raises(SendOutcomeUnknownError):
        await platform.channel.send(row(platform.channel))


@pytest.mark.parametrize("name", WITH_A_PLATFORM)
async def test_without_a_connection_nothing_was_sent(name: str) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/v1"
        channel: Channel = CarrierChannel(url, TOKEN, Carrier.name, Carrier.limits)
        if name == "whatsapp":
            channel = WhatsAppChannel(api_url=url, access_token="t", phone_number_id=ACCOUNT)
        if name in DOUBLES:
            unserved: Any = DOUBLES[name][0](url)
            channel = unserved
        with pytest.raises(ChannelUnavailableError):
            await channel.send(row(channel))
        await channel.close()


async def test_a_mark_of_reading_disturbs_nothing(outbound: Outbound) -> None:
    if outbound.fail:
        outbound.fail()
    outbound.channel.acknowledge(row(outbound.channel).address, "in-1")
    await asyncio.sleep(0.05)
    await outbound.channel.close()


def largest(kind: MessageType, limits: ChannelLimits) -> OutboundMessage:
    """A message of the type at every limit of the channel."""

    def options(count: int, title: int, description: int = 0) -> tuple[Option, ...]:
        names = [f"{number:02}" for number in range(count)]
        return tuple(Option(id=one, title=one.ljust(title, "t"), description="d" * description) for one in names)

    link = Media(link="https://example.com/file", filename="file.pdf")
    match kind:
        case MessageType.TEXT:
            return OutboundMessage.of_text("é" * limits.text)
        case MessageType.BUTTON:
            buttons = options(limits.buttons, limits.button_title)
            return OutboundMessage(type=kind, text="é" * limits.button_body, buttons=buttons)
        case MessageType.LIST:
            rows = options(limits.rows, limits.row_title, limits.row_description)
            label = "l" * limits.list_label
            return OutboundMessage(type=kind, text="é" * limits.list_body, rows=rows, list_label=label)
        case MessageType.LOCATION:
            return OutboundMessage(type=kind, location=Location(latitude=1, longitude=2, name="Loja", address="Rua 1"))
        case MessageType.CONTACT:
            return OutboundMessage(type=kind, contact=ContactCard(name="Rita Lima", phone="+5541999"))
        case MessageType.TEMPLATE:
            return OutboundMessage(type=kind, template=Template(name="retorno", language="pt_BR"))
        case MessageType.REACTION:
            return OutboundMessage(type=kind, reaction=Reaction(platform_message_id="in-1", emoji="👍"))
    return OutboundMessage(type=kind, text="é" * limits.caption, media=link)


async def test_the_platform_takes_every_type_at_its_limits(outbound: Outbound) -> None:
    kinds = sorted(outbound.channel.limits.types)
    for number, kind in enumerate(kinds, start=1):
        assert await outbound.channel.send(row(outbound.channel, largest(MessageType(kind), outbound.channel.limits)))
        await asyncio.sleep(0)
        assert len(outbound.taken()) == number, kind


async def test_options_become_buttons_then_a_list_then_numbered_text(platform: Outbound) -> None:
    """What a form does not hold goes in the next plainer one, and the platform takes each."""
    limits, institution = platform.channel.limits, pyloto()
    steps = {2: MessageType.BUTTON, limits.buttons + 1: MessageType.LIST, limits.rows + 1: MessageType.TEXT}
    for count, form in steps.items():
        titles = [f"Dia {number}" for number in range(1, count + 1)]
        choice = MessageTypeChoice(type=MessageType.BUTTON)
        replies = fit("Quando?", choice, titles, institution, limits)
        assert replies[-1].type is (form if form in limits.types else MessageType.TEXT)
        if replies[-1].type is MessageType.TEXT:
            assert f"{count}. Dia {count}" in replies[-1].text
        for reply in replies:
            assert await platform.channel.send(row(platform.channel, reply))


LIMITED: dict[str, MessageType] = {
    "text": MessageType.TEXT,
    **dict.fromkeys(("button_body", "buttons", "button_title"), MessageType.BUTTON),
    **dict.fromkeys(("list_body", "rows", "row_title", "row_description", "list_label"), MessageType.LIST),
    "caption": MessageType.IMAGE,
}


@pytest.mark.parametrize(
    ("name", "over"),
    [
        ("carrier", "text"),
        *(("whatsapp", over) for over in LIMITED),
        *(("telegram", over) for over in ("text", "button_body", "buttons", "list_body", "rows", "caption")),
        *(("slack", over) for over in LIMITED if over not in ("caption", "row_description")),
        *(("messenger", over) for over in LIMITED if over not in ("caption", "row_description", "list_label")),
        ("chatwoot", "rows"),
        *(("instagram", over) for over in ("rows", "row_title", "button_title")),
    ],
)
async def test_one_more_than_a_limit_is_refused(name: str, over: str) -> None:
    """So no limit is lower than the platform's."""
    async with OPENING[name]() as platform:
        limits = platform.channel.limits
        beyond = limits.model_copy(update={over: getattr(limits, over) + 1})
        reply = largest(LIMITED[over], beyond)
        with pytest.raises(ChannelRefusedError):
            await platform.channel.send(row(platform.channel, reply))


@dataclass
class Receiving:
    """A receiving side, the posts of its platform, and their exact contents."""

    inbound: ChannelInbound
    posts: dict[str, tuple[Post, Received]]
    forged: dict[str, Post]
    query: dict[str, str] | None = None
    wrong_queries: list[dict[str, str]] = field(default_factory=list)


def whatsapp_post(*changes: meta.Change, secret: str = "agora") -> Post:
    body, headers = meta.signed(meta.envelope(*changes), secret)
    return Post(body, [(name.encode(), value.encode()) for name, value in headers.items()])


def whatsapp() -> Receiving:
    text = meta.inbound_text(ANA, "Olá, é possível?", id="wamid.1", user_id="BR.1", timestamp=1_790_000_000)
    delivered = meta.status("wamid.OUT", "delivered", ANA, client_reference="c-1/1/0")
    delivered["value"]["statuses"][0]["timestamp"] = "1790000000"
    sent_at = datetime.fromtimestamp(1_790_000_000, UTC)
    read = InboundMessage(
        id=MessageId("wa-cb675ebbe830d2669c348faf"),
        conversation_id=ConversationId("wa:0f265bfaae4c5c12778a0a78"),
        address=Address(channel=ChannelName.WHATSAPP, account=ACCOUNT, person="BR.1", aliases=(ANA,), user="BR.1"),
        platform_id="wamid.1",
        kind=InboundKind.TEXT,
        text="Olá, é possível?",
        person_name="Ana",
        threads=tuple(ConversationId("wa:" + digest("salt", ACCOUNT, name, size=12)) for name in ("BR.1", ANA)),
        sent_at=sent_at,
        received_at=START,
    )
    status = StatusUpdate(
        channel=ChannelName.WHATSAPP,
        account=ACCOUNT,
        platform_message_id="wamid.OUT",
        state=DeliveryState.DELIVERED,
        client_reference="c-1/1/0",
        at=sent_at,
    )
    good = whatsapp_post(text)
    return Receiving(
        WhatsAppInbound(app_secrets=("agora", "antes"), verify_token="handshake", id_salt="salt"),
        posts={
            "message": (good, Received(messages=(read,))),
            "status": (whatsapp_post(delivered), Received(statuses=(status,))),
            "not for us": (whatsapp_post(meta.other("calls")), Received(ignored=("calls",))),
            "unreadable beside a message": (
                whatsapp_post({"field": "messages", "value": "?"}, text),
                Received(
                    messages=(read,),
                    unreadable=(Unreadable("a change without a value", '{"field":"messages","value":"?"}'),),
                ),
            ),
        },
        forged={
            "another secret": whatsapp_post(text, secret="other"),
            "another body": Post(good.body + b" ", good.headers),
            "unsigned": Post(good.body),
        },
        query={"hub.mode": "subscribe", "hub.verify_token": "handshake", "hub.challenge": "1158201444"},
        wrong_queries=[{}, {"hub.mode": "subscribe", "hub.verify_token": "no", "hub.challenge": "1158201444"}],
    )


def carrier_post(*events: Any, secret: str = SECRET, at: datetime = START) -> Post:
    body, headers = signed({"account": "a-1", "events": list(events)}, at, secret)
    return Post(body, [(name.encode(), value.encode()) for name, value in headers.items()])


def carrier() -> Receiving:
    text = message("m-1", "ana", "Olá")
    read = InboundMessage(
        id=MessageId("carrier-5cb655b7491ff61ecdc33982"),
        conversation_id=ConversationId("carrier:9d3fdf36e757ec97a8d63b84"),
        address=Address(channel=Carrier.name, account="a-1", person="ana"),
        platform_id="m-1",
        text="Olá",
        received_at=START,
    )
    status = StatusUpdate(
        channel=Carrier.name,
        account="a-1",
        platform_message_id="o-1",
        state=DeliveryState.DELIVERED,
        client_reference="c-1/1/0",
        at=START,
    )
    receipt = {"kind": "receipt", "id": "o-1", "state": "delivered", "reference": "c-1/1/0"}
    good = carrier_post(text)
    return Receiving(
        CarrierInbound(SECRET, Carrier.name),
        posts={
            "message": (good, Received(messages=(read,))),
            "status": (carrier_post(receipt), Received(statuses=(status,))),
            "not for us": (carrier_post({"kind": "typing"}), Received(ignored=("typing",))),
            "unreadable beside a message": (
                carrier_post({"kind": "?"}, text),
                Received(messages=(read,), unreadable=(Unreadable("unknown event", '{"kind":"?"}'),)),
            ),
        },
        forged={
            "another secret": carrier_post(text, secret="other"),
            "another body": Post(good.body + b" ", good.headers),
            "unsigned": Post(good.body),
            "of an hour ago": carrier_post(text, at=START - timedelta(hours=1)),
        },
        wrong_queries=[{}, {"challenge": "1"}],
    )


def telegram_post(content: Any, secret: str = "token") -> Post:
    return Post(orjson.dumps(content), [(b"x-telegram-bot-api-secret-token", secret.encode())])


def telegram() -> Receiving:
    text = telegram_api.update(7, message=telegram_api.message(52998224725, 12, text="Olá"))
    read = InboundMessage(
        id=MessageId("tg-0f53e9bff2e117847f235b23"),
        conversation_id=ConversationId("tg:8fa21d6d737324fb0e84e7bb"),
        address=Address(channel=ChannelName.TELEGRAM, account="1000001", person="52998224725"),
        platform_id="52998224725:12",
        text="Olá",
        person_name="Ana Lima",
        sent_at=datetime.fromtimestamp(1_790_000_000, UTC),
        received_at=START,
    )
    return Receiving(
        TelegramInbound("token", bot="1000001", id_salt="salt"),
        posts={
            "message": (telegram_post(text), Received(messages=(read,))),
            "not for us": (telegram_post({"update_id": 8, "poll": {}}), Received(ignored=("poll",))),
        },
        forged={"another token": telegram_post(text, "other"), "unsigned": Post(telegram_post(text).body)},
        wrong_queries=[{}, {"challenge": "1"}],
    )


def chatwoot() -> Receiving:
    text = chatwoot_api.message(12, "Olá")
    read = InboundMessage(
        id=MessageId("cw-c373c9ce0817aa1b9f7c20ff"),
        conversation_id=ConversationId("cw:23eaf76a3e4de9fe699c1cdc"),
        address=Address(channel=ChannelName("chatwoot"), account="1", person="7"),
        platform_id="12",
        text="Olá",
        person_name="Ana",
        sent_at=datetime.fromtimestamp(1_790_000_000, UTC),
        received_at=START,
    )

    def post(content: Any, token: str = "token") -> Post:
        return Post(orjson.dumps(content), query_string=f"token={token}".encode())

    return Receiving(
        ChatwootInbound("token", account="1", id_salt="salt"),
        posts={
            "message": (post(text), Received(messages=(read,))),
            "returned": (
                post({"event": "conversation_resolved", "id": 7, "status": "resolved", "inbox_id": 3}),
                Received(returned=(read.conversation_id,)),
            ),
            "not for us": (post(text | {"private": True}), Received(ignored=("private",))),
        },
        forged={"another token": post(text, "other"), "unsigned": Post(post(text).body)},
        wrong_queries=[{}, {"challenge": "1"}],
    )


def post_of(body: bytes, headers: dict[str, str]) -> Post:
    return Post(body, [(name.encode(), value.encode()) for name, value in headers.items()])


def slack() -> Receiving:
    text = slack_api.event(text="Olá &amp; bom dia")
    read = InboundMessage(
        id=MessageId("slack-5e22240ab754639ecdd7a205"),
        conversation_id=ConversationId("slack:a83e3679f4c8425489edea75"),
        address=Address(channel=ChannelName.SLACK, account="T1", person="D1", aliases=("UANA",)),
        platform_id="D1/1790000000.000100",
        text="Olá & bom dia",
        sent_at=datetime.fromtimestamp(1_790_000_000, UTC),
        received_at=START,
    )

    def post(content: Any, secret: str = "agora", at: datetime = START) -> Post:
        return post_of(*slack_api.signed(content, secret, at=at.timestamp()))

    good = post(text)
    return Receiving(
        SlackInbound("agora", id_salt="salt"),
        posts={
            "message": (good, Received(messages=(read,))),
            "challenge": (post({"type": "url_verification", "challenge": "3eZ"}), Received(answer="3eZ")),
            "not for us": (post(slack_api.event(bot_id="B1", text="x")), Received(ignored=("bot_message",))),
        },
        forged={
            "another secret": post(text, "other"),
            "another body": Post(good.body + b" ", good.headers),
            "unsigned": Post(good.body),
            "of an hour ago": post(text, at=START - timedelta(hours=1)),
        },
        wrong_queries=[{}, {"challenge": "1"}],
    )


def messenger(kind: type[Messenger]) -> Receiving:
    prefix, object = {"messenger": ("fb", "page"), "instagram": ("ig", "instagram")}[kind.name]
    text = messenger_api.event("2000007", message={"mid": "m_1", "text": "Olá"})
    read = InboundMessage(
        id=MessageId(f"{prefix}-186819104fde444955eb09f5"),
        conversation_id=ConversationId(f"{prefix}:25f448e1df3714767fce42c6"),
        address=Address(channel=kind.name, account="1000003", person="2000007"),
        platform_id="m_1",
        text="Olá",
        sent_at=datetime.fromtimestamp(1_790_000_000, UTC),
        received_at=START,
    )
    ours = messenger_api.echo("2000007", {"mid": "m_9", "text": "Pois não", "metadata": "c-1/1/0"})
    status = StatusUpdate(
        channel=kind.name,
        account="1000003",
        platform_message_id="m_9",
        state=DeliveryState.SENT,
        client_reference="c-1/1/0",
        at=datetime.fromtimestamp(1_790_000_000, UTC),
    )

    def post(*events: Any, secret: str = "agora") -> Post:
        return post_of(*meta.signed(messenger_api.envelope(*events, object=object), secret))

    good = post(text)
    return Receiving(
        MessengerInbound(kind.name, app_secret="agora", verify_token="handshake", id_salt="salt"),
        posts={
            "message": (good, Received(messages=(read,))),
            "status": (post(ours), Received(statuses=(status,))),
            "not for us": (post(messenger_api.event("2", read={"watermark": 1})), Received(ignored=("read",))),
            "unreadable beside a message": (
                post({"sender": 1}, text),
                Received(
                    messages=(read,), unreadable=(Unreadable("messaging: MalformedMessageError", '{"sender":1}'),)
                ),
            ),
        },
        forged={
            "another secret": post(text, secret="other"),
            "another body": Post(good.body + b" ", good.headers),
            "unsigned": Post(good.body),
        },
        query={"hub.mode": "subscribe", "hub.verify_token": "handshake", "hub.challenge": "1158201444"},
        wrong_queries=[{}, {"hub.mode": "subscribe", "hub.verify_token": "no", "hub.challenge": "1158201444"}],
    )


RECEIVING: dict[str, Callable[[], Receiving]] = {
    "whatsapp": whatsapp,
    "carrier": carrier,
    "telegram": telegram,
    "slack": slack,
    "chatwoot": chatwoot,
    "messenger": partial(messenger, Messenger),
    "instagram": partial(messenger, Instagram),
}


@pytest.fixture(params=RECEIVING)
def receiving(request: pytest.FixtureRequest) -> Receiving:
    return RECEIVING[request.param]()


def test_a_post_is_parsed_exactly(receiving: Receiving) -> None:
    for case, (post, expected) in receiving.posts.items():
        receiving.inbound.verify(post, at=START)
        assert receiving.inbound.parse(post, at=START) == expected, case


def test_a_post_gives_the_first_of_its_headers_and_parameters() -> None:
    post = Post(b"", [(b"x-token", b"a"), (b"x-token", b"b")], b"token=a%20b&token=c&empty=")
    assert (post.header(b"x-token"), post.header(b"x-other")) == ("a", None)
    assert (post.query("token"), post.query("empty"), post.query("other")) == ("a b", None, None)


def test_a_forged_post_is_refused(receiving: Receiving) -> None:
    for case, post in receiving.forged.items():
        with pytest.raises(OriginRefusedError) as caught:
            receiving.inbound.verify(post, at=START)
        assert str(caught.value), case


def test_a_challenge_comes_back_to_the_platform_alone(receiving: Receiving) -> None:
    if receiving.query:
        assert receiving.inbound.handshake(receiving.query) == "1158201444"
    for query in receiving.wrong_queries:
        with pytest.raises(OriginRefusedError):
            receiving.inbound.handshake(query)


def test_a_second_delivery_has_the_same_key(receiving: Receiving) -> None:
    post, _ = receiving.posts["message"]
    first, second = (receiving.inbound.parse(post, at=START + timedelta(hours=late)) for late in (0, 1))
    assert first.messages[0].dedup_key == second.messages[0].dedup_key
    assert first.messages[0].id == second.messages[0].id


GARBAGE = (b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"entry": 1}', b"[" * 500, b'{"account": 1, "events": {}}')


@pytest.mark.parametrize("body", GARBAGE)
def test_an_unreadable_post_is_kept_and_raises_nothing(receiving: Receiving, body: bytes) -> None:
    received = receiving.inbound.parse(Post(body), at=START)
    assert [piece.reason for piece in received.unreadable] != []
    assert received.messages == received.statuses == ()


def test_web_chat_reads_its_body_exactly() -> None:
    """Web chat has no platform: its bodies come with an answer of their own, and its name from the address."""
    assert Web().inbound(Settings()) is None
    body = '{"id": "m-1", "text": " Olá ", "name": "Ana"}'.encode()
    assert read_message("c-1", body, at=START) == InboundMessage(
        id=MessageId("m-1"),
        conversation_id=ConversationId("web:c-1"),
        address=Address(channel=ChannelName.WEB, account="web:c-1", person="c-1"),
        platform_id="m-1",
        text="Olá",
        person_name="Ana",
        received_at=START,
    )
