"""`/docs` and `/openapi.json`: the API of this process, on a page that loads nothing of another origin."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, JSONResponse, Response

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Prosa: what can be asked</title><link rel="stylesheet" href="/static/docs.css"></head>
<body><main><h1>{title} <small>{version}</small></h1><p>{summary}. As a program reads it:
<a href="/openapi.json">openapi.json</a>.</p>
{groups}</main></body></html>
"""
_POLICY = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"


def add_documentation(app: FastAPI, guard: Callable[[Request], object], *, posts: Mapping[str, str]) -> None:
    """Serve both under the console's access check. `posts` are summaries of platforms' posts, by their address."""

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

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> Response:
        guard(request)
        return JSONResponse(description())

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        guard(request)
        return HTMLResponse(_page(description()), headers={"Content-Security-Policy": _POLICY})


def _page(description: dict[str, Any]) -> str:
    groups: dict[str, list[str]] = {}
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation.get("tags", ["other"])[0], []).append(_row(method, path, operation))
    tables = (
        f"<section><h2>{escape(name.capitalize())}</h2><table>{''.join(rows)}</table></section>"
        for name, rows in groups.items()
    )
    information = description["info"]
    return _PAGE.format(
        title=escape(information["title"]),
        version=escape(information["version"]),
        summary=escape(information.get("summary", "")),
        groups="\n".join(tables),
    )


def _row(method: str, path: str, operation: dict[str, Any]) -> str:
    name = f"<td><code>{method.upper()}</code></td><td><code>{escape(path)}</code></td>"
    return f"<tr>{name}<td>{escape(operation.get('summary', ''))}</td></tr>"
