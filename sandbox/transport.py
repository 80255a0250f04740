"""Answers as bytes on a connection: marked as the sandbox's, dripped slowly, or cut off on purpose."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import wraps
from typing import Any, Protocol, TypeAlias, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SANDBOX_HEADER = (b"x-prosa-sandbox", b"true")
MAX_PAGE = 1000
_CONNECTION = "prosa.connection"


class BodyTooLargeError(Exception):
    """The request's body is larger than the platform takes."""


class SandboxMark:
    """Outermost layer: says on every response that it is the sandbox's, and keeps the connection at hand for a cut."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # The state of a request has the connection behind our own server; uvicorn's `send` is a method of the object
        # that owns it. Other servers have none to offer.
        owner = scope.get("state", {}).get(_CONNECTION) or getattr(send, "__self__", None)
        scope[_CONNECTION] = getattr(owner, "transport", None)

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), SANDBOX_HEADER]
            await send(message)

        await self._app(scope, receive, marked)


class JSON(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return content if isinstance(content, bytes) else orjson.dumps(content)


class Cut(Response):
    """No answer: the connection is closed before its first byte."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await cut(scope, receive, gracefully=False)


class Chunked(Response):
    """A body in pieces; with `cut_at_end` the connection is closed where the rest should have come."""

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        *,
        media_type: str,
        headers: Mapping[str, str],
        cut_at_end: bool = False,
        length: int | None = None,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.media_type = media_type
        self._chunks = chunks
        self._cut_at_end = cut_at_end
        self.body = b""
        self.init_headers(headers if length is None else {**headers, "content-length": str(length)})
        if length is None and "content-length" in self.headers:
            del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for chunk in self._chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if self._cut_at_end:
            await cut(scope, receive, gracefully=True)
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def in_pieces(content: bytes, *, size: int = 65_536, pause: float = 0) -> AsyncIterator[bytes]:
    """Yield pieces of `size` bytes, with `pause` seconds after each."""
    for start in range(0, len(content), size):
        yield content[start : start + size]
        await asyncio.sleep(pause)


async def cut(scope: Scope, receive: Receive, *, gracefully: bool) -> None:
    """Close the connection of this request; `gracefully` lets what was written reach the other side first.

    Raises:
        ConnectionResetError: the server does not offer its connection, so an error has to do.
    """
    connection = scope.get(_CONNECTION)
    if connection is None:
        raise ConnectionResetError("the sandbox cut this connection on purpose")
    if gracefully:
        connection.close()
    else:
        connection.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_body(request: Request, limit: int) -> bytes:
    """The request's body as it came. Raises BodyTooLargeError: it is larger than `limit` bytes."""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        raise BodyTooLargeError
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise BodyTooLargeError
        pieces.append(piece)
    return b"".join(pieces)


def parsed(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object, or None."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return content if isinstance(content, dict) else None


def page_of(messages: Iterable[dict[str, Any]], request: Request) -> dict[str, Any]:
    """Return messages in the order of their acceptance; `?to=`, and pages by `?after=<number>&limit=`."""
    to, after, limit = (request.query_params.get(name, "").strip() for name in ("to", "after", "limit"))
    to = to.lstrip("+")
    first, most = int(after) if after.isdigit() else 0, int(limit) if limit.isdigit() else MAX_PAGE
    found = [one for one in messages if one["number"] > first and to in ("", one["to"].lstrip("+"), one.get("wa_id"))]
    page = found[: min(most, MAX_PAGE)]
    return {"messages": page, "next_after": page[-1]["number"] if page and len(found) > len(page) else None}


class Refusal(Exception):
    """Refusal of a request by a platform, in its own words."""


class Refusing(Protocol):
    def refused(self, refusal: Any) -> Response: ...


D = TypeVar("D", bound=Refusing)
Endpoint: TypeAlias = Callable[[D, Request], Awaitable[Response]]


def refusing(endpoint: Endpoint[D]) -> Endpoint[D]:
    """Answer with the double's `refused` where its endpoint raises a refusal."""

    @wraps(endpoint)
    async def answer(double: D, request: Request) -> Response:
        try:
            return await endpoint(double, request)
        except Refusal as exc:
            return double.refused(exc)

    return answer


B = TypeVar("B", bound=BaseModel)


class Behaving(Protocol[B]):
    behaviour: B

    def behave(self, behaviour: B) -> None: ...


def behaviour_route(double: Behaving[B], initial: B, more: Callable[[], dict[str, Any]] = dict[str, Any]) -> Route:
    """Return the route that shows a double's behaviour and `more`; PUT replaces it, DELETE restores the initial one."""

    async def change(request: Request) -> Response:
        try:
            if request.method == "PUT":
                double.behave(type(initial).model_validate_json(await request.body()))
            elif request.method == "DELETE":
                double.behave(initial)
        except ValidationError as exc:
            return JSON(exc.json(include_url=False).encode(), status_code=422)
        return JSON(double.behaviour.model_dump(mode="json", exclude_defaults=True) | more())

    return Route("/sandbox/behaviour", change, methods=["GET", "PUT", "DELETE"])
