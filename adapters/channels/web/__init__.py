"""Web chat, the product's own channel."""

from adapters.channels.platform import Platform
from adapters.channels.web.limits import LIMITS
from contracts.messages import ChannelName
from contracts.ports import Channel, Events
from contracts.settings import Settings


class Web(Platform):
    """Web chat: always set up. Its messages come to `/chat`, not as a platform's posts."""

    name = ChannelName.WEB
    limits = LIMITS

    def channel(self, settings: Settings, events: Events) -> Channel:
        from adapters.channels.web.outbound import WebChannel

        return WebChannel(events, shows_forming_text=settings.streaming)
