"""`/chat`: the web channel's messages, their status, the events of a conversation, its token, and the widget."""

import asyncio
import hmac
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response, StreamingResponse

from adapters.channels.web import (
    CONVERSATION_NAME,
    MAX_TEXT,
    MESSAGE_NAME,
    read_message,
    reply_event,
    web_conversation_id,
)
from adapters.http.access import RateLimit, client_of, require_allowed_origin
from adapters.http.inbound import BodyReader, Problem, json_body, wait_seconds
from adapters.waiting import wait_for_receipt
from contracts.conversation import State
from contracts.delivery import OutboxRow, Record
from contracts.errors import TransientError
from contracts.messages import ChannelName
from contracts.paging import thread_of
from contracts.ports import Clock, LiveEvent, Store
from contracts.values import ConversationId, Instant, MessageId, TurnId, Value
from contracts.views import reply_view
from observability.logs import logger
from webhook.console.rendering import STATIC_FOLDER
from webhook.receive import make_durable
from webhook.settings import WebhookDependencies

log = logger(__name__)

MAX_BODY = 64 * 1024
CATCH_UP_REPLIES = 100
EVENT_NUMBER = re.compile(r"[0-9]{1,18}")


class Accepted(Value):
    """A durable message; `token` is that of the conversation, where one is needed."""

    message_id: MessageId
    status_url: str
    events_url: str
    token: str | None = None


class MessageStatus(Value):
    """What became of a message; without `turn_id` it is not answered yet."""

    message_id: MessageId
    status: Literal["received", "processing", "replied", "escalated", "failed"]
    reply: dict[str, Any] | None
    state: State | None = None
    turn_id: TurnId | None = None
    at: Instant | None = None


