"""The page at `/` and the data it shows next to the chat; read only, and closed unless opened."""

import asyncio
from typing import Any

import orjson
from fastapi import APIRouter, Depends
from starlette.responses import FileResponse, Response

from adapters.http.problems import Problem
from contracts.errors import TransientError
from observability.exposition import CONTENT_TYPE, Exposition
from webhook.console.rendering import PAGE_HEADERS, STATIC_FOLDER
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
        return await _readiness(deps)

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


async def _readiness(deps: WebhookDependencies) -> Response:
    """Answer 200 while a message can be made durable, which takes the inbox alone and not the store."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            await deps.inbox.ping()
    except (TransientError, TimeoutError) as exc:
        raise Problem(503, "Not ready", f"{type(exc).__name__}: messages cannot be stored now.") from exc
    return _json({"status": "ready"})


def _file(name: str, media_type: str) -> Response:
    headers = PAGE_HEADERS | {"Cache-Control": "no-cache"}
    return FileResponse(STATIC_FOLDER / name, media_type=media_type, headers=headers)


def _json(content: dict[str, Any]) -> Response:
    return Response(orjson.dumps(content), media_type="application/json", headers={"Cache-Control": "no-store"})
