"""The reports in a real Chromium: nothing that they need is refused, and what they draw is there, light and dark."""

import pytest
from chromium import Page
from conversations import ask
from server import Prosa

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/console/status", "/console/reports/performance", "/console/reports/cost"])
async def test_a_page_shows_what_was_answered(page: Page, prosa: Prosa, path: str, scheme: str) -> None:
    await ask(page, "Oi, bom dia")
    await page.prefer(**{"prefers-color-scheme": scheme})
    await page.call("Page.navigate", url=f"{prosa.url}{path}")
    await page.until("document.readyState === 'complete' && document.querySelector('.tile .value') !== null")
    background = await page.run("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(244, 243, 239)", "dark": "rgb(17, 21, 26)"}[scheme]
    if path != "/console/status":
        box = await page.run("document.querySelector('.uplot canvas').getBoundingClientRect().toJSON()")
        assert box["width"] > 400
        assert box["height"] > 100
    await page.resize(390, 800, mobile=True)
    assert await page.run("document.documentElement.scrollWidth") <= 390
