"""Chatwoot as a channel: an agent bot serves whatever its inboxes connect, and leaves to the team what it hands off."""

import hmac
from typing import ClassVar

from pydantic import Field

from adapters.channels.platform import SetUpPlatform
from contracts.findings import Finding
from contracts.messages import ChannelName, MessageType
from contracts.ports import Channel, ChannelInbound, ChannelLimits, Markup
from contracts.settings import ChannelSettings, HeaderSecret, WebAddress


class ChatwootSettings(ChannelSettings):
    """One agent bot of one account."""

    title: ClassVar[str] = "Chatwoot"
    is_help_desk = True

    url: WebAddress = Field(validation_alias="CHATWOOT_URL")
    token: HeaderSecret = Field(validation_alias="CHATWOOT_TOKEN")
    account_id: str = Field(validation_alias="CHATWOOT_ACCOUNT_ID")
    file_hosts: str = Field("", validation_alias="CHATWOOT_FILE_HOSTS")

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts of a storage apart from Chatwoot's own server."""
        return tuple(host.strip() for host in self.file_hosts.split(",") if host.strip())

    @property
    def webhook_token(self) -> str:
        """The secret in the address that Chatwoot posts to: not every release of it signs what an agent bot gets."""
        return hmac.digest(self.token.get_secret_value().encode(), b"prosa webhook", "sha256").hex()[:40]


# Limits of a message through Chatwoot: those that most of the platforms behind it take; its own are far higher.
# The attribute of a message that names its row; the platform keeps it and returns it in the event of the message.
REFERENCE = "prosa_reference"
LIMITS = ChannelLimits(
    types=frozenset(kind for kind in MessageType if kind not in (MessageType.TEMPLATE, MessageType.REACTION)),
    text=2000,
    # Chatwoot converts CommonMark into the marks of the platform behind it.
    markup=Markup(bold="**", italic="_", code="`", block="```"),
    button_body=1024,
    buttons=3,
    button_title=20,
    list_body=1024,
    rows=10,
    row_title=24,
    caption=1024,
)


class Chatwoot(SetUpPlatform[ChatwootSettings]):
    name = ChannelName("chatwoot")
    limits = LIMITS
    settings = ChatwootSettings

    def open_channel(self, own: ChatwootSettings) -> Channel:
        from adapters.channels.chatwoot.outbound import ChatwootChannel

        return ChatwootChannel(own.url, own.token.get_secret_value(), own.account_id, own.hosts)

    def open_inbound(self, own: ChatwootSettings, id_salt: str) -> ChannelInbound:
        from adapters.channels.chatwoot.inbound import ChatwootInbound

        return ChatwootInbound(own.webhook_token, account=own.account_id, id_salt=id_salt)

    async def ask(self, own: ChatwootSettings) -> Finding:
        from adapters.channels.chatwoot.doctor import examine

        return await examine(own)

    async def register(self, own: ChatwootSettings, url: str) -> Finding:
        from adapters.channels.chatwoot.doctor import webhook_of

        return webhook_of(own, url)

    def imitated(self, url: str, secret: str) -> ChatwootSettings:
        return ChatwootSettings(CHATWOOT_URL=f"{url}/chatwoot", CHATWOOT_TOKEN=secret, CHATWOOT_ACCOUNT_ID="1")
