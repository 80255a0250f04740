"""The documentation's site in a real Chromium that reaches no other origin: its drawings are drawn."""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from threading import Thread

import pytest
from chromium import connected

from tests.builders import ROOT

pytestmark = pytest.mark.browser
COUNTED = {page.stem: page.read_text("utf-8").count("```mermaid") for page in ROOT.glob("docs/*.md")}
DRAWN = {name: count for name, count in COUNTED.items() if count}
# The theme keeps what it has drawn in closed shadow roots, whose elements are replaced `pre.mermaid`.
DRAWINGS = "[...document.querySelectorAll('div.mermaid')].map(one => one.getBoundingClientRect().toJSON())"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if find_spec("mkdocs") is None:
        if os.environ.get("CI"):
            pytest.fail("MkDocs is not installed: run `make docs-site` first")
        pytest.skip("MkDocs is not installed: `make docs-site` installs it")
    place = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(place)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=True)
    handler = partial(Quiet, directory=str(place))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", DRAWN)
async def test_diagrams_are_drawn(devtools: str, site: str, name: str, width: int) -> None:
    async with connected(devtools) as browser, browser.page() as window:
        await window.resize(width, 900, mobile=width < 600)
        await window.open(f"{site}/{name}/")
        await window.until(f"document.querySelectorAll('div.mermaid').length === {DRAWN[name]}")
        for box in await window.run(DRAWINGS):
            assert box["height"] > 100
            assert box["right"] <= width
        loaded = await window.run("performance.getEntriesByType('resource').map(one => one.name)")
        assert [name for name in loaded if not name.startswith(site)] == []
        assert window.troubles == []
