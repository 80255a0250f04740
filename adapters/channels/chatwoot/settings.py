"""Settings of Chatwoot: all or none. `.env.example` says what each does."""

import hmac
from typing import ClassVar

from pydantic import Field, SecretStr

from contracts.settings import ChannelSettings


class ChatwootSettings(ChannelSettings):
    """One agent bot of one account."""

    title: ClassVar[str] = "Chatwoot"
    is_help_desk = True

    url: str = Field(validation_alias="CHATWOOT_URL")
    token: SecretStr = Field(validation_alias="CHATWOOT_TOKEN")
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
