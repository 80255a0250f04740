"""`/console/status` and `/console/reports/...`: a page for people, JSON for programs, nothing for strangers."""

import base64
import hashlib
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


async def test_the_page_may_do_nothing_but_look_as_it_does(bed: WebhookBed) -> None:
    page = await bed.http.get("/console/status", headers=HTML)
    (style,) = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert f"style-src 'sha256-{digest}';" in policy
    assert "script-src" not in policy


async def test_a_report_that_is_none_is_a_problem(bed: WebhookBed) -> None:
    for headers in (HTML, {}):
        assert_problem(await bed.http.get("/console/reports/secrets", headers=headers), 404)


async def test_a_store_that_is_away_is_a_503(bed: WebhookBed) -> None:
    bed.inbox.is_down = bed.store.is_down = True
    assert_problem(await bed.http.get("/console/status"), 503)
