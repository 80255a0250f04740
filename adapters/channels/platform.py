"""Entry of the registry of channels."""

from datetime import timedelta
from typing import ClassVar

from contracts.findings import Finding
from contracts.messages import ChannelName
from contracts.ports import Channel, ChannelInbound, ChannelLimits, Events
from contracts.settings import ChannelSettings, Settings


class Platform:
    """One platform: its name, limits and settings, and how each process opens the half that it needs.

    Each half imports its libraries inside its method: a webhook loads no client, a worker no parser.
    """

    name: ClassVar[ChannelName]
    limits: ClassVar[ChannelLimits]
    settings: ClassVar[type[ChannelSettings] | None] = None
    """Its settings class; None for a channel that needs none and is always set up."""

    reply_window: ClassVar[timedelta | None] = None
    """Time after a person's message in which the platform takes replies."""

    def channel(self, settings: Settings, events: Events) -> Channel | None:
        """Open the sending side; None where the platform is not set up.

        Raises:
            ConfigurationError: a setting cannot be used.
        """
        raise NotImplementedError

    def inbound(self, settings: Settings) -> ChannelInbound | None:
        """Open the receiving side; None where the platform is not set up, or posts nothing."""
        return None

    async def examine(self, settings: Settings) -> Finding | None:
        """Ask the platform about the settings, without a change there; None where there is nothing to ask."""
        return None

    async def set_up(self, settings: Settings, url: str) -> Finding | None:
        """Give the platform the webhook's address below `url`; None where a person has to do it."""
        return None

    def imitated(self, url: str, secret: str) -> ChannelSettings | None:
        """Return settings for its double in the sandbox at `url`; None where the sandbox has none."""
        return None
