"""The ASGI app of the HTTP side, its documentation, and the limit of its open requests."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.http.access import client_of
from adapters.http.inbound import Problem, SameAddresses, answer_to, on_refusal
from contracts.errors import PermanentError, TransientError
from contracts.settings import LOOPBACK
from observability.metrics import HTTP_LIMITED
from webhook.api import ProblemView, api_routes, change_api
from webhook.chat import chat_routes, widget_routes
from webhook.console.analyses import analysis_routes
from webhook.console.changes import change_routes
from webhook.console.conversations import conversation_routes
from webhook.console.operations import operation_routes
from webhook.console.page import console_routes, login_routes
from webhook.console.rendering import html, problem_page, wants_page
from webhook.receive import PlatformFront, platform_intakes, platform_routes
from webhook.schemas import SCHEMAS
from webhook.settings import WebhookDependencies

# RFC 9457. With "4XX" FastAPI adds no schema of its own for what it refuses.
PROBLEM = {"content": {"application/problem+json": {"schema": ProblemView.model_json_schema()}}}
REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": PROBLEM | {"description": "Refused: the detail names what to change"},
    "5XX": PROBLEM | {"description": "Not available: send it again"},
}


def create_app(deps: WebhookDependencies) -> ASGIApp:
    """Put platform webhooks, web chat, and the console with its page under one app."""
    intakes = platform_intakes(deps)
    api = FastAPI(
        title="Prosa",
        summary="Conversations, answered within the rules of an institution",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        responses=REFUSALS,
    )
    api.include_router(platform_routes(deps))
    if deps.has_chat:
        api.include_router(chat_routes(deps))
    api.include_router(api_routes(deps))
    api.include_router(change_api(deps))
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

    async def invalid(_: Request, exc: Exception) -> Response:
        assert isinstance(exc, RequestValidationError)  # noqa: S101 - registered for it
        wrong = set()
        for error in exc.errors():
            # Of a text that is no JSON the place is a number, which says nothing; the message repeats nothing given.
            names = ".".join(one for one in error["loc"][1:] if isinstance(one, str)) or str(error["loc"][0])
            wrong.add(f"{names}: {error['msg'].removeprefix('Value error, ')}")
        return Problem(422, "Bad parameter", f"{'; '.join(sorted(wrong))}. /docs has the schemas.").response()

    api.add_exception_handler(Problem, failed)
    api.add_exception_handler(HTTPException, on_refusal)
    api.add_exception_handler(RequestValidationError, invalid)
    api.add_exception_handler(TransientError, failed)
    api.add_exception_handler(PermanentError, failed)
    api.add_exception_handler(Exception, failed)
    return SameAddresses(PlatformFront(api, intakes))


def add_documentation(app: FastAPI, deps: WebhookDependencies, *, posts: Mapping[str, str]) -> None:
    """Serve both under the console's access check. `posts` are summaries of platforms' posts, by their address."""
    router = APIRouter(include_in_schema=False, dependencies=[Depends(deps.access.require())])

    def description() -> dict[str, Any]:
        described: dict[str, Any] = app.openapi()
        described["components"]["schemas"] |= SCHEMAS
        for path, summary in posts.items():
            described["paths"].setdefault(path, {})["post"] = {
                "tags": ["platform webhooks"],
                "summary": summary,
                "operationId": f"post{path.replace('/', '_')}",
                "responses": {"200": {"description": "Durable, or nothing to keep"}} | REFUSALS,
            }
        return described

    @router.get("/openapi.json")
    async def openapi() -> Response:
        return JSONResponse(description())

    @router.get("/docs")
    async def docs(request: Request) -> Response:
        described = description()
        groups: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
        for path, operations in described["paths"].items():
            for method, operation in operations.items():
                groups.setdefault(operation.get("tags", ["other"])[0], []).append((method.upper(), path, operation))
        return html("docs.html", request, deps, here="docs", described=described, groups=groups)

    app.include_router(router)


MOST = 1_000
MOST_OF_ONE = 100


class OpenRequests:
    """ASGI middleware: at most `most` requests under `/chat/` at one time, `MOST_OF_ONE` of a client elsewhere."""

    def __init__(self, app: ASGIApp, *, most: int = MOST) -> None:
        self._app = app
        self._most = most

        self._open: Counter[str] = Counter()
        self._total = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/chat/"):
            await self._app(scope, receive, send)
            return
        client, again = client_of(Request(scope)), {"Retry-After": "5"}
        is_greedy = self._open[client] >= MOST_OF_ONE and client not in LOOPBACK
        if is_greedy or self._total >= self._most:
            HTTP_LIMITED.labels("client" if is_greedy else "chat").inc()
            status, title = (429, "Too many requests at once") if is_greedy else (503, "The chat is full")
            refused = Problem(status, title, "End one, or try again in a moment.", headers=again)
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
