"""What `prosa doctor` says of WhatsApp, against a Graph API that answers as Meta's does."""

from typing import Any

import pytest

from adapters.channels.whatsapp import WhatsApp
from adapters.http.listener import listen
from cli.doctor import examine_channel
from cli.serving import server_of
from cli.settings import read_settings
from contracts.findings import Finding, Health
from sandbox.app import SandboxSettings, create_app
from sandbox.behaviour import GraphBehaviour
from tests.builders import pyloto

SECRET, TOKEN, NUMBER = "app-secret-of-a-test", "EAAG-token-of-a-test", "106540352242922"
GIVEN = {
    "WHATSAPP_APP_SECRET": SECRET,
    "WHATSAPP_VERIFY_TOKEN": "v",
    "WHATSAPP_ACCESS_TOKEN": TOKEN,
    "WHATSAPP_PHONE_NUMBER_ID": NUMBER,
}


async def examined(behaviour: dict[str, Any], **environ: str) -> Finding:
    graph = GraphBehaviour.model_validate(behaviour)
    app = create_app(SandboxSettings(institution=pyloto(), app_secret=SECRET, graph=graph))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        given = {"WHATSAPP_API_URL": f"{url}/graph/v26.0"} | GIVEN | environ
        settings = read_settings({key: value.format(url=url) for key, value in given.items()}, env_file=None)
        found = await examine_channel(WhatsApp(), settings)
    said = f"{found.detail} {found.next_step}"
    assert TOKEN not in said
    assert SECRET not in said
    return found


async def test_four_true_values() -> None:
    assert await examined({}) == Finding("whatsapp", Health.OK, "+55 19 5550-0100, Prosa sandbox")


@pytest.mark.parametrize(
    ("behaviour", "environ", "detail", "step"),
    [
        ({}, {"WHATSAPP_API_URL": "http://127.0.0.1:9"}, "127.0.0.1:9: ConnectError", "check WHATSAPP_API_URL"),
        ({}, {"WHATSAPP_ACCESS_TOKEN": "invalid"}, "the token is refused (190)", "system user"),
        ({"token": "refused"}, {}, "the token is refused (190)", "system user"),
        ({"token": "expired"}, {}, "expired on Wednesday, 31-Dec-25 16:00:00 PST", "system user"),
        (
            {"missing_scopes": ["whatsapp_business_messaging"]},
            {},
            "lacks the permission whatsapp_business_messaging",
            "",
        ),
        (
            {"missing_scopes": ["whatsapp_business_management"]},
            {},
            "permission whatsapp_business_management",
            "another",
        ),
        ({"unknown_numbers": [NUMBER]}, {}, f"sees no number {NUMBER}", "no telephone number"),
        ({}, {"WHATSAPP_APP_SECRET": "another-app"}, "the app secret is not that of the token's app", "basic settings"),
        ({"subscribed": False}, {}, "no message arrives", "/102289599326934/subscribed_apps"),
    ],
)
async def test_each_failure_has_its_next_step(
    behaviour: dict[str, Any], environ: dict[str, str], detail: str, step: str
) -> None:
    found = await examined(behaviour, **environ)
    assert found.health is Health.FAILED
    assert detail in found.detail
    assert step in found.next_step
    assert found.next_step


@pytest.mark.parametrize(
    ("behaviour", "detail"),
    [
        ({"token": "temporary"}, "the token expires at 2100-01-01 00:00 UTC"),
        ({"quality_rating": "RED"}, "its quality is RED"),
        ({"code_verification_status": "NOT_VERIFIED"}, "the number is NOT_VERIFIED"),
        ({"messaging_limit_tier": "TIER_1K"}, "1,000 new people in 24 hours"),
    ],
)
async def test_what_works_today_and_may_not_tomorrow_is_a_note(behaviour: dict[str, Any], detail: str) -> None:
    found = await examined(behaviour)
    assert found.health is Health.NOTE
    assert detail in found.detail
    assert found.next_step


async def test_an_address_that_is_not_the_graph_api() -> None:
    found = await examined({}, WHATSAPP_API_URL="{url}/nowhere")
    assert found.health is Health.FAILED
    assert "404 without JSON" in found.detail
    assert found.next_step == "check WHATSAPP_API_URL"


async def test_without_whatsapp_it_is_not_asked() -> None:
    found = await examine_channel(WhatsApp(), read_settings({}, env_file=None))
    assert found.health is Health.NOTE
    assert found.detail == "not connected"


@pytest.mark.parametrize(("most", "health"), [("1000", Health.OK), ("1001", Health.NOTE)])
async def test_more_new_people_than_the_tier_takes_are_a_note(most: str, health: Health) -> None:
    found = await examined({"messaging_limit_tier": "TIER_1K"}, WHATSAPP_NEW_PEOPLE_PER_DAY=most)
    assert found.health is health
    assert ("WHATSAPP_NEW_PEOPLE_PER_DAY=1000" in (found.next_step or "")) is (health is Health.NOTE)
