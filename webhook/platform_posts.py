"""The short way of platforms' posts past the router: several come with every turn, and none needs what it does."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from contracts.errors import TransientError
from webhook.problems import Problem

Receiver: TypeAlias = Callable[[Request], Awaitable[Response]]
Refusal: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]


class PlatformPosts:
    """Takes a post to one of these paths straight to its receiver, everything else to the app.

    The same receivers are routes of the app too, where they are documented and their other methods refused; they fail
    with `Problem` and `TransientError`, which `refusal` answers, and what else they raise is a defect for the outer
    layers.
    """

    def __init__(self, app: ASGIApp, *, receivers: Mapping[str, Receiver], refusal: Refusal) -> None:
        self.app = app
        self._receivers = receivers
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in self._receivers:
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await self._receivers[scope["path"]](request)
        except (Problem, TransientError) as exc:
            response = await self._refusal(request, exc)
        await response(scope, receive, send)
