"""Settings of Messenger and of Instagram: the required ones of each, or none. `.env.example` says what each does."""

from typing import ClassVar

from pydantic import Field, SecretStr

from contracts.settings import ChannelSettings


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
    access_token: SecretStr = Field(validation_alias="MESSENGER_ACCESS_TOKEN")
    api_url: str = Field("https://graph.facebook.com/v26.0", validation_alias="MESSENGER_API_URL")


class InstagramSettings(GraphSettings):
    title: ClassVar[str] = "Instagram"

    app_secret: SecretStr = Field(validation_alias="INSTAGRAM_APP_SECRET")
    verify_token: SecretStr = Field(validation_alias="INSTAGRAM_VERIFY_TOKEN")
    access_token: SecretStr = Field(validation_alias="INSTAGRAM_ACCESS_TOKEN")
    api_url: str = Field("https://graph.instagram.com/v26.0", validation_alias="INSTAGRAM_API_URL")
