"""The short way of platforms' posts past router and middleware: several come with every turn, and none needs those."""

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
    with `Problem` and `TransientError`, which `refusal` answers. What else they raise is a defect: `defect` answers it,
    and it goes on to the server.
    """

    def __init__(self, app: ASGIApp, *, receivers: Mapping[str, Receiver], refusal: Refusal, defect: Refusal) -> None:
        self.app = app
        self._receivers = receivers
        self._refusal = refusal
        self._defect = defect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in self._receivers:
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await self._receivers[scope["path"]](request)
        except (Problem, TransientError) as exc:
            response = await self._refusal(request, exc)
        except Exception as exc:
            await (await self._defect(request, exc))(scope, receive, send)
            raise
        await response(scope, receive, send)
