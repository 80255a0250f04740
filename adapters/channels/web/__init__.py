"""Web chat, the product's own channel."""

from adapters.channels.platform import Platform
from contracts.messages import ChannelName, MessageType
from contracts.ports import Channel, ChannelLimits, Events
from contracts.settings import Settings

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
        from adapters.channels.web.outbound import WebChannel

        return WebChannel(events, shows_forming_text=settings.streaming)
