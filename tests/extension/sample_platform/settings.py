"""Settings of Carrier."""

from typing import ClassVar

from pydantic import Field, SecretStr

from contracts.settings import ChannelSettings


class CarrierSettings(ChannelSettings):
    title: ClassVar[str] = "Carrier"

    signing_secret: SecretStr = Field(validation_alias="CARRIER_SIGNING_SECRET")
    token: SecretStr = Field(validation_alias="CARRIER_TOKEN")
    api_url: str = Field("https://carrier.example.com/v1", validation_alias="CARRIER_API_URL")
