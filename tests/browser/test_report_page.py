"""The report of an experiment in a real browser: on a desk, on a phone, in the dark and on paper."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from chromium import Page, connected

from flags.experiments.report import page as report_page
from tests.flags.simulation import Effect
from tests.flags.test_experiment_report import Course
from webhook.console.rendering import standalone

pytestmark = pytest.mark.browser


@pytest.fixture
async def report(devtools: str, tmp_path: Path) -> AsyncIterator[Page]:
    """The report of an experiment whose treatment does harm; whatever it complains about fails the test."""
    course = Course()
    await course.run({"v1": Effect(0.4), "v2": Effect(0.42, error=0.15)}, days=3, a_day=300)
    file = tmp_path / "report.html"
    file.write_text(standalone(report_page(await course.report()), "en"), encoding="utf-8")
    async with connected(devtools) as browser, browser.page() as window:
        await window.call("Page.navigate", url=file.as_uri())
        await window.until("document.readyState === 'complete' && document.querySelector('.u-legend') !== null")
        yield window
        assert window.troubles == []


async def test_it_says_first_what_to_do(report: Page) -> None:
    assert await report.run("document.title") == "structured-prompts · Prosa"
    assert (await report.run("document.querySelector('.notice').innerText")).startswith("KEEP: Keep v1 and stop now")
    assert "worse" in await report.run("document.querySelector('table:has(td:nth-child(8))').innerText")


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (360, 740)])
async def test_nothing_is_cut_off(report: Page, width: int, height: int) -> None:
    """The page never scrolls sideways, and every plot is inside its frame."""
    await report.resize(width, height)
    assert await report.run("document.documentElement.scrollWidth") <= width
    await report.until("[...document.querySelectorAll('.u-wrap')].every(one => one.clientWidth <= innerWidth - 40)")


async def test_a_plot_shows_the_values_below_the_pointer(report: Page) -> None:
    await report.run("document.querySelector('.u-over').scrollIntoView({block: 'center'})")
    box = await report.run("document.querySelector('.u-over').getBoundingClientRect().toJSON()")
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    await report.call("Input.dispatchMouseEvent", type="mouseMoved", **place)
    values = "[...document.querySelectorAll('.uplot:first-child .u-value')].slice(0, 2).map(one => one.innerText)"
    await report.until(f"{values}[0].length > 2")
    moment, difference = await report.run(values)
    assert moment.startswith("2026-")
    assert difference.endswith("%")


async def test_it_is_dark_for_those_who_want_it_dark(report: Page) -> None:
    light = await report.run("getComputedStyle(document.body).backgroundColor")
    await report.prefer(prefers_color_scheme="dark")
    dark = await report.run("getComputedStyle(document.body).backgroundColor")
    assert (light, dark) == ("rgb(244, 243, 239)", "rgb(17, 21, 26)")
