"""The WhatsApp channel against a Graph API on a real port: what it sends, and what it makes of every answer."""

import asyncio
import contextlib
import io
import logging
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from webhook_bed import ACCOUNT, ANA

from adapters.channels import sending
from adapters.channels.whatsapp.outbound import WhatsAppChannel
from adapters.http.listener import listen
from cli.serving import server_of
from contracts.delivery import OutboxRow
from contracts.errors import ChannelRefusedError, ChannelUnavailableError, ConfigurationError, SendOutcomeUnknownError
from contracts.messages import (
    Address,
    ChannelName,
    ContactCard,
    Location,
    Media,
    MessageType,
    Option,
    OutboundMessage,
    Reaction,
    Template,
)
from contracts.values import ConversationId, OutboxId, TurnId
from observability.logs import configure_logs
from sandbox.app import SandboxSettings
from sandbox.app import create_app as create_sandbox
from sandbox.behaviour import GraphBehaviour, ScriptedSend, SendFault
from sandbox.graph_api import GraphSandbox
from tests.builders import START, pyloto

TOKEN = "EAAG-segredo"


def row(message: OutboundMessage | None = None, *, person: str = ANA, attempts: int = 1, **changes: Any) -> OutboxRow:
    return OutboxRow(
        id=OutboxId("wa:1/1/0"),
        conversation_id=ConversationId("wa:1"),
        turn_id=TurnId("wa:1/1"),
        number=1,
        address=Address(channel=ChannelName.WHATSAPP, account=changes.pop("account", ACCOUNT), person=person),
        message=message or OutboundMessage.of_text("Pois não"),
        attempts=attempts,
        created_at=START,
        updated_at=START,
    )


@asynccontextmanager
async def channel_to(url: str, *, token: str = TOKEN) -> AsyncIterator[WhatsAppChannel]:
    channel = WhatsAppChannel(api_url=url, access_token=token, phone_number_id=ACCOUNT)
    try:
        yield channel
    finally:
        await channel.close()


@pytest.fixture
async def sandbox() -> AsyncIterator[tuple[GraphSandbox, str]]:
    app = create_sandbox(SandboxSettings(institution=pyloto()))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        yield app.state.graph, f"{url}/graph/v26.0"


@pytest.fixture
def graph(sandbox: tuple[GraphSandbox, str]) -> GraphSandbox:
    return sandbox[0]


@pytest.fixture
async def channel(sandbox: tuple[GraphSandbox, str]) -> AsyncIterator[WhatsAppChannel]:
    async with channel_to(sandbox[1]) as channel:
        yield channel


