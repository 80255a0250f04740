"""Inbound HTTP: addresses, bodies under a cap and a time-out, untrusted JSON, and errors as RFC 9457 problems."""

import asyncio
import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contracts.errors import (
    BadCursorError,
    IllegalTransitionError,
    MalformedMessageError,
    ReplyRefusedError,
    TransientError,
    WorkerError,
)
from contracts.values import without_lone_surrogates
from observability.logs import logger
from observability.tracing import places


class SameAddresses:
    """ASGI middleware: `/path/` is `/path`, and HEAD is answered as GET, without the body.

    A redirect to the address without the slash would lose a platform's post: platforms do not follow one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path.endswith("/") and path != "/":
            scope = {**scope, "path": path.rstrip("/") or "/"}
        if scope["method"] == "HEAD":
            await self._answer_head({**scope, "method": "GET"}, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer_head(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head of the answer to GET and end there, as a stream would not end by itself."""
        has_begun = asyncio.Event()

        async def send_start(message: Message) -> None:
            if message["type"] == "http.response.start" and not has_begun.is_set():
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                has_begun.set()

        answering = asyncio.ensure_future(self._app(scope, receive, send_start))
        beginning = asyncio.ensure_future(has_begun.wait())
        try:
            await asyncio.wait({answering, beginning}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            beginning.cancel()
            if not answering.done():
                answering.cancel()
            await asyncio.wait({answering, beginning})
        if not answering.cancelled():
            answering.result()


log = logger(__name__)


class Problem(WorkerError):
    """Answer that is not a success; the text is for the caller and repeats nothing of the request."""

    def __init__(self, status: int, title: str, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = headers or {}

    def response(self) -> Response:
        body = {"type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail}
        return Response(orjson.dumps(body), self.status, headers=self.headers, media_type="application/problem+json")


def status_of(error: Exception) -> int:
    """Return the status that the error is answered with."""
    if isinstance(error, Problem):
        return error.status
    return 503 if isinstance(error, TransientError) else 500


def answer_to(error: Exception) -> Response:
    """Return the answer to the caller; an error that is not the caller's is logged."""
    if isinstance(error, Problem):
        return error.response()
    if isinstance(error, TransientError):
        log.warning("request.unavailable", error=type(error).__name__)
        return Problem(503, "Not available", "Try again in a moment.", headers={"Retry-After": "1"}).response()
    if isinstance(error, IllegalTransitionError | ReplyRefusedError):
        return Problem(409, "Not possible now", str(error)).response()
    if isinstance(error, BadCursorError):
        return Problem(422, "Bad cursor", f"Not a cursor: {error}.").response()
    log.error("request.defect", error=type(error).__name__, exception=list(places(error)))
    return Problem(500, "Internal error", "This is our mistake; it has been logged.").response()


async def on_error(_: Request, exc: Exception) -> Response:
    """Handle every error that a route of an app raises."""
    return answer_to(exc)


async def on_refusal(_: Request, exc: Exception) -> Response:
    """Handle refusals of the framework: an unknown path or method."""
    assert isinstance(exc, HTTPException)  # noqa: S101 - registered for it
    titles = {404: "Not found", 405: "Method not allowed"}
    title = titles.get(exc.status_code, "Refused")
    detail = "There is nothing here for that request; /docs lists what there is."
    return Problem(exc.status_code, title, detail, headers=dict(exc.headers or {})).response()


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
        chunks: list[bytes] = []
        size, more = 0, True
        try:
            async with asyncio.timeout(self._within):
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
        except TimeoutError as exc:
            detail = "The body did not arrive in time; send it again."
            raise Problem(408, "Request timeout", detail, headers={"Connection": "close"}) from exc

    async def form(self, request: Request) -> dict[str, str]:
        """Return the fields of a URL-encoded form; of several of one name the last. Raises as a call does."""
        return dict(parse_qsl((await self(request)).decode("utf-8", "replace"), keep_blank_values=True))


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


def json_body(required: Sequence[str], **properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI description of a body that is a JSON object."""
    schema = {"type": "object", "required": list(required), "properties": properties}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


MAX_DEPTH = 64

# A whole string, so that brackets in it do not count, or one bracket. Possessive: it never backtracks over the body.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[{}\[\]]', re.DOTALL)
_INTEGERS = range(-(2**63), 2**64)


def parse_json(body: bytes) -> Any:
    """Parse strict JSON (no NaN, no infinities); lone surrogates become U+FFFD, integers beyond 64 bits floats.

    Raises:
        MalformedMessageError: it is not JSON, or nested deeper than `MAX_DEPTH`.
    """
    if _is_deeper_than(body, MAX_DEPTH):
        raise MalformedMessageError(f"JSON nested deeper than {MAX_DEPTH}")
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(body)
    # The standard library accepts lone surrogates, unlike orjson.
    try:
        value = json.loads(
            body.decode("utf-8", "strict"), parse_constant=_finite, parse_float=_finite, parse_int=_integer
        )
    except (ValueError, RecursionError) as exc:
        raise MalformedMessageError("the body is not JSON") from exc
    return _cleaned(value)


def _finite(digits: str) -> float:
    """Return the number; `NaN` and the infinities are not JSON."""
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("the number is too large")
    return number


def _integer(digits: str) -> int | float:
    """Return the number as orjson reads it, so that the parsed value can be serialised again."""
    number = int(digits)
    return number if number in _INTEGERS else _finite(digits)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return without_lone_surrogates(value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {without_lone_surrogates(key): _cleaned(item) for key, item in value.items()}
    return value


def _is_deeper_than(body: bytes, limit: int) -> bool:
    """Return whether brackets nest deeper, without parsing; few bodies have enough brackets to need the full scan."""
    if body.count(b"{") + body.count(b"[") <= limit:
        return False
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(body):
        bracket = token[0]
        if bracket in (b"{", b"["):
            depth += 1
            if depth > limit:
                return True
        elif bracket in (b"}", b"]"):
            depth -= 1
    return False
