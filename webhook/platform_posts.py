"""The short way of platforms' posts past the router: several come with every turn, and none needs what it does."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from contracts.errors import TransientError
from observability.metrics import note_acknowledgement
from webhook.problems import Problem

Receiver: TypeAlias = Callable[[Request], Awaitable[Response]]
Refusal: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]


class PlatformPosts:
    """Takes a post to one of these paths straight to its receiver, everything else to the app.

    The same receivers are routes of the app too, where they are documented and their other methods refused; they fail
    with `Problem` and `TransientError`, which `refusal` answers, and what else they raise is a defect for the outer
    layers. A path ends in the name of its channel.
    """

    def __init__(self, app: ASGIApp, *, receivers: Mapping[str, Receiver], refusal: Refusal) -> None:
        self.app = app
        self._receivers = receivers
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in self._receivers:
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        try:
            response = await self._response(scope, receive)
            await response(scope, receive, send)
            status = response.status_code
        finally:
            channel = scope["path"].rpartition("/")[2]
            note_acknowledgement(channel, status, time.perf_counter() - started)

    async def _response(self, scope: Scope, receive: Receive) -> Response:
        request = Request(scope, receive)
        try:
            return await self._receivers[scope["path"]](request)
        except (Problem, TransientError) as exc:
            return await self._refusal(request, exc)
