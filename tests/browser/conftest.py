"""One Chromium and one running Prosa for all tests of the page; a window of its own for each."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from chromium import Page, connected, executable, running_chromium
from server import Prosa, running_prosa


@pytest.fixture(scope="session")
def devtools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = executable()
    if program is None:
        reason = "no Chromium here: the page was not tested"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with running_chromium(program, tmp_path_factory.mktemp("chromium")) as address:
        yield address


@pytest.fixture(scope="session")
def prosa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prosa]:
    with running_prosa(tmp_path_factory.mktemp("prosa")) as running:
        yield running


@pytest.fixture
async def page(devtools: str, prosa: Prosa, tmp_path: Path) -> AsyncIterator[Page]:
    """The page of a new conversation. Its last look is kept, and whatever it complained about fails the test."""
    async with connected(devtools) as browser, browser.page() as window:
        await window.resize(1280, 800)
        await window.go(f"{prosa.url}/")
        yield window
        _keep(await window.screenshot(), tmp_path / "page.png")
        assert window.troubles == []


def _keep(picture: bytes, path: Path) -> None:
    path.write_bytes(picture)
