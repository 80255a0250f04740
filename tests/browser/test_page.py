"""The page in a real Chromium against a running Prosa: what an engineer sees in the first minute."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from chromium import Page, connected
from conversations import ask, mine, replies, settled
from server import Prosa

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


async def test_typed_message_gets_a_reply(page: Page) -> None:
    await ask(page, "Oi, bom dia")
    assert await mine(page) == ["Oi, bom dia"]
    assert "Pyloto" in (await replies(page))[0]
    assert await page.run("document.querySelector('.mine .mark').className") == "mark answered"


async def test_offered_option_is_sent_as_its_title(page: Page) -> None:
    await ask(page, "Oi, bom dia")
    title = await page.run("document.querySelector('.theirs .option span').textContent")
    await page.click("document.querySelector('.theirs .option')")
    await settled(page, turns=2)
    assert await mine(page) == ["Oi, bom dia", title]


async def test_sample_phrase_starts_a_conversation(page: Page) -> None:
    await page.click("document.querySelector('#samples button')")
    await settled(page, turns=1)
    assert await page.run("document.getElementById('welcome').hidden")


async def test_shift_and_enter_break_the_line(page: Page) -> None:
    await page.click("document.getElementById('text')")
    await page.type("Oi")
    await page.press("Enter", shift=True)
    await page.type("bom dia")
    await page.press("Enter")
    await settled(page, turns=1)
    assert await mine(page) == ["Oi\nbom dia"]


async def test_picture_shows_where_the_conversation_rests_and_how_it_got_there(page: Page) -> None:
    await ask(page, "Oi, bom dia")
    await page.until("document.querySelector('.current')?.id === 'state-AWAITING_USER'")
    passed = await page.run("[...document.querySelectorAll('.passed .badge')].map((badge) => badge.textContent)")
    assert passed == ["1", "2", "3", "4", "5", "6", "7"]
    taken = await page.run("[...document.querySelectorAll('.taken')].map((move) => move.dataset.trigger)")
    assert sorted(taken) == ["begin", "draft", "identified", "process", "respond", "send"]


async def test_tasks_two_and_three_overlap_after_task_one(page: Page) -> None:
    await ask(page, "Oi, bom dia")
    tasks = {task["task"]: task for task in await bars(page)}
    assert list(tasks) == ["state", "response", "message_type"]
    state, response, form = tasks.values()
    assert state["ended"] <= min(response["started"], form["started"])
    assert max(response["started"], form["started"]) < min(response["ended"], form["ended"])
    for earlier, later in ((state, response), (state, form)):
        assert earlier["right"] <= later["left"] + 1
    assert max(response["left"], form["left"]) < min(response["right"], form["right"])


async def test_inspector_says_why_what_it_cost_and_what_the_gate_found(page: Page) -> None:
    await ask(page, "Como funciona a entrega de documentos?")
    shown = await page.run("document.getElementById('turn').innerText")
    for expected in ("process", "Pyloto Entregas", "the model decided", "Nothing found", "USD"):
        assert expected in shown
    confidence = int(await page.run("document.querySelector('.meter').getAttribute('aria-valuenow')"))
    assert 0 < confidence <= 100
    raw = await page.run("JSON.parse(document.querySelector('.raw pre').textContent).path.at(-1)")
    assert raw == "AWAITING_USER"


async def test_bubble_opens_its_own_turn(page: Page) -> None:
    await ask(page, "Oi, bom dia")
    await ask(page, "Como funciona o CRM?", turns=2)
    await page.click("document.querySelector('.entry.mine .words')")
    await page.until("document.getElementById('turn-title').textContent === 'Turn 1 of 2'")
    assert await page.run("document.querySelectorAll('.chosen').length") == 2
    await page.click("document.getElementById('turn-after')")
    await page.until("document.getElementById('turn-title').textContent === 'Turn 2 of 2'")


async def test_a_hand_back_is_no_turn_zero(page: Page, prosa: Prosa) -> None:
    await ask(page, "Quero falar com uma pessoa")
    person = (await page.run("location.hash")).removeprefix("#")
    headers = {"Idempotency-Key": "hand-back-1"}
    url = f"{prosa.url}/api/v1/conversations/web:{person}/hand-back"
    async with aiohttp.ClientSession() as client, client.post(url, json={"agent": "Bia"}, headers=headers) as done:
        assert done.status < 300, await done.text()
    await ask(page, "Como funciona o CRM?", turns=3)
    await page.click("document.getElementById('turn-before')")
    await page.click("document.getElementById('turn-before')")
    assert await page.run("document.getElementById('turn-title').textContent") == "Turn 1 of 3"


async def test_page_is_in_the_readers_language_and_the_samples_in_the_companys(page: Page) -> None:
    assert await page.run("document.documentElement.lang") == "en"
    assert await page.run("document.getElementById('new').textContent") == "New conversation"
    assert await page.run("document.querySelector('#samples button').textContent") == "Oi, bom dia"


async def test_turns_are_numbered_from_one_even_when_they_answer_several_messages(page: Page) -> None:
    await page.click("document.getElementById('text')")
    for text in ("Oi", "bom dia", "como funciona o CRM?"):
        await page.type(text)
        await page.press("Enter")
    await page.until("document.querySelectorAll('.entry.mine .mark.answered').length === 3")
    await page.until("document.querySelectorAll('.entry.mine .inspect').length === 3")
    numbers = await page.run("[...document.querySelectorAll('.entry.mine .inspect')].map((one) => one.textContent)")
    assert numbers == sorted(numbers)
    assert set(numbers) == {f"#{number}" for number in range(1, len(set(numbers)) + 1)}


async def test_reload_keeps_both_sides_once_and_in_order(page: Page) -> None:
    await ask(page, "Oi, bom dia")
    await ask(page, "Como funciona o CRM?", turns=2)
    before = await page.run("[...document.querySelectorAll('.entry .words')].map((words) => words.textContent)")
    await page.reload()
    await settled(page, turns=2)
    await asyncio.sleep(0.5)  # long enough for a repetition to arrive
    after = await page.run("[...document.querySelectorAll('.entry .words')].map((words) => words.textContent)")
    assert after == before
    assert len(after) == 4


async def test_new_conversation_is_empty_and_the_old_one_stays_at_its_address(page: Page) -> None:
    await ask(page, "Oi, bom dia")
    address = await page.run("location.hash")
    await page.click("document.getElementById('new')")
    await page.until("document.querySelectorAll('.entry').length === 0")
    assert await page.run("location.hash") != address
    await page.run(f"void (location.hash = '{address}')")
    await page.until("document.querySelectorAll('.entry.theirs:not([hidden])').length === 1")


async def test_markup_that_people_write_is_text(page: Page) -> None:
    await ask(page, HOSTILE)
    assert await mine(page) == [HOSTILE]
    assert await page.run("document.querySelector('#entries img, #entries script, #turn img')") is None


async def test_markup_that_the_model_writes_is_text(page: Page, prosa: Prosa) -> None:
    markup = "<img src=x onerror=alert()>"
    async with scripted(prosa, text=f"{markup} Em que posso ajudar?"):
        await ask(page, "Oi, bom dia")
    assert markup not in (await replies(page))[0]
    assert markup in await page.run("document.getElementById('turn').textContent")
    assert await page.run("document.querySelector('#entries img, #entries script, #turn img')") is None


async def test_withheld_draft_shows_its_rule_and_a_rewrite(page: Page, prosa: Prosa) -> None:
    async with scripted(prosa, text="A entrega fica em R$ 25,00 e posso fechar agora."):
        await ask(page, "Como funciona a entrega de documentos?")
    assert "25" not in (await replies(page))[0]
    assert "price" in await page.run("[...document.querySelectorAll('.rule')].map((rule) => rule.textContent)")
    rewrites = [task for task in await bars(page) if task["rewrite"] == "true"]
    assert [task["task"] for task in rewrites] == ["response"]


async def test_turn_without_a_reply_leaves_a_note(page: Page) -> None:
    await ask(page, "Quero falar com uma pessoa")
    await ask(page, "Tem alguém aí?", turns=2)
    await page.until("document.querySelector('.entry.note') !== null")
    assert "person of the team" in await page.run("document.querySelector('.entry.note').textContent")
    assert len(await replies(page)) == 2, "what is written for the intent, then the fixed text"


async def test_keyboard_alone_is_enough(page: Page) -> None:
    """Write, choose an option and look into the first turn without a pointer; the focus is always to be seen."""
    await page.run("document.getElementById('text').focus()")
    await page.type("Oi, bom dia")
    await page.press("Enter")
    await settled(page, turns=1)
    await page.run("document.getElementById('log').focus()")
    await tab_to(page, "option")
    await page.press("Enter")
    await settled(page, turns=2)
    await page.run("document.getElementById('log').focus()")
    await tab_to(page, "inspect")
    await page.press("Space")
    await page.until("document.getElementById('turn-title').textContent === 'Turn 1 of 2'")


async def test_phone_shows_the_chat_then_what_is_behind_it(page: Page) -> None:
    await page.resize(390, 844, scale=2, mobile=True)
    await page.reload()
    await ask(page, "Oi, bom dia")
    assert await page.run(FITS), "something is wider than the phone"
    bottom = await page.run("document.getElementById('send').getBoundingClientRect().bottom")
    assert 0 < bottom <= 844
    assert await page.run("document.getElementById('machine').offsetParent") is None
    await page.click("document.getElementById('view-inspector')")
    await page.until("document.getElementById('picture').getBoundingClientRect().height > 300")
    assert await page.run(FITS), "something is wider than the phone"
    assert await page.run("document.getElementById('text').offsetParent") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_words_stand_out_from_what_is_behind_them(page: Page, scheme: str) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 to 1, measured on the words that are there after a turn."""
    await page.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    await ask(page, "Oi, bom dia")
    assert await page.run(f"({FAINT_WORDS})()") == []


