"""Messenger and Instagram outbound: Meta's Send API. Source: "Send messages", button template, quick replies (2026)."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

from adapters.channels.meta import code_of
from adapters.channels.reading import dict_in, list_in, text_of
from adapters.channels.sending import ACCOUNT_PAUSE, HttpChannel, accepted_id, plain
from adapters.http.client import Answer
from contracts.delivery import OutboxRow
from contracts.errors import ChannelAccountError, ChannelRefusedError, ChannelUnavailableError
from contracts.media import InboundMedia, MediaFault, MediaFile, MediaLimits, MediaRefusedError
from contracts.messages import Address, ChannelName, MessageType, OutboundMessage
from contracts.ports import ChannelLimits

FILES = {
    MessageType.IMAGE: "image",
    MessageType.VIDEO: "video",
    MessageType.AUDIO: "audio",
    MessageType.DOCUMENT: "file",
}
# Codes of the Send API. Source: Meta, Messenger Platform "Error codes".
WAIT_CODES = frozenset({1, 2, 4, 32, 613, 1200})
OF_ACCOUNT = frozenset({3, 190, 200, 230})
RESTRICTED_PAGE, WINDOW_CLOSED, NO_SUCH_USER = 1893063, 2018278, 2018001
OF_PERSON = frozenset({551, 1545041})


class MessengerChannel(HttpChannel):
    """Satisfies the `Channel` port for either."""

    # The echo of our own message comes at once.
    settle_after = timedelta(seconds=4)
    reply_window: timedelta | None = timedelta(hours=24)

    def __init__(self, name: ChannelName, limits: ChannelLimits, api_url: str, access_token: str) -> None:
        super().__init__(
            api_url,
            token=access_token,
            setting=f"{name.upper()}_ACCESS_TOKEN",
            file_hosts=("fbsbx.com", "fbcdn.net", "cdninstagram.com"),
        )
        self.name, self.limits = name, limits

    async def send(self, row: OutboxRow) -> str:
        # An agent may answer for seven days, where Meta has granted the app "Human Agent".
        is_late = self.reply_window and row.window_from and row.updated_at > row.window_from + self.reply_window
        by_agent = {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
        content = {
            "recipient": {"id": row.address.person},
            **(by_agent if row.author and is_late else {"messaging_type": "RESPONSE"}),
            "message": payload(row.message, self.name) | {"metadata": row.reference},
        }
        answer = await self._post(_messages_of(row.address), content)
        if answer.is_success:
            return accepted_id(answer, "message_id")
        raise _refusal(answer)

    async def fetch(self, media: InboundMedia, *, account: str, limits: MediaLimits) -> MediaFile:
        async def renew() -> str:
            """Ask the message for a fresh address. Source: Graph API, "Message", its field `attachments`."""
            path = f"/{quote(media.message, safe='')}"
            found = await self._look_up(path, fields="attachments{file_url,image_data,video_data}")
            file = dict(enumerate(list_in(dict_in(found, "attachments"), "data"))).get(media.position)
            if not isinstance(file, dict):
                raise MediaRefusedError(MediaFault.EXPIRED)
            shown = dict_in(file, "image_data") or dict_in(file, "video_data")
            return text_of(file.get("file_url") or shown.get("url"))

        return await self._downloads.fetch(media, limits, renew=renew if media.message else None)

    def acknowledge(self, address: Address, platform_message_id: str) -> None:
        async def show() -> None:
            for action in ("mark_seen", "typing_on"):
                content = {"recipient": {"id": address.person}, "sender_action": action}
                await self._post(_messages_of(address), content)

        self._in_background(show())


def _messages_of(address: Address) -> str:
    return f"/{quote(address.account, safe='')}/messages"


def payload(message: OutboundMessage, name: ChannelName) -> dict[str, Any]:
    """Return the message: buttons stay in the chat, rows are quick replies; a place or a contact goes in words."""
    is_instagram = name is not ChannelName.MESSENGER
    if message.buttons and not is_instagram:
        buttons = [{"type": "postback", "title": one.title, "payload": one.id} for one in message.buttons]
        template = {"template_type": "button", "text": message.text, "buttons": buttons}
        return {"attachment": {"type": "template", "payload": template}}
    if message.options:
        replies = [{"content_type": "text", "title": one.title, "payload": one.id} for one in message.options]
        return {"text": message.text, "quick_replies": replies}
    link = message.media.link if message.media is not None else None
    if link and message.type in FILES and not (is_instagram and message.type is MessageType.DOCUMENT):
        return {"attachment": {"type": FILES[message.type], "payload": {"url": link}}}
    return {"text": plain(message)}


def _refusal(answer: Answer) -> ChannelUnavailableError | ChannelRefusedError:
    """Decide by the platform's codes; throttling arrives as 400 too."""
    code, subcode = code_of(answer), code_of(answer, "error_subcode")
    if code is None:
        pause = None if answer.is_busy else ACCOUNT_PAUSE
        return ChannelUnavailableError(f"no code, status {answer.status}", retry_after=pause)
    if answer.status == 401 or code in OF_ACCOUNT or subcode == RESTRICTED_PAGE:
        return ChannelAccountError(f"account {code}", retry_after=ACCOUNT_PAUSE)
    if code in WAIT_CODES or answer.is_busy:
        return ChannelUnavailableError(f"platform {code}")
    in_any_form = code in OF_PERSON or subcode in (WINDOW_CLOSED, NO_SUCH_USER)
    said = f"{code}/{subcode}" if subcode else str(code)
    return ChannelRefusedError("the platform refuses the message", code=said, in_any_form=in_any_form)
