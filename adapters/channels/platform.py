"""Entry of the registry of channels."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable
from datetime import timedelta
from typing import ClassVar, Generic, TypeVar

from contracts.findings import Finding, Health
from contracts.messages import ChannelName
from contracts.ports import Channel, ChannelInbound, ChannelLimits, Events
from contracts.settings import ChannelSettings, Settings

S = TypeVar("S", bound=ChannelSettings)


class Refusal(Exception):
    """Failed finding with its next step."""

    def __init__(self, detail: str, next_step: str) -> None:
        super().__init__(detail)
        self.next_step = next_step


class Platform(ABC):
    """One platform: its name, limits and settings, and how each process opens the half that it needs.

    Each half imports its libraries inside its method: a webhook loads no client, a worker no parser.
    """

    name: ClassVar[ChannelName]
    limits: ClassVar[ChannelLimits]
    settings: type[ChannelSettings] | None = None
    """Its settings class; None for a channel that needs none and is always set up."""

    reply_window: ClassVar[timedelta | None] = None
    """Time after a person's message in which the platform takes replies."""

    @abstractmethod
    def channel(self, settings: Settings, events: Events) -> Channel | None:
        """Open the sending side; None where the platform is not set up.

        Raises:
            ConfigurationError: a setting cannot be used.
        """

    def inbound(self, settings: Settings) -> ChannelInbound | None:
        """Open the receiving side; None where the platform is not set up, or posts nothing."""
        return None

    async def examine(self, settings: Settings) -> Finding | None:
        """Ask the platform about the settings, without a change there; None where there is nothing to ask."""
        return None

    async def set_up(self, settings: Settings, url: str) -> Finding | None:
        """Give the platform the webhook's address below `url`; None where a person has to do it."""
        return None

    def imitated(self, url: str, secret: str) -> ChannelSettings | None:
        """Return settings for its double in the sandbox at `url`; None where the sandbox has none."""
        return None


class SetUpPlatform(Platform, Generic[S]):
    """Platform with settings of its own, which is open where they are given. Its methods are called with them.

    `ask` and `register` may raise Refusal, which is the finding then.
    """

    settings: type[S]

    @abstractmethod
    def open_channel(self, own: S) -> Channel: ...

    @abstractmethod
    def open_inbound(self, own: S, id_salt: str) -> ChannelInbound: ...

    @abstractmethod
    async def ask(self, own: S) -> Finding: ...

    async def register(self, own: S, url: str) -> Finding | None:
        return None

    def channel(self, settings: Settings, events: Events) -> Channel | None:
        own = self.settings.of(settings)
        return self.open_channel(own) if own else None

    def inbound(self, settings: Settings) -> ChannelInbound | None:
        own = self.settings.of(settings)
        return self.open_inbound(own, settings.id_salt.get_secret_value()) if own else None

    async def examine(self, settings: Settings) -> Finding | None:
        own = self.settings.of(settings)
        return await self._found(self.ask(own)) if own else None

    async def set_up(self, settings: Settings, url: str) -> Finding | None:
        own = self.settings.of(settings)
        return await self._found(self.register(own, url)) if own else None

    async def _found(self, asking: Awaitable[Finding | None]) -> Finding | None:
        try:
            return await asking
        except Refusal as exc:
            return Finding(self.name, Health.FAILED, str(exc), exc.next_step)
