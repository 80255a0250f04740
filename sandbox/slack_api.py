"""Slack's Web API, as far as a sender meets it, and its signed posts. Source: Slack, chat.postMessage, Block Kit."""

import time
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from adapters.channels.slack.inbound import signature
from sandbox.media_faults import LOGIN_PAGE, FileFault, looked_up
from sandbox.platform_double import PlatformDouble, Refused
from sandbox.transport import JSON, refusing

MAX_TEXT, MAX_SECTION, MAX_BUTTONS, MAX_OPTIONS, MAX_TITLE, MAX_BLOCKS = 4000, 3000, 25, 100, 75, 50
MAX_PLACEHOLDER, MAX_BUTTON_VALUE, MAX_OPTION_VALUE = 150, 2000, 150
ERRORS = {400: "invalid_blocks", 401: "invalid_auth", 403: "missing_scope", 404: "channel_not_found"}
ERRORS |= {413: "msg_too_long", 429: "ratelimited", 500: "internal_error"}


class SlackSandbox(PlatformDouble):
    """The Web API at `/api/<method>`, files at `/files-pri/<id>/<name>`."""

    name = "slack"

    def platform_routes(self) -> list[BaseRoute]:
        return [
            Route("/api/conversations.{kind}", self._history, methods=["GET"]),
            Route("/api/files.info", self._file_info, methods=["GET"]),
            Route("/api/{method}", self._call, methods=["POST"]),
            Route("/files-pri/{media_id}/{name}", self._download, methods=["GET"]),
        ]

    async def _history(self, request: Request) -> Response:
        """Return the channel's or thread's messages, newest first, with their metadata where asked for."""
        asked = request.query_params
        self.counters.add(f"conversations.{request.path_params['kind']}")
        found = [
            {"ts": f"1790000000.{one['number']:06d}", **one["body"]}
            for one in reversed(self.messages)
            if one["body"]["channel"] == asked["channel"] and one["body"].get("thread_ts") == asked.get("ts")
        ]
        if asked.get("include_all_metadata") != "true":
            found = [{name: value for name, value in one.items() if name != "metadata"} for one in found]
        return JSON({"ok": True, "messages": found, "has_more": False})

    async def _file_info(self, request: Request) -> Response:
        id = request.query_params.get("file", "")
        fault = self.media.lookup_fault(id)
        if self.media.get(id) is None or fault is FileFault.GONE:
            return JSON({"ok": False, "error": "file_not_found"})
        link = str(request.base_url.replace(path=f"{request.scope['root_path']}/files-pri/{id}/file"))
        return looked_up(fault, {"id": id, "url_private": link}, "url_private", within="file")

    async def _download(self, request: Request) -> Response:
        """Return the file of a `url_private`, or to a request without a token the page that Slack shows a browser."""
        token = request.headers.get("authorization", "")
        if not token.startswith("Bearer ") or token.endswith("invalid"):
            return Response(LOGIN_PAGE, media_type="text/html")
        return self.media.download(request, self.media.get(request.path_params["media_id"]))

    @refusing
    async def _call(self, request: Request) -> Response:
        method, token = request.path_params["method"], request.headers.get("authorization", "")
        if not token.startswith("Bearer ") or token.endswith("invalid"):
            raise Refused("invalid_auth")
        if method == "auth.test":
            answer = {"ok": True, "team": "Prosa sandbox", "user": "prosa", "team_id": "T1", "user_id": "UBOT"}
            return JSON(answer, headers={"x-oauth-scopes": "chat:write,im:history,app_mentions:read"})
        if method != "chat.postMessage":
            raise Refused("unknown_method")
        return await self.accept(request, method, await self.content_of(request))

    def check(self, method: str, content: dict[str, Any]) -> str:
        channel, text, blocks = content.get("channel"), content.get("text", ""), content.get("blocks", [])
        if not isinstance(channel, str) or not channel:
            raise Refused("channel_not_found")
        if not text and not blocks:
            raise Refused("no_text")
        # The real one cuts at 40,000 characters; the recommended length is held here, so that nothing is cut.
        if len(text) > MAX_TEXT:
            raise Refused("msg_too_long")
        if len(blocks) > MAX_BLOCKS or not all(_is_valid(block) for block in blocks):
            raise Refused("invalid_blocks")
        return channel

    def accepted(self, number: int, method: str, content: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True, "channel": content["channel"], "ts": f"1790000000.{number:06d}"}

    def refused(self, refusal: Refused) -> Response:
        """Refuse as Slack does: with status 200, but for the rate."""
        error = ERRORS.get(refusal.code, "fatal_error") if isinstance(refusal.code, int) else refusal.code
        is_limit = error == "ratelimited"
        headers = {"retry-after": "1"} if is_limit else None
        return JSON({"ok": False, "error": error}, status_code=429 if is_limit else 200, headers=headers)


