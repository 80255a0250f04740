"""`/analyses`: asked for, waited for, found again; closed to others, and unmoved by hostile bodies."""

import asyncio
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webhook_bed import WebhookBed, assert_problem, raw_exchange, webhook_bed

from contracts.analysis import COLLECTION, AnalysisStatus, Filed
from tests.builders import conversation_id, opened_by

KINDS = ("handoff_summary", "conversation_review")
UNKNOWN = "0123456789abcdef-handoff_summary-9999999998-0123456789abcdef01234567"
TOKEN = "plain-token"


async def ask(bed: WebhookBed, kind: str = KINDS[0], conversation: str = "web:c-1") -> httpx.Response:
    return await bed.http.post("/analyses", json={"conversation": conversation, "kind": kind})


async def end(bed: WebhookBed, analysis_id: str, **changes: object) -> None:
    """As a worker would end it."""
    record = await bed.store.records.get(COLLECTION, analysis_id, at=bed.clock.at)
    filed = Filed.of(record)
    ended = {"status": AnalysisStatus.DONE, "result": {"person": "Ana"}, "finished_at": bed.clock.at} | changes
    done = filed.changed(filed.analysis.with_changes(**ended), due_at=None, at=bed.clock.at)
    assert await bed.store.records.put(done.record)


async def test_an_analysis_is_asked_for_and_found(durable_bed: WebhookBed) -> None:
    bed = durable_bed
    await bed.reply()
    asked = await ask(bed)
    assert asked.status_code == 202
    assert asked.headers["cache-control"] == "no-store"
    content = asked.json()
    assert content["status_url"] == f"/analyses/{content['id']}"
    assert (content["status"], content["result"], content["conversation"]) == ("queued", None, "web:c-1")
    assert bed.queue.asked == [content["id"]]
    assert (await bed.http.get(content["status_url"])).json() == content
    again = await ask(bed)
    assert (again.status_code, again.json()["id"]) == (202, content["id"])
    assert bed.queue.asked == [content["id"]], "the one that runs is not begun again"
    await end(bed, content["id"])
    cached = await ask(bed)
    assert (cached.status_code, cached.json()["result"]) == (200, {"person": "Ana"})
    assert (await bed.http.get(content["status_url"])).json()["status"] == "done"


async def test_another_kind_and_another_conversation_are_others(bed: WebhookBed) -> None:
    await bed.reply()
    await bed.reply(conversation="c-2")
    answers = [await ask(bed, kind, name) for kind in KINDS for name in ("web:c-1", "web:c-2")]
    assert len({answer.json()["id"] for answer in answers}) == 4


async def test_a_failed_one_says_why_and_is_begun_again(bed: WebhookBed) -> None:
    await bed.reply()
    asked = (await ask(bed)).json()
    await end(bed, asked["id"], status=AnalysisStatus.FAILED, result=None, error="attempts")
    failed = (await bed.http.get(asked["status_url"])).json()
    assert (failed["status"], failed["error"]) == ("failed", "attempts")
    again = await ask(bed)
    assert (again.status_code, again.json()["status"]) == (202, "queued")
    assert bed.queue.asked == [asked["id"]] * 2


async def test_a_long_poll_ends_with_the_analysis(bed: WebhookBed) -> None:
    await bed.reply()
    asked = (await ask(bed)).json()
    waiting = asyncio.create_task(bed.http.get(asked["status_url"], params={"wait": "30"}))
    await asyncio.sleep(0)
    await end(bed, asked["id"])
    assert (await waiting).json()["status"] == "done"
    assert (await bed.http.get(asked["status_url"], params={"wait": "0.01"})).json()["status"] == "done"


async def test_a_long_poll_on_what_is_not_done_says_so_at_its_end(bed: WebhookBed) -> None:
    await bed.reply()
    asked = (await ask(bed)).json()
    assert (await bed.http.get(asked["status_url"], params={"wait": "0.01"})).json()["status"] == "queued"


@pytest.mark.parametrize("wait", ["-1", "31", "x", "nan", "inf", ""])
async def test_a_bad_wait_is_a_problem(bed: WebhookBed, wait: str) -> None:
    assert_problem(await bed.http.get(f"/analyses/{UNKNOWN}", params={"wait": wait}), 400)


