"""WhatsApp over Meta's Cloud API."""

from datetime import timedelta
from typing import ClassVar

from pydantic import Field, SecretStr

from adapters.channels.platform import SetUpPlatform
from contracts.findings import Finding
from contracts.messages import ChannelName, MessageType
from contracts.ports import Channel, ChannelInbound, ChannelLimits, Markup, Rate
from contracts.settings import ChannelSettings, HeaderSecret, WebAddress


class WhatsAppSettings(ChannelSettings):
    """The numbers of one app. `app_secret_previous` is good too, while the secret is being changed."""

    title: ClassVar[str] = "WhatsApp"

    app_secret: SecretStr = Field(validation_alias="WHATSAPP_APP_SECRET")
    app_secret_previous: SecretStr | None = Field(None, validation_alias="WHATSAPP_APP_SECRET_PREVIOUS")
    verify_token: SecretStr = Field(validation_alias="WHATSAPP_VERIFY_TOKEN")
    access_token: HeaderSecret = Field(validation_alias="WHATSAPP_ACCESS_TOKEN")
    phone_number_id: str = Field(validation_alias="WHATSAPP_PHONE_NUMBER_ID")
    messages_per_second: int = Field(80, ge=1, le=1000, validation_alias="WHATSAPP_MESSAGES_PER_SECOND")
    new_people_per_day: int | None = Field(None, ge=1, le=1_000_000, validation_alias="WHATSAPP_NEW_PEOPLE_PER_DAY")
    api_url: WebAddress = Field("https://graph.facebook.com/v26.0", validation_alias="WHATSAPP_API_URL")

    @property
    def numbers(self) -> tuple[str, ...]:
        """The ids of our own numbers; what comes to another one is not answered."""
        return tuple(number.strip() for number in self.phone_number_id.split(",") if number.strip())

    @property
    def app_secrets(self) -> tuple[str, ...]:
        """The secrets that a signature may be of."""
        given = (self.app_secret, self.app_secret_previous)
        return tuple(secret.get_secret_value() for secret in given if secret is not None)


# Limits of a message on WhatsApp. Source: Meta, "Send messages" and the pages of its message types, May 2026.
LIMITS = ChannelLimits(
    types=frozenset(MessageType),
    text=4096,
    # Source: WhatsApp, "How to format your messages".
    markup=Markup(bold="*", italic="_", strike="~", code="`", block="```"),
    button_body=1024,
    buttons=3,
    button_title=20,
    list_body=4096,
    rows=10,
    row_title=24,
    row_description=72,
    list_label=20,
    caption=1024,
    # Source: Meta, "Error codes", 131056: one in 6 s, and 45 at once on credit. A few are left to other processes.
    pair=Rate(every=timedelta(seconds=6), burst=40),
    # Mostly within a second; Meta names no bound, and promises no order of messages that are on their way together.
    reported_within=timedelta(seconds=3),
)


# The sandbox's number.
SANDBOX_PHONE_NUMBER_ID = "100000000000001"


class WhatsApp(SetUpPlatform[WhatsAppSettings]):
    name = ChannelName.WHATSAPP
    limits = LIMITS
    settings = WhatsAppSettings
    reply_window = timedelta(hours=24)

    def open_channel(self, own: WhatsAppSettings) -> Channel:
        from adapters.channels.whatsapp.outbound import WhatsAppChannel

        return WhatsAppChannel(
            api_url=own.api_url,
            access_token=own.access_token.get_secret_value(),
            phone_number_id=own.numbers[0],
            messages_per_second=own.messages_per_second,
            new_people_per_day=own.new_people_per_day,
        )

    def open_inbound(self, own: WhatsAppSettings, id_salt: str) -> ChannelInbound:
        from adapters.channels.whatsapp.inbound import WhatsAppInbound

        return WhatsAppInbound(
            app_secrets=own.app_secrets,
            verify_token=own.verify_token.get_secret_value(),
            id_salt=id_salt,
            numbers=own.numbers,
        )

    async def ask(self, own: WhatsAppSettings) -> Finding:
        from adapters.channels.whatsapp.doctor import examine

        return await examine(own)

    async def register(self, own: WhatsAppSettings, url: str) -> Finding:
        from adapters.channels.whatsapp.doctor import subscribe

        return await subscribe(own)

    def imitated(self, url: str, secret: str) -> WhatsAppSettings:
        return WhatsAppSettings(
            WHATSAPP_APP_SECRET=secret,
            WHATSAPP_VERIFY_TOKEN=secret,
            WHATSAPP_ACCESS_TOKEN=secret,
            WHATSAPP_PHONE_NUMBER_ID=SANDBOX_PHONE_NUMBER_ID,
            WHATSAPP_API_URL=f"{url}/graph/v26.0",
        )


# Codes after which the same message may be sent again later; everything else is final for this message.
WAIT_CODES = frozenset({1, 2, 4, 80007, 130429, 131000, 131016, 131056, 131057, 133004})
# Codes that stop the whole account until a person repairs it: the message waits, since it is not at fault.
ACCOUNT_CODES = frozenset({0, 3, 10, 33, 190, 368, 130497, 131005, 131031, 131037, 131042, 131045, 131063, 133010})
# Codes about the person or the time: experiment, own number, no test number, window closed, limits, opted out.
RECIPIENT_CODES = frozenset({130403, 130472, 131021, 131030, 131047, 131048, 131049, 131050, 131062, 137000})


def is_in_any_form(code: int) -> bool:
    """Whether another form of the message would be refused as well."""
    return code in RECIPIENT_CODES or is_of_account(code)


def is_of_account(code: int) -> bool:
    return code in ACCOUNT_CODES or 200 <= code <= 299
