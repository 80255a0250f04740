"""Everything but platform webhooks, the chat and `/healthz` is closed unless it was opened."""

import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from webhook_bed import WebhookBed, assert_problem, webhook_bed

from tests.builders import opened_by, pyloto

TOKEN = "senha-ção:com dois pontos"
CLOSED = (
    "/",
    "/static/app.js",
    "/static/nothing.js",
    "/metrics",
    "/console/status",
    "/console/cache",
    "/console/shadow",
    "/console/reports/daily",
    "/readyz",
    "/docs",
    "/openapi.json",
    "/console/about",
    "/console/conversations",
    "/console/conversations/web:c-1",
    "/analyses/0123456789abcdef-handoff_summary-9999999998-0123456789abcdef01234567",
)
# Header values travel as Latin-1; curl and browsers send UTF-8 in them, which Basic can carry and Bearer cannot.
PLAIN = "plain-token"


# What opens for this machine, and for who has the token.
OPENED = (
    "/",
    "/metrics",
    "/readyz",
    "/docs",
    "/openapi.json",
    "/console/about",
    "/console/conversations",
    "/console/status",
    "/console/cache",
    "/console/shadow",
)


@asynccontextmanager
async def client_from(bed: WebhookBed, address: str, host: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(bed.app, client=(address, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as http:
        yield http


def basic(password: str, user: str = "admin") -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


OPENED = (
    "/",
    "/metrics",
    "/readyz",
    "/docs",
    "/openapi.json",
    "/console/about",
    "/console/conversations",
    "/console/status",
    "/console/cache",
    "/console/shadow",
)


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("203.0.113.5", "prosa.example.com"),
        ("203.0.113.5", "127.0.0.1:8000"),
        ("203.0.113.5", "localhost"),
        ("127.0.0.1", "prosa.example.com"),
        ("127.0.0.1", "attacker.test:8000"),
        ("127.0.0.1", "127.0.0.1.attacker.test"),
        ("127.0.0.1", "localhost.attacker.test:80"),
    ],
)
async def test_without_a_token_only_this_machine_gets_in(bed: WebhookBed, path: str, address: str, host: str) -> None:
    """The name counts too: a page of another site can make its own name mean this machine."""
    async with client_from(bed, address, host) as http:
        assert_problem(await http.get(path), 403)


@pytest.mark.parametrize(
    ("address", "host"),
    [("127.0.0.1", "127.0.0.1:8000"), ("127.0.0.1", "localhost"), ("::1", "[::1]:8000"), ("::1", "[::1]")],
)
async def test_this_machine_does(bed: WebhookBed, address: str, host: str) -> None:
    async with client_from(bed, address, host) as http:
        for path in OPENED:
            assert (await http.get(path)).status_code == 200, path


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Bearer {PLAIN}x"},
        {"authorization": PLAIN},
        {"authorization": f"Token {PLAIN}"},
        {"authorization": "Basic"},
        {"authorization": "Basic %%%"},
        {"authorization": b"Basic \xff\xfe"},
        {"authorization": "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode()},
        {"authorization": "Basic " + base64.b64encode(PLAIN.encode()).decode()},
        basic("wrong"),
        basic("", user=PLAIN),
        {"x-forwarded-for": "127.0.0.1", "forwarded": "for=127.0.0.1"},
        {"cookie": f"token={PLAIN}"},
    ],
)
async def test_with_a_token_nobody_gets_in_without_it(tmp_path: Path, path: str, headers: Any) -> None:
    """This machine neither: behind a proxy everybody comes from it."""
    async with webhook_bed("memory", tmp_path, access=opened_by(PLAIN)) as bed:
        response = await bed.http.get(path, headers=headers)
        assert_problem(response, 401)
        assert response.headers["www-authenticate"].startswith("Basic ")
        assert PLAIN not in response.text


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        (PLAIN, {"authorization": f"Bearer {PLAIN}"}),
        (PLAIN, {"authorization": f"bearer  {PLAIN} "}),
        (PLAIN, basic(PLAIN)),
        (PLAIN, basic(PLAIN, user="")),
        (TOKEN, basic(TOKEN)),
    ],
)
async def test_with_the_token_anybody_does(tmp_path: Path, token: str, headers: dict[str, str]) -> None:
    async with (
        webhook_bed("memory", tmp_path, access=opened_by(token)) as bed,
        client_from(bed, "203.0.113.5", "prosa.example.com") as http,
    ):
        for path in OPENED:
            assert (await http.get(path, headers=headers)).status_code == 200, path


