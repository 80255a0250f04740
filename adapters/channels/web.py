"""Web chat: our own channel. A reply is news for whoever watches, and stands in the store for whoever asks later."""

import re
from datetime import datetime, timedelta

from contracts.delivery import OutboxRow
from contracts.messages import Address, ChannelName, InboundMessage, MessageType
from contracts.ports import ChannelLimits, Events, LiveEvent
from contracts.values import ConversationId, MessageId
from contracts.views import reply_view

MAX_TEXT = 8_000
CONVERSATION_NAME = re.compile(r"[A-Za-z0-9._~-]{1,64}")
MESSAGE_NAME = re.compile(r"[A-Za-z0-9._:~-]{1,128}")

LIMITS = ChannelLimits(
    types=frozenset(kind for kind in MessageType if kind is not MessageType.TEMPLATE),
    text=4096,
    button_body=4096,
    buttons=3,
    button_title=40,
    list_body=4096,
    rows=10,
    row_title=60,
    row_description=120,
    list_label=40,
    caption=1024,
)


class WebChannel:
    """Satisfies the `Channel` port. Its send cannot be lost: the outbox row is what clients catch up from."""

    name = ChannelName.WEB
    limits = LIMITS
    send_timeout = timedelta(seconds=1)
    settle_after = timedelta(0)
    is_watched = True
    reply_window: timedelta | None = None

    def __init__(self, events: Events, *, shows_forming_text: bool = True) -> None:
        self._events = events
        self.shows_forming_text = shows_forming_text

    async def send(self, row: OutboxRow) -> str:
        data = {"id": row.id, "turn": row.turn_id, "reply": reply_view((row.message,))}
        await self._events.publish(row.conversation_id, LiveEvent(name="reply", data=data, number=row.number))
        return row.id

    def acknowledge(self, address: Address, platform_message_id: str) -> None:
        """Watching clients see the state events; there is nothing to mark."""

    async def close(self) -> None:
        return


def web_conversation_id(name: str) -> ConversationId:
    return ConversationId(f"web:{name}")


def web_message(
    name: str, message_id: MessageId, text: str, *, at: datetime, person_name: str | None = None
) -> InboundMessage:
    """A message of the web chat; its id is the client's, unique within the conversation."""
    conversation_id = web_conversation_id(name)
    return InboundMessage(
        id=message_id,
        conversation_id=conversation_id,
        address=Address(channel=ChannelName.WEB, account=conversation_id, person=name),
        platform_id=message_id,
        text=text,
        person_name=person_name,
        received_at=at,
    )
