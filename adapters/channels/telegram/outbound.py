"""Telegram outbound: one call of a method a reply. Source: Bot API 10.2. The token is in the address of each call."""

import re
from datetime import timedelta
from html import escape
from typing import Any
from urllib.parse import quote

from adapters.channels.sending import ACCOUNT_PAUSE, HttpChannel, accepted_id, object_of
from adapters.channels.telegram import LIMITS
from adapters.http.client import Answer
from contracts.delivery import OutboxRow
from contracts.errors import ChannelAccountError, ChannelRefusedError, ChannelUnavailableError
from contracts.media import InboundMedia, MediaFile, MediaLimits
from contracts.messages import Address, ChannelName, MessageType, Option, OutboundMessage

MEDIA_METHODS = {
    MessageType.IMAGE: ("sendPhoto", "photo"),
    MessageType.VIDEO: ("sendVideo", "video"),
    MessageType.AUDIO: ("sendAudio", "audio"),
    MessageType.DOCUMENT: ("sendDocument", "document"),
}
MAX_CALLBACK_BYTES = 64
TAGS = {"*": "b", "_": "i", "~": "s", "`": "code", "```": "pre"}
# The marks of a channel, as the composer sets them: around words of one line, or around lines.
# Between two marks there is no third one: a search that passes it would take the square of the text's length.
_MARKED = re.compile(
    r"(?<!\w)(```)\n?((?:(?!```).)+?)\n?```(?!\w)|(?<!\w)([*_~`])(?=\S)((?:(?!\3)[^\n])+)(?<=\S)\3(?!\w)", re.DOTALL
)
# What Telegram says of a refusal, up to what it may repeat of the message.
_REASON = re.compile(r"[A-Za-z ]+: ([A-Za-z' _-]{3,60})")


class TelegramChannel(HttpChannel):
    """Satisfies the `Channel` port."""

    name = ChannelName.TELEGRAM
    limits = LIMITS

    def __init__(self, api_url: str, token: str) -> None:
        super().__init__(f"{api_url.rstrip('/')}/bot{token.strip()}")
        self._files_url = f"{api_url.rstrip('/')}/file/bot{token.strip()}"

    async def send(self, row: OutboxRow) -> str:
        method, content = call(row.message, row.address.person)
        _, _, number = (row.quotes or "").rpartition(":")
        if row.address.person.startswith("-") and number.isdecimal() and row.message.type is not MessageType.REACTION:
            # In a group the answer is read under its question, or alone where that is deleted.
            content["reply_parameters"] = {"message_id": int(number), "allow_sending_without_reply": True}
        answer = await self._post(f"/{method}", content)
        moved = object_of(answer).get("parameters")
        if isinstance(moved, dict) and "migrate_to_chat_id" in moved:
            # The group has become a supergroup, under another id.
            answer = await self._post(f"/{method}", content | {"chat_id": moved["migrate_to_chat_id"]})
        if not answer.is_success:
            raise _refusal(answer)
        if row.message.type is MessageType.REACTION:
            return str(row.id)
        return f"{row.address.person}:{accepted_id(answer, 'result', 'message_id', kind=int)}"

    async def fetch(self, media: InboundMedia, *, account: str, limits: MediaLimits) -> MediaFile:
        async def find() -> str:
            found = (await self._look_up("/getFile", file_id=media.reference)).get("result")
            return f"{self._files_url}/{quote(str((found or {}).get('file_path')))}"

        return await self._downloads.fetch(media, limits, find=find)

    def acknowledge(self, address: Address, platform_message_id: str) -> None:
        self._in_background(self._post("/sendChatAction", {"chat_id": address.person, "action": "typing"}))


def call(message: OutboundMessage, chat: str) -> tuple[str, dict[str, Any]]:
    """Return the method and its parameters."""
    to = {"chat_id": chat}
    match message.type:
        case kind if kind in MEDIA_METHODS and message.media is not None:
            method, field = MEDIA_METHODS[kind]
            caption = {"caption": to_html(message.text), "parse_mode": "HTML"} if message.text else {}
            return method, {**to, field: message.media.platform_media_id or message.media.link, **caption}
        case MessageType.LOCATION if message.location is not None:
            place = message.location
            spot = {**to, "latitude": place.latitude, "longitude": place.longitude}
            if place.name or place.address:
                return "sendVenue", {**spot, "title": place.name or place.address, "address": place.address}
            return "sendLocation", spot
        case MessageType.CONTACT if message.contact is not None:
            return "sendContact", {**to, "phone_number": message.contact.phone, "first_name": message.contact.name}
        case MessageType.REACTION if message.reaction is not None:
            shown = [{"type": "emoji", "emoji": message.reaction.emoji}] if message.reaction.emoji else []
            number = message.reaction.platform_message_id.rpartition(":")[2]
            return "setMessageReaction", {**to, "message_id": number, "reaction": shown}
    content: dict[str, Any] = {**to, "text": to_html(message.text), "parse_mode": "HTML"}
    if message.options:
        # Up to three short buttons share a line; the rows of a list are one below the other.
        is_short = 0 < len(message.buttons) <= 3 and sum(len(option.title) for option in message.buttons) <= 36
        lines = [message.buttons] if is_short else [(option,) for option in message.options]
        content["reply_markup"] = {"inline_keyboard": [[_button(option) for option in line] for line in lines]}
    return "sendMessage", content


def _button(option: Option) -> dict[str, str]:
    title = f"{option.title}: {option.description}" if option.description else option.title
    return {"text": title, "callback_data": option.id.encode()[:MAX_CALLBACK_BYTES].decode(errors="ignore")}


def to_html(text: str) -> str:
    """Return the text with its marks as Telegram's HTML, everything else escaped."""
    pieces, end = [], 0
    for match in _MARKED.finditer(text):
        mark = match[1] or match[3]
        inner = match[2] if match[1] else match[4]
        shown = escape(inner, quote=False) if "`" in mark else to_html(inner)
        pieces += [escape(text[end : match.start()], quote=False), f"<{TAGS[mark]}>{shown}</{TAGS[mark]}>"]
        end = match.end()
    return "".join([*pieces, escape(text[end:], quote=False)])


def _refusal(answer: Answer) -> ChannelUnavailableError | ChannelRefusedError:
    """Decide by the code, and for how long by what Telegram asks."""
    content = object_of(answer)
    parameters, description = content.get("parameters"), str(content.get("description", ""))
    code = content.get("error_code", answer.status)
    seconds = parameters.get("retry_after") if isinstance(parameters, dict) else None
    pause = timedelta(seconds=min(seconds, 86_400)) if isinstance(seconds, int | float) else None
    if code == 429 or answer.status >= 500 or not content:
        return ChannelUnavailableError(f"status {answer.status}", retry_after=pause)
    if code in (401, 404):
        return ChannelAccountError(f"account {code}", retry_after=ACCOUNT_PAUSE)
    reason = _REASON.match(description)
    said = f"{code} {reason[1].strip()}" if reason else str(code)
    in_any_form = code == 403 or any(word in description for word in ("chat not found", "deactivated", "no rights"))
    return ChannelRefusedError("the platform refuses the message", code=said, in_any_form=in_any_form)
