"""Chatwoot outbound: the bot's messages through the API. Source: Chatwoot, "Create New Message", "Toggle Status"."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from adapters.channels.chatwoot import LIMITS, REFERENCE
from adapters.channels.sending import HttpChannel, accepted_id, plain, require_account
from adapters.http.client import Answer
from contracts.delivery import OutboxRow
from contracts.errors import ChannelRefusedError
from contracts.media import InboundMedia, MediaFile, MediaLimits
from contracts.messages import ChannelName, OutboundMessage


class ChatwootChannel(HttpChannel):
    """Satisfies the `Channel` port, and `HelpDesk`."""

    name = ChannelName("chatwoot")
    limits = LIMITS
    # The event of our own message comes at once.
    settle_after = timedelta(seconds=4)

    def __init__(self, url: str, token: str, account_id: str, file_hosts: Sequence[str] = ()) -> None:
        api_url = f"{url.rstrip('/')}/api/v1/accounts/{quote(account_id, safe='')}"
        super().__init__(api_url, headers={"api_access_token": token.strip()}, file_hosts=file_hosts)

    async def send(self, row: OutboxRow) -> str:
        content = payload(row.message)
        attributes = content.get("content_attributes", {}) | {REFERENCE: row.reference}
        content |= {"content_attributes": attributes}
        answer = await self._post(f"{_conversation(row.address.person)}/messages", content)
        return accepted_id(_taken(answer), "id", kind=int)

    async def fetch(self, media: InboundMedia, *, account: str, limits: MediaLimits) -> MediaFile:
        return await self._downloads.fetch(media, limits)

    async def hand_over(self, person: str, note: str) -> None:
        where = _conversation(person)
        _taken(await self._post(f"{where}/messages", {"content": note, "message_type": "outgoing", "private": True}))
        _taken(await self._post(f"{where}/toggle_status", {"status": "open"}))


def _conversation(person: str) -> str:
    return f"/conversations/{quote(person, safe='')}"


def payload(message: OutboundMessage) -> dict[str, Any]:
    """Return the body of the send; options are an `input_select`, shown as the platform behind Chatwoot can."""
    content: dict[str, Any] = {"message_type": "outgoing", "private": False, "content": message.text}
    if message.options:
        items = [{"title": option.title, "value": option.id} for option in message.options]
        return {**content, "content_type": "input_select", "content_attributes": {"items": items}}
    return {**content, "content": plain(message)}


def _taken(answer: Answer) -> Answer:
    """Return the answer of an accepted call. Raises ChannelUnavailableError, ChannelRefusedError: by its status."""
    if answer.is_success:
        return answer
    require_account(answer)
    raise ChannelRefusedError("the platform refuses it", code=str(answer.status), in_any_form=answer.status == 404)
