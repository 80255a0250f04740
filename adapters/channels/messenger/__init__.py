"""Messenger over Meta's Send API; Instagram's direct messages are the same with other limits."""

from datetime import timedelta
from typing import ClassVar

from adapters.channels.messenger.limits import INSTAGRAM_LIMITS, MESSENGER_LIMITS
from adapters.channels.messenger.settings import GraphSettings, InstagramSettings, MessengerSettings
from adapters.channels.platform import Platform
from contracts.findings import Finding
from contracts.messages import ChannelName
from contracts.ports import Channel, ChannelInbound, ChannelLimits, Events
from contracts.settings import Settings


class Messenger(Platform):
    name: ClassVar[ChannelName] = ChannelName.MESSENGER
    limits: ClassVar[ChannelLimits] = MESSENGER_LIMITS
    settings: ClassVar[type[GraphSettings]] = MessengerSettings
    reply_window = timedelta(hours=24)

    def channel(self, settings: Settings, events: Events) -> Channel | None:
        own = self.settings.of(settings)
        if own is None:
            return None
        from adapters.channels.messenger.outbound import MessengerChannel

        return MessengerChannel(self.name, self.limits, own.api_url, own.access_token.get_secret_value())

    def inbound(self, settings: Settings) -> ChannelInbound | None:
        own = self.settings.of(settings)
        if own is None:
            return None
        from adapters.channels.messenger.inbound import MessengerInbound

        return MessengerInbound(
            self.name,
            app_secret=own.app_secret.get_secret_value(),
            verify_token=own.verify_token.get_secret_value(),
            id_salt=settings.id_salt.get_secret_value(),
        )

    async def examine(self, settings: Settings) -> Finding | None:
        own = self.settings.of(settings)
        if own is None:
            return None
        from adapters.channels.messenger.doctor import examine

        return await examine(self.name, own)

    async def set_up(self, settings: Settings, url: str) -> Finding | None:
        own = self.settings.of(settings)
        if own is None:
            return None
        from adapters.channels.messenger.doctor import subscribe

        return await subscribe(self.name, own)

    def imitated(self, url: str, secret: str) -> GraphSettings:
        prefix = self.name.upper()
        given = dict.fromkeys(("APP_SECRET", "VERIFY_TOKEN", "ACCESS_TOKEN"), secret)
        given["API_URL"] = f"{url}/{self.name}/v26.0"
        return self.settings.model_validate({f"{prefix}_{name}": value for name, value in given.items()})


class Instagram(Messenger):
    name = ChannelName("instagram")
    limits = INSTAGRAM_LIMITS
    settings = InstagramSettings
