"""Slack over its Web API and Events API."""

from adapters.channels.platform import Platform
from adapters.channels.slack.limits import LIMITS
from adapters.channels.slack.settings import SlackSettings
from contracts.findings import Finding
from contracts.messages import ChannelName
from contracts.ports import Channel, ChannelInbound, Events
from contracts.settings import Settings


class Slack(Platform):
    name = ChannelName.SLACK
    limits = LIMITS
    settings = SlackSettings

    def channel(self, settings: Settings, events: Events) -> Channel | None:
        own = SlackSettings.of(settings)
        if own is None:
            return None
        from adapters.channels.slack.outbound import SlackChannel

        return SlackChannel(own.api_url, own.bot_token.get_secret_value())

    def inbound(self, settings: Settings) -> ChannelInbound | None:
        own = SlackSettings.of(settings)
        if own is None:
            return None
        from adapters.channels.slack.inbound import SlackInbound

        return SlackInbound(own.signing_secret.get_secret_value(), id_salt=settings.id_salt.get_secret_value())

    async def examine(self, settings: Settings) -> Finding | None:
        own = SlackSettings.of(settings)
        if own is None:
            return None
        from adapters.channels.slack.doctor import examine

        return await examine(own)

    def imitated(self, url: str, secret: str) -> SlackSettings:
        return SlackSettings(
            SLACK_SIGNING_SECRET=secret, SLACK_BOT_TOKEN=f"xoxb-{secret}", SLACK_API_URL=f"{url}/slack/api"
        )
