"""`/docs` and `/openapi.json`: the API of this process, on a page that loads nothing of another origin."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.responses import JSONResponse, Response

from webhook.console.rendering import html
from webhook.settings import WebhookDependencies


def add_documentation(app: FastAPI, deps: WebhookDependencies, *, posts: Mapping[str, str]) -> None:
    """Serve both under the console's access check. `posts` are summaries of platforms' posts, by their address."""
    router = APIRouter(include_in_schema=False, dependencies=[Depends(deps.access.require())])

    def description() -> dict[str, Any]:
        described: dict[str, Any] = app.openapi()
        for path, summary in posts.items():
            described["paths"].setdefault(path, {})["post"] = {
                "tags": ["platform webhooks"],
                "summary": summary,
                "operationId": f"post{path.replace('/', '_')}",
                "responses": {"200": {"description": "Durable, or nothing to keep"}},
            }
        return described

    @router.get("/openapi.json")
    async def openapi() -> Response:
        return JSONResponse(description())

    @router.get("/docs")
    async def docs(request: Request) -> Response:
        described = description()
        groups: dict[str, list[tuple[str, str, str]]] = {}
        for path, operations in described["paths"].items():
            for method, operation in operations.items():
                rows = groups.setdefault(operation.get("tags", ["other"])[0], [])
                rows.append((method.upper(), path, operation.get("summary", "")))
        return html("docs.html", request, deps, here="docs", information=described["info"], groups=groups)

    app.include_router(router)
