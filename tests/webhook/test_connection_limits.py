"""Limits of the HTTP server over real connections: heads, pipelines, silence, room for platforms."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from webhook_bed import ANA, HOOK, SECRET, WebhookBed

from adapters.http.listener import listen
from cli import connections
from cli.serving import server_of
from observability.logs import configure_logs
from observability.metrics import REGISTRY
from sandbox import whatsapp_webhooks as meta
from sandbox.whatsapp_webhooks import envelope, sign, to_bytes
from webhook.app import MOST_OF_ONE, OpenRequests

GET = b"GET /healthz HTTP/1.1\r\nHost: prosa\r\n\r\n"
MEGABYTE = 1024 * 1024
PIPELINED = 1_000


def limited(reason: str) -> float:
    return REGISTRY.get_sample_value("http_limited_total", {"reason": reason}) or 0


@asynccontextmanager
async def connection(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def flood(url: str, begin: bytes, piece: bytes, size: int) -> tuple[int, bytes]:
    """Send up to `size` bytes; return how many were taken, and the answer."""
    async with connection(url) as (reader, writer), asyncio.timeout(20):
        writer.write(begin)
        sent = 0
        with suppress(ConnectionError):
            while sent < size and not reader.at_eof() and not writer.is_closing():
                writer.write(piece)
                await writer.drain()
                sent += len(piece)
        answer = b""
        with suppress(ConnectionError):
            answer = await reader.read()
        return sent, answer


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: prosa\r\n", b"X-More: " + b"a" * 1_000 + b"\r\n"),
        (b"GET /healthz HTTP/1.1\r\nX-Endless: ", b"a" * 1_000),
        (b"GET /", b"a" * 1_000),
        (f"POST {HOOK} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;".encode(), b"a" * 1_000),
    ],
)
async def test_an_endless_head_ends(bed: WebhookBed, begin: bytes, piece: bytes) -> None:
    async with bed.served() as url:
        sent, answer = await flood(url, begin, piece * 16, 20 * MEGABYTE)
        assert sent < 10 * MEGABYTE, "what is beyond the limit is not read"
        assert answer.startswith(b"HTTP/1.1 400") or not answer
        async with httpx.AsyncClient(base_url=url) as http:
            assert (await http.get("/healthz", headers={"x-large": "a" * 60_000})).status_code == 200
            assert (await http.get("/healthz", headers={"x-large": "a" * 66_000})).status_code == 400


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (b"\x16\x03\x01\x02", "unreadable"),
        (b"GET /healthz HTTP/1.1\r\nHost: prosa\r\nTransfer-Encoding : chunked\r\n\r\n", "unreadable"),
        (b"GET /healthz HTTP/1.1\r\nHost: prosa\r\nHost: other\r\n\r\n", "hosts"),
    ],
)
async def test_what_cannot_be_read_is_counted_and_not_logged(bed: WebhookBed, request_: bytes, reason: str) -> None:
    configure_logs(level="INFO", stream=(logs := io.StringIO()))
    before = limited(reason)
    async with bed.served() as url:
        for _ in range(5):
            _, answer = await flood(url, request_, b"", 0)
            assert answer.startswith(b"HTTP/1.1 400")
        async with connection(url) as (reader, writer):
            writer.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"))
            assert (await reader.read(12)).startswith(b"HTTP/1.1 200")
    assert limited(reason) == before + 5
    assert "library" not in logs.getvalue()


async def test_an_endless_pipeline_ends_and_a_short_one_is_answered(bed: WebhookBed) -> None:
    before = limited("pipeline")
    async with bed.served() as url:
        sent, _ = await flood(url, b"", GET * 500, 20 * MEGABYTE)
        assert sent < 10 * MEGABYTE
        assert limited("pipeline") == before + 1
        async with connection(url) as (reader, writer), asyncio.timeout(10):
            writer.write(GET * PIPELINED)
            for _ in range(PIPELINED):
                assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("pieces", [[], [b"GET /heal"], [GET, b"\r\n"], [GET, b"GET / HTTP/1.1\r\nHost: p\r\n"]])
async def test_a_connection_without_a_head_ends(
    bed: WebhookBed, pieces: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    before = limited("head_time")
    async with bed.served() as url, connection(url) as (reader, writer), asyncio.timeout(4):
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.05)
        with suppress(ConnectionError):
            await reader.read()
    assert limited("head_time") == before + 1


async def test_a_request_may_take_longer_than_its_head(bed: WebhookBed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    async with bed.served() as url, httpx.AsyncClient(base_url=url) as http:
        taken = await http.post("/chat/c-1/messages", content=b'{"text": "oi"}')
        waited = await http.get(taken.json()["status_url"], params={"wait": "0.5"})
        assert waited.status_code == 200


async def test_an_answer_left_unread_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "UNREAD_SECONDS", 0.2)
    before, is_ended = limited("unread"), asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while limited("unread") == before:
            await send({"type": "http.response.body", "body": b"a" * MEGABYTE, "more_body": True})
        is_ended.set()

    async with server_of(endless).running(listen("127.0.0.1", 0)) as url, connection(url) as (_, writer):
        writer.write(GET)
        async with asyncio.timeout(10):
            await is_ended.wait()


async def test_connections_that_only_exist_leave_room(bed: WebhookBed) -> None:
    server = server_of(bed.app, room=20)
    before = limited("full")
    async with server.running(listen("127.0.0.1", 0)) as url, AsyncExitStack() as stack:
        for number in range(30):
            _, writer = await stack.enter_async_context(connection(url))
            if number >= 20:
                writer.write(b"POST /chat/c/messages HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        assert await post_status(url) == 200
    assert limited("full") > before


async def test_streams_of_one_client_end_before_those_of_others(bed: WebhookBed) -> None:
    async with bed.served() as url, AsyncExitStack() as stack, asyncio.timeout(30):
        for number in range(MOST_OF_ONE - 1):
            assert (await stack.enter_async_context(stream(url, number, by=7))).startswith(b"HTTP/1.1 200")
        async with stream(url, MOST_OF_ONE, by=7) as last, stream(url, 500, by=7) as over, stream(url, 501, by=8) as of:
            assert last.startswith(b"HTTP/1.1 200")
            assert over.startswith(b"HTTP/1.1 429")
            assert b"retry-after: 5" in over.lower()
            assert of.startswith(b"HTTP/1.1 200"), "another client"
        await asyncio.sleep(0.3)
        async with stream(url, 502, by=7) as again:
            assert again.startswith(b"HTTP/1.1 200"), "one has ended"


async def test_all_streams_together_leave_room_for_platforms(bed: WebhookBed) -> None:
    server = server_of(OpenRequests(bed.app, most=3))
    async with server.running(listen("127.0.0.1", 0)) as url, AsyncExitStack() as stack, asyncio.timeout(20):
        for number, status in enumerate((200, 200, 200, 503)):
            head = await stack.enter_async_context(stream(url, number, by=number))
            assert head.startswith(f"HTTP/1.1 {status}".encode())
        assert await post_status(url) == 200


@asynccontextmanager
async def stream(url: str, number: int, *, by: int) -> AsyncIterator[bytes]:
    """Open a stream of events; yield the head of its answer."""
    async with connection(url) as (reader, writer):
        head = f"GET /chat/c-{number}/events HTTP/1.1\r\nHost: prosa\r\nX-Forwarded-For: 203.0.113.{by}\r\n\r\n"
        writer.write(head.encode())
        yield await reader.readuntil(b"\r\n\r\n")


async def post_status(url: str) -> int:
    body = to_bytes(envelope(meta.inbound_text(ANA, "Oi")))
    async with httpx.AsyncClient(base_url=url) as http:
        answer = await http.post(HOOK, content=body, headers={"x-hub-signature-256": sign(body, SECRET)})
    return answer.status_code
