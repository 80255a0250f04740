"""Carrier outbound: one POST a reply."""

from datetime import timedelta

import orjson

from adapters.http.client import HttpError, ask, open_client
from contracts.delivery import OutboxRow
from contracts.errors import ChannelRefusedError, ChannelUnavailableError, SendOutcomeUnknownError
from contracts.messages import Address, ChannelName
from contracts.ports import ChannelLimits


class CarrierChannel:
    """Satisfies the `Channel` port."""

    send_timeout = timedelta(seconds=5)
    settle_after = timedelta(seconds=4)
    is_watched = False
    shows_forming_text = False
    reply_window: timedelta | None = None

    def __init__(self, api_url: str, token: str, name: ChannelName, limits: ChannelLimits) -> None:
        self.name, self.limits = name, limits
        headers = {"Authorization": f"Bearer {token}"}
        self._client = open_client(within=self.send_timeout, base_url=api_url, headers=headers)

    async def send(self, row: OutboxRow) -> str:
        content = {"to": row.address.person, "text": row.message.text, "reference": row.id}
        try:
            answer = await ask(self._client, "POST", "/messages", json=content)
        except HttpError as exc:
            raise (SendOutcomeUnknownError if exc.was_sent else ChannelUnavailableError)(str(exc)) from exc
        if answer.is_success:
            return str(orjson.loads(answer.content)["id"])
        if answer.status == 422:
            raise ChannelRefusedError("the platform refuses the message", code="422")
        raise ChannelUnavailableError(f"status {answer.status}")

    def acknowledge(self, address: Address, platform_message_id: str) -> None:
        """Do nothing: Carrier has no read marks."""

    async def close(self) -> None:
        await self._client.aclose()