@pytest.mark.parametrize("name", [UNKNOWN, "x", "..%2f..", UNKNOWN + "%0a", "a" * 5_000, UNKNOWN.upper()])
async def test_an_unknown_analysis_is_not_found(bed: WebhookBed, name: str) -> None:
    assert_problem(await bed.http.get(httpx.URL("http://127.0.0.1:8000/analyses/").join(name)), 404)


async def test_there_is_no_analysis_of_a_conversation_that_is_not_there(bed: WebhookBed) -> None:
    assert_problem(await ask(bed, conversation="web:nobody"), 404)
    await bed.reply()
    asked = (await ask(bed)).json()
    await bed.store.conversations.erase(conversation_id(), at=bed.clock.at)
    assert_problem(await ask(bed), 404)
    assert_problem(await bed.http.get(asked["status_url"]), 404)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"conversation": NaN}', 400),
        (b"[" * 100_000, 413),
        (b"[" * 1_000, 400),
        (b"\xff\xfe", 400),
        (b"null", 422),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"conversation": 1, "kind": "handoff_summary"}', 422),
        (b'{"conversation": "", "kind": "handoff_summary"}', 422),
        (b'{"conversation": "web:c-1"}', 422),
        (b'{"conversation": "web:c-1", "kind": null}', 422),
        (b'{"conversation": "web:c-1", "kind": ["handoff_summary"]}', 422),
        (b'{"conversation": "web:c-1", "kind": "HANDOFF_SUMMARY"}', 422),
        (b'{"conversation": "web:c-1", "kind": "../x"}', 422),
        (b'{"conversation": "' + b"x" * 2_000 + b'", "kind": "handoff_summary"}', 422),
        (b'{"conversation": "\\ud800", "kind": "handoff_summary"}', 404),
        (b'{"conversation": "web:c-1\\u0000", "kind": "handoff_summary"}', 404),
        (b'{"conversation": "web:c-1", "kind": "handoff_summary", "callback_url": "http://10.0.0.1/"}', 202),
    ],
)
async def test_a_hostile_body_is_answered_and_nothing_is_asked(bed: WebhookBed, body: bytes, status: int) -> None:
    await bed.reply()
    response = await bed.http.post("/analyses", content=body)
    if status == 202:
        assert response.status_code == 202, "an address of the caller's is not looked at"
        assert "10.0.0.1" not in response.text
        return
    assert_problem(response, status)
    assert bed.queue.asked == []


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200)
    | st.text(max_size=100).map(lambda text: f'{{"conversation":"{text}"}}'.encode("utf-8", "replace"))
)
async def test_any_bytes_are_answered(bed: WebhookBed, body: bytes) -> None:
    response = await bed.http.post("/analyses", content=body)
    assert response.status_code in (400, 404, 413, 422)
    assert response.headers["content-type"] == "application/problem+json"


async def test_both_routes_are_closed_like_the_console(tmp_path: Path) -> None:
    async with webhook_bed("memory", tmp_path, access=opened_by(TOKEN)) as bed:
        await bed.reply()
        assert_problem(await ask(bed), 401)
        assert_problem(await bed.http.get(f"/analyses/{UNKNOWN}"), 401)
        bed.http.headers["authorization"] = f"Bearer {TOKEN}"
        assert (await ask(bed)).status_code == 202


async def test_a_page_of_another_site_cannot_make_the_browser_ask(bed: WebhookBed) -> None:
    """In development there is no token: the browser of whoever develops is let in."""
    await bed.reply()
    body = {"conversation": "web:c-1", "kind": KINDS[0]}
    evil = await bed.http.post("/analyses", json=body, headers={"origin": "https://evil.example"})
    assert_problem(evil, 403)
    assert bed.queue.asked == []
    own = await bed.http.post("/analyses", json=body, headers={"origin": "http://127.0.0.1:8000"})
    assert own.status_code == 202


async def test_without_the_store_it_is_503_and_the_caller_may_come_again(bed: WebhookBed) -> None:
    bed.store.is_down = True
    for response in (await ask(bed), await bed.http.get(f"/analyses/{UNKNOWN}")):
        assert_problem(response, 503)
        assert response.headers["retry-after"]


async def test_on_a_real_socket(bed: WebhookBed) -> None:
    await bed.reply()
    body = b'{"conversation":"web:c-1","kind":"conversation_review"}'
    async with bed.served() as url:
        host = url.removeprefix("http://")
        head = f"POST /analyses HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        assert b" 202 " in await raw_exchange(url, head + body)
