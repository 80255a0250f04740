"""The widget on a page of another origin, in a real Chromium: it opens, answers, resumes, and shows nowhere else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from chromium import Browser, Page, connected
from server import Prosa, running_prosa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from adapters.http.listener import listen
from cli.serving import server_of

pytestmark = pytest.mark.browser

SHOP = """<!doctype html><html lang="pt-BR"><head><title>Loja</title><link rel="icon" href="data:,">
<style>* {{ all: unset !important; }}</style></head>
<body><h1>Loja</h1><script src="{prosa}/widget.js" data-title="Fale com a loja" data-color="#0a7d33"></script>
</body></html>"""
ROOT = "document.querySelector('body > div').shadowRoot"
BUTTON, FRAME = f"{ROOT}.querySelector('button')", f"{ROOT}.querySelector('iframe')"


@asynccontextmanager
async def shop(folder: Path, *, is_listed: bool = True) -> AsyncIterator[tuple[str, Prosa]]:
    """A shop of another origin with the widget's tag; its origin is one of PROSA_WEB_ORIGINS, or not."""
    listener = listen("127.0.0.1", 0)
    origin = f"http://localhost:{listener.getsockname()[1]}"
    with running_prosa(folder, PROSA_WEB_ORIGINS=origin if is_listed else "https://shop.example") as prosa:

        async def page(_: Request) -> Response:
            return HTMLResponse(SHOP.format(prosa=prosa.url))

        async with server_of(Starlette(routes=[Route("/", page)])).running(listener):
            yield origin, prosa


async def opened(browser: Browser, page: Page, prosa: Prosa) -> Page:
    """Open the chat as a visitor does; return its frame."""
    await page.until(f"document.querySelector('body > div')?.shadowRoot && {BUTTON}.ariaExpanded === 'false'")
    assert await page.run(f"{BUTTON}.ariaLabel") == "Abrir o chat"
    await page.run(f"{BUTTON}.click()")
    assert await page.run(f"[{BUTTON}.ariaExpanded, {FRAME}.hidden, {FRAME}.title]") == [
        "true",
        False,
        "Fale com a loja",
    ]
    frame = await browser.frame(f"{prosa.url}/widget")
    await frame.until("document.readyState === 'complete' && document.getElementById('send').textContent !== ''")
    return frame


async def said(frame: Page, kind: str, count: int) -> list[str]:
    await frame.until(f"document.querySelectorAll('p.{kind}').length >= {count}")
    found: list[str] = await frame.run(f"[...document.querySelectorAll('p.{kind}')].map((line) => line.textContent)")
    return found


async def test_a_visitor_of_another_page_is_answered_and_resumes(devtools: str, tmp_path: Path) -> None:
    async with shop(tmp_path) as (origin, prosa), connected(devtools) as browser, browser.page() as page:
        await page.call("Page.navigate", url=f"{origin}/")
        frame = await opened(browser, page, prosa)
        assert await frame.run("[document.documentElement.lang, document.querySelector('h1').textContent]") == [
            "pt",
            "Fale com a loja",
        ]
        assert await frame.run("getComputedStyle(document.documentElement).getPropertyValue('--accent')") == "#0a7d33"
        await frame.run("text.value = 'Oi, bom dia'; document.getElementById('form').requestSubmit()")
        (reply, *_) = await said(frame, "theirs", 1)
        assert "Pyloto" in reply
        assert await said(frame, "mine", 1) == ["Oi, bom dia"]
        await page.call("Page.reload")
        again = await opened(browser, page, prosa)
        assert await said(again, "mine", 1) == ["Oi, bom dia"]
        assert (await said(again, "theirs", 1))[0] == reply
        assert frame.troubles == again.troubles == page.troubles == []


async def test_a_page_that_is_not_listed_does_not_get_it(devtools: str, tmp_path: Path) -> None:
    listed = shop(tmp_path, is_listed=False)
    async with listed as (origin, _), connected(devtools) as browser, browser.page() as page:
        await page.call("Page.navigate", url=f"{origin}/")
        await page.until(f"document.querySelector('body > div')?.shadowRoot && {BUTTON}.ariaExpanded === 'false'")
        await page.run(f"{BUTTON}.click()")
        for _ in range(100):
            if any("frame-ancestors" in trouble for trouble in page.troubles):
                return
            await page.run("new Promise((resolve) => setTimeout(resolve, 50))")
        raise AssertionError(f"the frame was shown: {page.troubles}")
