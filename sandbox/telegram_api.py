"""Telegram's Bot API, as far as a sender meets it, and its updates. Source: Bot API 10.2."""

import html
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sandbox.media_faults import MEGABYTE, FileFault, looked_up
from sandbox.platform_double import PlatformDouble, Refused, utf16
from sandbox.transport import JSON, refusing

MAX_TEXT, MAX_CAPTION, MAX_BUTTONS, MAX_IN_A_ROW, MAX_CALLBACK_BYTES = 4096, 1024, 100, 8, 64
# A bot downloads no larger file. Source: Bot API, getFile.
MAX_DOWNLOAD_BYTES = 20 * MEGABYTE
SENDS = {
    "sendMessage": "text",
    "sendPhoto": "photo",
    "sendVideo": "video",
    "sendAudio": "audio",
    "sendDocument": "document",
    "sendLocation": "latitude",
    "sendVenue": "title",
    "sendContact": "phone_number",
    "setMessageReaction": "message_id",
}
TEXTS = {403: "Forbidden: bot was blocked by the user", 429: "Too Many Requests: retry after 1", 401: "Unauthorized"}
_TAG = re.compile(r"<(/?)([a-z]+)>")


class TelegramSandbox(PlatformDouble):
    """The Bot API at `/bot<token>/<method>`; `webhook` is what `setWebhook` was given."""

    name = "telegram"

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.webhook: dict[str, Any] = {}

    def platform_routes(self) -> list[BaseRoute]:
        return [
            Route("/bot{token}/{method}", self._call, methods=["GET", "POST"]),
            Route("/file/bot{token}/voice/{key}", self._download, methods=["GET"]),
        ]

    @refusing
    async def _call(self, request: Request) -> Response:
        token, method = request.path_params["token"], request.path_params["method"]
        if token.partition(":")[2] in ("", "invalid"):
            raise Refused(401)
        content = await self.content_of(request) if request.method == "POST" else {}
        match method:
            case "getMe":
                number = int(token.partition(":")[0])
                return _ok({"id": number, "is_bot": True, "first_name": "Prosa", "username": "prosa_sandbox_bot"})
            case "getWebhookInfo":
                return _ok({"url": "", "pending_update_count": 0, **self.webhook})
            case "setWebhook":
                if not str(content.get("url", "")).startswith("https://"):
                    raise Refused(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
                self.webhook = {key: content[key] for key in ("url", "allowed_updates") if key in content}
                return _ok(True)
            case "getFile":
                id = request.query_params.get("file_id", "") or str(content.get("file_id", ""))
                file, failure = self.media.get(id), self.media.lookup_fault(id)
                if file is None or failure is FileFault.GONE:
                    raise Refused(400, "Bad Request: wrong file_id or the file is temporarily unavailable")
                if len(file.content) > MAX_DOWNLOAD_BYTES:
                    raise Refused(400, "Bad Request: file is too big")
                answer = {"file_id": id, "file_unique_id": id, "file_size": len(file.content)}
                answer["file_path"] = f"voice/{self.media.link(file)}"
                return looked_up(failure, answer, "file_path", within="result")
            case "sendChatAction" | "answerCallbackQuery":
                self.counters.add(method)
                return _ok(True)
        if method not in SENDS:
            raise Refused(404, "Not Found")
        return await self.accept(request, method, content)

    @refusing
    async def _download(self, request: Request) -> Response:
        if request.path_params["token"].partition(":")[2] in ("", "invalid"):
            raise Refused(401)
        return self.media.download(request, self.media.behind(request.path_params["key"]))

    def check(self, method: str, content: dict[str, Any]) -> str:
        if not content.get("chat_id"):
            raise Refused(400, "Bad Request: chat_id is empty")
        if not content.get(SENDS[method]):
            raise Refused(400, f"Bad Request: {SENDS[method]} is empty")
        texts = (("text", MAX_TEXT, "message is too long"), ("caption", MAX_CAPTION, "message caption is too long"))
        for key, most, refusal in texts:
            shown = content.get(key, "")
            if content.get("parse_mode") == "HTML":
                shown = _entities_parsed(shown)
            if utf16(shown) > most:
                raise Refused(400, f"Bad Request: {refusal}")
        rows = content.get("reply_markup", {}).get("inline_keyboard", [])
        buttons = [button for row in rows for button in row]
        if len(buttons) > MAX_BUTTONS or any(len(row) > MAX_IN_A_ROW for row in rows):
            raise Refused(400, "Bad Request: reply markup is too long")
        if any(not 0 < len(one["callback_data"].encode()) <= MAX_CALLBACK_BYTES or not one["text"] for one in buttons):
            raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
        return str(content["chat_id"])

    def accepted(self, number: int, method: str, content: dict[str, Any]) -> dict[str, Any]:
        if method == "setMessageReaction":
            return {"ok": True, "result": True}
        chat = {"id": content["chat_id"], "type": "private"}
        return {"ok": True, "result": {"message_id": number, "chat": chat, "date": 1_790_000_000}}

    def refused(self, refusal: Refused) -> Response:
        code = int(refusal.code)
        text = TEXTS.get(code) or (str(refusal) if str(refusal) != str(code) else "Bad Request: chat not found")
        parameters = {"parameters": {"retry_after": 1}} if code == 429 else {}
        return JSON({"ok": False, "error_code": code, "description": text, **parameters}, status_code=code)


def _ok(result: Any) -> Response:
    return JSON({"ok": True, "result": result})


def _entities_parsed(text: str) -> str:
    """Return the text that a person reads. Raises Refused: a tag is unknown, or they do not nest."""
    opened: list[str] = []
    for closing, tag in _TAG.findall(text):
        if tag not in ("b", "i", "s", "u", "code", "pre", "a") or (closing and opened[-1:] != [tag]):
            raise Refused(400, "Bad Request: can't parse entities: unexpected tag")
        opened = opened[:-1] if closing else [*opened, tag]
    plain = _TAG.sub("", text)
    if opened or "<" in plain or re.search(r"&(?!amp;|lt;|gt;|quot;)", plain):
        raise Refused(400, "Bad Request: can't parse entities: unclosed or unknown")
    return html.unescape(plain)


def update(number: int, **content: Any) -> dict[str, Any]:
    return {"update_id": number, **content}


def message(person: int, number: int, *, chat: int | None = None, date: int = 1_790_000_000, **content: Any) -> Any:
    """Return a message of a person named Ana Lima, in their private chat or in a group."""
    where = {"id": chat, "type": "group", "title": "Team"} if chat else {"id": person, "type": "private"}
    sender = {"id": person, "is_bot": False, "first_name": "Ana", "last_name": "Lima"}
    return {"message_id": number, "from": sender, "chat": where, "date": date, **content}