def chat_routes(deps: WebhookDependencies) -> APIRouter:
    router = APIRouter(prefix="/chat/{conversation}", tags=["web chat"])
    rate = RateLimit(burst=60, per_second=2.0)
    sessions = ChatSessions(
        deps.store,
        deps.clock,
        deps.chat_key,
        clients=RateLimit(burst=240, per_second=10.0),
        beginners=RateLimit(burst=20, per_second=1 / 30),
        beginnings=RateLimit(burst=1_000, per_second=20.0),
    )
    read_body = BodyReader(MAX_BODY, deps.read_within)

    @router.post(
        "/messages",
        status_code=202,
        summary="Write a message: {id?, text}",
        openapi_extra=MESSAGE_SCHEMA,
        responses={202: {"model": Accepted}},
    )
    async def write(conversation: str, request: Request) -> Response:
        require_allowed_origin(request, deps.allowed_origins)
        _require_name(conversation)
        rate.take(conversation)
        message = read_message(conversation, await read_body(request), at=deps.clock.now())
        token = await sessions.admit(conversation, request)
        await make_durable([message], deps)
        base = f"/chat/{conversation}"
        links = {
            "message_id": message.id,
            "status_url": f"{base}/messages/{message.id}",
            "events_url": f"{base}/events",
        }
        if token is None:
            return _json(links, 202)
        response = _json(links | {"token": token}, 202)
        set_cookie(response, conversation, token, request)
        return response

    @router.get(
        "/messages/{message_id}",
        summary="What became of a message; ?wait=seconds polls long",
        responses={200: {"model": MessageStatus}},
    )
    async def status(conversation: str, message_id: str, request: Request) -> Response:
        _require_name(conversation)
        sessions.require(conversation, request)
        wait = wait_seconds(request.query_params.get("wait", "0"))
        own = web_conversation_id(conversation)
        found = await _status(own, MessageId(message_id), wait, deps)
        if found is None:
            raise Problem(404, "No such message", "This conversation has no message of that id.")
        return _json(found)

    @router.get(
        "/events",
        summary="Server-Sent Events: state, reply, error; resumes with Last-Event-ID",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def events(conversation: str, request: Request) -> Response:
        require_allowed_origin(request, deps.allowed_origins)
        _require_name(conversation)
        sessions.require(conversation, request)
        last = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
        if not EVENT_NUMBER.fullmatch(last):
            raise Problem(400, "Bad Last-Event-ID", "Last-Event-ID is the number of the last event you saw.")
        stream = _stream(web_conversation_id(conversation), int(last), deps)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    return router


MESSAGE_SCHEMA = json_body(
    ["text"],
    id={"type": "string", "pattern": f"^{MESSAGE_NAME.pattern}$"},
    text={"type": "string", "minLength": 1, "maxLength": MAX_TEXT},
    name={"type": "string", "maxLength": 100},
)


def _require_name(conversation: str) -> None:
    if not CONVERSATION_NAME.fullmatch(conversation):
        raise Problem(404, "Bad conversation", "A conversation's name has 1 to 64 letters, digits and . _ ~ -")


async def _status(
    own: ConversationId, message_id: MessageId, wait: float, deps: WebhookDependencies
) -> dict[str, Any] | None:
    """Return the status now, or, with `wait`, as soon as the message is settled or the time is over."""
    conversations = deps.store.conversations
    thread = (await thread_of(own, conversations)).id
    receipt = await wait_for_receipt(conversations, deps.events, thread, message_id, seconds=wait)
    if receipt is None and thread != own:
        # Answered before its conversation was joined to another.
        receipt = await conversations.receipt(own, message_id)
    if receipt is None:
        for entry in await deps.inbox.pending(thread):
            if entry.message.id == message_id:
                status = "processing" if entry.attempts else "received"
                return {"message_id": message_id, "status": status, "reply": None}
        return None
    turn = await conversations.turn_of(receipt)
    if turn is None:
        return None
    has_failed = turn.reason == "dead_letter" or turn.state is State.FAILED
    return {
        "message_id": message_id,
        "status": "failed" if has_failed else "escalated" if turn.state is State.ESCALATING else "replied",
        "state": turn.state.value,
        "turn_id": turn.id,
        "reply": reply_view(turn.replies),
        "at": turn.at.isoformat(),
    }


async def _stream(conversation_id: ConversationId, last: int, deps: WebhookDependencies) -> AsyncIterator[bytes]:
    """Yield events until the client leaves or the store fails; the client then resumes with the last number it saw."""
    try:
        thread = (await thread_of(conversation_id, deps.store.conversations)).id
        async with aclosing(_events(thread, last, deps)) as events:
            async for event in events:
                yield event
    except TransientError as exc:
        log.warning("events.unavailable", error=type(exc).__name__)
        yield _sse(LiveEvent(name="error", data={"title": "Not available"}))


async def _events(conversation_id: ConversationId, last: int, deps: WebhookDependencies) -> AsyncGenerator[bytes, None]:
    """Yield the stored replies after `last`, then live events; nothing in between is missed.

    A client without a number gets the newest `CATCH_UP_REPLIES`, one with a number all after it.
    """
    async with deps.events.subscribe(conversation_id) as news:
        rows = await _rows_after(last, conversation_id, deps)
        for row in rows if last else rows[-CATCH_UP_REPLIES:]:
            last = row.number
            yield _sse(reply_event(row))
        yield b": connected\n\n"
        pending = asyncio.ensure_future(anext(news))
        try:
            while True:
                done, _ = await asyncio.wait([pending], timeout=deps.look_again.total_seconds())
                if not done:
                    # Events may be lost between processes, or never come: the store has every reply.
                    # This is frequent, and the small head shows whether there can be any.
                    head = await deps.store.conversations.load(conversation_id)
                    is_behind = head is not None and head.next_outbox_number > last + 1
                    for row in await _rows_after(last, conversation_id, deps) if is_behind else ():
                        last = row.number
                        yield _sse(reply_event(row))
                    yield b": still here\n\n"
                    continue
                event = pending.result()
                pending = asyncio.ensure_future(anext(news))
                if event.number is None:
                    yield _sse(event)
                elif event.number == last + 1:
                    last = event.number
                    yield _sse(event)
                elif event.number > last:
                    # Events were lost on the way (a watcher that fell behind): the store has the missing replies.
                    for row in await _rows_after(last, conversation_id, deps):
                        last = row.number
                        yield _sse(reply_event(row))
        finally:
            pending.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await pending


async def _rows_after(number: int, conversation_id: ConversationId, deps: WebhookDependencies) -> list[OutboxRow]:
    """Return the rows after `number` that went to the web chat: a joined conversation may have other channels."""
    rows = await deps.store.outbox.rows(conversation_id)
    return [row for row in rows if row.number > number and row.address.channel is ChannelName.WEB]


def _sse(event: LiveEvent) -> bytes:
    number = f"id: {event.number}\n" if event.number is not None else ""
    return f"{number}event: {event.name}\ndata: ".encode() + orjson.dumps(event.data) + b"\n\n"


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


COOKIE = "prosa_chat"
COLLECTION = "chat_sessions"
LIFETIME = timedelta(days=30)


@dataclass(frozen=True)
class ChatSessions:
    """Tokens and limits of clients. A token is `SECONDS.SIGNATURE`, of the moment it was given and the name.

    Each message renews it. Without a `key`, in development, none is needed, and no client is limited.
    """

    store: Store
    clock: Clock
    key: bytes | None
    clients: RateLimit
    beginners: RateLimit
    beginnings: RateLimit

    async def admit(self, conversation: str, request: Request) -> str | None:
        """Return the token of a person who has one or begins the conversation; None where none is needed.

        Raises:
            Problem: 401 for a conversation of another client, 429 for too much.
            StoreUnavailableError: it is not known whether it is another's.
        """
        if self.key is None:
            return None
        client = client_of(request)
        self.clients.take(client)
        if not self._is_valid(conversation, request):
            self.beginners.take(client)
            self.beginnings.take("")
            await self._begin(conversation)
        return self._token(conversation, int(self.clock.now().timestamp()))

    def require(self, conversation: str, request: Request) -> None:
        """Check the token of a reader. Raises Problem: 401 without one, 429 for too much."""
        if self.key is None:
            return
        self.clients.take(client_of(request))
        if not self._is_valid(conversation, request):
            raise _refused()

    async def _begin(self, conversation: str) -> None:
        """Claim the name, once: of several clients that begin at the same time one gets it."""
        thread, at = web_conversation_id(conversation), self.clock.now()
        head = await self.store.conversations.load(thread)
        # An earlier release, or one without tokens, has no claims.
        is_known = head is not None and (head.created_at is not None or head.joined_to is not None)
        claim = Record(
            collection=COLLECTION, key=thread, body={}, owner=thread, updated_at=at, expires_at=at + LIFETIME
        )
        if is_known or await self.store.records.put(claim) is None:
            raise _refused()

    def _is_valid(self, conversation: str, request: Request) -> bool:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        given = bearer.strip() if scheme.lower() == "bearer" else ""
        given = given or request.query_params.get("token") or request.cookies.get(COOKIE) or ""
        issued, now = given.partition(".")[0], self.clock.now().timestamp()
        if not (issued.isascii() and issued.isdecimal() and len(issued) < 12) or int(issued) + _SECONDS < now:
            return False
        expected = self._token(conversation, int(issued))
        return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())

    def _token(self, conversation: str, issued: int) -> str:
        assert self.key is not None  # noqa: S101 - its callers have looked
        return f"{issued}.{hmac.new(self.key, f'chat {issued} {conversation}'.encode(), 'sha256').hexdigest()}"


