"""Messenger over Meta's Send API; Instagram's direct messages are the same with other limits."""

from datetime import timedelta
from typing import ClassVar

from pydantic import Field, SecretStr

from adapters.channels.platform import SetUpPlatform
from contracts.findings import Finding
from contracts.messages import ChannelName, MessageType
from contracts.ports import Channel, ChannelInbound, ChannelLimits
from contracts.settings import ChannelSettings, HeaderSecret, WebAddress


class GraphSettings(ChannelSettings):
    """One page or account of one app."""

    app_secret: SecretStr
    verify_token: SecretStr
    access_token: SecretStr
    api_url: str


class MessengerSettings(GraphSettings):
    title: ClassVar[str] = "Messenger"

    app_secret: SecretStr = Field(validation_alias="MESSENGER_APP_SECRET")
    verify_token: SecretStr = Field(validation_alias="MESSENGER_VERIFY_TOKEN")
    access_token: HeaderSecret = Field(validation_alias="MESSENGER_ACCESS_TOKEN")
    api_url: WebAddress = Field("https://graph.facebook.com/v26.0", validation_alias="MESSENGER_API_URL")


class InstagramSettings(GraphSettings):
    title: ClassVar[str] = "Instagram"

    app_secret: SecretStr = Field(validation_alias="INSTAGRAM_APP_SECRET")
    verify_token: SecretStr = Field(validation_alias="INSTAGRAM_VERIFY_TOKEN")
    access_token: HeaderSecret = Field(validation_alias="INSTAGRAM_ACCESS_TOKEN")
    api_url: WebAddress = Field("https://graph.instagram.com/v26.0", validation_alias="INSTAGRAM_API_URL")


# Limits of a message on Messenger and Instagram. Source: Meta, Send API, quick replies and button template (2026).
# A file has no caption. Instagram counts 1,000 bytes: a third as many UTF-16 units always fit.
TYPES = frozenset(kind for kind in MessageType if kind not in (MessageType.TEMPLATE, MessageType.REACTION))

MESSENGER_LIMITS = ChannelLimits(
    types=TYPES,
    text=2000,
    button_body=640,
    buttons=3,
    button_title=20,
    list_body=2000,
    rows=13,
    row_title=20,
    agent_window=timedelta(days=7),
    # The echo of our own message comes at once.
    reported_within=timedelta(seconds=3),
)
INSTAGRAM_LIMITS = MESSENGER_LIMITS.model_copy(update={"text": 333, "button_body": 333, "list_body": 333})


class Messenger(SetUpPlatform[GraphSettings]):
    name: ClassVar[ChannelName] = ChannelName.MESSENGER
    limits: ClassVar[ChannelLimits] = MESSENGER_LIMITS
    settings: type[GraphSettings] = MessengerSettings
    reply_window = timedelta(hours=24)

    def open_channel(self, own: GraphSettings) -> Channel:
        from adapters.channels.messenger.outbound import MessengerChannel

        return MessengerChannel(self.name, self.limits, own.api_url, own.access_token.get_secret_value())

    def open_inbound(self, own: GraphSettings, id_salt: str) -> ChannelInbound:
        from adapters.channels.messenger.inbound import MessengerInbound

        return MessengerInbound(
            self.name,
            app_secret=own.app_secret.get_secret_value(),
            verify_token=own.verify_token.get_secret_value(),
            id_salt=id_salt,
        )

    async def ask(self, own: GraphSettings) -> Finding:
        from adapters.channels.messenger.doctor import examine

        return await examine(self.name, own)

    async def register(self, own: GraphSettings, url: str) -> Finding:
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