LINK = Media(link="https://exemplo.com/arquivo")
MESSAGES: dict[str, tuple[OutboundMessage, str, Any]] = {
    "text": (OutboundMessage.of_text("Olá 👋"), "text", {"body": "Olá 👋"}),
    "buttons": (
        OutboundMessage(
            type=MessageType.BUTTON, text="Qual?", buttons=(Option(id="1", title="Sim"), Option(id="2", title="Não"))
        ),
        "interactive",
        {
            "type": "button",
            "body": {"text": "Qual?"},
            "action": {
                "buttons": [
                    {"type": "reply", "reply": {"id": "1", "title": "Sim"}},
                    {"type": "reply", "reply": {"id": "2", "title": "Não"}},
                ]
            },
        },
    ),
    "list": (
        OutboundMessage(
            type=MessageType.LIST,
            text="Qual dia?",
            list_label="Ver dias",
            rows=(Option(id="1", title="Sábado", description="Das 9h às 12h"), Option(id="2", title="Domingo")),
        ),
        "interactive",
        {
            "type": "list",
            "body": {"text": "Qual dia?"},
            "action": {
                "button": "Ver dias",
                "sections": [
                    {
                        "title": "Ver dias",
                        "rows": [
                            {"id": "1", "title": "Sábado", "description": "Das 9h às 12h"},
                            {"id": "2", "title": "Domingo"},
                        ],
                    }
                ],
            },
        },
    ),
    "image": (
        OutboundMessage(type=MessageType.IMAGE, text="Veja", media=LINK),
        "image",
        {"link": LINK.link, "caption": "Veja"},
    ),
    "video": (OutboundMessage(type=MessageType.VIDEO, media=LINK), "video", {"link": LINK.link}),
    # The platform takes no caption with a sound.
    "audio": (OutboundMessage(type=MessageType.AUDIO, text="Ouça", media=LINK), "audio", {"link": LINK.link}),
    "document": (
        OutboundMessage(
            type=MessageType.DOCUMENT,
            text="Segue",
            media=Media(platform_media_id="4490709327384033", filename="tabela – 2026.pdf"),
        ),
        "document",
        {"id": "4490709327384033", "caption": "Segue", "filename": "tabela – 2026.pdf"},
    ),
    "place": (
        OutboundMessage(type=MessageType.LOCATION, location=Location(latitude=0, longitude=-49.27, name="Loja")),
        "location",
        {"latitude": 0, "longitude": -49.27, "name": "Loja"},
    ),
    "contact": (
        OutboundMessage(
            type=MessageType.CONTACT, contact=ContactCard(name="Rita Lima", phone="+5541999", organization="Loja")
        ),
        "contacts",
        [
            {
                "name": {"formatted_name": "Rita Lima", "first_name": "Rita"},
                "phones": [{"phone": "+5541999", "type": "WORK"}],
                "org": {"company": "Loja"},
            }
        ],
    ),
    "template": (
        OutboundMessage(
            type=MessageType.TEMPLATE, template=Template(name="retorno", language="pt_BR", parameters=("Ana",))
        ),
        "template",
        {
            "name": "retorno",
            "language": {"code": "pt_BR"},
            "components": [{"type": "body", "parameters": [{"type": "text", "text": "Ana"}]}],
        },
    ),
    "template without parameters": (
        OutboundMessage(type=MessageType.TEMPLATE, template=Template(name="retorno", language="pt_BR")),
        "template",
        {"name": "retorno", "language": {"code": "pt_BR"}, "components": []},
    ),
    "reaction": (
        OutboundMessage(type=MessageType.REACTION, reaction=Reaction(platform_message_id="wamid.A", emoji="👍")),
        "reaction",
        {"message_id": "wamid.A", "emoji": "👍"},
    ),
    "reaction taken back": (
        OutboundMessage(type=MessageType.REACTION, reaction=Reaction(platform_message_id="wamid.A", emoji="")),
        "reaction",
        {"message_id": "wamid.A", "emoji": ""},
    ),
}


def test_every_type_is_sent_here() -> None:
    assert {message.type for message, _, _ in MESSAGES.values()} == set(MessageType)


@pytest.mark.parametrize("case", MESSAGES)
async def test_every_type_is_accepted(channel: WhatsAppChannel, graph: GraphSandbox, case: str) -> None:
    message, kind, content = MESSAGES[case]
    platform_id = await channel.send(row(message))
    (accepted,) = graph.messages
    assert platform_id == accepted["id"]
    assert accepted["phone_number_id"] == ACCOUNT
    assert accepted["body"] == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": f"+{ANA}",
        "type": kind,
        kind: content,
        "biz_opaque_callback_data": "wa:1/1/0",
    }


@pytest.mark.parametrize(
    ("person", "recipient"),
    [
        (ANA, {"to": f"+{ANA}"}),
        (f"+{ANA}", {"to": f"+{ANA}"}),
        ("BR.1a2b3c", {"recipient": "BR.1a2b3c"}),
        ("BR.ENT.1a2b3c", {"recipient": "BR.ENT.1a2b3c"}),
    ],
)
async def test_a_number_and_a_business_scoped_id_are_told_apart(
    channel: WhatsAppChannel, graph: GraphSandbox, person: str, recipient: dict[str, str]
) -> None:
    assert await channel.send(row(person=person))
    body = graph.messages[0]["body"]
    assert {key: body[key] for key in ("to", "recipient") if key in body} == recipient


