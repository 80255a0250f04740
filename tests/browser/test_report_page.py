"""The report of an experiment in a real browser: on a desk, on a phone, in the dark and on paper."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from chromium import Page, connected

from flags.experiments.report_page import page as report_page
from tests.flags.simulation import Effect
from tests.flags.test_experiment_report import Course

pytestmark = pytest.mark.browser


@pytest.fixture
async def report(devtools: str, tmp_path: Path) -> AsyncIterator[Page]:
    """The report of an experiment whose treatment does harm; whatever it complains about fails the test."""
    course = Course()
    await course.run({"v1": Effect(0.4), "v2": Effect(0.42, error=0.15)}, days=3, a_day=300)
    file = tmp_path / "report.html"
    file.write_text(report_page(await course.report()), encoding="utf-8")
    async with connected(devtools) as browser, browser.page() as window:
        await window.call("Page.navigate", url=file.as_uri())
        await window.until("document.readyState === 'complete' && document.querySelector('.verdict') !== null")
        yield window
        assert window.troubles == []


async def test_it_says_first_what_to_do(report: Page) -> None:
    assert await report.run("document.title") == "structured-prompts · KEEP"
    assert (await report.run("document.querySelector('.verdict').innerText")).startswith("KEEP\nKeep v1 and stop now")
    assert await report.run("document.querySelectorAll('svg').length") == 3
    assert await report.run("[...document.querySelectorAll('.state-worse')].map(cell => cell.innerText)") == ["worse"]


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (360, 740)])
async def test_nothing_is_cut_off(report: Page, width: int, height: int) -> None:
    """The page never scrolls sideways, and every label of a plot is inside its frame."""
    await report.resize(width, height)
    assert await report.run("document.documentElement.scrollWidth") <= width
    outside = await report.run(
        """[...document.querySelectorAll('svg text')].filter(text => {
            const label = text.getBoundingClientRect(), frame = text.ownerSVGElement.getBoundingClientRect();
            return label.left < frame.left - 1 || label.right > frame.right + 1
                || label.top < frame.top - 1 || label.bottom > frame.bottom + 1;
        }).map(text => text.textContent)"""
    )
    assert outside == []


async def test_labels_beside_the_lines_do_not_cover_each_other(report: Page) -> None:
    covered = await report.run(
        """[...document.querySelectorAll('svg')].flatMap(plot => {
            const boxes = [...plot.querySelectorAll('.label')].map(one => one.getBBox());
            return boxes.filter((one, n) => boxes.some((other, m) => m > n
                && one.y + 2 < other.y + other.height && other.y + 2 < one.y + one.height));
        }).length"""
    )
    assert covered == 0


async def test_it_is_dark_for_those_who_want_it_dark(report: Page) -> None:
    light = await report.run("getComputedStyle(document.body).backgroundColor")
    await report.prefer(prefers_color_scheme="dark")
    dark = await report.run("getComputedStyle(document.body).backgroundColor")
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(18, 22, 28)")