_SECONDS = int(LIFETIME.total_seconds())


def set_cookie(response: Response, conversation: str, token: str, request: Request) -> None:
    """Give the token to a browser, for the addresses of the conversation alone."""
    is_secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
    path = f"/chat/{conversation}"
    response.set_cookie(COOKIE, token, max_age=_SECONDS, path=path, secure=is_secure, httponly=True, samesite="lax")


def _refused() -> Problem:
    detail = (
        "The first message of a conversation is answered with a token: send it as bearer token, or take a new name."
    )
    return Problem(401, "Token needed", detail, headers={"WWW-Authenticate": "Bearer"})


FILES = {
    "widget.js": ("widget.js", "text/javascript"),
    "widget": ("widget.html", "text/html"),
    "widget/chat.js": ("widget-chat.js", "text/javascript"),
    "widget/chat.css": ("widget-chat.css", "text/css"),
}


def widget_routes(deps: WebhookDependencies) -> APIRouter:
    """Make the routes of the widget, which are open as the chat is."""
    router = APIRouter(tags=["web chat"])
    # Only the listed pages may show the frame; inside of it nothing of another origin is loaded or run.
    ancestors = " ".join(["'self'", *sorted(deps.allowed_origins)])
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
        f"form-action 'none'; frame-ancestors {ancestors}"
    )
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}

    @router.get("/widget.js", summary="Script of the chat for other pages, by one tag")
    @router.get("/widget", include_in_schema=False)
    @router.get("/widget/{part}", include_in_schema=False)
    async def served(request: Request) -> Response:
        if (path := request.url.path.strip("/")) not in FILES:
            raise Problem(404, "Not found", "There is no such file.")
        name, media_type = FILES[path]
        return FileResponse(STATIC_FOLDER / name, media_type=media_type, headers=headers)

    return router