async def test_calm_people_get_the_path_at_once(page: Page) -> None:
    await page.prefer(prefers_reduced_motion="reduce")
    await ask(page, "Oi, bom dia")
    assert await page.run("document.querySelectorAll('.passed').length") == 7
    assert await page.run("getComputedStyle(document.querySelector('.bubble')).animationName") == "none"


async def test_closed_console_leaves_the_chat_open(devtools: str, prosa: Prosa) -> None:
    """Where the console asks for a token the chat still answers, and the inspector says that it is closed."""
    async with connected(devtools) as browser, browser.page() as window:
        await window.call("Page.addScriptToEvaluateOnNewDocument", source=CLOSED_CONSOLE)
        await window.go(f"{prosa.url}/")
        await window.click("document.getElementById('text')")
        await window.type("Oi, bom dia")
        await window.press("Enter")
        await window.until("document.querySelectorAll('.entry.theirs').length === 1")
        await window.until("document.querySelector('#turn .empty') !== null")
        shown = await window.run("document.querySelector('#turn .empty').textContent")
        assert "fechados" in shown or "closed" in shown
        await window.until("document.querySelector('.current')?.id === 'state-AWAITING_USER'")


async def test_lost_message_is_sent_again_with_the_same_id(devtools: str, prosa: Prosa) -> None:
    async with connected(devtools) as browser, browser.page() as window:
        await window.call("Page.addScriptToEvaluateOnNewDocument", source=FIRST_POST_IS_LOST)
        await window.go(f"{prosa.url}/")
        await window.click("document.getElementById('text')")
        await window.type("Oi, bom dia")
        await window.press("Enter")
        await window.until("!document.getElementById('line-lost').hidden")
        await settled(window, turns=1)
        assert await window.run("document.getElementById('line-lost').hidden")
        ids = await window.run("window.sentIds")
        assert len(ids) == 2
        assert ids[0] == ids[1]
        assert await mine(window) == ["Oi, bom dia"]


