"""Files of the doubles: every platform's way to one, and every fault on that way."""

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest

from adapters.http.client import HttpError, ask, open_client
from sandbox.media_faults import ELSEWHERE, LOOKUP_FAULTS, FileFault

VOICE = bytes(range(256)) * 40
TOKEN = {"authorization": "Bearer 1:token"}
SEEN = {
    FileFault.EXPIRED: 404,
    FileFault.UNAUTHORIZED: 401,
    FileFault.FORBIDDEN: 403,
    FileFault.RATE_LIMITED: 429,
    FileFault.SERVER_ERROR: 500,
    FileFault.UNAVAILABLE: 503,
    FileFault.NO_CONTENT: 204,
    FileFault.REDIRECT_INSIDE: 302,
    FileFault.REDIRECT_ELSEWHERE: 302,
    FileFault.REDIRECT_LOOP: 302,
    **dict.fromkeys(
        (
            FileFault.EMPTY,
            FileFault.WRONG_TYPE,
            FileFault.WITHOUT_TYPE,
            FileFault.PAGE,
            FileFault.CORRUPT,
        ),
        200,
    ),
    FileFault.NO_ANSWER: "ServerDisconnectedError",
    FileFault.CUT: "ClientPayloadError",
    FileFault.SHORT: "ClientPayloadError",
    FileFault.BROKEN_GZIP: "DecodingError",
    FileFault.STALLED: "TimeoutError",
    FileFault.DRIPPED: "TimeoutError",
    FileFault.HUGE: "TooLongAnswer",
    FileFault.HUGE_DECLARED: "TooLongAnswer",
    FileFault.GZIP_BOMB: "TooLongAnswer",
}


async def put(http: httpx.AsyncClient, platform: str, **query: Any) -> None:
    path = f"/{platform}/sandbox/files/7"
    put = await http.put(path, content=VOICE, params=query, headers={"content-type": "audio/ogg"})
    assert put.status_code == 200, put.text


async def way(http: httpx.AsyncClient, platform: str) -> str:
    """Return the address of the file's download, by the platform's own calls."""
    match platform:
        case "graph":
            return str((await http.get("/graph/v26.0/7", headers=TOKEN)).json()["url"])
        case "telegram":
            found = (await http.get("/telegram/bot1:token/getFile", params={"file_id": "7"})).json()
            return f"/telegram/file/bot1:token/{found['result']['file_path']}"
        case "chatwoot":
            blob = await http.get("/chatwoot/rails/active_storage/blobs/redirect/7/voz.ogg")
            return blob.headers["location"]
    return {"slack": "/slack/files-pri/7/voz.ogg"}.get(platform, f"/{platform}/cdn/7")


@pytest.mark.parametrize("platform", ["graph", "telegram", "slack", "messenger", "instagram", "chatwoot"])
async def test_file_comes_by_each_platforms_way_after_its_faults(http: httpx.AsyncClient, platform: str) -> None:
    await put(http, platform, fault="expired", times=1)
    first = await http.get(await way(http, platform), headers=TOKEN)
    second = await http.get(await way(http, platform), headers=TOKEN)
    assert (first.status_code, second.status_code, second.content) == (404, 200, VOICE)


@pytest.mark.parametrize("fault", sorted(set(FileFault) - LOOKUP_FAULTS - {FileFault.STALE}))
async def test_fault_of_a_download(http: httpx.AsyncClient, address: str, fault: FileFault) -> None:
    await put(http, "slack", fault=fault)
    async with open_client(within=timedelta(seconds=5), is_hot=True, is_direct=True) as client:
        try:
            url = f"{address}/slack/files-pri/7/voz.ogg"
            within = timedelta(seconds=1.5 if fault in (FileFault.STALLED, FileFault.DRIPPED) else 20)
            answer = await ask(client, "GET", url, headers=TOKEN, within=within, max_bytes=200_000)
            seen: int | str = answer.status
            assert answer.content != VOICE or fault in (FileFault.WRONG_TYPE, FileFault.WITHOUT_TYPE)
        except HttpError as exc:
            seen = str(exc)
    assert seen == SEEN[fault]


async def test_faults_of_a_lookup(http: httpx.AsyncClient) -> None:
    seen = {}
    for fault in sorted(LOOKUP_FAULTS):
        await put(http, "graph", fault=fault)
        await put(http, "telegram", fault=fault)
        await put(http, "messenger", fault=fault)
        assert (await http.get("/messenger/cdn/7")).status_code == 404
        of_graph = await http.get("/graph/v26.0/7", headers=TOKEN)
        of_telegram = await http.get("/telegram/bot1:token/getFile", params={"file_id": "7"})
        assert of_graph.status_code == of_telegram.status_code
        seen[fault] = of_graph.status_code, of_graph.text
        assert (ELSEWHERE in of_graph.text) is (ELSEWHERE in of_telegram.text) is (fault is FileFault.LOOKUP_ELSEWHERE)
    assert [seen[fault][0] for fault in sorted(seen)] == [400, 200, 200, 503, 200]
    assert '"url"' not in seen[FileFault.LOOKUP_WITHOUT_LINK][1]
    assert re.match("<!DOCTYPE html", seen[FileFault.LOOKUP_PAGE][1])


async def test_rules_of_the_platforms(http: httpx.AsyncClient) -> None:
    await put(http, "slack")
    shown = await http.get("/slack/files-pri/7/voz.ogg")
    assert (shown.status_code, shown.headers["content-type"].split(";")[0]) == (200, "text/html")
    await http.put("/telegram/sandbox/files/8", content=bytes(20 * 1024 * 1024 + 1))
    refused = await http.get("/telegram/bot1:token/getFile", params={"file_id": "8"})
    assert (refused.status_code, refused.json()["description"]) == (400, "Bad Request: file is too big")
    assert (await http.put("/slack/sandbox/files/7?fault=none_such", content=b"")).status_code == 422
