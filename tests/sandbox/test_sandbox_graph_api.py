"""The Graph API: its limits, its statuses at our webhook, its ways to fail; and the envelopes of the inbound side."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts.institution import Institution
from sandbox.app import SandboxSettings, create_app
from sandbox.behaviour import GraphBehaviour
from sandbox.graph_api import GraphSandbox
from sandbox.recordings import spoken_in
from tests import whatsapp_kinds as webhooks

SECRET = "s3cret"
NUMBER = "106540352242922"
SEND = f"/graph/v26.0/{NUMBER}/messages"


class Webhook:
    """Our side: keeps what arrives, verifies its signature, answers what it is told to."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.answers: list[int] = []
        self.app = Starlette(routes=[Route("/webhooks/whatsapp", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        expected = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(request.headers["x-hub-signature-256"], expected)
        code = self.answers.pop(0) if self.answers else 200
        if code == 200:
            self.bodies.append(body)
        return Response(status_code=code)

    @property
    def statuses(self) -> list[dict[str, Any]]:
        found = []
        for body in self.bodies:
            for entry in orjson.loads(body)["entry"]:
                for change in entry["changes"]:
                    found += change["value"].get("statuses", [])
        return found


@pytest.fixture
def webhook() -> Webhook:
    return Webhook()


@pytest.fixture
async def graph_app(pyloto: Institution, webhook: Webhook, serve: Any) -> Starlette:
    url = await serve(webhook.app) + "/webhooks/whatsapp"
    return create_app(SandboxSettings(institution=pyloto, seed=3, webhook_url=url, app_secret=SECRET))


@pytest.fixture
def graph(graph_app: Starlette) -> GraphSandbox:
    sandbox: GraphSandbox = graph_app.state.graph
    return sandbox


@pytest.fixture
async def client(graph_app: Starlette, serve: Any) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": "Bearer token"}
    async with httpx.AsyncClient(base_url=await serve(graph_app), headers=headers, timeout=10) as http:
        yield http


def message(kind: str = "text", content: Any = None, **more: Any) -> dict[str, Any]:
    content = {"body": "olá"} if content is None and kind == "text" else content
    return {"messaging_product": "whatsapp", "to": "+5519999990000", "type": kind, kind: content, **more}


def buttons(*titles: str, body: str = "Escolha", ids: tuple[str, ...] = ()) -> dict[str, Any]:
    ids = ids or tuple(f"b{number}" for number in range(len(titles)))
    replies = [{"type": "reply", "reply": {"id": id, "title": title}} for id, title in zip(ids, titles, strict=True)]
    return {"type": "button", "body": {"text": body}, "action": {"buttons": replies}}


def rows(count: int, *, button: str = "Ver", title: str = "Linha", description: str = "x") -> dict[str, Any]:
    listed = [{"id": f"r{number}", "title": f"{title} {number}", "description": description} for number in range(count)]
    action = {"button": button, "sections": [{"title": "Todas", "rows": listed}]}
    return {"type": "list", "body": {"text": "Escolha"}, "action": action}


ACCEPTED = {
    "text": message(),
    "text 4096": message("text", {"body": "x" * 4096}),
    "buttons": message("interactive", buttons("Sim", "Não", "Talvez")),
    "list": message("interactive", rows(10)),
    "image": message("image", {"link": "https://example.com/a.jpg", "caption": "c"}),
    "audio": message("audio", {"id": "1"}),
    "document": message("document", {"link": "https://example.com/a.pdf", "filename": "a.pdf"}),
    "location": message("location", {"latitude": -22.9, "longitude": -47.0, "name": "Pyloto"}),
    "contacts": message("contacts", [{"name": {"formatted_name": "A B", "first_name": "A"}, "phones": []}]),
    "reaction": message("reaction", {"message_id": "wamid.X", "emoji": "👍"}),
    "reaction removed": message("reaction", {"message_id": "wamid.X", "emoji": ""}),
    "template": message("template", {"name": "hello", "language": {"code": "pt_BR"}}),
    "recipient": {"messaging_product": "whatsapp", "recipient": "BR.abc", "type": "text", "text": {"body": "a"}},
}
REFUSED = {
    "product": ({**message(), "messaging_product": "sms"}, 100),
    "to": ({**message(), "to": ""}, 131008),
    "bad to": ({**message(), "to": "nobody"}, 131009),
    "type": (message("carrier_pigeon", {}), 131051),
    "no content": ({"messaging_product": "whatsapp", "to": "+5519999990000", "type": "text"}, 131008),
    "empty body": (message("text", {"body": ""}), 131008),
    "text 4097": (message("text", {"body": "x" * 4097}), 131009),
    "four buttons": (message("interactive", buttons("1", "2", "3", "4")), 131009),
    "no buttons": (message("interactive", buttons()), 131009),
    "button title 21": (message("interactive", buttons("x" * 21)), 131009),
    "same titles": (message("interactive", buttons("Sim", "Sim")), 131009),
    "same ids": (message("interactive", buttons("Sim", "Não", ids=("a", "a"))), 131009),
    "button body 1025": (message("interactive", buttons("Sim", body="x" * 1025)), 131009),
    "eleven rows": (message("interactive", rows(11)), 131009),
    "list label 21": (message("interactive", rows(2, button="x" * 21)), 131009),
    "row title 25": (message("interactive", rows(1, title="x" * 23)), 131009),
    "description 73": (message("interactive", rows(1, description="x" * 73)), 131009),
    "interactive type": (message("interactive", {"type": "menu", "body": {"text": "x"}, "action": {}}), 131009),
    "caption 1025": (message("image", {"link": "https://example.com/a", "caption": "x" * 1025}), 131009),
    "audio caption": (message("audio", {"id": "1", "caption": "x"}), 100),
    "id and link": (message("image", {"id": "1", "link": "https://example.com/a"}), 131009),
    "no link": (message("image", {"link": "not a link"}), 131009),
    "latitude": (message("location", {"latitude": 91, "longitude": 0}), 131009),
    "template name": (message("template", {"name": "x" * 513, "language": {"code": "pt"}}), 131009),
    "reference 513": (message(biz_opaque_callback_data="x" * 513), 131009),
}


@pytest.mark.parametrize("name", ACCEPTED)
async def test_every_type_is_accepted(direct: httpx.AsyncClient, name: str) -> None:
    answer = await direct.post(SEND, json=ACCEPTED[name])
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-prosa-sandbox"] == "true"
    assert answer.json()["messages"][0]["id"].startswith("wamid.")
    assert answer.json()["contacts"][0]["input"]


@pytest.mark.parametrize("name", REFUSED)
async def test_limits_are_the_platforms(direct: httpx.AsyncClient, name: str) -> None:
    content, code = REFUSED[name]
    answer = await direct.post(SEND, json=content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert answer.json()["error"]["error_data"]["details"]
    assert (await direct.get("/graph/sandbox/messages")).json()["messages"] == []


async def test_token_and_version(client: httpx.AsyncClient) -> None:
    for token in ("", "Bearer invalid", "Basic x"):
        answer = await client.post(SEND, json=message(), headers={"authorization": token})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, 190)
    assert (await client.post(f"/graph/latest/{NUMBER}/messages", json=message())).status_code == 404
    assert (await client.post(f"/graph/{NUMBER}/messages", json=message())).status_code == 200


async def test_read_mark_and_typing(client: httpx.AsyncClient) -> None:
    mark = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.A"}
    for content in (mark, {**mark, "typing_indicator": {"type": "text"}}):
        assert (await client.post(SEND, json=content)).json() == {"success": True}
    refused = await client.post(SEND, json={**mark, "message_id": ""})
    assert refused.json()["error"]["code"] == 131008


async def test_statuses_come_signed_and_bring_our_reference_back(
    client: httpx.AsyncClient, graph: GraphSandbox, webhook: Webhook
) -> None:
    answer = await client.post(SEND, json=message(biz_opaque_callback_data="saída-1"))
    await graph.webhooks.settle()
    assert [each["status"] for each in webhook.statuses] == ["sent", "delivered", "read"]
    assert {each["id"] for each in webhook.statuses} == {answer.json()["messages"][0]["id"]}
    assert {each["biz_opaque_callback_data"] for each in webhook.statuses} == {"saída-1"}
    assert b"sa\\u00edda-1" in webhook.bodies[0]
    value = orjson.loads(webhook.bodies[0])["entry"][0]["changes"][0]["value"]
    assert value["metadata"]["phone_number_id"] == NUMBER
    assert value["contacts"][0]["wa_id"] == "5519999990000"


async def test_webhook_that_fails_is_tried_again(
    client: httpx.AsyncClient, graph: GraphSandbox, webhook: Webhook
) -> None:
    graph.behave(GraphBehaviour.model_validate({"statuses": {"kinds": ["sent"], "backoff_ms": 5}}))
    webhook.answers = [500, 503]
    await client.post(SEND, json=message())
    await graph.webhooks.settle()
    assert len(webhook.statuses) == 1
    assert graph.counters.all()["webhooks_repeated"] == 2
    graph.behave(GraphBehaviour.model_validate({"statuses": {"kinds": ["sent"], "backoff_ms": 1, "attempts": 3}}))
    webhook.answers = [500] * 3
    await client.post(SEND, json=message())
    await graph.webhooks.settle()
    assert len(webhook.statuses) == 1
    assert graph.counters.all()["webhooks_given_up"] == 1


async def test_statuses_in_disorder(client: httpx.AsyncClient, graph: GraphSandbox, webhook: Webhook) -> None:
    graph.behave(GraphBehaviour.model_validate({"statuses": {"shuffled": 1, "duplicated": 1}}))
    await client.post(SEND, json=message())
    await graph.webhooks.settle()
    kinds = [each["status"] for each in webhook.statuses]
    assert sorted(kinds) == ["delivered", "delivered", "read", "read", "sent", "sent"]
    assert kinds[0] != "sent"


async def test_statuses_share_a_webhook(client: httpx.AsyncClient, graph: GraphSandbox, webhook: Webhook) -> None:
    plan = {"kinds": ["sent"], "after_ms": {"sent": 10}, "batch_ms": 150}
    graph.behave(GraphBehaviour.model_validate({"statuses": plan}))
    await asyncio.gather(*(client.post(SEND, json=message(to=f"+55199999900{n:02}")) for n in range(10)))
    await graph.webhooks.settle()
    assert len(webhook.statuses) == 10
    assert len(webhook.bodies) < 5


async def test_status_before_the_response(client: httpx.AsyncClient, graph: GraphSandbox, webhook: Webhook) -> None:
    graph.behave(GraphBehaviour.model_validate({"statuses": {"kinds": ["sent"], "before_response": True}}))
    await client.post(SEND, json=message())
    assert [each["status"] for each in webhook.statuses] == ["sent"]


async def test_what_is_on_its_way_together_is_shown_in_another_order(
    client: httpx.AsyncClient, graph: GraphSandbox
) -> None:
    graph.behave(GraphBehaviour.model_validate({"reorders": True, "statuses": {"after_ms": {"sent": 200}}}))
    for to in ("+5519999990001", "+5519999990001", "+5519999990002"):
        await client.post(SEND, json=message(to=to))
    assert [each["shown"] for each in graph.messages] == [2, 1, 3]
    await asyncio.sleep(0.25)
    await client.post(SEND, json=message(to="+5519999990001"))
    assert graph.messages[-1]["shown"] == 4


async def test_failure_that_comes_later(client: httpx.AsyncClient, graph: GraphSandbox, webhook: Webhook) -> None:
    graph.behave(GraphBehaviour.model_validate({"script": [{"failed_code": 131026}]}))
    assert (await client.post(SEND, json=message())).status_code == 200
    await graph.webhooks.settle()
    assert [each["status"] for each in webhook.statuses] == ["sent", "failed"]
    assert webhook.statuses[1]["errors"][0]["code"] == 131026


async def test_accepted_and_then_cut(client: httpx.AsyncClient, graph: GraphSandbox, webhook: Webhook) -> None:
    """The one that matters: the message is out, nobody tells us but the status."""
    graph.behave(GraphBehaviour.model_validate({"script": [{"fault": "cut_after_accepting"}]}))
    with pytest.raises(httpx.RemoteProtocolError):
        await client.post(SEND, json=message(biz_opaque_callback_data="row-1"))
    await graph.webhooks.settle()
    assert len(graph.messages) == 1
    assert webhook.statuses[0]["biz_opaque_callback_data"] == "row-1"


async def test_cut_before_accepting(client: httpx.AsyncClient, graph: GraphSandbox) -> None:
    graph.behave(GraphBehaviour(cut_before_accepting=1))
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await client.post(SEND, json=message())
    assert not graph.messages


@pytest.mark.parametrize(
    ("step", "status", "code"),
    [
        ({"code": 131056}, 400, 131056),
        ({"code": 130429}, 400, 130429),
        ({"code": 131047}, 400, 131047),
        ({"code": 190}, 401, 190),
        ({"fault": "unavailable"}, 503, 131016),
        ({"fault": "server_error_page"}, 500, None),
    ],
)
async def test_scripted_refusals(
    client: httpx.AsyncClient, graph: GraphSandbox, step: dict[str, Any], status: int, code: int | None
) -> None:
    graph.behave(GraphBehaviour.model_validate({"script": [{"to": "5519999990000", **step}]}))
    assert (await client.post(SEND, json=message(to="+5519888880000"))).status_code == 200
    answer = await client.post(SEND, json=message())
    assert answer.status_code == status
    if code is None:
        assert answer.text.startswith("<!DOCTYPE html>")
    else:
        assert answer.json()["error"]["code"] == code
    assert (await client.post(SEND, json=message())).status_code == 200


async def test_rates_hang_on_content_not_on_order(client: httpx.AsyncClient, graph: GraphSandbox) -> None:
    async def codes(numbers: list[int]) -> dict[int, int]:
        graph.behave(GraphBehaviour(error_rates={131056: 0.5}))
        answers = await asyncio.gather(*(client.post(SEND, json=message("text", {"body": f"{n}"})) for n in numbers))
        return dict(zip(numbers, (answer.status_code for answer in answers), strict=True))

    forwards = await codes(list(range(30)))
    assert await codes(list(reversed(range(30)))) == forwards
    assert set(forwards.values()) == {200, 400}


async def test_pair_rate(client: httpx.AsyncClient, graph: GraphSandbox) -> None:
    graph.behave(GraphBehaviour(pair_rate=True))
    answers = [await client.post(SEND, json=message("text", {"body": f"{n}"})) for n in range(46)]
    assert [answer.status_code for answer in answers[:45]] == [200] * 45
    assert answers[45].json()["error"]["code"] == 131056
    assert (await client.post(SEND, json=message(to="+5519888880000"))).status_code == 200


async def test_closed_window_opens_when_the_person_writes(
    client: httpx.AsyncClient, graph: GraphSandbox, webhook: Webhook
) -> None:
    graph.behave(GraphBehaviour(closed_windows=True))
    assert (await client.post(SEND, json=message())).json()["error"]["code"] == 131047
    assert (await client.post(SEND, json=ACCEPTED["template"])).status_code == 200
    wrote = await client.post("/graph/sandbox/inbound", json={"person": "5519999990000", "text": "oi", "name": "Bia"})
    assert wrote.json()["taken"] is True
    arrived = orjson.loads(webhook.bodies[-1])["entry"][0]["changes"][0]["value"]
    assert arrived["messages"][0]["text"]["body"] == "oi"
    assert (await client.post(SEND, json=message())).status_code == 200


async def test_a_person_sends_a_voice_note(client: httpx.AsyncClient, webhook: Webhook) -> None:
    spoke = await client.post("/graph/sandbox/inbound", json={"person": "5519999990000", "voice": "quanto custa?"})
    assert spoke.json()["taken"] is True
    note = orjson.loads(webhook.bodies[-1])["entry"][0]["changes"][0]["value"]["messages"][0]["audio"]
    about = (await client.get(f"/graph/v26.0/{note['id']}")).json()
    assert spoken_in((await client.get(about["url"])).content)["text"] == "quanto custa?"


async def test_a_person_sends_a_file(client: httpx.AsyncClient, webhook: Webhook) -> None:
    """Its kind by its type, its caption where the platform has one; it comes by its id."""
    got = {}
    for mime_type in ("image/png", "audio/ogg", "application/pdf"):
        query = {"person": "5519999990000", "text": "O que é?", "filename": "conta.pdf"}
        headers = {"content-type": mime_type}
        sent = await client.post("/graph/sandbox/inbound", params=query, content=b"bytes", headers=headers)
        assert sent.json()["taken"] is True
        message = orjson.loads(webhook.bodies[-1])["entry"][0]["changes"][0]["value"]["messages"][0]
        content = message[message["type"]]
        about = (await client.get(f"/graph/v26.0/{content['id']}")).json()
        assert (await client.get(about["url"])).content == b"bytes"
        got[message["type"]] = content.get("caption"), content.get("filename")
    assert got == {"image": ("O que é?", None), "audio": (None, None), "document": ("O que é?", "conta.pdf")}


async def test_accepted_messages_are_listed_in_pages(client: httpx.AsyncClient) -> None:
    for number in range(5):
        to = "+5519999990000" if number % 2 else "+5519888880000"
        await client.post(SEND, json=message("text", {"body": f"{number}"}, to=to))
    page = (await client.get("/graph/sandbox/messages?limit=2")).json()
    assert [each["body"]["text"]["body"] for each in page["messages"]] == ["0", "1"]
    following = (await client.get(f"/graph/sandbox/messages?after={page['next_after']}")).json()
    assert [each["body"]["text"]["body"] for each in following["messages"]] == ["2", "3", "4"]
    mine = (await client.get("/graph/sandbox/messages", params={"to": "+5519999990000"})).json()
    assert [each["body"]["text"]["body"] for each in mine["messages"]] == ["1", "3"]
    assert (await client.delete("/graph/sandbox/messages")).json()["messages"] == []


async def test_behaviour_over_http(client: httpx.AsyncClient) -> None:
    await client.put("/graph/sandbox/behaviour", json={"error_rates": {"131026": 1}})
    assert (await client.post(SEND, json=message())).json()["error"]["code"] == 131026
    assert (await client.put("/graph/sandbox/behaviour", json={"nonsense": 1})).status_code == 422
    await client.delete("/graph/sandbox/behaviour")
    assert (await client.post(SEND, json=message())).status_code == 200


async def test_media_goes_up_and_comes_down(client: httpx.AsyncClient) -> None:
    form = {"messaging_product": "whatsapp", "type": "image/png"}
    content = b"\x89PNG\r\n\x00\xff" * 50
    uploaded = await client.post(
        f"/graph/v26.0/{NUMBER}/media", data=form, files={"file": ("a.png", content, "image/png")}
    )
    media_id = uploaded.json()["id"]
    about = (await client.get(f"/graph/v26.0/{media_id}")).json()
    assert about["sha256"] == hashlib.sha256(content).hexdigest()
    assert about["file_size"] == len(content)
    assert (await client.get(about["url"])).content == content
    assert (await client.get(about["url"], headers={"authorization": ""})).status_code == 401
    assert (await client.delete(f"/graph/v26.0/{media_id}")).json() == {"success": True}
    assert (await client.get(f"/graph/v26.0/{media_id}")).status_code == 400
    refused = await client.post(
        f"/graph/v26.0/{NUMBER}/media",
        data={"messaging_product": "whatsapp"},
        files={"file": ("a.exe", b"MZ", "application/x-msdownload")},
    )
    assert refused.json()["error"]["code"] == 100


async def test_media_link_lives_five_minutes(pyloto: Institution, serve: Any) -> None:
    now = [0.0]
    sandbox = GraphSandbox(app_secret="x", clock=lambda: now[0])
    file = sandbox.media.add(b"abc", "image/png")
    key = sandbox.media.link(file)
    now[0] = 299
    assert sandbox.media.behind(key) is not None
    now[0] = 301
    assert sandbox.media.behind(key) is None
    assert sandbox.media.get(file.id) is not None
    now[0] = 8 * 86_400
    assert sandbox.media.get(file.id) is None


def test_brazilian_numbers_may_lose_their_nine() -> None:
    sandbox = GraphSandbox(app_secret="x", behaviour=GraphBehaviour(brazilian_numbers_without_nine=True))
    assert sandbox._wa_id("+55 19 99999-0000") == "551999990000"


def test_bytes_and_signature_are_metas() -> None:
    change = webhooks.inbound_text("5519999990000", "olá é/ou 🙂", id="wamid.1", name="Zoë")
    body, headers = webhooks.signed(webhooks.envelope(change), SECRET)
    assert b"ol\\u00e1 \\u00e9\\/ou \\ud83d\\ude42" in body
    assert body.isascii()
    assert headers["x-hub-signature-256"] == webhooks.sign(body, SECRET)
    assert webhooks.sign(b"", "k") == "sha256=" + hmac.new(b"k", b"", hashlib.sha256).hexdigest()
    value = json.loads(body)["entry"][0]["changes"][0]["value"]
    assert value["messages"][0]["text"]["body"] == "olá é/ou 🙂"
    assert value["contacts"][0]["profile"]["name"] == "Zoë"


PERSON = "5519999990000"
INBOUND = {
    "text": webhooks.inbound_text(PERSON, "oi"),
    "interactive": webhooks.inbound_button_reply(PERSON, "b1", "Sim"),
    "interactive list": webhooks.inbound_list_reply(PERSON, "r1", "CRM", "desc"),
    "interactive form": webhooks.inbound_form_reply(PERSON, {"a": 1}),
    "button": webhooks.inbound_template_button(PERSON, "p", "Sim"),
    "image": webhooks.inbound_image(PERSON, caption="foto"),
    "video": webhooks.inbound_video(PERSON),
    "audio": webhooks.inbound_audio(PERSON),
    "document": webhooks.inbound_document(PERSON, filename="orçamento.pdf"),
    "sticker": webhooks.inbound_sticker(PERSON),
    "location": webhooks.inbound_location(PERSON, -22.9, -47.0, "Praça"),
    "contacts": webhooks.inbound_contacts(PERSON, "Rui", "+5519"),
    "reaction": webhooks.inbound_reaction(PERSON, "wamid.1", None),
    "order": webhooks.inbound_order(PERSON, "sku", "2"),
    "system": webhooks.inbound_system(PERSON, "user_changed_number", "x", wa_id="5519888880000"),
    "unsupported": webhooks.inbound_unsupported(PERSON),
    "edit": webhooks.inbound_edit(PERSON, "wamid.1", "novo"),
    "revoke": webhooks.inbound_revoke(PERSON, "wamid.1"),
    "request_welcome": webhooks.inbound_welcome(PERSON),
}


@pytest.mark.parametrize("name", INBOUND)
def test_every_inbound_kind_has_its_shape(name: str) -> None:
    kind = name.split()[0]
    element = INBOUND[name]["value"]["messages"][0]
    assert element["type"] == kind
    assert element["id"].startswith("wamid.")
    assert element["timestamp"].isdigit()
    assert kind in element or kind == "request_welcome"
    assert json.loads(webhooks.to_bytes(webhooks.envelope(INBOUND[name])))["object"] == "whatsapp_business_account"


def test_other_fields() -> None:
    assert webhooks.echo(PERSON, "oi")["field"] == "smb_message_echoes"
    assert webhooks.error(131000)["value"]["errors"][0]["code"] == 131000
    failed = webhooks.status("wamid.1", "failed", PERSON, error_code=131026)["value"]
    assert failed["statuses"][0]["errors"][0]["code"] == 131026
    assert "contacts" not in failed
    assert webhooks.other("user_preferences", user_preferences=[])["field"] == "user_preferences"
