"""`prosa templates`: what the Graph API lists, and what is wrong with the templates of the documents."""

import httpx

from adapters.channels.whatsapp import WhatsAppSettings
from adapters.channels.whatsapp.doctor import ListedTemplate, problem_of, read_templates
from adapters.http.listener import listen
from cli.serving import server_of
from contracts.messages import Template
from sandbox.app import SandboxSettings, create_app
from tests.builders import pyloto

BODY = [{"type": "BODY", "text": "Oi, {{1}}. Sua conversa continua aberta."}]
LISTED = [
    {"name": "next_day", "language": "pt_BR", "category": "UTILITY", "status": "APPROVED", "components": BODY},
    {"name": "paused", "language": "pt_BR", "category": "UTILITY", "status": "PAUSED", "components": []},
    {"name": "news", "language": "en", "category": "MARKETING", "status": "APPROVED", "components": []},
]


async def listed() -> list[ListedTemplate]:
    app = create_app(SandboxSettings(institution=pyloto()))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url, httpx.AsyncClient() as client:
        behaviour = {"templates": LISTED}
        assert (await client.put(f"{url}/graph/sandbox/behaviour", json=behaviour)).status_code == 200
        return await read_templates(
            WhatsAppSettings(
                WHATSAPP_APP_SECRET="sandbox",
                WHATSAPP_VERIFY_TOKEN="v",
                WHATSAPP_ACCESS_TOKEN="t",
                WHATSAPP_PHONE_NUMBER_ID="100000000000001",
                WHATSAPP_API_URL=f"{url}/graph/v26.0",
            )
        )


async def test_every_page_is_read_and_each_fault_is_named() -> None:
    found = await listed()
    assert [(one.name, one.parameters) for one in found] == [("next_day", 1), ("paused", 0), ("news", 0)]
    assert problem_of(Template(name="next_day", language="pt_BR", parameters=("Ana",)), found) is None
    for template, problem in {
        Template(name="next_day", language="pt_BR"): "takes 1 parameters",
        Template(name="next_day", language="en"): "pt_BR only",
        Template(name="paused", language="pt_BR"): "PAUSED",
        Template(name="news", language="en"): "marketing",
        Template(name="gone", language="en"): "no template",
    }.items():
        assert problem in str(problem_of(template, found))
