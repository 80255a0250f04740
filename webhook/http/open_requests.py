"""Open requests of the web chat: streams and long polls that leave room for platforms."""

from collections import Counter

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.http.access import client_of
from adapters.http.problems import Problem
from contracts.settings import LOOPBACK
from observability.metrics import HTTP_LIMITED

MOST = 1_000
MOST_OF_ONE = 100


class OpenRequests:
    """ASGI middleware: at most `most` requests under `/chat/` at one time, `of_one` of a client that is elsewhere."""

    def __init__(self, app: ASGIApp, *, most: int = MOST, of_one: int = MOST_OF_ONE) -> None:
        self._app = app
        self._most = most
        self._of_one = of_one
        self._open: Counter[str] = Counter()
        self._total = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/chat/"):
            await self._app(scope, receive, send)
            return
        client, again = client_of(Request(scope)), {"Retry-After": "5"}
        if self._open[client] >= self._of_one and client not in LOOPBACK:
            HTTP_LIMITED.labels("client").inc()
            refused = Problem(429, "Too many requests at once", "End one, or wait for its answer.", headers=again)
            await refused.response()(scope, receive, send)
            return
        if self._total >= self._most:
            HTTP_LIMITED.labels("chat").inc()
            refused = Problem(503, "The chat is full", "Try again in a moment.", headers=again)
            await refused.response()(scope, receive, send)
            return
        self._total += 1
        self._open[client] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._total -= 1
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]
