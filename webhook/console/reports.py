"""`/console/status` and `/console/reports/{name}`: operation and cost, as pages or for programs."""

import base64
import hashlib
import re

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from adapters.http.access import access_check
from adapters.http.problems import Problem
from webhook.settings import WebhookDependencies

STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


def report_routes(deps: WebhookDependencies) -> APIRouter:
    """Make the routes of reports: HTML for a client that accepts it, as a browser does; else JSON."""

    router = APIRouter(prefix="/console", dependencies=[Depends(access_check(deps.console_token))], tags=["console"])

    @router.get("/status", summary="The first five numbers")
    async def status(request: Request) -> Response:
        return await _answer("status", request, deps)

    @router.get("/reports/{name}", summary="daily, weekly, cost or performance")
    async def report(name: str, request: Request) -> Response:
        return await _answer(name, request, deps)

    return router


async def _answer(name: str, request: Request, deps: WebhookDependencies) -> Response:
    if "text/html" not in request.headers.get("accept", ""):
        view = await deps.reports.view(name)
        if view is None:
            raise _unknown()
        return Response(orjson.dumps(view), media_type="application/json", headers={"Cache-Control": "no-store"})
    page = await deps.reports.page(name)
    if page is None:
        raise _unknown()
    return Response(page, media_type="text/html; charset=utf-8", headers=_closed(page))


def _unknown() -> Problem:
    return Problem(404, "No such report", "There are daily, weekly, cost and performance.")


def _closed(page: str) -> dict[str, str]:
    """Return headers under which nothing is loaded and nothing runs; the page's own style is named by its hash."""
    hashes = (hashlib.sha256(style.encode()).digest() for style in STYLE.findall(page))
    styles = " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in hashes)
    policy = f"default-src 'none'; style-src {styles}; frame-ancestors 'none'; base-uri 'none'"
    return {"Content-Security-Policy": policy, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
