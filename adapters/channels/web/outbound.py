"""Web chat outbound: replies as events for watching clients."""

from datetime import timedelta

from adapters.channels.web import LIMITS
from contracts.delivery import OutboxRow
from contracts.messages import Address, ChannelName
from contracts.ports import Events, LiveEvent
from contracts.views import reply_view


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
