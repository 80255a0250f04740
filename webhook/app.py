"""Builds the ASGI app of the HTTP side."""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from contracts.errors import TransientError
from contracts.messages import ChannelName
from observability.logs import logger
from webhook.access import console_guard
from webhook.acknowledgements import timed
from webhook.analyses import analysis_routes
from webhook.chat import chat_routes
from webhook.console import console_routes
from webhook.dependencies import WebhookDependencies
from webhook.documentation import add_documentation
from webhook.platform_posts import PlatformPosts, Receiver
from webhook.problems import Problem
from webhook.reports import report_routes
from webhook.whatsapp import WHATSAPP_PATH, whatsapp_receiver, whatsapp_routes

log = logger(__name__)


class _App(FastAPI):
    """FastAPI with the short way of platforms' posts around everything."""

    posts: PlatformPosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.posts(scope, receive, send)

    def take_posts(self, receivers: Mapping[str, Receiver]) -> None:
        self.posts = PlatformPosts(super().__call__, receivers=receivers, refusal=_refusal, defect=_defect)


def create_app(deps: WebhookDependencies) -> FastAPI:
    """Everything under one app: platform webhooks, web chat, and the console with its page."""
    app = _App(
        title="Prosa",
        summary="Conversations, answered within the rules of an institution",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.include_router(whatsapp_routes(deps))
    app.include_router(chat_routes(deps))
    app.include_router(console_routes(deps))
    app.include_router(analysis_routes(deps))
    app.include_router(report_routes(deps))
    add_documentation(app, console_guard(deps.console_token))

    @app.get("/healthz", tags=["operation"], summary="Alive")
    async def alive() -> Response:
        return PlainTextResponse("ok")

    app.take_posts({WHATSAPP_PATH: timed(ChannelName.WHATSAPP, whatsapp_receiver(deps))})
    if deps.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(deps.allowed_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Content-Type", "Last-Event-ID"],
        )
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(TransientError, _transient)
    app.add_exception_handler(Exception, _defect)
    return app


async def _problem(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, Problem)  # noqa: S101 - registered for it
    return exc.response()


async def _refusal(request: Request, exc: Exception) -> Response:
    return await (_problem if isinstance(exc, Problem) else _transient)(request, exc)


async def _http_problem(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)  # noqa: S101 - registered for it
    titles = {404: "Not found", 405: "Method not allowed"}
    title = titles.get(exc.status_code, "Refused")
    headers = dict(exc.headers or {})
    detail = "There is nothing here for that request; /docs lists what there is."
    return Problem(exc.status_code, title, detail, headers=headers).response()


async def _invalid(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - registered for it
    names = sorted({str(error["loc"][-1]) for error in exc.errors()})
    return Problem(422, "Bad parameter", f"Check {', '.join(names)}; /docs says what it may be.").response()


async def _transient(_: Request, exc: Exception) -> Response:
    log.warning("request.unavailable", error=type(exc).__name__)
    return Problem(503, "Not available", "Try again in a moment.", headers={"Retry-After": "1"}).response()


async def _defect(_: Request, exc: Exception) -> Response:
    log.error("request.defect", error=type(exc).__name__)
    return Problem(500, "Internal error", "This is our mistake; it has been logged.").response()