async def test_an_empty_token_opens_nothing(tmp_path: Path) -> None:
    async with webhook_bed("memory", tmp_path, access=opened_by("")) as bed:
        for headers in ({}, basic(""), {"authorization": "Bearer "}):
            assert_problem(await bed.http.get("/metrics", headers=headers), 401)


async def test_healthz_webhooks_and_chat_are_open(tmp_path: Path) -> None:
    async with (
        webhook_bed("memory", tmp_path, access=opened_by(PLAIN)) as bed,
        client_from(bed, "203.0.113.5", "prosa.example.com") as http,
    ):
        assert (await http.get("/healthz")).text == "ok"
        assert (await http.post("/chat/c-1/messages", json={"text": "Olá", "id": "m-1"})).status_code == 202
        assert (await http.get("/chat/c-1/messages/m-1")).status_code == 200
        assert_problem(await http.post("/webhooks/whatsapp"), 401)


async def test_readyz_says_when_nothing_can_be_made_durable(bed: WebhookBed) -> None:
    assert (await bed.http.get("/readyz")).json() == {"status": "ready"}
    bed.store.is_down = True
    assert (await bed.http.get("/readyz")).status_code == 200, "the inbox is elsewhere and takes messages"
    bed.inbox.is_down = True
    assert_problem(await bed.http.get("/readyz"), 503)
    assert (await bed.http.get("/healthz")).status_code == 200, "alive all the same: a restart would mend nothing"


async def test_the_page_runs_nothing_from_elsewhere(bed: WebhookBed) -> None:
    response = await bed.http.get("/")
    policy = response.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    "query", ["from=x", "from=2026-13-01", "from=0001-01-01", "to=9999-12-31", "to=" + "9" * 5000, "state=NONE"]
)
async def test_a_bad_parameter_is_a_problem_like_any_other(bed: WebhookBed, query: str) -> None:
    problem = assert_problem(await bed.http.get(f"/console/conversations?{query}"), 422)
    assert query.partition("=")[0] in problem["detail"]


async def test_the_console_shows_what_was_said(durable_bed: WebhookBed) -> None:
    await durable_bed.write("Olá", id="m-1")
    await durable_bed.reply("Pois não")
    assert "Pois não" in (await durable_bed.http.get("/console/conversations/web:c-1")).text
    assert_problem(await durable_bed.http.get("/console/conversations/web:other"), 404)
    await durable_bed.store.institutions.publish(pyloto(), at=durable_bed.clock.at)
    about = (await durable_bed.http.get("/console/about")).json()
    assert about["institution"] == pyloto().name


async def test_the_console_answers_503_without_the_store(bed: WebhookBed) -> None:
    bed.store.is_down = True
    for path in ("/console/about", "/console/conversations", "/console/conversations/web:c-1"):
        assert_problem(await bed.http.get(path), 503)


async def test_the_openapi_document_holds_together(bed: WebhookBed) -> None:
    document: dict[str, Any] = (await bed.http.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.")
    assert document["info"]["title"] == "Prosa"
    assert document["info"]["version"]
    operations = {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert {
        ("get", "/webhooks/whatsapp"),
        ("post", "/webhooks/whatsapp"),
        ("post", "/chat/{conversation}/messages"),
        ("get", "/chat/{conversation}/messages/{message_id}"),
        ("get", "/chat/{conversation}/events"),
        ("get", "/healthz"),
        ("get", "/readyz"),
        ("get", "/metrics"),
    } <= set(operations)
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(set(ids)) == len(ids)
    for (_, path), operation in operations.items():
        assert operation["responses"]
        assert operation["summary"]
        declared = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"}
        assert declared == {part[1:-1] for part in path.split("/") if part.startswith("{")}
    text = json.dumps(document)
    for reference in {each.split('"')[0] for each in text.split('"$ref": "')[1:]}:
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        assert isinstance(target, dict)


async def test_the_documentation_needs_nothing_from_elsewhere(bed: WebhookBed) -> None:
    async with client_from(bed, "127.0.0.1", "127.0.0.1:8000") as http:
        page = await http.get("/docs")
        described = (await http.get("/openapi.json")).json()["paths"]
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page.text)
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for path in described:
        assert f" {path}</code>" in page.text
