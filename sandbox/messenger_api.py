"""Meta's Send API for Messenger and Instagram, and their webhooks. Source: Meta, "Send messages", "Webhooks" (2026)."""

import re
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sandbox.media_faults import ELSEWHERE, FileFault, looked_up
from sandbox.platform_double import PlatformDouble, Refused
from sandbox.transport import JSON, refusing

MAX_TEXT, MAX_INSTAGRAM_BYTES, MAX_QUICK_REPLIES, MAX_TITLE, MAX_PAYLOAD = 2000, 1000, 13, 20, 1000
MAX_TEMPLATE_TEXT, MAX_BUTTONS = 640, 3
FILES = ("image", "video", "audio", "file")


class MessengerSandbox(PlatformDouble):
    """The Send API at `/{version}/{page}/messages`; `fields` are those that the page is subscribed to."""

    name = "messenger"
    echoes = True

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.fields: list[str] = []

    def platform_routes(self) -> list[BaseRoute]:
        return [
            Route("/cdn/{media_id}", self._download, methods=["GET"], name=f"{self.name}-cdn"),
            Route("/{version}/{page}/messages", self._send, methods=["POST"]),
            Route("/{version}/{page}/subscribed_apps", self._subscribe, methods=["GET", "POST"]),
            Route("/{version}/{page}", self._show, methods=["GET"]),
        ]

    async def _download(self, request: Request) -> Response:
        """Return a file of the platform's CDN, by the address of its message or by one that was asked for since."""
        renewed = self.media.behind(request.path_params["media_id"])
        return self.media.download(request, renewed) if renewed else await self.media.open(request)

    @refusing
    async def _send(self, request: Request) -> Response:
        self._check_access(request)
        content = await self.content_of(request)
        if "sender_action" in content:
            self.counters.add(str(content["sender_action"]))
            return JSON({"recipient_id": content["recipient"]["id"]})
        return await self.accept(request, "messages", content)

    @refusing
    async def _subscribe(self, request: Request) -> Response:
        self._check_access(request)
        if request.method == "POST":
            self.fields = request.query_params.get("subscribed_fields", "").split(",")
            return JSON({"success": True})
        return JSON({"data": [{"id": "1", "name": "Prosa", "subscribed_fields": self.fields}] if self.fields else []})

    @refusing
    async def _show(self, request: Request) -> Response:
        self._check_access(request)
        if "attachments" not in request.query_params.get("fields", ""):
            return JSON({"id": "1000003", "name": "Prosa sandbox"})
        return self._attachments(request, request.path_params["page"])

    def _attachments(self, request: Request, mid: str) -> Response:
        """Return the files of a message, with new addresses."""
        files = self.media.of_message(mid)
        fault = next((one for file in files if (one := self.media.lookup_fault(file.id))), None)
        if not files or fault is FileFault.GONE:
            raise Refused(100, f"Unsupported get request. Object with ID '{mid}' does not exist")
        shown = []
        for file in files:
            url = str(request.url_for(f"{self.name}-cdn", media_id=self.media.link(file)))
            url = ELSEWHERE if fault is FileFault.LOOKUP_ELSEWHERE else url
            kind = file.mime_type.partition("/")[0]
            place = {f"{kind}_data": {"url": url}} if kind in ("image", "video") else {"file_url": url}
            shown.append({"id": file.id} | ({} if fault is FileFault.LOOKUP_WITHOUT_LINK else place))
        return looked_up(fault, {"attachments": {"data": shown}, "id": mid}, "")

    def _check_access(self, request: Request) -> None:
        token = request.headers.get("authorization", "")
        if not token.startswith("Bearer ") or token.endswith("invalid"):
            raise Refused(190, "Error validating access token")
        if not re.fullmatch(r"v\d{1,2}\.\d", request.path_params["version"]):
            raise Refused(2500, "Unknown path components")

    def check(self, method: str, content: dict[str, Any]) -> str:
        person, message = content.get("recipient", {}).get("id"), content.get("message", {})
        if not person or content.get("messaging_type") not in ("RESPONSE", "UPDATE", "MESSAGE_TAG", "UTILITY"):
            raise Refused(100, "(#100) The parameter recipient or messaging_type is required")
        if len(message.get("metadata", "")) > 1000:
            raise Refused(100, "(#100) metadata is too long")
        replies, text = message.get("quick_replies", []), message.get("text", "")
        size, most = len(text), MAX_TEXT
        if self.name == "instagram":
            size, most = len(text.encode()), MAX_INSTAGRAM_BYTES
        if "attachment" in message:
            self._check_attachment(message["attachment"])
        elif not text or size > most:
            raise Refused(100, "(#100) Length of param message[text] must be less than or equal to the limit")
        if len(replies) > MAX_QUICK_REPLIES or not all(_is_option(one) for one in replies):
            raise Refused(100, "(#100) quick_replies are not valid")
        return str(person)

    def _check_attachment(self, attachment: dict[str, Any]) -> None:
        match attachment:
            case {"type": "template", "payload": {"template_type": "button", "text": str(text), "buttons": buttons}}:
                if not 0 < len(text) <= MAX_TEMPLATE_TEXT or not 0 < len(buttons) <= MAX_BUTTONS:
                    raise Refused(100, "(#100) the button template is too long")
                if not all(_is_option(one) for one in buttons):
                    raise Refused(100, "(#100) a button is not valid")
            case {"type": kind, "payload": {"url": str(url)}} if kind in FILES and url.startswith("http"):
                if self.name == "instagram" and kind == "file":
                    raise Refused(100, "(#100) this type of attachment is not supported")
            case _:
                raise Refused(100, "(#100) the attachment is not valid")

    def accepted(self, number: int, method: str, content: dict[str, Any]) -> dict[str, Any]:
        return {"recipient_id": content["recipient"]["id"], "message_id": f"m_{self.name}.{number}"}

    def echo(self, answer: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
        message = {**content["message"], "mid": answer["message_id"]}
        event = echo(answer["recipient_id"], message, timestamp=int(time.time() * 1000))
        return envelope(event, object="page" if self.name == "messenger" else self.name)

    def text_of(self, content: dict[str, Any]) -> str:
        return str(content["message"].get("text", ""))

    def reference_of(self, content: dict[str, Any]) -> str:
        return str(content["message"].get("metadata", ""))

    def refused(self, refusal: Refused) -> Response:
        code = int(refusal.code)
        error = {"message": str(refusal), "type": "OAuthException", "code": code, "fbtrace_id": "A1"}
        if code == 10:
            error["error_subcode"] = 2018278
        return JSON({"error": error}, status_code=401 if code == 190 else 400)


class InstagramSandbox(MessengerSandbox):
    name = "instagram"


def _is_option(option: dict[str, Any]) -> bool:
    return 0 < len(option.get("title", "")) <= MAX_TITLE and 0 < len(option.get("payload", "")) <= MAX_PAYLOAD


def envelope(*events: Any, object: str = "page", page: str = "1000003", key: str = "messaging") -> dict[str, Any]:
    return {"object": object, "entry": [{"id": page, "time": 1_790_000_000_000, key: list(events)}]}


def event(person: str, *, page: str = "1000003", timestamp: int = 1_790_000_000_000, **content: Any) -> dict[str, Any]:
    return {"sender": {"id": person}, "recipient": {"id": page}, "timestamp": timestamp, **content}


def echo(person: str, message: dict[str, Any], *, page: str = "1000003", **more: Any) -> dict[str, Any]:
    """Return the event of a message that left: the page is its sender."""
    return event(page, page=person, message={**message, "is_echo": True}, **more)