async def test_the_account_that_was_written_to_answers(channel: WhatsAppChannel, graph: GraphSandbox) -> None:
    await channel.send(row(account="222"))
    await channel.send(row(account=""))
    assert [message["phone_number_id"] for message in graph.messages] == ["222", ACCOUNT]


WAIT = (131056, 130429, 4, 80007, 131057, 133004, 131016, 2, 131000, 1)
STOP = (0, 190, 3, 10, 200, 250, 299, 131005, 368, 130497, 131031, 33, 133010, 131045, 131042, 131037, 131063)
OF_THE_PERSON = (131047, 131048, 131049, 131021, 131030, 131050, 130472, 131062, 137000)
FINAL = (
    *(131048, 131049, 132015),  # wait long: not repeated blindly
    131047,
    *(131026, 131021, 131030, 131050, 130472, 131062, 137000),  # this recipient
    *(100, 131008, 131009, 131051, 131052, 131053),  # this message
    *(132000, 132001, 132005, 132007, 132012, 132016, 132068, 132069, 135000, 131036),
    *(999_999, 199, 300),  # of no class that is documented
)


async def refused(channel: WhatsAppChannel, graph: GraphSandbox, code: int, **changes: Any) -> Exception:
    graph.behave(GraphBehaviour(script=(ScriptedSend(code=code),)))
    with pytest.raises((ChannelUnavailableError, ChannelRefusedError, SendOutcomeUnknownError)) as caught:
        await channel.send(row(**changes))
    assert not graph.messages
    assert type(caught.value) is not SendOutcomeUnknownError
    return caught.value


async def test_codes_that_pass_keep_the_message(channel: WhatsAppChannel, graph: GraphSandbox) -> None:
    for code in WAIT:
        error = await refused(channel, graph, code)
        assert isinstance(error, ChannelUnavailableError), code
        assert (error.retry_after or timedelta(0)) < timedelta(minutes=1), code
        assert str(code) in str(error)


async def test_codes_of_the_account_keep_it_for_longer(channel: WhatsAppChannel, graph: GraphSandbox) -> None:
    for code in STOP:
        error = await refused(channel, graph, code)
        assert isinstance(error, ChannelUnavailableError), code
        assert error.retry_after is not None, code
        assert error.retry_after >= timedelta(minutes=1), code


async def test_the_rest_is_final(channel: WhatsAppChannel, graph: GraphSandbox) -> None:
    for code in FINAL:
        error = await refused(channel, graph, code)
        assert isinstance(error, ChannelRefusedError), code
        assert error.code == str(code)
        assert error.in_any_form == (code in OF_THE_PERSON), code


async def test_the_pair_rate_is_waited_off_in_powers_of_four(channel: WhatsAppChannel, graph: GraphSandbox) -> None:
    for attempts, seconds in [(1, 1), (2, 4), (3, 16), (4, 64), (5, 256), (50, 256)]:
        error = await refused(channel, graph, 131056, attempts=attempts)
        assert isinstance(error, ChannelUnavailableError)
        assert error.retry_after == timedelta(seconds=seconds)


async def test_a_wrong_token_stops_the_account(sandbox: tuple[GraphSandbox, str]) -> None:
    async with channel_to(sandbox[1], token="invalid") as channel:
        with pytest.raises(ChannelUnavailableError, match="account 190"):
            await channel.send(row())


@pytest.mark.parametrize(
    ("fault", "error", "accepted"),
    [
        (SendFault.SERVER_ERROR_PAGE, ChannelUnavailableError, 0),
        (SendFault.UNAVAILABLE, ChannelUnavailableError, 0),
        (SendFault.CUT_BEFORE_ACCEPTING, SendOutcomeUnknownError, 0),
        (SendFault.CUT_AFTER_ACCEPTING, SendOutcomeUnknownError, 1),
    ],
)
async def test_what_breaks_on_the_way(
    channel: WhatsAppChannel, graph: GraphSandbox, fault: SendFault, error: type[Exception], accepted: int
) -> None:
    graph.behave(GraphBehaviour(script=(ScriptedSend(fault=fault),)))
    with pytest.raises(error):
        await channel.send(row())
    assert len(graph.messages) == accepted
    assert await channel.send(row()), "the next send finds a connection again"


