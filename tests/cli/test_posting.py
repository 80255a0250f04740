"""The posts of `prosa load`, against servers that behave and servers that do not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from cli import traffic
from cli.traffic import Poster
from contracts.errors import ConfigurationError

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Served:
    """What a server has seen: each request's first line, fields and body, and how many connections there were."""

    def __init__(self) -> None:
        self.requests: list[tuple[bytes, dict[bytes, bytes], bytes]] = []
        self.connections = 0

    async def read(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).splitlines()
        fields = dict(line.lower().split(b": ", 1) for line in head[1:] if line)
        body = await reader.readexactly(int(fields[b"content-length"]))
        self.requests.append((head[0], fields, body))


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[tuple[str, Served]]:
    served = Served()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        try:
            while True:
                await served.read(reader)
                await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}/hook?a=1", served
    finally:
        server.close()


def saying(answer: bytes, *, then_close: bool = False) -> Answer:
    async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        if then_close:
            writer.close()

    return say


async def test_a_post_arrives_whole_and_its_connection_is_used_again() -> None:
    async with serving(saying(OK)) as (url, served):
        poster = Poster([url], connections=8)
        assert [await poster.post(body, {"x-mark": "1"}) for body in (b"{}", b"[1]")] == ["200", "200"]
        poster.close()
    assert served.connections == 1
    first, fields, body = served.requests[0]
    assert (first, body) == (b"POST /hook?a=1 HTTP/1.1", b"{}")
    assert fields[b"x-mark"] == b"1"
    assert fields[b"host"] in url.encode()
    assert served.requests[1][2] == b"[1]"


async def test_no_more_connections_than_allowed_and_each_post_alone_on_its_own() -> None:
    running, most = 0, 0

    async def slowly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        writer.write(OK)

    async with serving(slowly) as (url, served):
        poster = Poster([url], connections=3)
        assert set(await asyncio.gather(*(poster.post(b"%d" % n, {}) for n in range(20)))) == {"200"}
        poster.close()
    assert (served.connections, most) == (3, 3)
    assert sorted(int(body) for _, _, body in served.requests) == list(range(20))


async def test_several_servers_take_turns() -> None:
    async with serving(saying(OK)) as (one, at_one), serving(saying(OK)) as (two, at_two):
        poster = Poster([one, two], connections=10)
        await poster.open(10)
        await asyncio.gather(*(poster.post(b"", {}) for _ in range(10)))
        poster.close()
    assert (len(at_one.requests), len(at_two.requests)) == (5, 5)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", "503"),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "200"),
        (b"+PONG\r\n", "HttpParserError"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "ConnectionResetError"),
        (b"", "ConnectionResetError"),
    ],
    ids=["refused", "chunked", "no HTTP", "cut in the middle", "cut"],
)
async def test_what_came_instead_of_an_answer_is_named_and_the_next_post_has_a_new_connection(
    answer: bytes, told: str
) -> None:
    async with serving(saying(answer, then_close=True)) as (url, served):
        poster = Poster([url], connections=1)
        named = [await poster.post(b"", {}) for _ in range(2)]
        poster.close()
    assert named == [told, told]
    assert served.connections == 2


async def test_who_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "ANSWER_SECONDS", 0.05)

    async def never(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async with serving(never) as (url, _):
        poster = Poster([url], connections=1)
        assert await poster.post(b"", {}) == "TimeoutError"
        poster.close()


async def test_nobody_there() -> None:
    async with serving(saying(OK)) as (url, _):
        pass
    poster = Poster([url], connections=1)
    assert await poster.post(b"", {}) == "ConnectionRefusedError"
    with pytest.raises(OSError, match="Connect"):
        await poster.open(1)


@pytest.mark.parametrize("address", ["", "localhost:8000", "ftp://x/", "http://"])
def test_no_address(address: str) -> None:
    with pytest.raises(ConfigurationError, match="not an http or https address"):
        Poster([address], connections=1)
