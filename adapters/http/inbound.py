"""Inbound HTTP requests: a body under a cap and a time-out, and the wait of a long poll."""

import asyncio
from datetime import timedelta
from urllib.parse import parse_qsl

from starlette.requests import Request

from adapters.http.problems import Problem

MAX_WAIT_SECONDS = 30.0


class BodyReader:
    """Reader of bodies of at most `limit` bytes that come `within` a time."""

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

    async def form(self, request: Request) -> dict[str, str]:
        """Return the fields of a URL-encoded form; of several of one name the last. Raises as a call does."""
        return dict(parse_qsl((await self(request)).decode("utf-8", "replace"), keep_blank_values=True))

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
