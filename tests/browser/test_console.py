"""The console in a real Chromium: an agent clears the waiting list, hostile words stay words, everyone can use it."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from chromium import Page, connected
from server import Prosa, free_port, running_prosa

pytestmark = pytest.mark.browser

WAITING = 20
AXE = "axe-core@4.14.1"
HOSTILE = """</textarea><script>window.taken=1</script><img src=x onerror="window.taken=1">quero falar com uma pessoa"""
PAGES = (
    "/console",
    "/console?owner=agent",
    "/console/conversations",
    "/console/conversations/web%3Ahostile",
    "/console/dead-letters",
    "/console/status",
    "/console/conversations/web%3Ahostile/prompts?turn=web%3Ahostile/1",
    "/console/reports/cost",
    "/console/reports/performance",
    "/console/flags",
    "/console/experiments",
    "/console/cache",
    "/docs",
)


@pytest.fixture
def prosa(tmp_path: Path) -> Iterator[Prosa]:
    """A Prosa of its own, whose waiting list no other test fills."""
    with running_prosa(tmp_path) as running:
        yield running


@pytest.fixture
async def window(devtools: str, prosa: Prosa) -> AsyncIterator[Page]:
    async with connected(devtools) as browser, browser.page() as page:
        await page.resize(1280, 800)
        yield page
        assert page.troubles == []


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder, npm = tmp_path_factory.mktemp("axe"), shutil.which("npm")
    command = [npm or "npm", "install", "--no-save", "--prefix", str(folder), AXE]
    if npm is None or subprocess.run(command, capture_output=True).returncode:
        reason = f"{AXE} cannot be had: accessibility was not tested"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


async def asks(prosa: Prosa, *names: str, text: str = "Quero falar com uma pessoa") -> None:
    """Each of them writes, and waits for an agent after it."""
    async with aiohttp.ClientSession(raise_for_status=True) as http:
        for name in names:
            async with http.post(f"{prosa.url}/chat/{name}/messages", json={"id": f"m-{name}", "text": text}):
                pass
        for name in names:
            async with http.get(f"{prosa.url}/chat/{name}/messages/m-{name}?wait=20") as answer:
                assert (await answer.json())["state"] == "ESCALATING"


async def replies(prosa: Prosa, name: str) -> str:
    """What the person has received."""
    async with (
        aiohttp.ClientSession(raise_for_status=True) as http,
        http.get(f"{prosa.url}/chat/{name}/events", timeout=aiohttp.ClientTimeout(total=20)) as stream,
    ):
        received = ""
        async for line in stream.content:
            received += line.decode()
            if "connected" in received:
                return received
    raise AssertionError("the stream ended")


async def leads_on(window: Page, key: str, *, control: bool = False) -> None:
    """Press a key that leads to another page."""
    await window.run("window.isOld = true")
    await window.press(key, control=control)
    await window.until("!window.isOld && document.readyState === 'complete'")


async def test_an_agent_clears_the_waiting_list_by_keyboard(window: Page, prosa: Prosa) -> None:
    # One after the other, so that the order of their waits is known.
    for number in range(WAITING):
        await asks(prosa, f"p-{number}")
    await window.open(f"{prosa.url}/console")
    assert await window.run("document.querySelectorAll('[data-row]').length") == WAITING
    for number in range(WAITING):
        await window.run("document.activeElement.blur()")
        await window.press("j")
        name = await window.run("document.activeElement.querySelector('.who').firstChild.textContent.trim()")
        assert name.endswith(f"p-{number}"), "the longest wait comes first"
        await leads_on(window, "Enter")
        await leads_on(window, "t")
        await window.press("r")
        await window.until("document.activeElement.id === 'text'")
        await window.type(f"Sou a Bia, vou ajudar. Pedido {number}.")
        await leads_on(window, "Enter", control=True)
        assert (await window.run("document.querySelector('.by-agent .words').textContent")).startswith("Sou a Bia")
        await leads_on(window, "c")
        assert await window.run("document.querySelector('.notice.good') !== null")
    await window.until("document.querySelector('.empty-page') !== null")
    assert f"Pedido {WAITING - 1}." in await replies(prosa, f"p-{WAITING - 1}")


@pytest.mark.parametrize("late", ["", "*/vendor/htmx*", "*/vendor/hx-sse*", "*/console.js"])
async def test_list_and_transcript_are_live(window: Page, prosa: Prosa, late: str) -> None:
    """Whichever script of the page comes last over a slow network."""
    if late:
        await window.delay(late, 1.0)
    await window.open(f"{prosa.url}/console")
    assert await window.run("document.querySelector('[data-row]')") is None
    await asks(prosa, "ana")
    await window.until("document.querySelectorAll('[data-row]').length === 1")
    await window.click("document.querySelector('[data-row]')")
    await window.until("document.querySelector('#text') !== null")
    await window.run("document.querySelector('#text').value = 'half a sentence'")
    async with aiohttp.ClientSession() as http, http.post(f"{prosa.url}/chat/ana/messages", json={"text": "Alô?"}):
        pass
    await window.until("[...document.querySelectorAll('.words')].some((one) => one.textContent === 'Alô?')")
    assert await window.run("document.querySelector('#text').value") == "half a sentence"


async def test_a_half_written_answer_stays_until_it_is_sent(window: Page, prosa: Prosa) -> None:
    """A takeover, and the list and back, are pages of their own; after each the keys reach the conversation."""
    await asks(prosa, "ana")
    page, text = f"{prosa.url}/console/conversations/web%3Aana", "document.querySelector('#text').value"
    await window.open(page)
    assert await window.run("document.activeElement.tagName") == "H1"
    await window.press("r")
    await window.until("document.activeElement.id === 'text'")
    await window.type("Oi, aqui é")
    await window.run("document.activeElement.blur()")
    await leads_on(window, "t")
    assert await window.run("document.activeElement.tagName") == "H1"
    assert await window.run("document.querySelector('.chip.ours') !== null")
    await leads_on(window, "u")
    await window.open(page)
    assert await window.run(text) == "Oi, aqui é"
    await window.press("r")
    await window.type(" a Bia.")
    await leads_on(window, "Enter", control=True)
    assert await window.run(text) == ""
    await window.open(page)
    assert await window.run(text) == ""


async def test_a_page_without_its_server_says_so_and_goes_on_by_itself(window: Page, tmp_path: Path) -> None:
    port = str(free_port())
    with running_prosa(tmp_path, PORT=port) as prosa:
        await asks(prosa, "ana")
        await window.open(f"{prosa.url}/console/conversations/web%3Aana")
        await window.run("document.querySelector('#text').value = 'half a sentence'")
        assert await window.run("document.querySelector('#lost').hidden")
    await window.until("!document.querySelector('#lost').hidden")
    with running_prosa(tmp_path, PORT=port) as prosa:
        await window.until("document.querySelector('#lost').hidden", seconds=30)
        async with aiohttp.ClientSession() as http, http.post(f"{prosa.url}/chat/ana/messages", json={"text": "Alô?"}):
            pass
        await window.until("[...document.querySelectorAll('.words')].some((one) => one.textContent === 'Alô?')")
        assert await window.run("document.querySelector('#text').value") == "half a sentence"
        await window.open("about:blank")
    # Browser and library note each connection that was refused.
    window.troubles[:] = [one for one in window.troubles if "ERR_" not in one and "sse:error" not in one]


async def test_hostile_words_stay_words(window: Page, prosa: Prosa) -> None:
    await asks(prosa, "hostile", text=HOSTILE)
    for path in ("/console", PAGES[3]):
        await window.open(f"{prosa.url}{path}")
        shown = "[...document.querySelectorAll('.preview, .words')].map((one) => one.textContent)"
        assert any(HOSTILE in one for one in await window.run(shown)), path
    async with aiohttp.ClientSession() as http:
        for action, text in (("note", HOSTILE), ("reply", HOSTILE)):
            url = f"{prosa.url}/console/conversations/web%3Ahostile/{action}"
            async with http.post(url, data={"text": text}) as answer:
                assert answer.status == 200
    await window.open(f"{prosa.url}{PAGES[3]}")
    await window.open(f"{prosa.url}/console/conversations?text={quote(HOSTILE)}")
    assert await window.run("document.querySelector('input[name=text]').value") == HOSTILE
    assert await window.run("window.taken") is None


async def test_another_site_cannot_act(prosa: Prosa) -> None:
    await asks(prosa, "ana")
    async with aiohttp.ClientSession() as http:
        url, evil = f"{prosa.url}/console/conversations/web%3Aana/close", {"Origin": "https://evil.example"}
        async with http.post(url, data={}, headers=evil) as answer:
            assert answer.status == 403


@pytest.mark.parametrize("width", [1280, 390])
async def test_pages_fit_and_are_accessible(window: Page, prosa: Prosa, axe: str, width: int) -> None:
    """No finding of axe is serious or worse, in both themes, and nothing is wider than the window."""
    await asks(prosa, "hostile", text=HOSTILE)
    await window.resize(width, 844, mobile=width < 500)
    for path in PAGES:
        await window.open(f"{prosa.url}{path}")
        assert await window.run("document.documentElement.scrollWidth") <= width, path
        await window.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert await window.run("document.documentElement.scrollWidth") <= width, path
        await window.run(axe + "; undefined")
        for scheme in ("light", "dark"):
            await window.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
            await asyncio.sleep(0.1)
            found = await window.run(
                "axe.run().then(({violations}) => violations.filter(({impact}) => ['serious', 'critical']"
                ".includes(impact)).map(({id, nodes}) => [id, nodes.map(({html}) => html.slice(0, 150))]))"
            )
            assert found == [], f"{path}, {scheme}"
