"""The chat's way in: what it takes, what it refuses, and that one id is one message."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from webhook_bed import WebhookBed, assert_problem, webhook_bed

from adapters.channels.web import MAX_TEXT
from adapters.http.access import RateLimit
from adapters.http.inbound import Problem
from tests.builders import conversation_id
from webhook.chat import Accepted


async def test_the_answer_says_where_to_ask(durable_bed: WebhookBed) -> None:
    response = await durable_bed.write("Olá", conversation="ana-1", id="m-1", name="Ana")
    assert response.status_code == 202
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "message_id": "m-1",
        "status_url": "/chat/ana-1/messages/m-1",
        "events_url": "/chat/ana-1/events",
    }
    assert Accepted.model_validate(response.json())
    (message,) = durable_bed.kept
    assert (message.text, message.person_name, message.platform_id) == ("Olá", "Ana", "m-1")
    assert durable_bed.queue.woken == [conversation_id("ana-1")]
    assert (await durable_bed.http.get(response.json()["status_url"])).json()["status"] == "received"


async def test_without_an_id_one_is_made(bed: WebhookBed) -> None:
    first, second = await bed.write("Olá"), await bed.write("Olá")
    ids = [response.json()["message_id"] for response in (first, second)]
    assert len(set(ids)) == 2
    assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in ids)
    assert [message.id for message in bed.kept] == ids


@pytest.mark.parametrize("id", ["a", "A-1._:~", "0" * 128, "550e8400-e29b-41d4-a716-446655440000"])
async def test_ids_of_the_client_are_kept(bed: WebhookBed, id: str) -> None:
    assert (await bed.write(id=id)).json()["message_id"] == id


@pytest.mark.parametrize(
    "id", ["", "a b", "a/b", "á", "a\n", "\x00", "0" * 129, 7, None, True, [], {"a": 1}, "../x", "a?b", "a#b", "'"]
)
async def test_other_ids_are_refused(bed: WebhookBed, id: Any) -> None:
    assert_problem(await bed.write(id=id), 422)
    assert not bed.kept


@pytest.mark.parametrize("text", ["a", " Olá \n", "x" * MAX_TEXT, "😀" * MAX_TEXT, "linha\nlinha", "<b>&amp;"])
async def test_texts_are_taken_without_the_space_around(bed: WebhookBed, text: str) -> None:
    # Written as UTF-8: escaped, the emoji would be longer than a body may be.
    body = b'{"text": "' + text.replace("\n", "\\n").encode() + b'"}'
    response = await bed.http.post("/chat/c-1/messages", content=body)
    assert response.status_code == 202
    assert bed.kept[0].text == text.strip()


@pytest.mark.parametrize(
    "text", ["", " ", "\n\t ", "\u2003", "x" * (MAX_TEXT + 1), None, 7, True, ["Olá"], {"body": "Olá"}]
)
async def test_other_texts_are_refused(bed: WebhookBed, text: Any) -> None:
    assert_problem(await bed.write(text), 422)
    assert not bed.kept
    assert not bed.queue.woken


@pytest.mark.parametrize(
    ("given", "kept"), [(" Ana ", "Ana"), ("Á" * 500, "Á" * 100), (" ", None), ("", None), (7, None), (None, None)]
)
async def test_a_name_is_taken_when_it_is_one(bed: WebhookBed, given: Any, kept: str | None) -> None:
    assert (await bed.write(name=given)).status_code == 202
    assert bed.kept[0].person_name == kept


@pytest.mark.parametrize("name", ["a", "A-z_0.9~", "x" * 64])
async def test_conversations_have_plain_names(bed: WebhookBed, name: str) -> None:
    assert (await bed.write(conversation=name)).status_code == 202


@pytest.mark.parametrize(
    "name", ["x" * 65, "a b", "á", "a:b", "a%00", "wa:1", "a%0a", "{c}", "a;b", "a@b", "%2e", "%2e%2e"]
)
async def test_others_do_not_exist(bed: WebhookBed, name: str) -> None:
    assert_problem(await bed.write(conversation=name), 404)
    assert_problem(await bed.ask("m-1", conversation=name), 404)
    assert_problem(await bed.http.get(f"/chat/{name}/events"), 404)
    assert not bed.kept


async def test_one_id_is_one_message(durable_bed: WebhookBed) -> None:
    responses = await asyncio.gather(*(durable_bed.write("Olá", id="m-1") for _ in range(50)))
    assert {response.status_code for response in responses} == {202}
    assert {response.json()["message_id"] for response in responses} == {"m-1"}
    assert len(durable_bed.kept) == 1


async def test_the_first_text_of_an_id_counts(durable_bed: WebhookBed) -> None:
    await durable_bed.write("primeiro", id="m-1")
    assert (await durable_bed.write("segundo", id="m-1")).status_code == 202
    assert [message.text for message in durable_bed.kept] == ["primeiro"]


async def test_an_id_that_was_answered_is_not_answered_again(durable_bed: WebhookBed) -> None:
    await durable_bed.write("Olá", id="m-1")
    await durable_bed.reply("Pois não")
    assert (await durable_bed.write("Olá", id="m-1")).status_code == 202
    assert await durable_bed.inbox.depth() == 0
    assert (await durable_bed.ask("m-1")).json()["status"] == "replied"


async def test_the_same_id_in_two_conversations_is_two_messages(durable_bed: WebhookBed) -> None:
    await durable_bed.write("a", conversation="c-1", id="m-1")
    await durable_bed.write("b", conversation="c-2", id="m-1")
    assert [message.text for message in durable_bed.kept] == ["a", "b"]


ORIGINS = frozenset({"https://loja.example.com"})


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://127.0.0.1:8000", True),
        ("https://loja.example.com", True),
        ("https://loja.example.com/", True),
        ("http://loja.example.com", False),
        ("https://loja.example.com.attacker.test", False),
        ("https://attacker.test", False),
        ("http://127.0.0.1:9000", False),
        ("null", False),
        ("", False),
        ("https://loja.example.com, https://attacker.test", False),
    ],
)
async def test_a_page_of_somebody_else_is_refused(tmp_path: Path, origin: str | None, allowed: bool) -> None:
    headers = {} if origin is None else {"origin": origin}
    async with webhook_bed("memory", tmp_path, allowed_origins=ORIGINS) as bed:
        response = await bed.http.post("/chat/c-1/messages", json={"text": "Olá"}, headers=headers)
        assert (response.status_code == 202) is allowed
        assert len(bed.kept) == int(allowed)
        if not allowed:
            assert_problem(response, 403)
            assert_problem(await bed.http.get("/chat/c-1/events", headers=headers), 403)


@pytest.mark.parametrize(
    ("host", "forwarded", "allowed"),
    [
        ("127.0.0.1:8000", False, True),
        ("localhost:8000", False, True),
        ("[::1]:8000", False, True),
        ("loja.example.com", False, True),
        ("attacker.test:8000", False, False),
        ("127.0.0.1.attacker.test", False, False),
        ("chat.example.com", True, True),
    ],
)
async def test_a_name_of_another_site_that_resolves_here_is_refused(
    tmp_path: Path, host: str, forwarded: bool, allowed: bool
) -> None:
    """DNS rebinding: the page's origin and the host agree, and its server is this machine."""
    headers = {"host": host, "origin": f"http://{host}"} | ({"x-forwarded-for": "203.0.113.7"} if forwarded else {})
    async with webhook_bed("memory", tmp_path, allowed_origins=ORIGINS) as bed:
        response = await bed.http.post("/chat/c-1/messages", json={"text": "Olá"}, headers=headers)
        assert (response.status_code == 202) is allowed
        if not allowed:
            assert_problem(response, 403)
            assert_problem(await bed.http.get("/chat/c-1/events", headers=headers), 403)


