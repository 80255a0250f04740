"""Outbound HTTP against real servers: proxies, private authorities, and what of a broken request may have arrived."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.http.client import Answer, HttpError, ask, open_client
from tests.adapters.certificates import Certificates
from tests.real_services import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

pytestmark = pytest.mark.parametrize("is_hot", [False, True])


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@asynccontextmanager
async def speaking(speak: Speak, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    async def spoken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await speak(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(spoken, "127.0.0.1", 0, ssl=tls)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"{'https' if tls else 'http'}://{host}:{port}"


def saying(answer: bytes) -> Speak:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return speak


@dataclass
class Proxy:
    """An HTTP proxy: it answers what it is asked for in plain text itself, and tunnels the rest where `allows`."""

    allows: bool = True
    asked: list[str] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, _ = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)[0].decode().split()
        self.asked.append(f"{method} {target}")
        if method != "CONNECT":
            writer.write(OK)
            return
        if not self.allows:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        host, port = target.split(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65_536):
        writer.write(piece)
    writer.close()


async def get(url: str, is_hot: bool, *, is_direct: bool = False, max_bytes: int = 1_000) -> Answer:
    async with open_client(within=timedelta(seconds=5), is_hot=is_hot, is_direct=is_direct) as client:
        return await ask(client, "POST", url, content=b"x", max_bytes=max_bytes)


async def test_what_is_in_plain_text_goes_through_the_environment_s_proxy(
    is_hot: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy()
    async with speaking(proxy) as address:
        monkeypatch.setenv("http_proxy", address)
        assert (await get("http://service.test/a?b=c", is_hot)).content == b"ok"
    # There is no service.test.
    assert proxy.asked == ["POST http://service.test/a?b=c"]


async def test_what_is_encrypted_goes_through_it_to_a_server_of_a_private_authority(
    is_hot: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = Certificates.made_in(tmp_path)
    proxy = Proxy()
    async with speaking(saying(OK), made.context()) as url, speaking(proxy) as address:
        monkeypatch.setenv("https_proxy", address)
        monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
        assert (await get(url, is_hot)).content == b"ok"
        assert proxy.asked == [f"CONNECT {url.removeprefix('https://')}"]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert (await get(url, is_hot)).content == b"ok"
        assert len(proxy.asked) == 1


async def test_a_server_of_an_authority_that_is_not_named_gets_nothing(is_hot: bool, tmp_path: Path) -> None:
    async with speaking(saying(OK), Certificates.made_in(tmp_path).context()) as url:
        with pytest.raises(HttpError) as refused:
            await get(url, is_hot)
    assert not refused.value.was_sent


async def test_a_proxy_that_refuses_gets_nothing(is_hot: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async with speaking(Proxy(allows=False)) as address:
        monkeypatch.setenv("https_proxy", address)
        with pytest.raises(HttpError) as refused:
            await get("https://service.test/", is_hot)
    assert not refused.value.was_sent


async def test_a_direct_client_asks_no_proxy(is_hot: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async with speaking(saying(OK)) as url:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
        assert (await get(url, is_hot, is_direct=True)).status == 200


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "http://no-such-host.invalid/", "ftp://a.test/", "a.test"])
async def test_what_found_no_server_was_not_sent(is_hot: bool, url: str) -> None:
    with pytest.raises(HttpError) as failed:
        await get(url.format(port=free_port()), is_hot)
    assert not failed.value.was_sent


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x16\x03\x01\x02",
        b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde",
    ],
)
async def test_what_broke_later_may_have_arrived(is_hot: bool, answer: bytes) -> None:
    async with speaking(saying(answer)) as url:
        with pytest.raises(HttpError) as broken:
            await get(url, is_hot)
    assert broken.value.was_sent
    assert url.removeprefix("http://") not in str(broken.value)


async def test_a_connection_that_is_reset_under_a_request_may_have_brought_it(is_hot: bool) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async with speaking(reset) as url:
        with pytest.raises(HttpError) as broken:
            await get(url, is_hot)
    assert broken.value.was_sent


async def test_silence_and_dripping_end_in_time(is_hot: bool) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.01)

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    short = timedelta(milliseconds=200)
    async with speaking(drip) as url, open_client(within=timedelta(seconds=30), is_hot=is_hot) as client:
        with pytest.raises(HttpError) as late:
            await ask(client, "GET", url, within=short)
        assert late.value.was_sent
    async with speaking(silence) as url, open_client(within=short, is_hot=is_hot) as client:
        with pytest.raises(HttpError) as late:
            await ask(client, "GET", url)
        assert late.value.was_sent


async def test_a_redirect_is_an_answer(is_hot: bool) -> None:
    moved = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://attacker.test/\r\nContent-Length: 0\r\n\r\n"
    async with speaking(saying(moved)) as url:
        answer = await get(url, is_hot)
    assert (answer.status, answer.is_success) == (307, False)
    assert answer.headers["location"] == "http://attacker.test/"


async def test_a_body_that_is_not_asked_for_is_not_read(is_hot: bool) -> None:
    async with speaking(saying(b"HTTP/1.1 204 No Content\r\nContent-Length: 90\r\n\r\n")) as url:
        assert (await get(url, is_hot, max_bytes=0)).is_success
