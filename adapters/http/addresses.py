"""Addresses as platforms, load balancers and monitors use them: with a slash at the end, and with HEAD."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


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
