"""Builds the ASGI app of the HTTP side."""

from collections.abc import Container, Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.http.problems import Problem, on_error, on_refusal
from contracts.errors import TransientError
from contracts.messages import ChannelName
from webhook.access import console_guard
from webhook.analyses import analysis_routes
from webhook.chat import chat_routes
from webhook.console import console_routes
from webhook.dependencies import WebhookDependencies
from webhook.documentation import add_documentation
from webhook.platform_posts import Intake
from webhook.reports import report_routes
from webhook.whatsapp import WHATSAPP_PATH, WhatsAppReceiver, whatsapp_routes


class WebhookApp(FastAPI):
    """`intakes` are those of platforms' posts, by path; a server gives them what comes in one piece."""

    intakes: Mapping[str, Intake]


def create_app(deps: WebhookDependencies) -> WebhookApp:
    """Everything under one app: platform webhooks, web chat, and the console with its page."""
    whatsapp = Intake(ChannelName.WHATSAPP, WhatsAppReceiver(deps))
    app = WebhookApp(
        title="Prosa",
        summary="Conversations, answered within the rules of an institution",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.intakes = {WHATSAPP_PATH: whatsapp}
    app.include_router(whatsapp_routes(deps, whatsapp))
    app.include_router(chat_routes(deps))
    app.include_router(console_routes(deps))
    app.include_router(analysis_routes(deps))
    app.include_router(report_routes(deps))
    add_documentation(app, console_guard(deps.console_token))

    @app.get("/healthz", tags=["operation"], summary="Alive")
    async def alive() -> Response:
        return PlainTextResponse("ok")

    if deps.allowed_origins:
        app.add_middleware(_Origins, origins=sorted(deps.allowed_origins), platforms=app.intakes)
    app.add_exception_handler(Problem, on_error)
    app.add_exception_handler(HTTPException, on_refusal)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(TransientError, on_error)
    app.add_exception_handler(Exception, on_error)
    return app


class _Origins(CORSMiddleware):
    """Lets pages of allowed origins read answers, but not those to `platforms`, which are servers."""

    def __init__(self, app: ASGIApp, origins: Sequence[str], platforms: Container[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Content-Type", "Last-Event-ID"],
        )
        self._platforms = platforms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_platform = scope["type"] == "http" and scope["path"] in self._platforms
        await (self.app if is_platform else super().__call__)(scope, receive, send)


async def _invalid(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - registered for it
    names = sorted({str(error["loc"][-1]) for error in exc.errors()})
    return Problem(422, "Bad parameter", f"Check {', '.join(names)}; /docs says what it may be.").response()