async def test_refused_message_offers_another_try(devtools: str, prosa: Prosa) -> None:
    async with connected(devtools) as browser, browser.page() as window:
        await window.call("Page.addScriptToEvaluateOnNewDocument", source=FIRST_POST_IS_REFUSED)
        await window.go(f"{prosa.url}/")
        await window.click("document.getElementById('text')")
        await window.type("Oi, bom dia")
        await window.press("Enter")
        await window.until("document.querySelector('.entry.mine .trouble button') !== null")
        await window.click("document.querySelector('.entry.mine .trouble button')")
        await settled(window, turns=1)
        assert await window.run("document.querySelector('.trouble')") is None
        assert await mine(window) == ["Oi, bom dia"]


SLOW_STREAM = {"stream_chunk_characters": 8, "stream_interval_ms": 40}
WATCH_IT_FORM = """
  window.formed = [];
  new MutationObserver(() => {
    const text = document.getElementById('forming-text').textContent;
    if (text && text !== window.formed.at(-1)) window.formed.push(text);
  }).observe(document.getElementById('forming-text'), {childList: true, characterData: true, subtree: true});
"""


async def test_reply_is_seen_forming_sentence_by_sentence(page: Page, prosa: Prosa) -> None:
    sentences = ["Oi! ", "Tudo bem por aqui. ", "Como podemos ajudar hoje? ", "Conte para nós."]
    await page.run(WATCH_IT_FORM)
    async with scripted(prosa, text="".join(sentences), **SLOW_STREAM):
        await ask(page, "Oi, bom dia")
    formed = await page.run("window.formed")
    assert formed == ["Oi!", "Oi! Tudo bem por aqui.", "".join(sentences[:3]).strip(), "".join(sentences)]
    assert await replies(page) == ["".join(sentences)]
    assert await page.run("document.getElementById('forming').hidden")


