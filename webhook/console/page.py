"""The page at `/`, the data it shows next to the chat, and the login, the only page that is open."""

import asyncio
import base64
import hashlib
from typing import Any

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import FileResponse, RedirectResponse, Response

from adapters.http.access import LOGIN, SESSION, SESSION_COOKIE, require_own_page
from adapters.http.inbound import BodyReader, Problem
from contracts.errors import TransientError
from observability.exposition import CONTENT_TYPE, Exposition
from webhook.console.rendering import PAGE_HEADERS, STATIC_FOLDER, html
from webhook.settings import WebhookDependencies

STATIC_FILES = {
    "app.js": "text/javascript",
    "console.js": "text/javascript",
    "style.css": "text/css",
    "fsm.svg": "image/svg+xml",
    "vendor/htmx.min.js": "text/javascript",
    "vendor/hx-sse.min.js": "text/javascript",
    "vendor/uplot.min.js": "text/javascript",
    "vendor/uplot.css": "text/css",
}
MAX_TURNS = 200
READY_SECONDS = 2.0


def console_routes(deps: WebhookDependencies) -> APIRouter:
    exposition = Exposition(deps.inbox, deps.store, deps.clock)

    router = APIRouter(dependencies=[Depends(deps.access.require())])

    @router.get("/", include_in_schema=False)
    async def page() -> Response:
        return _file("index.html", "text/html; charset=utf-8")

    @router.get("/static/{name:path}", include_in_schema=False)
    async def static(name: str) -> Response:
        if name not in STATIC_FILES:
            raise Problem(404, "Not found", "There is no such file.")
        return _file(name, STATIC_FILES[name])

    @router.get("/metrics", tags=["operation"], summary="Prometheus")
    async def metrics() -> Response:
        return Response(await exposition.text(), media_type=CONTENT_TYPE)

    @router.get("/readyz", tags=["operation"], summary="Able to make a message durable")
    async def ready() -> Response:
        # It takes the inbox alone and not the store.
        try:
            async with asyncio.timeout(READY_SECONDS):
                await deps.inbox.ping()
        except (TransientError, TimeoutError) as exc:
            raise Problem(503, "Not ready", f"{type(exc).__name__}: messages cannot be stored now.") from exc
        return _json({"status": "ready"})

    @router.get("/console/about", tags=["console"], summary="What runs here")
    async def about() -> Response:
        institution = await deps.store.institutions.current()
        return _json(
            {
                "institution": institution.name if institution else None,
                "language": institution.language if institution else None,
                "version": institution.version if institution else None,
                "lines": {line.id: line.name for line in institution.lines} if institution else {},
                "fields": {field.id: field.label for field in institution.fields} if institution else {},
                "sandbox_model": deps.is_sandbox_model,
            }
        )

    return router


def _file(name: str, media_type: str) -> Response:
    headers = PAGE_HEADERS | {"Cache-Control": "no-cache"}
    return FileResponse(STATIC_FOLDER / name, media_type=media_type, headers=headers)


def _json(content: dict[str, Any]) -> Response:
    return Response(orjson.dumps(content), media_type="application/json", headers={"Cache-Control": "no-store"})


MAX_FORM = 4 * 1024
HOME = "/console"


def login_routes(deps: WebhookDependencies) -> APIRouter:
    read_body = BodyReader(MAX_FORM, deps.read_within)
    # The style sheet is closed: the page carries it, named by its hash.
    style = (STATIC_FOLDER / "style.css").read_bytes()
    policy = f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(style).digest()).decode()}'; "
    policy += "img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

    router = APIRouter(include_in_schema=False)

    def page(request: Request, place: str, *, status: int = 200) -> Response:
        response = html("login.html", request, deps, status=status, here="login", place=place, is_wrong=status != 200)
        response.headers.update(PAGE_HEADERS | {"Content-Security-Policy": policy})
        return response

    @router.get(LOGIN)
    async def ask(request: Request) -> Response:
        return page(request, _own(request.query_params.get("next", HOME)))

    @router.post(LOGIN)
    async def login(request: Request) -> Response:
        require_own_page(request)
        form = await read_body.form(request)
        place, key = _own(form.get("next", HOME)), deps.access.key_of(form.get("token", "").strip(), request)
        if key is None:
            return page(request, place, status=403)
        response = RedirectResponse(place, 303)
        is_https = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
        response.set_cookie(
            SESSION_COOKIE,
            deps.access.session(key),
            max_age=round(SESSION.total_seconds()),
            httponly=True,
            samesite="strict",
            secure=is_https,
        )
        return response

    @router.post("/console/logout")
    async def logout(request: Request) -> Response:
        require_own_page(request)
        response = RedirectResponse(LOGIN, 303)
        response.delete_cookie(SESSION_COOKIE)
        return response

    return router


def _own(place: str) -> str:
    """Return the place when it is on this site: an address such as //example.com or /\\example.com leaves it."""
    is_own = place.startswith("/") and not place.startswith(("//", "/\\")) and place.isprintable()
    return place if is_own else HOME
