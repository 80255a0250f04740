"""Web chat, the product's own channel: its limits, names, the body of a message, and its sends."""

import re
import uuid
from datetime import datetime, timedelta

from adapters.channels.platform import Platform
from adapters.http.inbound import Problem, parse_json
from contracts.delivery import OutboxRow
from contracts.errors import MalformedMessageError
from contracts.messages import Address, ChannelName, InboundMessage, MessageType
from contracts.ports import Channel, ChannelLimits, Events, LiveEvent
from contracts.settings import Settings
from contracts.values import ConversationId, MessageId, without_lone_surrogates
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


MAX_TEXT = 8_000
# Not "." nor "..": a client or proxy would take it out of the address.
CONVERSATION_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~-]{1,64}")
MESSAGE_NAME = re.compile(r"[A-Za-z0-9._:~-]{1,128}")


def web_conversation_id(name: str) -> ConversationId:
    return ConversationId(f"web:{name}")


def web_message(
    name: str, message_id: MessageId, text: str, *, at: datetime, person_name: str | None = None
) -> InboundMessage:
    """Make a message of web chat; its id is the client's, unique within the conversation."""
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


def read_message(name: str, body: bytes, *, at: datetime) -> InboundMessage:
    """Read `{"text", "id"?, "name"?}`, a message of the conversation of that name.

    Raises:
        Problem: 400 when the body is not JSON, 422 when a field cannot be used.
    """
    try:
        content = parse_json(body)
    except MalformedMessageError as exc:
        raise Problem(400, "Not JSON", 'Send a JSON object such as {"text": "Olá"}.') from exc
    if not isinstance(content, dict) or not isinstance(content.get("text"), str):
        raise Problem(422, "No text", 'The body needs a string under "text".')
    text = without_lone_surrogates(content["text"]).strip()
    if not text or len(text) > MAX_TEXT:
        raise Problem(422, "Bad text", f"The text must have 1 to {MAX_TEXT} characters.")
    message_id = content.get("id", uuid.uuid4().hex)
    if not isinstance(message_id, str) or not MESSAGE_NAME.fullmatch(message_id):
        raise Problem(422, "Bad id", "An id has 1 to 128 letters, digits and . _ : ~ -")
    person = content.get("name")
    person_name = person.strip()[:100] or None if isinstance(person, str) else None
    return web_message(name, MessageId(message_id), text, at=at, person_name=person_name)
