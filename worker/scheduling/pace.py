"""Pace of sends below the platform's own limits: a place in time for each message to one person and from one number."""

from datetime import datetime

from contracts.messages import Address
from contracts.ports import ChannelLimits

KEPT = 20_000


class Pace:
    """Token buckets of one process, by person and by number, kept as the time until which each is used up.

    Source: generic cell rate algorithm, ITU-T I.371, virtual scheduling.
    """

    def __init__(self) -> None:
        self._used_until: dict[tuple[str, ...], datetime] = {}

    def reserve(self, address: Address, limits: ChannelLimits, at: datetime) -> datetime:
        """Return when the next message to that address may leave, `at` or later, and take that place."""
        number = (address.channel, address.account)
        rates = ((limits.pair, (*number, address.person)), (limits.number, number))
        buckets = [(rate, key, max(at, self._used_until.get(key, at))) for rate, key in rates if rate is not None]
        leaves = max([at, *(used - (rate.burst - 1) * rate.every for rate, _, used in buckets)])
        for rate, key, used in buckets:
            self._used_until[key] = max(used, leaves) + rate.every
        if len(self._used_until) > KEPT:
            self._used_until = {key: used for key, used in self._used_until.items() if used > at}
        return leaves
