"""Settings of Telegram: both required ones, or none. `.env.example` says what each does."""

import re
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator

from contracts.settings import ChannelSettings

TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{1,256}")


class TelegramSettings(ChannelSettings):
    """One bot. Messages of groups are recorded; with `groups` those that reach the bot are answered too."""

    title: ClassVar[str] = "Telegram"

    bot_token: SecretStr = Field(validation_alias="TELEGRAM_BOT_TOKEN")
    secret_token: SecretStr = Field(validation_alias="TELEGRAM_SECRET_TOKEN")
    api_url: str = Field("https://api.telegram.org", validation_alias="TELEGRAM_API_URL")
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
