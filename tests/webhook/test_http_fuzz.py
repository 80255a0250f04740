"""Arbitrary requests to every documented route: no defect, no secret in an answer, nothing written in a log line.

`HTTP_FUZZ_EXAMPLES=20000` asks as many; the routes and the names of fields are those of `/openapi.json`.
"""

import asyncio
import operator
import os
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.types import Message
from test_arbitrary_input import VALID, places, values
from test_arbitrary_posts import CHATWOOT_VALID, INSTAGRAM, META_VALID, SLACK_VALID, TELEGRAM_VALID
from test_nothing_written_leaks import MARK
from webhook_bed import HOOK, START, WebhookBed, webhook_bed, whatsapp

from adapters.channels.chatwoot.inbound import ChatwootInbound
from adapters.channels.messenger.inbound import MessengerInbound
from adapters.channels.slack.inbound import SlackInbound
from adapters.channels.telegram.inbound import TelegramInbound
from adapters.http.access import Access
from contracts.access import Key, Role
from contracts.messages import ChannelName
from sandbox import slack_api
from sandbox.whatsapp_webhooks import sign, to_bytes

EXAMPLES = int(os.environ.get("HTTP_FUZZ_EXAMPLES", "300"))
SECRETS = {
    name: f"{name}-c5d1e7"
    for name in ("read", "operate", "administer", "meta", "telegram", "slack", "chatwoot", "verify")
}
PLATFORM_POSTS = {
    HOOK: [VALID],
    "/webhooks/telegram": TELEGRAM_VALID,
    "/webhooks/slack": SLACK_VALID,
    "/webhooks/messenger": META_VALID[:1],
    "/webhooks/instagram": META_VALID[1:],
    "/webhooks/chatwoot": CHATWOOT_VALID,
}
INBOUND = whatsapp([SECRETS["meta"]], SECRETS["verify"]) | {
    ChannelName.TELEGRAM: TelegramInbound(SECRETS["telegram"], bot="1", id_salt="salt", answers_groups=True),
    ChannelName.SLACK: SlackInbound(SECRETS["slack"], id_salt="salt"),
    ChannelName("chatwoot"): ChatwootInbound(SECRETS["chatwoot"], account="1", id_salt="salt"),
    **{
        name: MessengerInbound(name, app_secret=SECRETS["meta"], verify_token=SECRETS["verify"], id_salt="salt")
        for name in (ChannelName.MESSENGER, INSTAGRAM)
    },
}
KEYS = Access(tuple(Key(role=role, name=role.value, token=SecretStr(SECRETS[role.value])) for role in Role))

WORDS = ("text", "body", "caption", "title", "content", "first_name")

# The mark has signs that no id may have: ids are logged, words are not.
written = st.sampled_from([f"{MARK} é", f"<b>{MARK}</b>\u202e\x00", f"{MARK} " * 3000]) | st.text(max_size=20).map(
    lambda text: f"{text}\n{MARK}"
)
likely = st.sampled_from(
    ["c-1", "web:c-1", "1", "-1", "0", "2026-11-20", "1e400", "9" * 30, "assistant", "AWAITING_USER", "web", "summary"]
)
segments = likely | st.sampled_from(["..", "%2e%2e", "a%2fb", "%00", "%ff", "é", "x" * 3000]) | st.text(max_size=12)
schemes = st.sampled_from([b"Basic ", b"Bearer ", b"basic ", b"Digest ", b""])
header_texts = st.builds(operator.add, schemes, st.binary(max_size=40)) | (likely | written).map(
    lambda text: text.encode()[:200]
)
HEADER_NAMES = [
    *("content-type", "content-length", "content-encoding", "transfer-encoding", "origin", "cookie", "accept", "host"),
    *("last-event-id", "idempotency-key", "authorization", "x-forwarded-for", "x-hub-signature-256", "expect", "range"),
    *("x-slack-request-timestamp", "x-slack-signature", "sec-fetch-site", "accept-language", "traceparent", "baggage"),
]


def bodies_of(operation: dict[str, Any], document: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return a strategy of JSON with the documented names of the operation's body, most of them, and of any other."""
    schemas = document["components"]["schemas"]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    own = schemas.get(content.get("$ref", "").rpartition("/")[2], content).get("properties", {})
    names = {name for schema in schemas.values() for name in schema.get("properties", ())}
    scalars = written | likely | values
    anything = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.sampled_from(sorted(names)), scalars)
    others = st.dictionaries(st.sampled_from(sorted(names)) | st.text(max_size=5), anything, max_size=4)
    return st.fixed_dictionaries({}, optional=dict.fromkeys(own, written | anything)) | others


def signed(path: str, body: bytes, *, is_form: bool) -> tuple[bytes, dict[str, str]]:
    """Return a post as the platform of the path sends it."""
    match path.rpartition("/")[2]:
        case "telegram":
            return body, {"x-telegram-bot-api-secret-token": SECRETS["telegram"]}
        case "slack":
            content = body.decode("utf-8", "replace")
            as_form = urlencode({"payload": content}).encode() if is_form else body
            timestamp = str(int(START.timestamp()))
            signature = slack_api.signature(SECRETS["slack"], timestamp, as_form)
            kind = "application/x-www-form-urlencoded" if is_form else "application/json"
            return as_form, {
                "content-type": kind,
                "x-slack-request-timestamp": timestamp,
                "x-slack-signature": signature,
            }
    return body, {"x-hub-signature-256": sign(body, SECRETS["meta"])}


