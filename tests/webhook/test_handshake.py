"""Meta's handshake: the challenge comes back only to who knows the token."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from webhook_bed import HOOK, VERIFY_TOKEN, WebhookBed, assert_problem, webhook_bed, whatsapp


def query(**changes: str | None) -> dict[str, str]:
    given: dict[str, Any] = {"mode": "subscribe", "verify_token": VERIFY_TOKEN, "challenge": "1158201444"} | changes
    return {f"hub.{key}": value for key, value in given.items() if value is not None}


@pytest.mark.parametrize("challenge", ["1158201444", "0", "9" * 400, "a b&c=d", "desafio-é", "<script>"])
async def test_the_challenge_is_the_whole_body(bed: WebhookBed, challenge: str) -> None:
    response = await bed.http.get(HOOK, params=query(challenge=challenge))
    assert (response.status_code, response.text) == (200, challenge)
    assert response.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "changes",
    [
        {"verify_token": "wrong"},
        {"verify_token": ""},
        {"verify_token": None},
        {"verify_token": VERIFY_TOKEN + " "},
        {"verify_token": VERIFY_TOKEN.upper()},
        {"verify_token": "ção"},
        {"verify_token": "\x00"},
        {"mode": None},
        {"mode": ""},
        {"mode": "unsubscribe"},
    ],
)
async def test_anything_else_is_refused(bed: WebhookBed, changes: dict[str, str | None]) -> None:
    response = await bed.http.get(HOOK, params=query(**changes))
    assert_problem(response, 403)
    assert "1158201444" not in response.text


@pytest.mark.parametrize("given", ["", None, "anything"])
async def test_an_empty_configured_token_never_matches(tmp_path: Path, given: str | None) -> None:
    async with webhook_bed("memory", tmp_path, inbound=whatsapp(("secret",), "")) as bed:
        assert_problem(await bed.http.get(HOOK, params=query(verify_token=given)), 403)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_without_whatsapp_there_is_nothing_there(tmp_path: Path, method: str) -> None:
    async with webhook_bed("memory", tmp_path, inbound={}) as bed:
        assert_problem(await bed.http.request(method, HOOK, params=query()), 404)


async def test_a_token_that_is_not_ascii_can_be_used(tmp_path: Path) -> None:
    async with webhook_bed("memory", tmp_path, inbound=whatsapp(("secret",), "sésamo")) as bed:
        response: httpx.Response = await bed.http.get(HOOK, params=query(verify_token="sésamo"))
        assert response.status_code == 200
