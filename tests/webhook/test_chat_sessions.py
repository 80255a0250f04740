"""Sessions of the web chat: who begins a conversation reads it, and nobody else; clients are limited."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from webhook_bed import WebhookBed, assert_problem, webhook_bed

from contracts.conversation import Conversation
from contracts.delivery import TurnCommit
from contracts.settings import Settings
from tests.builders import DOCUMENTS, START, conversation_id


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[WebhookBed]:
    async with webhook_bed("memory", tmp_path, chat_key=b"key") as bed:
        yield bed


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def post(bed: WebhookBed, name: str = "ana", **options: object) -> httpx.Response:
    bed.http.cookies.clear()
    return await bed.http.post(f"/chat/{name}/messages", json={"text": "Olá"}, **options)  # type: ignore[arg-type]


async def test_who_begins_a_conversation_has_its_token_and_others_have_not(closed: WebhookBed) -> None:
    begun = await post(closed)
    assert begun.status_code == 202
    token, url = begun.json()["token"], begun.json()["status_url"]
    assert "HttpOnly" in begun.headers["set-cookie"]
    assert "Path=/chat/ana" in begun.headers["set-cookie"]
    refused = await post(closed)
    assert_problem(refused, 401)
    assert refused.headers["www-authenticate"] == "Bearer"
    for path in (url, "/chat/ana/events"):
        assert_problem(await closed.http.get(path), 401)
        assert_problem(await closed.http.get(path, headers=bearer(token + "0")), 401)
    assert (await closed.http.get(url, headers=bearer(token))).json()["status"] == "received"
    assert (await closed.http.get(url, params={"token": token})).status_code == 200
    assert (await closed.http.get(url, headers={"Cookie": f"prosa_chat={token}"})).status_code == 200
    assert (await post(closed, headers=bearer(token))).status_code == 202
    assert len(closed.kept) == 2


async def test_a_token_opens_no_other_conversation(closed: WebhookBed) -> None:
    token = (await post(closed, "ana")).json()["token"]
    url = (await post(closed, "bea")).json()["status_url"]
    assert_problem(await closed.http.get(url, headers=bearer(token)), 401)
    assert_problem(await post(closed, "bea", headers=bearer(token)), 401)


@pytest.mark.parametrize("token", ["", ".", "1", "9" * 40 + ".a", "١٢.a", "1763640000.", "-1.a", "é.é"])
async def test_made_up_tokens_open_nothing(closed: WebhookBed, token: str) -> None:
    url = (await post(closed)).json()["status_url"]
    closed.http.cookies.clear()
    assert_problem(await closed.http.get(url, params={"token": token}), 401)


async def test_a_token_ends_and_a_message_renews_it(closed: WebhookBed) -> None:
    first = (await post(closed)).json()
    closed.clock.move(timedelta(days=20))
    second = (await post(closed, headers=bearer(first["token"]))).json()
    closed.clock.move(timedelta(days=20))
    assert_problem(await closed.http.get(first["status_url"], headers=bearer(first["token"])), 401)
    assert (await closed.http.get(first["status_url"], headers=bearer(second["token"]))).status_code == 200


async def test_of_many_that_begin_a_conversation_at_once_one_has_it(closed: WebhookBed) -> None:
    answers = await asyncio.gather(*(post(closed) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [202] + [401] * 9


async def test_a_stored_conversation_without_a_claim_is_given_to_nobody(closed: WebhookBed) -> None:
    head = Conversation(id=conversation_id("ana"), turns=1, created_at=START, updated_at=START)
    await closed.store.conversations.commit(TurnCommit(conversation=head))
    assert_problem(await post(closed), 401)


async def test_beginners_are_limited_by_their_address(closed: WebhookBed) -> None:
    mine, other = {"X-Forwarded-For": "6.6.6.6, 2001:db8::1"}, {"X-Forwarded-For": "2001:db8::1, 2001:db8:1::1"}
    for number in range(20):
        assert (await post(closed, f"n{number}", headers=mine)).status_code == 202
    refused = await post(closed, "more", headers={"X-Forwarded-For": "2001:db8::ffff"})
    assert_problem(refused, 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert (await post(closed, "more", headers=other)).status_code == 202


async def test_without_a_chat_there_is_none(tmp_path: Path) -> None:
    async with webhook_bed("memory", tmp_path, has_chat=False) as bed:
        assert (await post(bed)).status_code in (404, 405)


def test_production_has_no_chat_unless_asked_and_then_with_tokens() -> None:
    closed = {"PROSA_ENV": "production", "ANTHROPIC_API_KEY": "k", "PROSA_CONSOLE_TOKEN": "t", "PROSA_ID_SALT": "s"}
    base = {"PROSA_INSTITUTION": DOCUMENTS / "pyloto"}
    development, production = Settings(**base), Settings(**base, **closed)
    assert (development.has_chat, development.has_chat_tokens) == (True, False)
    assert (production.has_chat, production.has_chat_tokens) == (False, True)
    assert Settings(**base, **closed, PROSA_CHAT="on").has_chat
