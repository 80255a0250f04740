"""Settings of WhatsApp: all of the required ones, or none. `.env.example` says what each does."""

from typing import ClassVar

from pydantic import Field, SecretStr

from contracts.settings import ChannelSettings


class WhatsAppSettings(ChannelSettings):
    """The numbers of one app. `app_secret_previous` is good too, while the secret is being changed."""

    title: ClassVar[str] = "WhatsApp"

    app_secret: SecretStr = Field(validation_alias="WHATSAPP_APP_SECRET")
    app_secret_previous: SecretStr | None = Field(None, validation_alias="WHATSAPP_APP_SECRET_PREVIOUS")
    verify_token: SecretStr = Field(validation_alias="WHATSAPP_VERIFY_TOKEN")
    access_token: SecretStr = Field(validation_alias="WHATSAPP_ACCESS_TOKEN")
    phone_number_id: str = Field(validation_alias="WHATSAPP_PHONE_NUMBER_ID")
    messages_per_second: int = Field(80, ge=1, le=1000, validation_alias="WHATSAPP_MESSAGES_PER_SECOND")
    api_url: str = Field("https://graph.facebook.com/v26.0", validation_alias="WHATSAPP_API_URL")

    @property
    def numbers(self) -> tuple[str, ...]:
        """The ids of our own numbers; what comes to another one is not answered."""
        return tuple(number.strip() for number in self.phone_number_id.split(",") if number.strip())

    @property
    def app_secrets(self) -> tuple[str, ...]:
        """The secrets that a signature may be of."""
        given = (self.app_secret, self.app_secret_previous)
        return tuple(secret.get_secret_value() for secret in given if secret is not None)
