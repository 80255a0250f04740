"""Carrier, a platform that does not exist: everything that a new platform has to write."""

from adapters.channels.platform import Platform
from contracts.findings import Finding, Health
from contracts.messages import ChannelName, MessageType
from contracts.ports import Channel, ChannelInbound, ChannelLimits, Events
from contracts.settings import Settings
from tests.extension.sample_platform.inbound import CarrierInbound
from tests.extension.sample_platform.outbound import CarrierChannel
from tests.extension.sample_platform.settings import CarrierSettings


class Carrier(Platform):
    name = ChannelName("carrier")
    limits = ChannelLimits(types=frozenset({MessageType.TEXT}), text=300)
    settings = CarrierSettings

    def channel(self, settings: Settings, events: Events) -> Channel | None:
        own = CarrierSettings.of(settings)
        return CarrierChannel(own.api_url, own.token.get_secret_value(), self.name, self.limits) if own else None

    def inbound(self, settings: Settings) -> ChannelInbound | None:
        own = CarrierSettings.of(settings)
        return CarrierInbound(own.signing_secret.get_secret_value(), self.name) if own else None

    async def examine(self, settings: Settings) -> Finding:
        return Finding(self.name, Health.OK, "the number answers")
