"""Registry of channels: one line a platform. Webhook, worker, doctor, settings and sandbox read it."""

from collections.abc import Mapping
from typing import TypeVar

from adapters.channels.chatwoot import Chatwoot
from adapters.channels.messenger import Instagram, Messenger
from adapters.channels.platform import Platform
from adapters.channels.slack import Slack
from adapters.channels.telegram import Telegram
from adapters.channels.web import Web
from adapters.channels.whatsapp import WhatsApp
from contracts.messages import ChannelName
from contracts.ports import Channel, ChannelInbound, Events
from contracts.settings import ChannelSettings, Settings
from observability.metrics import expect_channel

T = TypeVar("T")

PLATFORMS: dict[ChannelName, Platform] = {
    Web.name: Web(),
    WhatsApp.name: WhatsApp(),
    Telegram.name: Telegram(),
    Slack.name: Slack(),
    Messenger.name: Messenger(),
    Instagram.name: Instagram(),
    Chatwoot.name: Chatwoot(),
}


def settings_classes() -> list[type[ChannelSettings]]:
    return [platform.settings for platform in PLATFORMS.values() if platform.settings is not None]


def open_channels(settings: Settings, events: Events) -> dict[ChannelName, Channel]:
    """Open the sending side of every platform that is set up. Needs a running event loop."""
    return _opened({name: platform.channel(settings, events) for name, platform in PLATFORMS.items()})


def open_inbound(settings: Settings) -> dict[ChannelName, ChannelInbound]:
    """Open the receiving side of every platform that is set up."""
    return _opened({name: platform.inbound(settings) for name, platform in PLATFORMS.items()})


def _opened(sides: Mapping[ChannelName, T | None]) -> dict[ChannelName, T]:
    """Leave out the platforms that are not set up, and let the counters of the others begin at 0."""
    opened = {name: side for name, side in sides.items() if side is not None}
    for name in opened:
        expect_channel(name)
    return opened
