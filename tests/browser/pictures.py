"""Takes the pictures of the page that the docs show: `python tests/browser/pictures.py`, from the repository's root.

With a folder as argument the page is photographed there on a desk, on a phone and in the dark, to be looked at.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import aiohttp
from chromium import Page, connected, executable, running_chromium
from conversations import ask, settled
from server import ROOT, Prosa, running_prosa

DOCS_PICTURE = ROOT / "docs" / "images" / "page.png"
CONSOLE_PICTURE = ROOT / "docs" / "images" / "console.png"
TUTORIAL_PICTURE = ROOT / "docs" / "images" / "tutorial-page.png"
TUTORIAL_CONSOLE_PICTURE = ROOT / "docs" / "images" / "tutorial-console.png"
DELIVERY = "Oi! Sou a Bia, da operação. Consigo buscar toda segunda às 9h; mando a proposta ainda hoje."
PIZZA = "Oi! Sou a Bia, do balcão. Anotei a calabresa grande; confirmo o valor e o prazo já já."
# Task latencies like those of a small hosted model, so that the time line shows what one would see.
LATENCY = {"task_latency": {"state": 420, "response": 640, "message_type": 310}}
QUIET_SECONDS = 2.0


async def conversation(page: Page, prosa: Prosa) -> None:
    """Four turns with a company that delivers documents."""
    async with aiohttp.ClientSession() as client, client.put(prosa.behaviour_url, json=LATENCY) as changed:
        changed.raise_for_status()
    await page.resize(1280, 800)
    await page.go(f"{prosa.url}/")
    await ask(page, "Oi, bom dia")
    await page.click("document.querySelector('.theirs .option')")
    await settled(page, turns=2)
    await ask(page, "Preciso levar documentos de Valinhos para Campinas toda segunda", turns=3)
    await ask(page, "Quanto custa?", turns=4)
    await page.run("document.activeElement.blur()")
    await asyncio.sleep(QUIET_SECONDS)


async def pizzeria(page: Page, prosa: Prosa) -> None:
    """Three turns with the tutorial's pizzeria."""
    await page.resize(1280, 800)
    await page.go(f"{prosa.url}/")
    await ask(page, "boa noite")
    await ask(page, "quais sabores vocês têm?", turns=2)
    await ask(page, "quanto custa a calabresa?", turns=3)
    await page.run("document.activeElement.blur()")
    await asyncio.sleep(QUIET_SECONDS)


async def answered(page: Page, prosa: Prosa, words: str, *, turns: int) -> bytes:
    """The same conversation in the console, after it was handed to an agent, who answers."""
    await ask(page, "Quero falar com uma pessoa", turns=turns)
    await page.open(f"{prosa.url}/console")
    await page.click("document.querySelector('[data-row]')")
    await page.until("document.querySelector('#text') !== null")
    await page.click("document.querySelector('#text')")
    await page.type(words)
    await page.press("Enter", control=True)
    await page.until("document.querySelector('.by-agent') !== null && document.readyState === 'complete'")
    await page.run("[...document.querySelectorAll('.why')].at(-2).open = true")
    await page.run("document.querySelector('.log').scrollTop = 1e6")
    await asyncio.sleep(QUIET_SECONDS)
    return await page.screenshot()


async def photograph(folder: Path | None) -> dict[Path, bytes]:
    """The pictures by where they belong."""
    program = executable()
    if program is None:
        raise SystemExit("no Chromium here")
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch)
        with running_prosa(data) as prosa, running_chromium(program, data / "profile") as address:
            async with connected(address) as browser, browser.page() as page:
                await conversation(page, prosa)
                if folder is None:
                    taken = {DOCS_PICTURE: await page.screenshot()}
                    taken[CONSOLE_PICTURE] = await answered(page, prosa, DELIVERY, turns=5)
                    return taken | await of_tutorial(address, data / "pizzeria")
                return await looks(page, folder)


async def of_tutorial(address: str, data: Path) -> dict[Path, bytes]:
    """The page and the console with the documents that `prosa context new` writes."""
    company = str(data / "bella")
    begun = ("context", "new", company, "--kind", "pizzeria", "--name", "Pizzaria Bella")
    written = await asyncio.create_subprocess_exec(sys.executable, "-m", "cli.main", *begun, cwd=ROOT)
    assert await written.wait() == 0
    with running_prosa(data, PROSA_INSTITUTION=company) as prosa:
        async with connected(address) as browser, browser.page() as page:
            await pizzeria(page, prosa)
            taken = {TUTORIAL_PICTURE: await page.screenshot()}
            return taken | {TUTORIAL_CONSOLE_PICTURE: await answered(page, prosa, PIZZA, turns=4)}


async def looks(page: Page, folder: Path) -> dict[Path, bytes]:
    taken = {folder / "desktop.png": await page.screenshot()}
    await page.prefer(prefers_color_scheme="dark")
    await asyncio.sleep(0.5)
    taken[folder / "dark.png"] = await page.screenshot()
    await page.resize(390, 844, scale=2, mobile=True)
    await asyncio.sleep(0.5)
    taken[folder / "phone-dark.png"] = await page.screenshot()
    await page.prefer(prefers_color_scheme="light")
    await page.click("document.getElementById('view-inspector')")
    await asyncio.sleep(0.5)
    taken[folder / "phone-inspector.png"] = await page.screenshot()
    return taken


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    for path, picture in asyncio.run(photograph(folder)).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)


if __name__ == "__main__":
    main()
