"""Telegram over its Bot API."""

from adapters.channels.platform import Platform
from adapters.channels.telegram.limits import LIMITS
from adapters.channels.telegram.settings import TelegramSettings
from contracts.findings import Finding
from contracts.messages import ChannelName
from contracts.ports import Channel, ChannelInbound, Events
from contracts.settings import Settings


class Telegram(Platform):
    name = ChannelName.TELEGRAM
    limits = LIMITS
    settings = TelegramSettings

    def channel(self, settings: Settings, events: Events) -> Channel | None:
        own = TelegramSettings.of(settings)
        if own is None:
            return None
        from adapters.channels.telegram.outbound import TelegramChannel

        return TelegramChannel(own.api_url, own.bot_token.get_secret_value())

    def inbound(self, settings: Settings) -> ChannelInbound | None:
        own = TelegramSettings.of(settings)
        if own is None:
            return None
        from adapters.channels.telegram.inbound import TelegramInbound

        return TelegramInbound(
            own.secret_token.get_secret_value(),
            bot=own.bot,
            id_salt=settings.id_salt.get_secret_value(),
            answers_groups=own.groups,
        )

    async def examine(self, settings: Settings) -> Finding | None:
        own = TelegramSettings.of(settings)
        if own is None:
            return None
        from adapters.channels.telegram.doctor import examine

        return await examine(own)

    async def set_up(self, settings: Settings, url: str) -> Finding | None:
        own = TelegramSettings.of(settings)
        if own is None:
            return None
        from adapters.channels.telegram.doctor import set_webhook

        return await set_webhook(own, url)

    def imitated(self, url: str, secret: str) -> TelegramSettings:
        return TelegramSettings(
            TELEGRAM_BOT_TOKEN=f"1000001:{secret}", TELEGRAM_SECRET_TOKEN=secret, TELEGRAM_API_URL=f"{url}/telegram"
        )
