"""The proxy does to a connection what it is told: a harness whose faults do nothing proves nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.load.proxy import Direction, Proxy, Weather


@asynccontextmanager
async def echoing() -> AsyncIterator[Proxy]:
    """A server that sends back what it gets, behind a proxy."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(1024):
                writer.write(chunk)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    proxy = Proxy("127.0.0.1", server.sockets[0].getsockname()[1])
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()
        server.close()


async def said(proxy: Proxy, text: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(text)
        return await reader.readexactly(len(text))
    finally:
        writer.close()


async def test_in_clear_weather_everything_passes() -> None:
    async with echoing() as proxy:
        assert await said(proxy, b"hello") == b"hello"


async def test_a_delay_is_in_one_direction() -> None:
    async with echoing() as proxy:
        proxy.weather = Weather(to_server=Direction(delay_s=0.2))
        started = time.monotonic()
        await said(proxy, b"hello")
        assert time.monotonic() - started >= 0.2


async def test_a_throttle_takes_its_time() -> None:
    async with echoing() as proxy:
        proxy.weather = Weather(to_client=Direction(bytes_per_s=1_000))
        started = time.monotonic()
        await said(proxy, b"x" * 300)
        assert time.monotonic() - started >= 0.3


async def test_in_an_outage_connections_are_reset_and_new_ones_refused() -> None:
    async with echoing() as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"hello")
        await reader.readexactly(5)
        async with proxy.outage():
            with pytest.raises(ConnectionResetError):
                await reader.read(1)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await said(proxy, b"hello")
        assert await said(proxy, b"again") == b"again"
        writer.close()


async def test_silence_swallows_what_is_said_in_it() -> None:
    async with echoing() as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"hello")
        await reader.readexactly(5)
        async with proxy.silence():
            writer.write(b"anybody?")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.2)
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()


async def test_troubles_may_overlap_and_end_in_any_order() -> None:
    async with echoing() as proxy:
        async with AsyncExitStack() as first:
            await first.enter_async_context(proxy.outage())
            async with AsyncExitStack() as second:
                await second.enter_async_context(proxy.silence())
                await first.aclose()
        assert await said(proxy, b"hello") == b"hello"


async def test_a_half_closed_connection_still_brings_the_other_half() -> None:
    async with echoing() as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"hello")
        await reader.readexactly(5)
        proxy.half_close(to_server=False)
        assert await reader.read() == b""
        writer.close()


async def test_a_cut_is_an_orderly_end() -> None:
    async with echoing() as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"hello")
        await reader.readexactly(5)
        proxy.cut()
        assert await reader.read() == b""
        writer.close()
