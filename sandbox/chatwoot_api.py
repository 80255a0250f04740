"""Chatwoot's API for an agent bot, and its events. Source: Chatwoot, "Create New Message", "Agent bots"."""

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from adapters.channels.chatwoot import Chatwoot
from sandbox.platform_double import PlatformDouble, Refused
from sandbox.transport import JSON, refusing

MAX_TEXT, MAX_ITEMS = 150_000, 10
API = "/api/v1/accounts/{account}/conversations/{conversation:int}"


class ChatwootSandbox(PlatformDouble):
    """The API at `/api/v1/accounts/{account}/...`; `statuses` are those that conversations were given."""

    name = "chatwoot"

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.statuses: dict[int, str] = {}

    def platform_routes(self) -> list[BaseRoute]:
        return [
            Route(API + "/messages", self._send, methods=["POST"]),
            Route(API + "/toggle_status", self._toggle, methods=["POST"]),
            Route("/rails/active_storage/blobs/redirect/{media_id}/{name}", self._blob, methods=["GET"]),
            Route("/rails/active_storage/disk/{media_id}/{name}", self.media.open, methods=["GET"], name="disk"),
        ]

    async def _blob(self, request: Request) -> Response:
        """Redirect a `data_url` to where the file is, as the real one does."""
        return RedirectResponse(str(request.url_for("disk", **request.path_params)), status_code=302)

    @refusing
    async def _send(self, request: Request) -> Response:
        content = {**await self._asked(request), "conversation": request.path_params["conversation"]}
        return await self.accept(request, "messages", content)

    @refusing
    async def _toggle(self, request: Request) -> Response:
        content = await self._asked(request)
        number = request.path_params["conversation"]
        self.statuses[number] = content.get("status", "open")
        return JSON({"payload": {"success": True, "current_status": self.statuses[number], "conversation_id": number}})

    async def _asked(self, request: Request) -> dict[str, Any]:
        if request.headers.get("api_access_token", "") in ("", "invalid"):
            raise Refused(401, "Invalid Access Token")
        if request.path_params["conversation"] == 0:
            raise Refused(404, "Resource could not be found")
        return await self.content_of(request)

    def check(self, method: str, content: dict[str, Any]) -> str:
        text, items = content.get("content"), content.get("content_attributes", {}).get("items", [])
        if content.get("message_type") not in ("outgoing", None) or not isinstance(text, str) or len(text) > MAX_TEXT:
            raise Refused(422, "Content is too long (maximum is 150000 characters)")
        if len(items) > MAX_ITEMS or not all(one.get("title") and one.get("value") for one in items):
            raise Refused(422, "Content attributes is invalid")
        return str(content["conversation"])

    def accepted(self, number: int, method: str, content: dict[str, Any]) -> dict[str, Any]:
        return {"id": number, "content": content["content"], "conversation_id": content["conversation"]}

    def post_to(self, url: str, app_secret: str) -> None:
        address = Chatwoot().imitated(url, app_secret)
        super().post_to(url, app_secret)
        self.webhooks.url = f"{url}/{self.name}?token={address.webhook_token}"

    def echo(self, answer: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
        sent = {name: content[name] for name in ("private", "content_attributes") if name in content}
        bot = {"message_type": "outgoing", "sender": {"id": 1, "name": "Prosa", "type": "agent_bot"}}
        return {**message(answer["id"], content["content"], conversation=content["conversation"]), **sent, **bot}

    def text_of(self, content: dict[str, Any]) -> str:
        return str(content["content"])

    def refused(self, refusal: Refused) -> Response:
        code = int(refusal.code)
        return JSON({"error": str(refusal)}, status_code=code if 400 <= code <= 599 else 422)


def message(number: int, text: str, *, conversation: int = 7, status: str = "pending", **content: Any) -> Any:
    """Return the event of a message that a contact named Ana wrote."""
    return {
        "event": "message_created",
        "id": number,
        "content": text,
        "content_type": "text",
        "content_attributes": {},
        "message_type": "incoming",
        "private": False,
        "created_at": "2026-09-21T14:13:20.000Z",
        "account": {"id": 1, "name": "Loja"},
        "inbox": {"id": 3, "name": "WhatsApp"},
        "sender": {"id": 5, "name": "Ana", "type": "contact"},
        "conversation": {"id": conversation, "status": status, "channel": "Channel::Whatsapp"},
        **content,
    }


def status_event(status: str, *, conversation: int = 7) -> dict[str, Any]:
    name = "conversation_resolved" if status == "resolved" else "conversation_status_changed"
    return {"event": name, "id": conversation, "status": status, "inbox_id": 3}
