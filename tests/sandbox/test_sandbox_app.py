"""The sandbox as a program: its page, its health, its one line on start."""

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]


async def test_page_says_what_it_is(http: httpx.AsyncClient) -> None:
    as_json = await http.get("/")
    assert as_json.json()["sandbox"] is True
    page = await http.get("/", headers={"accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "sandbox" in page.text
    assert "/anthropic" in page.text
    assert (await http.get("/healthz")).json()["status"] == "ok"
    lost = await http.get("/no/such/page")
    assert (lost.status_code, lost.headers["x-prosa-sandbox"]) == (404, "true")


async def test_runs_alone_and_names_its_address() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox", "--port", "0", "--institution", "context/documents/harbour_dental"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
        address = line.removeprefix("Prosa sandbox on ").strip()
        async with httpx.AsyncClient() as client:
            answer = await client.get(address)
        assert answer.json()["institution"] == "Harbour Dental"
    finally:
        process.terminate()
        await process.wait()


async def test_wrong_folder_is_told() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox", "--port", "0", "--institution", "no/such/folder"),
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"no/such/folder" in errors
