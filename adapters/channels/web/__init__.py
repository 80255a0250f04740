"""Web chat, the product's own channel."""

from datetime import timedelta

from adapters.channels.platform import Platform
from contracts.delivery import OutboxRow
from contracts.messages import Address, ChannelName, MessageType
from contracts.ports import Channel, ChannelLimits, Events, LiveEvent
from contracts.settings import Settings
from contracts.views import reply_view

# Limits of a reply in web chat; ours, close to those of platforms.
LIMITS = ChannelLimits(
    types=frozenset(kind for kind in MessageType if kind is not MessageType.TEMPLATE),
    text=4096,
    button_body=4096,
    buttons=3,
    button_title=40,
    list_body=4096,
    rows=11,
    row_title=60,
    row_description=120,
    list_label=40,
    caption=1024,
)


class Web(Platform):
    """Web chat: always set up. Its messages come to `/chat`, not as a platform's posts."""

    name = ChannelName.WEB
    limits = LIMITS

    def channel(self, settings: Settings, events: Events) -> Channel:
        return WebChannel(events, shows_forming_text=settings.streaming)


class WebChannel:
    """Satisfies the `Channel` port. Its send cannot be lost: clients catch up from the outbox row."""

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
        await self._events.publish(row.conversation_id, reply_event(row))
        return row.id

    def acknowledge(self, address: Address, platform_message_id: str) -> None:
        """Do nothing: watching clients see the state events."""

    async def close(self) -> None:
        return


def reply_event(row: OutboxRow) -> LiveEvent:
    """Return the `reply` event of a row, numbered as the row is."""
    data = {"id": row.id, "turn": row.turn_id, "reply": reply_view((row.message,))}
    return LiveEvent(name="reply", data=data, number=row.number)
