"""Chatwoot as a channel: an agent bot serves whatever its inboxes connect, and leaves to the team what it hands off."""

from adapters.channels.chatwoot.limits import LIMITS
from adapters.channels.chatwoot.settings import ChatwootSettings
from adapters.channels.platform import Platform
from contracts.findings import Finding
from contracts.messages import ChannelName
from contracts.ports import Channel, ChannelInbound, Events
from contracts.settings import Settings


class Chatwoot(Platform):
    name = ChannelName("chatwoot")
    limits = LIMITS
    settings = ChatwootSettings

    def channel(self, settings: Settings, events: Events) -> Channel | None:
        own = ChatwootSettings.of(settings)
        if own is None:
            return None
        from adapters.channels.chatwoot.outbound import ChatwootChannel

        return ChatwootChannel(own.url, own.token.get_secret_value(), own.account_id, own.hosts)

    def inbound(self, settings: Settings) -> ChannelInbound | None:
        own = ChatwootSettings.of(settings)
        if own is None:
            return None
        from adapters.channels.chatwoot.inbound import ChatwootInbound

        return ChatwootInbound(own.webhook_token, account=own.account_id, id_salt=settings.id_salt.get_secret_value())

    async def examine(self, settings: Settings) -> Finding | None:
        own = ChatwootSettings.of(settings)
        if own is None:
            return None
        from adapters.channels.chatwoot.doctor import examine

        return await examine(own)

    async def set_up(self, settings: Settings, url: str) -> Finding | None:
        own = ChatwootSettings.of(settings)
        if own is None:
            return None
        from adapters.channels.chatwoot.doctor import webhook_of

        return webhook_of(own, url)

    def imitated(self, url: str, secret: str) -> ChatwootSettings:
        return ChatwootSettings(CHATWOOT_URL=f"{url}/chatwoot", CHATWOOT_TOKEN=secret, CHATWOOT_ACCOUNT_ID="1")
