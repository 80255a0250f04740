"""`/console/status` and `/console/reports/...`: a page for people, JSON for programs, nothing for strangers."""

import re

import pytest
from webhook_bed import WebhookBed, assert_problem

from tests.builders import pyloto
from tests.reporting import Kind, book

PATHS = ["/console/status", *(f"/console/reports/{name}" for name in ("daily", "weekly", "cost", "performance"))]
HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9"}


@pytest.mark.parametrize("path", PATHS)
async def test_people_get_a_page_and_programs_figures(bed: WebhookBed, path: str) -> None:
    await bed.store.institutions.publish(pyloto(), at=bed.clock.now())
    await book(bed.store, {bed.clock.now(): Kind(turns=3)})  # type: ignore[arg-type]
    page = await bed.http.get(path, headers=HTML)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert f'href="{path}" aria-current="page"' in page.text
    figures = await bed.http.get(path)
    assert figures.headers["content-type"] == "application/json"
    assert isinstance(figures.json(), dict)
    assert figures.headers["cache-control"] == page.headers["cache-control"] == "no-store"


async def test_the_page_loads_and_runs_nothing_of_another_origin(bed: WebhookBed) -> None:
    page = await bed.http.get("/console/reports/cost", headers=HTML)
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "style=" not in page.text
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
        assert (await bed.http.get(address)).status_code == 200


async def test_the_reader_chooses_language_and_theme(bed: WebhookBed) -> None:
    portuguese = await bed.http.get("/console/status", headers=HTML | {"Accept-Language": "pt-BR,pt;q=0.9"})
    assert '<html lang="pt-BR">' in portuguese.text
    for query in ("language=en&back=/console/status", "theme=dark&back=/console/status"):
        chosen = await bed.http.get(f"/console/preferences?{query}")
        assert (chosen.status_code, chosen.headers["location"]) == (303, "/console/status")
    english = await bed.http.get("/console/status", headers=HTML | {"Accept-Language": "pt-BR"})
    assert '<html lang="en" data-theme="dark">' in english.text
    made_up = await bed.http.get("/console/preferences", params={"theme": "\U0001f600\n"})
    assert (made_up.status_code, "set-cookie" in made_up.headers) == (303, False)
    elsewhere = await bed.http.get("/console/preferences?language=pt&back=//example.com/console")
    assert elsewhere.headers["location"] == "/console"


async def test_days_out_of_order_are_a_problem(bed: WebhookBed) -> None:
    for query in ("from=2026-11-20&to=2026-11-01", "from=2020-01-01&to=2026-11-01", "from=yesterday"):
        assert_problem(await bed.http.get(f"/console/reports/cost?{query}"), 422)


async def test_a_report_that_is_none_is_a_problem(bed: WebhookBed) -> None:
    assert_problem(await bed.http.get("/console/reports/secrets"), 404)
    page = await bed.http.get("/console/reports/secrets", headers=HTML)
    assert (page.status_code, "There are daily, weekly, cost and performance." in page.text) == (404, True)


async def test_a_store_that_is_away_is_a_503(bed: WebhookBed) -> None:
    bed.inbox.is_down = bed.store.is_down = True
    assert_problem(await bed.http.get("/console/status"), 503)
