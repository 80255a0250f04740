"""Addresses with a slash at the end, and HEAD: as platforms, monitors and load balancers use them."""

import asyncio

import httpx
import pytest
from webhook_bed import HOOK, SECRET, VERIFY_TOKEN, WebhookBed

from sandbox import whatsapp_webhooks as meta
from sandbox.whatsapp_webhooks import envelope, sign, to_bytes


async def test_a_handshake_and_a_post_with_a_slash_at_the_end_are_taken(bed: WebhookBed) -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": VERIFY_TOKEN, "hub.challenge": "42"}
    answer = await bed.http.get(f"{HOOK}/", params=query)
    assert (answer.status_code, answer.text) == (200, "42")
    body = to_bytes(envelope(meta.inbound_text("5511900000001", "Oi", id="wamid.1")))
    answer = await bed.http.post(f"{HOOK}/", content=body, headers={"x-hub-signature-256": sign(body, SECRET)})
    assert answer.status_code == 200
    assert [message.text for message in bed.kept] == ["Oi"]


async def test_web_chat_takes_a_slash_at_the_end(bed: WebhookBed) -> None:
    answer = await bed.http.post("/chat/c-1/messages/", json={"text": "Oi"})
    assert answer.status_code == 202
    status = await bed.http.get(f"/chat/c-1/messages/{answer.json()['message_id']}/")
    assert status.status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/healthz/", "/readyz", "/openapi.json", "/docs", "/static/style.css"]
)
async def test_head_answers_where_get_does(bed: WebhookBed, path: str) -> None:
    get, head = await bed.http.get(path), await bed.http.head(path)
    assert get.status_code == head.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == get.headers["content-type"]
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_head_refuses_what_get_refuses(bed: WebhookBed) -> None:
    get, head = await bed.http.get("/nowhere"), await bed.http.head("/nowhere")
    assert (get.status_code, head.status_code, head.content) == (404, 404, b"")
    assert (await bed.http.head(HOOK)).status_code == 403


async def test_head_of_a_stream_ends(bed: WebhookBed) -> None:
    async with asyncio.timeout(10):
        answer = await bed.http.head("/chat/c-1/events")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_over_a_real_connection_a_head_leaves_it_usable(bed: WebhookBed) -> None:
    async with bed.served() as url, httpx.AsyncClient(base_url=url) as http:
        for _ in range(2):
            assert (await http.head("/healthz")).status_code == 200
            assert (await http.head("/chat/c-1/events")).status_code == 200
            assert (await http.get("/healthz")).text == "ok"
