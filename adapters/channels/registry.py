"""Registry of channels: one line a platform. Webhook, worker, doctor, settings and sandbox read it."""

from adapters.channels.platform import Platform
from adapters.channels.web import Web
from adapters.channels.whatsapp import WhatsApp
from contracts.messages import ChannelName
from contracts.ports import Channel, ChannelInbound, Events
from contracts.settings import ChannelSettings, Settings

PLATFORMS: dict[ChannelName, Platform] = {
    Web.name: Web(),
    WhatsApp.name: WhatsApp(),
}


def settings_classes() -> list[type[ChannelSettings]]:
    return [platform.settings for platform in PLATFORMS.values() if platform.settings is not None]


def open_channels(settings: Settings, events: Events) -> dict[ChannelName, Channel]:
    """Open the sending side of every platform that is set up. Needs a running event loop."""
    opened = {name: platform.channel(settings, events) for name, platform in PLATFORMS.items()}
    return {name: channel for name, channel in opened.items() if channel is not None}


def open_inbound(settings: Settings) -> dict[ChannelName, ChannelInbound]:
    """Open the receiving side of every platform that is set up."""
    opened = {name: platform.inbound(settings) for name, platform in PLATFORMS.items()}
    return {name: inbound for name, inbound in opened.items() if inbound is not None}
