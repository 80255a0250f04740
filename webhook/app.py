"""The ASGI app of the HTTP side."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from adapters.http.addresses import SameAddresses
from adapters.http.problems import Problem, answer_to, on_refusal
from contracts.errors import PermanentError, TransientError
from webhook.api import api_routes
from webhook.chat import chat_routes
from webhook.console.analyses import analysis_routes
from webhook.console.changes import change_routes
from webhook.console.conversations import conversation_routes
from webhook.console.login import login_routes
from webhook.console.operations import operation_routes
from webhook.console.page import console_routes
from webhook.console.rendering import problem_page, wants_page
from webhook.http.documentation import add_documentation
from webhook.http.open_requests import OpenRequests
from webhook.platforms import PlatformFront, platform_intakes, platform_routes
from webhook.settings import WebhookDependencies
from webhook.widget import widget_routes


def create_app(deps: WebhookDependencies) -> ASGIApp:
    """Put platform webhooks, web chat, and the console with its page under one app."""
    intakes = platform_intakes(deps)
    api = FastAPI(
        title="Prosa",
        summary="Conversations, answered within the rules of an institution",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    api.include_router(platform_routes(deps))
    if deps.has_chat:
        api.include_router(chat_routes(deps))
    api.include_router(api_routes(deps))
    api.include_router(login_routes(deps))
    api.include_router(widget_routes(deps))
    api.include_router(console_routes(deps))
    api.include_router(analysis_routes(deps))
    api.include_router(operation_routes(deps))
    api.include_router(change_routes(deps))
    api.include_router(conversation_routes(deps))
    add_documentation(api, deps, posts=dict.fromkeys(intakes, "Messages and statuses, signed"))

    @api.get("/healthz", tags=["operation"], summary="Alive")
    async def alive() -> Response:
        return PlainTextResponse("ok")

    api.add_middleware(OpenRequests)
    if deps.allowed_origins:
        api.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(deps.allowed_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Last-Event-ID"],
        )

    async def failed(request: Request, exc: Exception) -> Response:
        answer = answer_to(exc)
        is_console = request.url.path.startswith("/console") and wants_page(request)
        return problem_page(answer, request, deps) if is_console and answer.status_code >= 400 else answer

    api.add_exception_handler(Problem, failed)
    api.add_exception_handler(HTTPException, on_refusal)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(TransientError, failed)
    api.add_exception_handler(PermanentError, failed)
    api.add_exception_handler(Exception, failed)
    return SameAddresses(PlatformFront(api, intakes))


async def _invalid(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - registered for it
    names = sorted({str(error["loc"][-1]) for error in exc.errors()})
    return Problem(422, "Bad parameter", f"Check {', '.join(names)}; /docs says what it may be.").response()
