"""Routes of every worker process: alive, ready, and `/metrics`."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from adapters.http.access import Access
from adapters.http.inbound import Problem, SameAddresses, on_error, on_refusal
from contracts.errors import TransientError
from observability.exposition import CONTENT_TYPE

READY_TIMEOUT_SECONDS = 2


@dataclass(frozen=True)
class Operation:
    """Sources of the answers.

    `ready` raises `TransientError` while the process cannot work. `metrics` is the text of `/metrics`, closed as the
    console is.
    """

    ready: Callable[[], Awaitable[None]]
    metrics: Callable[[], Awaitable[bytes]]
    access: Access = field(default_factory=Access)

    def routes(self) -> list[Route]:
        return [
            Route("/healthz", lambda _: PlainTextResponse("ok"), methods=["GET"]),
            Route("/readyz", self._is_ready, methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
        ]

    async def _is_ready(self, _: Request) -> Response:
        try:
            async with asyncio.timeout(READY_TIMEOUT_SECONDS):
                await self.ready()
        except (TransientError, TimeoutError):
            return Problem(503, "Not ready", "A backend does not answer.", headers={"Retry-After": "1"}).response()
        return PlainTextResponse("ready")

    async def _metrics(self, request: Request) -> Response:
        self.access.require()(request)
        return Response(await self.metrics(), headers={"Content-Type": CONTENT_TYPE})


def create_app(*routes: Route) -> ASGIApp:
    handlers: dict[Any, Any] = {Problem: on_error, HTTPException: on_refusal, Exception: on_error}
    return SameAddresses(Starlette(routes=routes, exception_handlers=handlers))
