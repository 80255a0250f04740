"""WhatsApp over Meta's Cloud API."""

from datetime import timedelta

from adapters.channels.platform import Platform
from adapters.channels.whatsapp.limits import LIMITS
from adapters.channels.whatsapp.settings import WhatsAppSettings
from contracts.findings import Finding
from contracts.messages import ChannelName
from contracts.ports import Channel, ChannelInbound, Events
from contracts.settings import Settings

# The sandbox's number.
SANDBOX_PHONE_NUMBER_ID = "100000000000001"


class WhatsApp(Platform):
    name = ChannelName.WHATSAPP
    limits = LIMITS
    settings = WhatsAppSettings
    reply_window = timedelta(hours=24)

    def channel(self, settings: Settings, events: Events) -> Channel | None:
        own = WhatsAppSettings.of(settings)
        if own is None:
            return None
        from adapters.channels.whatsapp.outbound import WhatsAppChannel

        return WhatsAppChannel(
            api_url=own.api_url,
            access_token=own.access_token.get_secret_value(),
            phone_number_id=own.numbers[0],
            messages_per_second=own.messages_per_second,
        )

    def inbound(self, settings: Settings) -> ChannelInbound | None:
        own = WhatsAppSettings.of(settings)
        if own is None:
            return None
        from adapters.channels.whatsapp.inbound import WhatsAppInbound

        return WhatsAppInbound(
            app_secrets=own.app_secrets,
            verify_token=own.verify_token.get_secret_value(),
            id_salt=settings.id_salt.get_secret_value(),
            numbers=own.numbers,
        )

    async def examine(self, settings: Settings) -> Finding | None:
        own = WhatsAppSettings.of(settings)
        if own is None:
            return None
        from adapters.channels.whatsapp.doctor import examine

        return await examine(own)

    async def set_up(self, settings: Settings, url: str) -> Finding | None:
        own = WhatsAppSettings.of(settings)
        if own is None:
            return None
        from adapters.channels.whatsapp.doctor import subscribe

        return await subscribe(own)

    def imitated(self, url: str, secret: str) -> WhatsAppSettings:
        return WhatsAppSettings(
            WHATSAPP_APP_SECRET=secret,
            WHATSAPP_VERIFY_TOKEN=secret,
            WHATSAPP_ACCESS_TOKEN=secret,
            WHATSAPP_PHONE_NUMBER_ID=SANDBOX_PHONE_NUMBER_ID,
            WHATSAPP_API_URL=f"{url}/graph/v26.0",
        )