def preflight(origin: str) -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,last-event-id",
    }


async def test_a_listed_page_passes_the_preflight(tmp_path: Path) -> None:
    async with webhook_bed("memory", tmp_path, allowed_origins=ORIGINS) as bed:
        asked = await bed.http.options("/chat/c-1/messages", headers=preflight("https://loja.example.com"))
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == "https://loja.example.com"
        assert "POST" in asked.headers["access-control-allow-methods"]
        refused = await bed.http.options("/chat/c-1/messages", headers=preflight("https://attacker.test"))
        assert refused.status_code == 400
        assert "access-control-allow-origin" not in refused.headers
        problem = await bed.http.post("/chat/c-1/messages", json={}, headers={"origin": "https://loja.example.com"})
        assert problem.headers["access-control-allow-origin"] == "https://loja.example.com", "the page may read it"


async def test_without_listed_pages_there_is_no_preflight(bed: WebhookBed) -> None:
    asked = await bed.http.options("/chat/c-1/messages", headers=preflight("https://loja.example.com"))
    assert_problem(asked, 405)


async def test_one_conversation_can_write_only_so_fast(bed: WebhookBed) -> None:
    responses: list[httpx.Response] = [await bed.write("Olá") for _ in range(60)]
    assert {response.status_code for response in responses} == {202}
    # What comes back while the test runs may let a few more pass, two a second and no hundred.
    more = [await bed.write("Olá") for _ in range(100)]
    refused = [response for response in more if response.status_code != 202]
    assert len(refused) > 50
    assert_problem(refused[0], 429)
    assert int(refused[0].headers["retry-after"]) >= 1
    assert len(bed.kept) == 160 - len(refused)
    assert (await bed.write("Olá", conversation="c-2")).status_code == 202


def test_tokens_come_back_with_time() -> None:
    clock = [0.0]
    rate = RateLimit(burst=2, per_second=0.5, monotonic=lambda: clock[0])
    rate.take("a")
    rate.take("a")
    for now, allowed in [(1.9, False), (2.0, True), (2.1, False), (1000.0, True), (1000.0, True), (1000.0, False)]:
        clock[0] = now
        if allowed:
            rate.take("a")
        else:
            with pytest.raises(Problem) as caught:
                rate.take("a")
            assert caught.value.status == 429
    rate.take("b")
