"""WhatsApp outbound: replies, read marks and typing through the Graph API.

Shapes and limits: Meta's "Send messages" and message-type pages.
"""

import hashlib
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from adapters.channels.meta import code_of
from adapters.channels.sending import ACCOUNT_PAUSE, HttpChannel, accepted_id, bearer, object_of
from adapters.channels.whatsapp import LIMITS, WAIT_CODES, is_in_any_form, is_of_account
from adapters.http.client import Answer, HttpError, ask
from contracts.delivery import OutboxRow
from contracts.errors import ChannelAccountError, ChannelRefusedError, ChannelUnavailableError
from contracts.media import InboundMedia, MediaFile, MediaLimits
from contracts.messages import MEDIA_TYPES, Address, ChannelName, MessageType, OutboundMessage
from contracts.ports import Rate

PAIR_RATE_CODE = 131056
PAIR_RATE_BASE = 4
UPLOAD_WITHIN = timedelta(seconds=10)


class WhatsAppChannel(HttpChannel):
    """Satisfies the `Channel` port. `api_url` is the Graph API with its version, e.g. `https://graph…/v26.0`.

    Needs a running event loop.

    Raises:
        ConfigurationError: `access_token` holds what a header cannot.
    """

    name = ChannelName.WHATSAPP
    settle_after = timedelta(seconds=4)
    reply_window: timedelta | None = timedelta(hours=24)

    def __init__(
        self,
        *,
        api_url: str,
        access_token: str,
        phone_number_id: str,
        messages_per_second: int = 80,
        new_people_per_day: int | None = None,
    ) -> None:
        token = bearer(access_token, setting := "WHATSAPP_ACCESS_TOKEN")
        super().__init__(
            api_url, token=access_token, setting=setting, file_hosts=("fbsbx.com", "fbcdn.net"), file_headers=token
        )
        number = Rate(every=timedelta(seconds=1) / messages_per_second, burst=max(1, messages_per_second // 4))
        self.limits = LIMITS.model_copy(update={"number": number, "openings": new_people_per_day})
        self._phone_number_id = phone_number_id

    async def send(self, row: OutboxRow) -> str:
        answer = await self._post(_messages_of(row.address.account or self._phone_number_id), payload(row))
        if answer.is_success:
            return accepted_id(answer, "messages", 0, "id")
        raise _refusal(answer, row.attempts)

    async def fetch(self, media: InboundMedia, *, account: str, limits: MediaLimits) -> MediaFile:
        async def find() -> str:
            found = await self._look_up(f"/{quote(media.reference, safe='')}", phone_number_id=account)
            return str(found.get("url"))

        return await self._downloads.fetch(media, limits, find=find)

    async def upload(self, file: MediaFile, *, account: str) -> str:
        # The client's own header names JSON: this one has to win, with a boundary that is nowhere in the file.
        boundary = hashlib.sha256(file.content).hexdigest()
        try:
            answer = await ask(
                self._client,
                "POST",
                f"{self._api_url}/{quote(account or self._phone_number_id, safe='')}/media",
                within=UPLOAD_WITHIN,
                headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
                data={"messaging_product": "whatsapp", "type": file.mime_type},
                files={"file": (file.filename or "file", file.content, file.mime_type)},
            )
        except HttpError as exc:
            raise ChannelUnavailableError(str(exc)) from exc
        uploaded = object_of(answer).get("id")
        if not answer.is_success or not isinstance(uploaded, str):
            raise ChannelUnavailableError(f"the file is not taken: {code_of(answer) or answer.status}")
        return uploaded

    def acknowledge(self, address: Address, platform_message_id: str) -> None:
        mark = {
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": platform_message_id,
            "typing_indicator": {"type": "text"},
        }
        self._in_background(self._post(_messages_of(address.account), mark))


def _messages_of(account: str) -> str:
    """Return the path of an account; one with odd characters stays one segment of it."""
    return f"/{quote(account, safe='')}/messages"


def payload(row: OutboxRow) -> dict[str, Any]:
    """Return the body of the send; statuses bring the row's reference back."""
    kind, content = _typed(row.message)
    person = row.address.person
    is_number = person.lstrip("+").isdigit()
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        # A phone number goes in `to`, a business-scoped id (CC.xxxx) in `recipient`.
        **({"to": f"+{person.lstrip('+')}"} if is_number else {"recipient": person}),
        "type": kind,
        kind: content,
        "biz_opaque_callback_data": row.reference,
    }


def _typed(message: OutboundMessage) -> tuple[str, Any]:
    match message.type:
        case MessageType.BUTTON:
            buttons = [
                {"type": "reply", "reply": {"id": option.id, "title": option.title}} for option in message.buttons
            ]
            return "interactive", {"type": "button", "body": {"text": message.text}, "action": {"buttons": buttons}}
        case MessageType.LIST:
            rows = [option.model_dump(exclude_defaults=True) for option in message.rows]
            action = {"button": message.list_label, "sections": [{"title": message.list_label, "rows": rows}]}
            return "interactive", {"type": "list", "body": {"text": message.text}, "action": action}
        case kind if kind in MEDIA_TYPES and (media := message.media) is not None:
            uploaded = media.platform_media_id
            content: dict[str, Any] = {"id": uploaded} if uploaded else {"link": media.link}
            if message.text and kind is not MessageType.AUDIO:
                content["caption"] = message.text
            if media.filename and kind is MessageType.DOCUMENT:
                content["filename"] = media.filename
            return kind.lower(), content
        case MessageType.LOCATION if message.location is not None:
            return "location", message.location.model_dump(exclude_defaults=True)
        case MessageType.CONTACT if (card := message.contact) is not None:
            content = {"name": {"formatted_name": card.name, "first_name": card.name.split(" ", 1)[0]}}
            content["phones"] = [{"phone": card.phone, "type": "WORK"}]
            if card.organization:
                content["org"] = {"company": card.organization}
            return "contacts", [content]
        case MessageType.TEMPLATE if (template := message.template) is not None:
            parameters = [{"type": "text", "text": parameter} for parameter in template.parameters]
            components = [{"type": "body", "parameters": parameters}] if parameters else []
            language = {"code": template.language}
            return "template", {"name": template.name, "language": language, "components": components}
        case MessageType.REACTION if message.reaction is not None:
            reaction = message.reaction
            return "reaction", {"message_id": reaction.platform_message_id, "emoji": reaction.emoji}
        case _:
            return "text", {"body": message.text}


def _refusal(answer: Answer, attempts: int) -> ChannelUnavailableError | ChannelRefusedError:
    """Decide by the platform's code; the HTTP status does not separate the classes (throttling arrives as 400)."""
    code = code_of(answer)
    if code is None:
        # A gateway on the way, or a wrong address: the platform has not judged the message.
        pause = None if answer.is_busy else ACCOUNT_PAUSE
        return ChannelUnavailableError(f"no code, status {answer.status}", retry_after=pause)
    if answer.status == 401 or is_of_account(code):
        return ChannelAccountError(f"account {code}", retry_after=ACCOUNT_PAUSE)
    if code == PAIR_RATE_CODE:
        pause = timedelta(seconds=PAIR_RATE_BASE ** min(attempts - 1, 4))
        return ChannelUnavailableError(f"pair rate {code}", retry_after=pause)
    if code in WAIT_CODES or answer.is_busy:
        return ChannelUnavailableError(f"platform {code}")
    return ChannelRefusedError("the platform refuses the message", code=str(code), in_any_form=is_in_any_form(code))
