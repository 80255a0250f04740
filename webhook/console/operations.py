"""Operation in the browser: the first five numbers, reports of cost and performance, dead letters, preferences."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from adapters.http.inbound import Problem
from contracts.access import Role
from observability.exposition import BATCH_FIGURES, batches_of
from observability.metrics import REGISTRY
from webhook.console.rendering import (
    LANGUAGE_COOKIE,
    LANGUAGES,
    NOT_STORED,
    THEME_COOKIE,
    THEMES,
    First,
    Last,
    Reader,
    html,
    wants_page,
)
from webhook.schemas import REPORTS, answers
from webhook.settings import WebhookDependencies

MAX_DAYS = 400
MAX_LETTERS = 200
YEAR_SECONDS = 365 * 24 * 3600


def operation_routes(deps: WebhookDependencies) -> APIRouter:
    router = APIRouter(prefix="/console", dependencies=[Depends(deps.access.require())], tags=["console"])

    @router.get("/status", summary="The first five numbers", responses=answers("StatusReport"))
    async def status(request: Request) -> Response:
        return await _report("status", None, None, request, deps)

    @router.get("/reports/{name}", summary="daily, weekly, cost, performance; ?from=&to=", responses=answers(*REPORTS))
    async def report(name: str, request: Request, first: First = None, last: Last = None) -> Response:
        return await _report(name, first, last, request, deps)

    @router.get("/cache", include_in_schema=False)
    async def cache(request: Request) -> Response:
        families = list(REGISTRY.collect())
        counted = [one for family in families for one in family.samples if one.name.startswith("prompter_cache_")]
        hits = [one for one in counted if one.name == "prompter_cache_hits_total" and one.value]
        misses = {one.labels["task"]: one.value for one in counted if one.name == "prompter_cache_misses_total"}
        content: dict[str, Any] = {"figures": BATCH_FIGURES, "batches": batches_of(families)}
        return html("cache.html", request, deps, here="cache", hits=hits, misses=misses, **content)

    @router.get("/shadow", include_in_schema=False)
    async def shadow(request: Request) -> Response:
        candidates = await deps.store.records.page("shadow", at=deps.clock.now())
        return html("shadow.html", request, deps, here="shadow", candidates=candidates)

    @router.get("/dead-letters", include_in_schema=False)
    async def dead_letters(request: Request, retried: str = "") -> Response:
        letters = await deps.store.dead_letters.letters(limit=MAX_LETTERS)
        return html("dead_letters.html", request, deps, here="dead_letters", letters=letters, retried=retried)

    may_retry = Depends(deps.access.require(Role.OPERATE))

    @router.post("/dead-letters/{letter_id}/retry", include_in_schema=False, dependencies=[may_retry])
    async def retry(letter_id: str) -> Response:
        conversation_id = await deps.retry(letter_id)
        return RedirectResponse(f"/console/dead-letters?retried={quote(conversation_id, safe='')}", 303)

    @router.get("/preferences", include_in_schema=False)
    async def preferences(language: str = "", theme: str | None = None, back: str = "/console") -> Response:
        # Only our own pages: an address such as //example.com leaves this site.
        response = RedirectResponse(back if back.startswith("/console") else "/console", 303)
        if language in LANGUAGES:
            response.set_cookie(LANGUAGE_COOKIE, language, max_age=YEAR_SECONDS, samesite="lax")
        if theme in ("", *THEMES):
            response.set_cookie(THEME_COOKIE, theme, max_age=YEAR_SECONDS, samesite="lax")
        return response

    return router


async def _report(
    name: str, first: date | None, last: date | None, request: Request, deps: WebhookDependencies
) -> Response:
    """Answer with a page to a client that accepts HTML, as a browser does; else with JSON."""
    if not wants_page(request):
        return json_answer(await report_values(name, first, last, deps))
    _check_days(first, last)
    language = Reader.of(request, deps.zone).language
    page = await deps.reports.page(name, language=language, first=first, last=last)
    if page is None:
        raise _unknown()
    return html("report.html", request, deps, here=name, page=page, first=first, last=last)


def json_answer(values: Mapping[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(values), status, media_type="application/json", headers=NOT_STORED)


async def report_values(
    name: str, first: date | None, last: date | None, deps: WebhookDependencies
) -> Mapping[str, Any]:
    """Return the values of a report. Raises Problem: days that are none, or no such report."""
    _check_days(first, last)
    values = await deps.reports.view(name, first=first, last=last)
    if values is None:
        raise _unknown()
    return values


def _check_days(first: date | None, last: date | None) -> None:
    if first and last and not 0 <= (last - first).days < MAX_DAYS:
        raise Problem(422, "Bad days", f"The first day comes before the last, at most {MAX_DAYS} days.")


def _unknown() -> Problem:
    return Problem(404, "No such report", "There are daily, weekly, cost and performance.")
