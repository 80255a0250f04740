"""Reads what a request carries: a body under a cap and a time-out, how long its sender wants to wait."""

import asyncio

from starlette.requests import Request

from webhook.problems import Problem

READ_TIMEOUT_SECONDS = 10
MAX_WAIT_SECONDS = 30.0


async def read_body(request: Request, *, limit: int) -> bytes:
    """Return the raw body.

    Raises:
        Problem: 413 when it is larger than `limit` bytes, 408 when it does not come, 400 when the client went away.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and declared.isascii() and int(declared[:20]) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(READ_TIMEOUT_SECONDS):
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise Problem(400, "Incomplete request", "The connection ended before the body did.")
                chunk, more = message.get("body", b""), message.get("more_body", False)
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
    except TimeoutError as exc:
        close = {"Connection": "close"}
        raise Problem(408, "Request timeout", "The body did not arrive in time; send it again.", headers=close) from exc
    return b"".join(chunks)


def _too_large(limit: int) -> Problem:
    return Problem(413, "Body too large", f"The body may have at most {limit} bytes.", headers={"Connection": "close"})


def wait_seconds(value: str) -> float:
    """The number of seconds of a long poll.

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