async def test_sentence_that_the_gate_withholds_is_never_seen(page: Page, prosa: Prosa) -> None:
    await page.run(WATCH_IT_FORM)
    async with scripted(prosa, text="Oi! Custa R$ 1.500,00 por mês. Quer fechar?", **SLOW_STREAM):
        await ask(page, "Oi, bom dia")
    formed = await page.run("window.formed")
    assert formed[0] == "Oi!"
    assert not any("1.500" in text or "fechar" in text for text in formed)
    assert not any("1.500" in text for text in await replies(page))


@asynccontextmanager
async def scripted(prosa: Prosa, *, text: str, **behaviour: Any) -> AsyncIterator[None]:
    """The sandbox model answers the next Task 2 with this."""
    behaviour |= {"script": [{"task": "response", "answer": {"parts": [{"says": "echo", "from": [], "text": text}]}}]}
    async with aiohttp.ClientSession(raise_for_status=True) as client:
        async with client.put(prosa.behaviour_url, json=behaviour):
            pass
        try:
            yield
        finally:
            async with client.delete(prosa.behaviour_url):
                pass


async def bars(page: Page) -> list[dict[str, Any]]:
    """The bars of the time line: what the turn's record says, and where they are drawn."""
    found = await page.run(
        """[...document.querySelectorAll('.task')].map((row) => {
          const { left, right } = row.querySelector('.bar').getBoundingClientRect();
          const { task, started, ended, rewrite } = row.dataset;
          return { task, rewrite, left, right, started: Number(started), ended: Number(ended) };
        })"""
    )
    assert isinstance(found, list)
    return found


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until an element of that class has the focus, and see that the focus shows."""
    for _ in range(40):
        await page.press("Tab")
        if await page.run(f"document.activeElement.classList.contains('{name}')"):
            assert await page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            return
    raise AssertionError(f"Tab never reached .{name}")


FITS = "document.scrollingElement.scrollWidth <= innerWidth && document.querySelector('main').scrollWidth <= innerWidth"

CLOSED_CONSOLE = """
const real = window.fetch;
window.fetch = (url, ...rest) => /^.(console|api)./.test(String(url))
  ? Promise.resolve(new Response("{}", { status: 403 })) : real(url, ...rest);
"""

FIRST_POST_IS_LOST = """
const real = window.fetch;
window.sentIds = [];
window.fetch = async (url, options) => {
  if (options?.method !== "POST") return real(url, options);
  window.sentIds.push(JSON.parse(options.body).id);
  const answer = await real(url, options);
  if (window.sentIds.length === 1) throw new TypeError("the answer got lost");
  return answer;
};
"""

FIRST_POST_IS_REFUSED = """
const real = window.fetch;
let isFirst = true;
window.fetch = (url, options) => {
  if (options?.method !== "POST" || !isFirst) return real(url, options);
  isFirst = false;
  return Promise.resolve(new Response(JSON.stringify({ detail: "Too strange." }), { status: 422 }));
};
"""

# The contrast of each visible text with the first opaque ground behind it.
FAINT_WORDS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const over = (front, back) => front.map((v, i) => i < 3 ? (v * front[3] + back[i] * (255 - front[3])) / 255 : 255);
  const ground = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      const box = at.querySelector(":scope > :is(rect, .box)");
      const colour = rgba(box ? getComputedStyle(box).fill : getComputedStyle(at).backgroundColor);
      layers.push(colour);
      if (colour[3] === 255) break;
    }
    return layers.reverse().reduce((back, front) => over(front, back));
  };
  const faint = [];
  for (const node of document.querySelectorAll("body *")) {
    const text = [...node.childNodes].filter(({ nodeType }) => nodeType === 3).map(({ data }) => data.trim()).join("");
    if (!text || !node.getClientRects().length || node.closest(".hidden, :disabled, [aria-hidden], title")) continue;
    const style = getComputedStyle(node);
    const front = rgba(node instanceof SVGElement ? style.fill : style.color);
    const back = ground(node instanceof SVGElement ? node.closest("g") : node);
    const [dark, light] = [luminance(over(front, back)), luminance(back)].sort((a, b) => a - b);
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < 4.5) faint.push(`${text}: ${contrast.toFixed(2)}`);
  }
  return faint;
}"""
