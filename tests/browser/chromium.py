"""Headless Chromium through the DevTools protocol: as little of it as the tests of the page need."""

import asyncio
import base64
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-port=0",
)
KEYS = {"Enter": 13, "Tab": 9, "Space": 32}
START_SECONDS, WAIT_SECONDS = 40.0, 15.0


def executable() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def running_chromium(program: str, profile: Path) -> Iterator[str]:
    """A browser with a profile of its own; yields the address of its DevTools socket."""
    command = [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield _devtools_address(profile / "DevToolsActivePort", process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _devtools_address(announced: Path, process: subprocess.Popen[bytes]) -> str:
    """Chromium writes the port it took, and the path of its socket, into its profile."""
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        if announced.is_file() and len(lines := announced.read_text().split()) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(0.05)
    raise RuntimeError(f"Chromium did not come up (exit code {process.poll()})")


# The middle of an element that has been in its place, and uncovered, for three frames: a log that is scrolled to its
# end moves it after a reply came. What stays covered for two seconds is clicked all the same.
STABLE_PLACE = """async (node) => {
  node.scrollIntoView({block: 'nearest'});
  let before = '', still = 0, place = [0, 0];
  for (let frames = 0; frames < 120 && still < 3; frames += 1) {
    await new Promise(requestAnimationFrame);
    const box = node.getBoundingClientRect();
    place = [box.x + box.width / 2, box.y + box.height / 2];
    const there = document.elementFromPoint(...place);
    const isUncovered = there !== null && (node.contains(there) || there.contains(node));
    still = isUncovered && place.join() === before ? still + 1 : 0;
    before = place.join();
  }
  return place;
}"""


class Browser:
    """The socket to a running Chromium: calls go out, answers and events come back."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}

    async def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send_json(message)
            return await asyncio.wait_for(answer, WAIT_SECONDS)
        finally:
            del self._answers[number]

    async def listen(self) -> None:
        async for frame in self._socket:
            message = json.loads(frame.data)
            if "id" in message:
                self._settle(message)
            elif (page := self._pages.get(message.get("sessionId", ""))) is not None:
                page.notice(message["method"], message["params"])

    def _settle(self, message: dict[str, Any]) -> None:
        waiting = self._answers.get(message["id"])
        if waiting is None or waiting.done():
            return
        if "error" in message:
            waiting.set_exception(RuntimeError(message["error"]["message"]))
        else:
            waiting.set_result(message["result"])

    @asynccontextmanager
    async def page(self) -> AsyncIterator["Page"]:
        """A window of its own: storage, cookies and size are shared with no other."""
        context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        target = await self.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(self, attached["sessionId"])
        self._pages[page.session] = page
        try:
            for domain in ("Page", "Runtime", "Log"):
                await page.call(f"{domain}.enable")
            yield page
        finally:
            del self._pages[page.session]
            await self.call("Target.disposeBrowserContext", browserContextId=context)

    async def frame(self, url: str) -> "Page":
        """The frame of another origin that shows an address beginning with `url`, as soon as there is one."""
        ends = asyncio.get_running_loop().time() + WAIT_SECONDS
        while asyncio.get_running_loop().time() < ends:
            targets = (await self.call("Target.getTargets"))["targetInfos"]
            for target in targets:
                if target["type"] == "iframe" and target["url"].startswith(url):
                    attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
                    frame = self._pages[attached["sessionId"]] = Page(self, attached["sessionId"])
                    await frame.call("Runtime.enable")
                    return frame
            await asyncio.sleep(0.05)
        raise AssertionError(f"no frame of {url}")


async def _after(seconds: float, call: Coroutine[Any, Any, Any]) -> None:
    await asyncio.sleep(seconds)
    await call


class Page:
    """One window. `troubles` collects uncaught exceptions, console errors and what a policy refused."""

    def __init__(self, browser: Browser, session: str) -> None:
        self.session = session
        self.troubles: list[str] = []
        self._browser = browser
        self._late: list[asyncio.Future[Any]] = []
        self._late_by = 0.0

    def notice(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.troubles.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "assert", "warning"}:
            self.troubles.append(str([value.get("value") for value in params["args"]]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
            self.troubles.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Page.javascriptDialogOpening":
            self.troubles.append(f"a dialog: {params['message']}")
        elif method == "Fetch.requestPaused":
            going_on = self.call("Fetch.continueRequest", requestId=params["requestId"])
            self._late.append(asyncio.ensure_future(_after(self._late_by, going_on)))

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        return await self._browser.call(method, self.session, **params)

    async def delay(self, pattern: str, seconds: float) -> None:
        """Let every file whose address fits the pattern arrive so much later."""
        self._late_by = seconds
        await self.call("Fetch.enable", patterns=[{"urlPattern": pattern}])

    async def go(self, url: str) -> None:
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && document.querySelector('#samples button') !== null")

    async def open(self, url: str) -> None:
        """Go to a page of the console."""
        await self.run("window.isOld = true")
        await self.call("Page.navigate", url=url)
        await self.until("!window.isOld && document.readyState === 'complete'")

    async def reload(self) -> None:
        await self.run("window.isOld = true")
        await self.call("Page.reload")
        await self.until("!window.isOld && document.querySelector('#samples button') !== null")

    async def run(self, expression: str) -> Any:
        """The value of an expression, awaited where it is a promise."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def until(self, expression: str, *, seconds: float = WAIT_SECONDS) -> Any:
        """Wait until the expression is true, and return its value.

        Raises:
            AssertionError: it did not become true in time; the page's troubles are named.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        while True:
            with suppress(AssertionError, RuntimeError):  # while a page changes there may be nothing to ask
                if value := await self.run(expression):
                    return value
            if loop.time() > ends:
                raise AssertionError(f"never true: {expression}; troubles: {self.troubles}")
            await asyncio.sleep(0.03)

    async def type(self, text: str) -> None:
        await self.call("Input.insertText", text=text)

    async def press(self, key: str, *, shift: bool = False, control: bool = False) -> None:
        """Press a named key, or a character's."""
        code = KEYS[key] if key in KEYS else ord(key.upper())
        text = "" if control else {"Enter": "\r", "Space": " "}.get(key, key if len(key) == 1 else "")
        common = {
            "key": " " if key == "Space" else key,
            "code": key,
            "windowsVirtualKeyCode": code,
            "modifiers": 8 * shift + 2 * control,
        }
        await self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **common)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    async def click(self, expression: str) -> None:
        """Click in the middle of the element that the expression gives, as a mouse would, once it has come to rest."""
        await self.until(f"{expression} !== null")
        place = await self.run(f"({STABLE_PLACE})({expression})")
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    async def resize(self, width: int, height: int, *, scale: float = 1, mobile: bool = False) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile
        )

    async def prefer(self, **features: str) -> None:
        """What the person prefers: `prefer(prefers_color_scheme="dark")`."""
        wanted = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        await self.call("Emulation.setEmulatedMedia", features=wanted)

    async def screenshot(self) -> bytes:
        """What the window shows, as PNG."""
        picture = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(picture["data"])


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Browser]:
    """A connection to a running Chromium."""
    async with aiohttp.ClientSession() as client, client.ws_connect(address, max_msg_size=0) as socket:
        browser = Browser(socket)
        listening = asyncio.create_task(browser.listen())
        try:
            yield browser
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