async def test_an_answer_that_does_not_come_is_unknown(
    sandbox: tuple[GraphSandbox, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, url = sandbox
    monkeypatch.setattr(sending, "SEND_WITHIN", timedelta(milliseconds=100))
    graph.behave(GraphBehaviour(latency=1_000))  # type: ignore[arg-type]
    async with channel_to(url) as channel:
        with pytest.raises(SendOutcomeUnknownError, match="SocketTimeoutError"):
            await channel.send(row())


@asynccontextmanager
async def answering(answer: Callable[[], Response]) -> AsyncIterator[tuple[WhatsAppChannel, list[str]]]:
    """A platform that always gives this answer, and the paths that were asked."""
    paths: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        paths.append(scope["raw_path"].decode())
        while (await receive()).get("more_body"):
            continue
        await answer()(scope, receive, send)

    async with server_of(app).running(listen("127.0.0.1", 0)) as url, channel_to(f"{url}/v26.0") as channel:
        yield channel, paths


NO_ID = (
    *({}, {"messages": []}, {"messages": {}}, {"messages": [{}]}, {"messages": ["wamid.A"]}, {"messages": None}),
    *({"messages": [{"id": None}]}, {"messages": [{"id": ""}]}, {"messages": [{"id": 7}]}),
    *([], None, "ok"),
)


async def test_accepted_without_an_id_is_unknown() -> None:
    answers: list[Response] = [JSONResponse(content) for content in NO_ID]
    answers += [PlainTextResponse(body) for body in ("", "<html>", "{", "\x00")]
    async with answering(lambda: answers[-1]) as (channel, _):
        while answers:
            with pytest.raises(SendOutcomeUnknownError):
                await channel.send(row())
            answers.pop()


NO_CODE = (
    "<h1>Bad gateway</h1>",
    "{}",
    "[]",
    '{"error": "x"}',
    '{"error": {"code": "x"}}',
    '{"error": {"code": 1e999}}',
)


@pytest.mark.parametrize("content", NO_CODE)
async def test_a_refusal_without_a_code_is_nobodys_verdict(content: str) -> None:
    """A gateway, or a wrong address: the message keeps, whatever the status says."""
    statuses = [400, 401, 403, 404, 408, 413, 418, 429, 500, 502, 503, 504]
    async with answering(lambda: HTMLResponse(content, statuses[-1])) as (channel, _):
        while statuses:
            with pytest.raises(ChannelUnavailableError, match=str(statuses[-1])):
                await channel.send(row())
            statuses.pop()


async def test_nobody_is_followed_elsewhere() -> None:
    """The token would go along."""
    async with answering(lambda: RedirectResponse("http://attacker.test/")) as (channel, paths):
        with pytest.raises(ChannelUnavailableError, match="307"):
            await channel.send(row())
        assert paths == [f"/v26.0/{ACCOUNT}/messages"]


async def test_the_environment_s_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(lambda: JSONResponse({"messages": [{"id": "wamid.A"}]})) as (direct, paths):
        monkeypatch.setenv("http_proxy", direct._api_url.removesuffix("/v26.0"))
        async with channel_to("http://graph.test/v26.0") as channel:
            assert await channel.send(row()) == "wamid.A"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with channel_to(direct._api_url) as channel:
            assert await channel.send(row()) == "wamid.A"
    # There is no graph.test: the first one can only have come as to a proxy.
    path = f"/v26.0/{ACCOUNT}/messages"
    assert paths == [path, path]


@pytest.mark.parametrize("token", [f"a\n{TOKEN}", f"{TOKEN}\0b", f"{TOKEN}é"])
async def test_a_token_that_cannot_be_written_stops_the_start(token: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        WhatsAppChannel(api_url="http://graph.test", access_token=token, phone_number_id=ACCOUNT)
    assert TOKEN not in str(caught.value)


async def test_without_a_host_nothing_was_sent() -> None:
    async with channel_to("graph.test") as channel:
        with pytest.raises(ChannelUnavailableError, match="Url"):
            await channel.send(row())


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        OK + b"Content-Length: many\r\n\r\n",
        OK + b"Content-Length: 90\r\n\r\n{",
        OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde",
        OK + b"Content-Encoding: deflate\r\nContent-Length: 5\r\n\r\nabcde",
        OK + b"Set-Cookie: \xff=\x01; Expires=never\r\nContent-Length: 0\r\n\r\n",
        OK + b"\xff\xfe: \xff\r\nContent-Length: 0\r\n\r\n",
        OK + b"A: " + b"b" * 100_000 + b"\r\n\r\n",
        OK + b"Content-Type: text/html; charset=nowhere\r\nContent-Length: 1\r\n\r\n\xff",
    ],
)
async def test_what_is_no_answer_leaves_the_outcome_unknown(answer: bytes) -> None:
    """The message has arrived by then, and may have been taken."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, channel_to(f"http://{host}:{port}/v26.0") as channel:
        with pytest.raises(SendOutcomeUnknownError):
            await channel.send(row())


async def test_an_odd_account_stays_one_piece_of_the_address() -> None:
    async with answering(lambda: JSONResponse({"messages": [{"id": "wamid.A"}]})) as (channel, paths):
        for account in ("../me", "1/../2", "a?b", "a#b", "\x00", "a b", "é", "http://attacker.test/"):
            assert await channel.send(row(account=account)) == "wamid.A"
    assert len(paths) == 8
    for path in paths:
        assert path.startswith("/v26.0/")
        assert path.endswith("/messages")
        assert path.count("/") == 3


async def settled(channel: WhatsAppChannel) -> None:
    await asyncio.gather(*channel._background)


async def test_the_read_mark_comes_with_typing(channel: WhatsAppChannel, graph: GraphSandbox) -> None:
    channel.acknowledge(row().address, "wamid.IN")
    await settled(channel)
    assert graph.counters.all()["typing_indicators"] == 1


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_a_read_mark_that_fails_disturbs_nobody(status: int) -> None:
    async with answering(lambda: HTMLResponse("?", status)) as (channel, _):
        channel.acknowledge(row().address, "wamid.IN")
        await settled(channel)


async def test_closing_ends_what_is_on_its_way() -> None:
    waiting = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        waiting.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, channel_to(f"http://{host}:{port}") as channel:
        channel.acknowledge(row().address, "wamid.IN")
        await waiting.wait()
        async with asyncio.timeout(2):
            await channel.close()


async def test_the_token_is_in_no_error_and_no_log(
    sandbox: tuple[GraphSandbox, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, url = sandbox
    stream = io.StringIO()
    configure_logs(level="DEBUG", stream=stream)
    errors: list[BaseException] = []
    # A line break at the end of a token is a common slip, and no header can hold it.
    libraries = io.StringIO()
    monkeypatch.setattr(logging.getLogger(), "level", logging.DEBUG)
    listener = logging.StreamHandler(libraries)
    with contextlib.ExitStack() as stack:
        logging.getLogger().addHandler(listener)
        stack.callback(logging.getLogger().removeHandler, listener)
        logging.getLogger("aiohttp.client").debug("heard")
        for token, address in ((TOKEN, url), (TOKEN + "\n", url), (TOKEN, "http://127.0.0.1:9")):
            async with channel_to(address, token=token) as channel:
                for fault in SendFault:
                    graph.behave(GraphBehaviour(script=(ScriptedSend(fault=fault),)))
                    with pytest.raises((ChannelUnavailableError, SendOutcomeUnknownError)) as caught:
                        await channel.send(row())
                    errors.append(caught.value)
                channel.acknowledge(row().address, "wamid.IN")
                await settled(channel)
    for error in errors:
        assert TOKEN not in "".join(traceback.format_exception(error))
    assert TOKEN not in stream.getvalue()
    assert "heard" in libraries.getvalue()
    assert TOKEN not in libraries.getvalue()
