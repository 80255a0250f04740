"""Inbound HTTP requests: a body under a cap and a time-out, a token, the machine they come from, a long poll's wait."""

import asyncio
import base64
import binascii
import hmac
from datetime import timedelta

from starlette.requests import Request

from adapters.http.problems import Problem
from contracts.settings import LOOPBACK

MAX_WAIT_SECONDS = 30.0
# Set by a proxy or a tunnel, which speaks for somebody elsewhere.
FORWARDING = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "cf-connecting-ip",
)


class BodyReader:
    """Reads bodies of at most `limit` bytes, if they come `within` a time."""

    def __init__(self, limit: int, within: timedelta) -> None:
        self._limit = limit
        self._within = within.total_seconds()

    async def __call__(self, request: Request) -> bytes:
        """Return the raw body.

        Raises:
            Problem: 413 when it is too large, 408 when it does not come, 400 when the client went away.
        """
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and declared.isascii() and int(declared[:20]) > self._limit:
            raise _too_large(self._limit)
        try:
            async with asyncio.timeout(self._within):
                return await self._read(request)
        except TimeoutError as exc:
            detail = "The body did not arrive in time; send it again."
            raise Problem(408, "Request timeout", detail, headers={"Connection": "close"}) from exc

    async def _read(self, request: Request) -> bytes:
        chunks: list[bytes] = []
        size, more = 0, True
        while more:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise Problem(400, "Incomplete request", "The connection ended before the body did.")
            chunk, more = message.get("body", b""), message.get("more_body", False)
            size += len(chunk)
            if size > self._limit:
                raise _too_large(self._limit)
            chunks.append(chunk)
        return b"".join(chunks)


def _too_large(limit: int) -> Problem:
    return Problem(413, "Body too large", f"The body may have at most {limit} bytes.", headers={"Connection": "close"})


def wait_seconds(value: str) -> float:
    """Return the number of seconds of a long poll.

    Raises:
        Problem: 400 when it is not a number from 0 to `MAX_WAIT_SECONDS`.
    """
    try:
        wait = float(value)
    except ValueError:
        wait = -1.0
    if not 0 <= wait <= MAX_WAIT_SECONDS:
        raise Problem(400, "Bad wait", f"wait is a number of seconds from 0 to {MAX_WAIT_SECONDS:g}.")
    return wait


def has_token(request: Request, token: str) -> bool:
    """Whether the request has it as bearer token, or as password of HTTP Basic, which a browser can ask for."""
    # An empty token would be matched by giving none.
    return bool(token) and hmac.compare_digest(_given_token(request).encode("utf-8", "replace"), token.encode())


def _given_token(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def is_local(request: Request) -> bool:
    """Whether it comes from this machine, through no proxy, and under a loopback name.

    A page of another site can reach this machine through a name that resolves here: the name gives it away.
    """
    if any(name in request.headers for name in FORWARDING):
        return False
    host = request.headers.get("host", "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return request.client is not None and request.client.host in LOOPBACK and name in LOOPBACK
