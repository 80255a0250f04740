"""Slack over its Web API and Events API."""

from typing import ClassVar

from pydantic import Field, SecretStr

from adapters.channels.platform import SetUpPlatform
from contracts.findings import Finding
from contracts.messages import ChannelName, MessageType
from contracts.ports import Channel, ChannelInbound, ChannelLimits, Markup
from contracts.settings import ChannelSettings, HeaderSecret, WebAddress


class SlackSettings(ChannelSettings):
    """One app in one workspace."""

    title: ClassVar[str] = "Slack"

    signing_secret: SecretStr = Field(validation_alias="SLACK_SIGNING_SECRET")
    bot_token: HeaderSecret = Field(validation_alias="SLACK_BOT_TOKEN")
    api_url: WebAddress = Field("https://slack.com/api", validation_alias="SLACK_API_URL")


# Limits of a message on Slack. Source: Slack, chat.postMessage and the reference of Block Kit.
# A text is cut at 40,000 characters; about 4,000 are recommended, and are the limit here. Files and places go as their
# links and names; reactions need names of emoji that not every workspace has.
LIMITS = ChannelLimits(
    types=frozenset(kind for kind in MessageType if kind not in (MessageType.TEMPLATE, MessageType.REACTION)),
    text=4000,
    markup=Markup(bold="*", italic="_", strike="~", code="`", block="```"),
    button_body=3000,
    buttons=25,
    button_title=75,
    list_body=3000,
    rows=100,
    row_title=75,
    row_description=75,
    list_label=150,
    caption=2000,
)


class Slack(SetUpPlatform[SlackSettings]):
    name = ChannelName.SLACK
    limits = LIMITS
    settings = SlackSettings

    def open_channel(self, own: SlackSettings) -> Channel:
        from adapters.channels.slack.outbound import SlackChannel

        return SlackChannel(own.api_url, own.bot_token.get_secret_value())

    def open_inbound(self, own: SlackSettings, id_salt: str) -> ChannelInbound:
        from adapters.channels.slack.inbound import SlackInbound

        return SlackInbound(own.signing_secret.get_secret_value(), id_salt=id_salt)

    async def ask(self, own: SlackSettings) -> Finding:
        from adapters.channels.slack.doctor import examine

        return await examine(own)

    def imitated(self, url: str, secret: str) -> SlackSettings:
        return SlackSettings(
            SLACK_SIGNING_SECRET=secret, SLACK_BOT_TOKEN=f"xoxb-{secret}", SLACK_API_URL=f"{url}/slack/api"
        )
