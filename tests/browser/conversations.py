"""What the tests of the page and its pictures do again and again: write, and wait for what becomes of it."""

from chromium import Page


async def ask(page: Page, text: str, *, turns: int = 1) -> None:
    """Write as a person would, and wait until the turn, which is then the conversation's `turns`-th, is shown."""
    await page.click("document.getElementById('text')")
    await page.type(text)
    await page.press("Enter")
    await settled(page, turns=turns)


async def settled(page: Page, *, turns: int) -> None:
    """Every message has its outcome, its reply or note is drawn, and the newest turn is on show.

    A reply comes by another line than the outcome, and would move what a test is about to click."""
    await page.until(
        "[...document.querySelectorAll('.entry.mine .mark')].every((mark) => mark.classList.contains('answered'))"
        " && [...document.querySelectorAll('.entry.mine')].every(({dataset}) => dataset.turn &&"
        " document.querySelector(`.entry:not(.mine):not([hidden])[data-turn='${dataset.turn}']`) !== null)"
        f" && document.getElementById('turn-title').textContent.endsWith(' {turns}')"
        " && document.querySelector('#turn .block') !== null"
    )


async def mine(page: Page) -> list[str]:
    return await _texts(page, ".entry.mine .words")


async def replies(page: Page) -> list[str]:
    return await _texts(page, ".entry.theirs .words")


async def _texts(page: Page, selector: str) -> list[str]:
    found = await page.run(f"[...document.querySelectorAll('{selector}')].map((node) => node.textContent)")
    assert isinstance(found, list)
    return found
