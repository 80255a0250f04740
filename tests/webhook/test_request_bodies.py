"""Bodies that are too large, too slow, cut off or lie about their length; other methods and paths."""

import asyncio
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from webhook_bed import ANA, HOOK, SECRET, WebhookBed, assert_problem, raw_exchange, webhook_bed

from adapters.channels.whatsapp.inbound import WhatsAppInbound
from sandbox import whatsapp_webhooks as meta
from sandbox.whatsapp_webhooks import envelope, sign, to_bytes
from webhook import chat

MEGABYTE = 1024 * 1024


def padded(size: int) -> bytes:
    """A whole envelope of exactly this many bytes."""
    body = to_bytes(envelope(meta.inbound_text(ANA, "Oi")))
    return body + b" " * (size - len(body))


def head(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode()


async def test_three_megabytes_are_taken(bed: WebhookBed) -> None:
    text = "ã" * 490_000
    body = to_bytes(envelope(meta.inbound_text(ANA, text)))
    assert 2.9 * 1_000_000 < len(body) <= 3 * MEGABYTE
    assert (await bed.post_bytes(body)).status_code == 200
    kept = bed.kept[0].text
    assert len(kept) <= 20_000, "what a person can have typed, and no more, is kept"
    assert kept.startswith("ã" * 1_000)
    assert kept.endswith("ã" * 1_000)


async def test_the_cap_itself_is_taken_and_one_byte_more_is_not(bed: WebhookBed) -> None:
    assert (await bed.post_bytes(padded(WhatsAppInbound.max_body))).status_code == 200
    response = await bed.post_bytes(padded(WhatsAppInbound.max_body + 1))
    assert_problem(response, 413)
    assert response.headers["connection"] == "close"


async def test_the_chat_has_a_smaller_cap(bed: WebhookBed) -> None:
    body = b'{"text": "oi"}'
    assert (await bed.http.post("/chat/c/messages", content=body.ljust(chat.MAX_BODY))).status_code == 202
    assert_problem(await bed.http.post("/chat/c/messages", content=body.ljust(chat.MAX_BODY + 1)), 413)


@pytest.mark.parametrize("path", [HOOK, "/chat/c-1/messages"])
async def test_a_declared_length_over_the_cap_is_refused_unread(bed: WebhookBed, path: str) -> None:
    async with bed.served() as url:
        answer = await raw_exchange(url, head(path, f"Content-Length: {10 * MEGABYTE}"))
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"application/problem+json" in answer


async def test_an_undeclared_length_is_counted(bed: WebhookBed) -> None:
    async def chunks() -> object:
        for _ in range(100):
            yield b" " * 64 * 1024

    response = await bed.http.post(HOOK, content=chunks())  # type: ignore[arg-type]
    assert_problem(response, 413)


async def test_chunks_are_put_together_before_the_signature_is_checked(bed: WebhookBed) -> None:
    body = padded(1000)
    chunked = b"".join(b"%x\r\n%s\r\n" % (1, body[i : i + 1]) for i in range(len(body))) + b"0\r\n\r\n"
    async with bed.served() as url:
        lines = ("Transfer-Encoding: chunked", f"X-Hub-Signature-256: {sign(body, SECRET)}")
        answer = await raw_exchange(url, head(HOOK, *lines) + chunked)
    assert answer.startswith(b"HTTP/1.1 200")
    assert [message.text for message in bed.kept] == ["Oi"]


@pytest.mark.parametrize("declared", ["²", "-1", "9" * 19, "9" * 6000, "abc", ""])
async def test_a_length_that_is_no_number_is_not_believed(bed: WebhookBed, declared: str) -> None:
    headers = {b"content-length": declared.encode("latin-1")}
    response = await bed.http.post("/chat/c/messages", content=b'{"text": "oi"}', headers=headers)  # type: ignore[arg-type]
    assert response.status_code in (202, 413)


@pytest.mark.parametrize("declared", ["abc", "-1", "5, 6"])
async def test_the_server_refuses_such_a_length_by_itself(bed: WebhookBed, declared: str) -> None:
    async with bed.served() as url:
        answer = await raw_exchange(url, head(HOOK, f"Content-Length: {declared}") + b"{}", end=True)
    assert answer.startswith(b"HTTP/1.1 400")
    assert not bed.kept


@pytest.mark.parametrize("path", [HOOK, "/chat/c-1/messages"])
async def test_a_body_that_does_not_come_is_given_up(path: str, tmp_path: Path) -> None:
    async with webhook_bed("memory", tmp_path, read_within=timedelta(milliseconds=50)) as bed, bed.served() as url:
        answer = await raw_exchange(url, head(path, "Content-Length: 1000") + b'{"text": ')
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"application/problem+json" in answer
    assert b"connection: close" in answer.lower()
    assert not bed.kept


async def test_a_body_that_crawls_is_given_up_too(tmp_path: Path) -> None:
    """The time is for the whole body, not for each piece."""

    async def crawl() -> object:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    async with asyncio.timeout(5), webhook_bed("memory", tmp_path, read_within=timedelta(milliseconds=200)) as bed:
        assert_problem(await bed.http.post(HOOK, content=crawl()), 408)  # type: ignore[arg-type]


async def test_a_client_that_goes_away_leaves_nothing_behind(bed: WebhookBed) -> None:
    """Half a body is nobody's message, whatever it says so far; the next client is served."""
    body = b'{"text": "oi"}'
    async with bed.served() as url:
        host, port = url.removeprefix("http://").split(":")
        for _ in range(20):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(head("/chat/c-1/messages", "Content-Length: 100") + body)
            await writer.drain()
            writer.transport.abort()
        async with httpx.AsyncClient(base_url=url) as http:
            response = await http.post("/chat/c-1/messages", content=body)
    assert response.status_code == 202
    assert len(bed.kept) == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", [HOOK, "/chat/c-1/messages", "/chat/c-1/messages/m", "/chat/c-1/events", "/healthz"])
async def test_another_method_is_refused(bed: WebhookBed, method: str, path: str) -> None:
    response = await bed.http.request(method, path)
    assert_problem(response, 405)
    assert response.headers["allow"]


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/webhooks",
        "/webhooks/telegram",
        "/chat",
        "/chat/c-1",
        "/chat/a%2Fb/messages",
        "/chat/c-1/messages/a/b",
        "/%00",
        "/%ff%fe",
        "/static/../app.py",
        "/static/%2e%2e%2fapp.py",
        "//etc/passwd",
        "/" + "a" * 3000,
    ],
)
async def test_an_unknown_path_is_not_found(bed: WebhookBed, path: str) -> None:
    assert_problem(await bed.http.get(path), 404)


async def test_what_is_no_http_at_all_disturbs_nobody(bed: WebhookBed) -> None:
    async with bed.served() as url:
        for noise in (b"\x16\x03\x01\x02\x00\x01\x00", b"\x00" * 1000, b"GET\r\n\r\n", b"POST " + b"a" * 200_000):
            try:
                await raw_exchange(url, noise, end=True)
            except ConnectionError:
                continue
        async with httpx.AsyncClient(base_url=url) as http:
            assert (await http.get("/healthz")).text == "ok"
