"""Settings of Slack: both required ones, or none. `.env.example` says what each does."""

from typing import ClassVar

from pydantic import Field, SecretStr

from contracts.settings import ChannelSettings


class SlackSettings(ChannelSettings):
    """One app in one workspace."""

    title: ClassVar[str] = "Slack"

    signing_secret: SecretStr = Field(validation_alias="SLACK_SIGNING_SECRET")
    bot_token: SecretStr = Field(validation_alias="SLACK_BOT_TOKEN")
    api_url: str = Field("https://slack.com/api", validation_alias="SLACK_API_URL")
