"""Outbound HTTP: one configuration of clients (trust, proxy, time-outs), one reading of answers and errors."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import HttpxAiohttpClient

from contracts.backoff import retry_after

MAX_ANSWER_BYTES = 1024 * 1024
CONNECT_SECONDS = 5.0
CONNECTIONS, KEEP_ALIVE_SECONDS = 100, 5.0

# httpx-aiohttp reports every broken connection as ConnectTimeout, also one that broke after the bytes had left, and
# lets some of aiohttp's errors through: where aiohttp is the cause, its own error decides.
_ERRORS = (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError)
_NOTHING_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)


class HttpError(Exception):
    """A request without a whole answer; the text names the error and nothing of the request or the answer.

    `was_sent` says whether the server may have received it.
    """

    def __init__(self, reason: str, *, was_sent: bool) -> None:
        super().__init__(reason)
        self.was_sent = was_sent


class TooLongAnswerError(HttpError):
    """The answer is longer than was asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of a server, whatever its status."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status <= 299

    @property
    def is_busy(self) -> bool:
        """Whether the same request may be taken later: too many requests, or an error of the server."""
        return self.status == 429 or self.status >= 500

    @property
    def retry_after(self) -> timedelta | None:
        return retry_after(self.headers)


def open_client(
    *,
    within: timedelta,
    connect_within: timedelta | None = None,
    connections: int = CONNECTIONS,
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
    headers: Mapping[str, str] | None = None,
    base_url: str = "",
    is_hot: bool = False,
    is_direct: bool = False,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """Make a client of a service, for its caller to close.

    It trusts the authorities of `SSL_CERT_FILE` or `SSL_CERT_DIR`, else those that come with the libraries (an image
    need not have any), and goes through the proxies of the environment. It follows no redirect: the new place would get
    what was sent.

    Args:
        within: the longest silence while a request is sent or its answer comes, and the wait for a free connection.
        connect_within: the making of a connection; by default 5 s, and never longer than `within`.
        is_hot: called with every turn; aiohttp carries it, for 0.35 ms of processor time a call at fifty in flight, and
            not for several as the transport of httpx.
        is_direct: for a server on this machine: neither proxy nor authorities of the environment.
        transport: for tests of what a network does.
    """
    seconds = within.total_seconds()
    connect = min(connect_within.total_seconds() if connect_within else CONNECT_SECONDS, seconds)
    kind = HttpxAiohttpClient if is_hot else httpx.AsyncClient
    return kind(
        timeout=httpx.Timeout(seconds, connect=connect),
        limits=httpx.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=keep_alive_seconds
        ),
        headers={"User-Agent": "Prosa", **(headers or {})},
        base_url=base_url,
        follow_redirects=False,
        trust_env=not is_direct,
        transport=transport,
    )


async def ask(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    within: timedelta | None = None,
    max_bytes: int = MAX_ANSWER_BYTES,
    **given: Any,
) -> Answer:
    """Send one request (`given` as httpx takes it) and return its answer, whatever its status.

    `within` is for all of it: the client's own time-out is for each silence, which a server that drips never reaches.
    With `max_bytes` 0 the body is not read.

    Raises:
        HttpError: no answer, none in time, or a broken one.
        TooLongAnswerError: it is longer than `max_bytes`.
    """
    try:
        async with asyncio.timeout(within.total_seconds() if within else None):
            async with client.stream(method, _parsed(url), **given) as response:
                content = await _read(response, max_bytes) if max_bytes else b""
                return Answer(response.status_code, response.headers, content)
    except _ERRORS as exc:
        cause = exc.__cause__ if isinstance(exc.__cause__, aiohttp.ClientError) else exc
        raise HttpError(type(cause).__name__, was_sent=not isinstance(cause, _NOTHING_LEFT)) from exc
    except TimeoutError as exc:
        raise HttpError("TimeoutError", was_sent=True) from exc


# The same few addresses are called again and again, and parsing one takes a tenth of a call.
@lru_cache(maxsize=256)
def _parsed(url: str) -> httpx.URL:
    parsed = httpx.URL(url)
    if (parsed.port or 0) > 65_535:
        # The socket would raise an OverflowError, in a group of a task group.
        raise httpx.InvalidURL("the port is out of range")
    return parsed


async def _read(response: httpx.Response, max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    declared = response.headers.get("content-length", "")
    if declared.isdecimal() and len(declared) <= 18 and int(declared) > max_bytes:
        raise TooLongAnswerError("TooLongAnswer", was_sent=True)
    size = 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > max_bytes:
            raise TooLongAnswerError("TooLongAnswer", was_sent=True)
        pieces.append(piece)
    return b"".join(pieces)
