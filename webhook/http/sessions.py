"""Sessions of the web chat: a signed token for each conversation, given to the client that begins it."""

import hmac
from dataclasses import dataclass
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from adapters.channels.web.inbound import web_conversation_id
from adapters.http.access import client_of
from adapters.http.problems import Problem
from adapters.http.rate_limit import RateLimit
from contracts.delivery import Record
from contracts.ports import Clock, Store

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
