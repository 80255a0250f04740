"""Roles, sessions of a browser and a trusted proxy: what each opens, and what another site cannot do with them."""

import io
from collections.abc import AsyncIterator
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from webhook_bed import WebhookBed, assert_problem, webhook_bed

from adapters.http.access import SESSION, SESSION_COOKIE, Access
from contracts.access import Key, Role, TrustedProxy
from observability.logs import configure_logs
from observability.metrics import ACCESS_REFUSALS
from tests.builders import SteppingClock

KEYS = tuple(
    Key(role=role, name=name, token=SecretStr(token))
    for role, name, token in (
        (Role.READ, "read", "look"),
        (Role.OPERATE, "Ana Souza", "work"),
        (Role.ADMINISTER, "administer", "rule"),
    )
)
ASKED = {"conversation": "web:c-1", "kind": "handoff_summary"}
HTML = {"accept": "text/html,*/*;q=0.8"}


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
async def bed(tmp_path: Path, clock: SteppingClock) -> AsyncIterator[WebhookBed]:
    async with webhook_bed("memory", tmp_path, access=Access(KEYS, clock=clock)) as bed:
        yield bed


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def refusals(reason: str) -> float:
    return ACCESS_REFUSALS.labels(reason)._value.get()


async def log_in(bed: WebhookBed, token: str, **headers: str) -> httpx.Response:
    form = {"token": token, "next": "/console/status"}
    return await bed.http.post("/console/login", data=form, headers=headers)


async def test_a_key_opens_what_its_role_includes(bed: WebhookBed) -> None:
    for token, status in {"look": 403, "work": 404, "rule": 404, "wrong": 401}.items():
        assert (await bed.http.post("/analyses", json=ASKED, headers=bearer(token))).status_code == status, token
    before = refusals("wrong_token")
    assert_problem(await bed.http.get("/console/status", headers=bearer("loo")), 401)
    assert refusals("wrong_token") == before + 1
    assert (await bed.http.get("/console/status", headers=bearer("look"))).status_code == 200


async def test_a_browser_logs_in_and_goes_on_where_it_was(bed: WebhookBed, clock: SteppingClock) -> None:
    sent = await bed.http.get("/console/status?a=b", headers=HTML)
    assert (sent.status_code, sent.headers["location"]) == (303, "/console/login?next=/console/status%3Fa%3Db")
    page = await bed.http.get(sent.headers["location"], headers=HTML)
    assert 'value="/console/status?a=b"' in page.text
    assert "No key has this token." in (await log_in(bed, "wrong")).text
    assert SESSION_COOKIE not in bed.http.cookies
    done = await log_in(bed, "look")
    assert (done.status_code, done.headers["location"]) == (303, "/console/status")
    attributes = done.headers["set-cookie"].lower()
    assert "httponly" in attributes
    assert "samesite=strict" in attributes
    assert "look" not in attributes
    assert (await bed.http.get("/console/status")).status_code == 200
    ends, _, signature = bed.http.cookies[SESSION_COOKIE].partition(".")
    withdrawn = Key(role=Role.READ, name="read", token=SecretStr("another"))
    other = Access((withdrawn,), clock=clock).session(withdrawn)
    for forged in (f"{int(ends) + 1}.{signature}", f"{ends}.", "x", f"{ends}.é", f"{'9' * 5000}.x", other):
        cookie = {"cookie": f"{SESSION_COOKIE}={forged}".encode()}
        bed.http.cookies.clear()
        assert (await bed.http.get("/console/status", headers=cookie)).status_code == 401, forged
    bed.http.cookies.set(SESSION_COOKIE, f"{ends}.{signature}")
    assert (await bed.http.get("/console/status")).status_code == 200
    assert "/console/logout" in (await bed.http.get("/console/status", headers=HTML)).text
    left = await bed.http.post("/console/logout")
    assert left.headers["location"] == "/console/login"
    assert f'{SESSION_COOKIE}=""; ' in left.headers["set-cookie"]
    assert "max-age=0" in left.headers["set-cookie"].lower()
    clock.move(SESSION + timedelta(seconds=1))
    assert (await bed.http.get("/console/status")).status_code == 401


@pytest.mark.parametrize("place", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\nb", ""])
async def test_a_login_leads_nowhere_else(bed: WebhookBed, place: str) -> None:
    response = await bed.http.post("/console/login", data={"token": "look", "next": place})
    assert response.headers["location"] == "/console"


async def test_tokens_cannot_be_tried_without_end(bed: WebhookBed) -> None:
    configure_logs(level="INFO", stream=(logs := io.StringIO()))
    assert (await log_in(bed, "look")).status_code == 303
    session = dict(bed.http.cookies)
    bed.http.cookies.clear()
    before = refusals("wrong_token")
    for _ in range(20):
        assert (await bed.http.get("/console/status", headers=bearer("look"))).status_code == 200, "no guess"
    statuses = [(await bed.http.get("/console/status", headers=bearer(f"guess-{n}"))).status_code for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert (await log_in(bed, "guess")).status_code == 429, "both ways count together"
    refused = await bed.http.get("/console/status", headers=bearer("look"))
    assert_problem(refused, 429)
    assert int(refused.headers["retry-after"]) <= 5
    assert refusals("wrong_token") == before + 10
    assert logs.getvalue().count("access.wrong_token") == 1
    assert "guess" not in logs.getvalue()
    elsewhere = bearer("look") | {"x-forwarded-for": "203.0.113.9"}
    assert (await bed.http.get("/console/status", headers=elsewhere)).status_code == 200, "another client"
    bed.http.cookies.update(session)
    assert (await bed.http.get("/console/status")).status_code == 200, "a session goes on"


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}]
)
async def test_another_site_changes_nothing_with_the_session_of_a_browser(
    bed: WebhookBed, headers: dict[str, str]
) -> None:
    assert_problem(await log_in(bed, "work", **headers), 403)
    await log_in(bed, "work")
    assert_problem(await bed.http.post("/analyses", json=ASKED, headers=headers), 403)
    own = {"origin": str(bed.http.base_url), "sec-fetch-site": "same-origin"}
    assert_problem(await bed.http.post("/analyses", json=ASKED, headers=own), 404)
    assert (await bed.http.get("/console/status", headers=headers)).status_code == 200, "reading changes nothing"


async def test_a_trusted_proxy_names_user_and_role(tmp_path: Path) -> None:
    proxy = TrustedProxy(networks=(ip_network("10.1.0.0/16"),), user_header="X-User", groups_header="X-Groups")
    async with webhook_bed("memory", tmp_path, access=Access(proxy=proxy)) as bed:
        for address, groups, status in (
            ("10.1.2.3", "staff, operate,read", 404),
            ("10.1.2.3", "read", 403),
            ("10.1.2.3", "staff", 403),
            ("10.2.2.3", "administer", 401),
            ("127.0.0.1", "administer", 401),
        ):
            transport = httpx.ASGITransport(bed.app, client=(address, 50_000))
            async with httpx.AsyncClient(transport=transport, base_url="http://prosa.example") as http:
                headers = {"x-user": "ana", "x-groups": groups}
                answer = await http.post("/analyses", json=ASKED, headers=headers)
                assert answer.status_code == status, (address, groups)
