"""Telegram over its Bot API."""

import re
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator

from adapters.channels.platform import SetUpPlatform
from contracts.findings import Finding
from contracts.messages import ChannelName, MessageType
from contracts.ports import Channel, ChannelInbound, ChannelLimits, Markup
from contracts.settings import ChannelSettings, WebAddress

TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{1,256}")


class TelegramSettings(ChannelSettings):
    """One bot. Messages of groups are recorded; with `groups` those that reach the bot are answered too."""

    title: ClassVar[str] = "Telegram"

    bot_token: SecretStr = Field(validation_alias="TELEGRAM_BOT_TOKEN")
    secret_token: SecretStr = Field(validation_alias="TELEGRAM_SECRET_TOKEN")
    api_url: WebAddress = Field("https://api.telegram.org", validation_alias="TELEGRAM_API_URL")
    groups: bool = Field(False, validation_alias="TELEGRAM_GROUPS")

    @field_validator("bot_token")
    @classmethod
    def _is_token(cls, token: SecretStr) -> SecretStr:
        if not TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError("it is a number, a colon and letters, as @BotFather gives it")
        return token

    @property
    def bot(self) -> str:
        """The bot's id, which begins its token."""
        return self.bot_token.get_secret_value().partition(":")[0]


# Limits of a message on Telegram. Source: Bot API 10.2; buttons: `telegram.constants` of python-telegram-bot.
# The length of a button's title is not documented: ours, so that a phone shows it whole. A file has to be a link or an
# upload of before.
LIMITS = ChannelLimits(
    types=frozenset(kind for kind in MessageType if kind is not MessageType.TEMPLATE),
    text=4096,
    # Marks of the text until it is sent: then they become entities of HTML.
    markup=Markup(bold="*", italic="_", strike="~", code="`", block="```"),
    button_body=4096,
    buttons=100,
    button_title=64,
    list_body=4096,
    rows=100,
    row_title=64,
    caption=1024,
)


class Telegram(SetUpPlatform[TelegramSettings]):
    name = ChannelName.TELEGRAM
    limits = LIMITS
    settings = TelegramSettings

    def open_channel(self, own: TelegramSettings) -> Channel:
        from adapters.channels.telegram.outbound import TelegramChannel

        return TelegramChannel(own.api_url, own.bot_token.get_secret_value())

    def open_inbound(self, own: TelegramSettings, id_salt: str) -> ChannelInbound:
        from adapters.channels.telegram.inbound import TelegramInbound

        return TelegramInbound(
            own.secret_token.get_secret_value(), bot=own.bot, id_salt=id_salt, answers_groups=own.groups
        )

    async def ask(self, own: TelegramSettings) -> Finding:
        from adapters.channels.telegram.doctor import examine

        return await examine(own)

    async def register(self, own: TelegramSettings, url: str) -> Finding:
        from adapters.channels.telegram.doctor import set_webhook

        return await set_webhook(own, url)

    def imitated(self, url: str, secret: str) -> TelegramSettings:
        return TelegramSettings(
            TELEGRAM_BOT_TOKEN=f"1000001:{secret}", TELEGRAM_SECRET_TOKEN=secret, TELEGRAM_API_URL=f"{url}/telegram"
        )