def changed(content: Any, data: st.DataObject) -> Any:
    """Return valid content with marked words, half of the time with any piece replaced."""
    content, words = orjson.loads(orjson.dumps(content)), data.draw(written)
    all_places = places(content)
    replaced = [(way, words) for way in all_places if way[-1] in WORDS]
    if data.draw(st.booleans()):
        replaced.append((data.draw(st.sampled_from(all_places)), data.draw(values | written)))
    for (*way, last), value in replaced:
        holder = content
        for key in way:
            holder = holder[key]
        if value is not words or isinstance(holder[last], str):
            holder[last] = value
    return content


def scope_of(
    data: st.DataObject, document: dict[str, Any], chat_token: str, number: int
) -> tuple[dict[str, Any], bytes]:
    """Draw a request: its ASGI scope and its body."""
    path = data.draw(st.sampled_from(sorted(document["paths"])))
    described = document["paths"][path]
    method = data.draw(st.sampled_from([one.upper() for one in described]))
    operation = described[method.lower()]
    if data.draw(st.integers(0, 9)) == 0:
        method = data.draw(st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"]))
    names = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
    query = data.draw(st.dictionaries(st.sampled_from([*names, "after", "wait", "x"]), likely | written, max_size=4))
    headers: dict[str, bytes] = {"host": b"prosa.example.com"}
    body = data.draw(bodies_of(operation, document).map(to_bytes) | values.map(to_bytes) | st.binary(max_size=200))
    if path in PLATFORM_POSTS and data.draw(st.booleans()):
        content = changed(data.draw(st.sampled_from(PLATFORM_POSTS[path])), data)
        body, added = signed(path, to_bytes(content), is_form=data.draw(st.booleans()))
        headers |= {name: value.encode() for name, value in added.items()}
        query["token"] = SECRETS["chatwoot"]
    tokens = ["", f"{MARK} é", chat_token] if path.startswith("/chat/") else ["", *(SECRETS[role] for role in Role)]
    if token := data.draw(st.sampled_from([*tokens, tokens[-1], tokens[-1]])):
        headers["authorization"] = b"Bearer " + token.encode()
    headers |= data.draw(st.dictionaries(st.sampled_from(HEADER_NAMES), header_texts, max_size=3))
    for parameter in [part[1:-1] for part in path.split("/") if part.startswith("{")]:
        known = st.just("web:c-1" if parameter == "conversation_id" else "c-1")
        path = path.replace(f"{{{parameter}}}", data.draw(known | known | segments))
    # A server gives no lone surrogate: it decodes what came.
    path = path.encode("utf-8", "replace").decode()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": quote(path).encode(),
        "query_string": urlencode(query, errors="replace").encode(),
        "root_path": "",
        "headers": [(name.encode(), value) for name, value in headers.items()],
        "client": (f"203.0.{number // 250 % 250}.{number % 250}", 50_000),
        "server": ("127.0.0.1", 8000),
    }
    return scope, body


async def answer(bed: WebhookBed, scope: dict[str, Any], body: bytes) -> tuple[int, bytes]:
    """Return the status, and all that is sent until the client leaves."""
    sent: list[Message] = []
    received = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Message:
        return next(received, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        sent.append(message)

    async with asyncio.timeout(60):
        await bed.app(scope, receive, send)
    heads = [one for one in sent if one["type"] == "http.response.start"]
    assert len(heads) <= 1
    shown = b"".join(one.get("body", b"") for one in sent) + repr([one["headers"] for one in heads]).encode()
    return heads[0]["status"] if heads else 0, shown


def test_no_request_is_a_defect_or_leaks(tmp_path: Path, raw_lines: list[dict[str, Any]]) -> None:
    statuses: Counter[int] = Counter()
    with asyncio.Runner() as runner:
        bed = webhook_bed("sqlite", tmp_path, inbound=INBOUND, access=KEYS, chat_key=b"chat-c5d1e7")
        opened = runner.run(bed.__aenter__())
        token = {"authorization": f"Bearer {SECRETS['administer']}"}
        document = runner.run(opened.http.get("/openapi.json", headers=token)).json()
        chat_token = runner.run(opened.write("Olá")).json()["token"]
        runner.run(opened.reply())

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.data())
        def ask(data: st.DataObject) -> None:
            scope, body = scope_of(data, document, chat_token, statuses.total())
            raw_lines.clear()
            status, shown = runner.run(answer(opened, scope, body))
            statuses[status] += 1
            assert status < 500, (scope, body)
            lines = repr(raw_lines)
            for hidden in (MARK, *SECRETS.values()):
                assert hidden not in lines, lines
            for secret in SECRETS.values():
                assert secret.encode() not in shown, (scope, shown)

        try:
            ask()
        finally:
            runner.run(bed.__aexit__(None, None, None))
    # The requests go deep: not all are refused at the door.
    assert {200, 401, 403, 404, 405, 422} <= set(statuses), statuses
