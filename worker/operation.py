"""What every worker process answers over HTTP: alive, ready, and `/metrics`; and errors as RFC 9457 says."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from contracts.errors import TransientError
from contracts.settings import LOOPBACK
from observability.exposition import CONTENT_TYPE
from observability.logs import logger

log = logger(__name__)

READY_TIMEOUT_SECONDS = 2
FORWARDING = frozenset({"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"})


@dataclass(frozen=True)
class Operation:
    """What the answers come from.

    `ready` raises `TransientError` while the process cannot work. `metrics` is the text of `/metrics`, which is given
    to who has the token, and on this machine to everybody.
    """

    ready: Callable[[], Awaitable[None]]
    metrics: Callable[[], Awaitable[bytes]]
    console_token: str | None = None

    def routes(self) -> list[Route]:
        return [
            Route("/healthz", self._alive, methods=["GET"]),
            Route("/readyz", self._is_ready, methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
        ]

    async def _alive(self, _: Request) -> Response:
        return PlainTextResponse("ok")

    async def _is_ready(self, _: Request) -> Response:
        try:
            async with asyncio.timeout(READY_TIMEOUT_SECONDS):
                await self.ready()
        except (TransientError, TimeoutError):
            return problem(503, "Not ready", "A backend does not answer.", {"Retry-After": "1"})
        return PlainTextResponse("ready")

    async def _metrics(self, request: Request) -> Response:
        if not (self._has_console_token(request) or _is_local(request)):
            return problem(
                401, "Token needed", "Send PROSA_CONSOLE_TOKEN as bearer token.", {"WWW-Authenticate": "Bearer"}
            )
        return Response(await self.metrics(), headers={"Content-Type": CONTENT_TYPE})

    def _has_console_token(self, request: Request) -> bool:
        token = self.console_token
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        # An empty token would be matched by giving none.
        return bool(token) and scheme.lower() == "bearer" and _same(given.strip(), token or "")


def create_app(*routes: Route) -> Starlette:
    return Starlette(routes=routes, exception_handlers={HTTPException: _http_problem, Exception: _defect})


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    """An error as `application/problem+json` (RFC 9457)."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Response(orjson.dumps(body), status, headers=headers, media_type="application/problem+json")


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _is_local(request: Request) -> bool:
    """Whether the call comes from this machine, and not through a proxy on it for somebody elsewhere."""
    is_forwarded = any(name in request.headers for name in FORWARDING)
    return not is_forwarded and request.client is not None and request.client.host in LOOPBACK


async def _http_problem(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)  # noqa: S101 - registered for it
    return problem(exc.status_code, exc.detail, "There is nothing here for that request.", dict(exc.headers or {}))


async def _defect(_: Request, exc: Exception) -> Response:
    log.error("request.defect", error=type(exc).__name__)
    return problem(500, "Internal error", "This is our mistake; it has been logged.")