def _is_valid(block: dict[str, Any]) -> bool:
    match block:
        case {"type": "section", "text": {"type": "mrkdwn", "text": str(text)}}:
            return 0 < len(text) <= MAX_SECTION
        case {"type": "image", "image_url": str(), "alt_text": str()}:
            return True
        case {"type": "actions", "elements": list(elements)}:
            return 0 < len(elements) <= MAX_BUTTONS and all(_is_element(one) for one in elements)
    return False


def _is_element(element: dict[str, Any]) -> bool:
    match element:
        case {"type": "button", "text": {"text": str(title)}, "value": str(value), "action_id": str()}:
            return 0 < len(title) <= MAX_TITLE and len(value) <= MAX_BUTTON_VALUE
        case {"type": "static_select", "options": list(options), "action_id": str()}:
            label = element.get("placeholder", {}).get("text", "")
            is_each = all(
                0 < len(one["text"]["text"]) <= MAX_TITLE
                and len(one.get("description", {}).get("text", "")) <= MAX_TITLE
                and len(one["value"]) <= MAX_OPTION_VALUE
                for one in options
            )
            return 0 < len(options) <= MAX_OPTIONS and len(label) <= MAX_PLACEHOLDER and is_each
    return False


def event(event_id: str = "Ev1", **content: Any) -> dict[str, Any]:
    """Return the envelope of an event in the workspace T1, whose app is the user UBOT."""
    spoken = {"type": "message", "user": "UANA", "channel": "D1", "ts": "1790000000.000100", "channel_type": "im"}
    return {
        "token": "deprecated",
        "team_id": "T1",
        "api_app_id": "A1",
        "event": {**spoken, **content},
        "type": "event_callback",
        "event_id": event_id,
        "event_time": 1_790_000_000,
        "authorizations": [{"team_id": "T1", "user_id": "UBOT", "is_bot": True}],
    }


def chosen(value: str, title: str, *, channel: str = "D1", trigger: str = "1.2.x") -> dict[str, Any]:
    """Return the interaction of a button of a message."""
    return {
        "type": "block_actions",
        "team": {"id": "T1"},
        "user": {"id": "UANA"},
        "channel": {"id": channel},
        "message": {"ts": "1790000000.000200", "text": "Quando?"},
        "trigger_id": trigger,
        "actions": [
            {
                "type": "button",
                "action_id": "reply-0",
                "value": value,
                "text": {"type": "plain_text", "text": title},
                "action_ts": "1790000060.1",
            }
        ],
    }


def signed(
    content: Any, secret: str, *, at: float | None = None, is_form: bool = False
) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a post; interactions come as a form."""
    body = orjson.dumps(content)
    kind = "application/json"
    if is_form:
        body, kind = urlencode({"payload": body.decode()}).encode(), "application/x-www-form-urlencoded"
    timestamp = str(int(time.time() if at is None else at))
    headers = {"x-slack-request-timestamp": timestamp, "x-slack-signature": signature(secret, timestamp, body)}
    return body, {"content-type": kind, **headers}
