"""Pace of sends below the platform's own limits: a place in time for each message, and one for each new person."""

from datetime import datetime, timedelta

from contracts.delivery import OutboxRow, Record
from contracts.messages import Address, MessageType, digest
from contracts.ports import Channel, ChannelLimits, Records

KEPT = 20_000
# People whom a number wrote to first by number, person and day; counts of a number by hour.
PEOPLE, COUNTS = "openings", "opening_counts"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
TRIES = 8


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


async def wait_for_place(row: OutboxRow, channel: Channel, records: Records, at: datetime) -> datetime | None:
    """Take a place for the person of a template, for 24 hours; return when to ask again, None: it may leave now.

    The places of a number are shared by all processes. Counts are by hour, so a place is free again up to an hour late.
    A send that fails keeps its place.

    Raises:
        StoreUnavailableError: the places are not known now.
    Source: Meta, "Messaging limits": people outside a customer service window that a business messages in 24 hours.
    """
    window, limit, opened = channel.reply_window, channel.limits.openings, row.window_from
    is_answer = window is None or (opened is not None and at < opened + window)
    if limit is None or is_answer or row.message.type is not MessageType.TEMPLATE:
        return None
    number = digest(row.address.channel, row.address.account)
    person = digest(number, row.address.person)
    keys = [f"{person}-{day.date()}" for day in (at, at - DAY)]
    if [key for key in keys if await records.get(PEOPLE, key, at=at)]:
        return None
    this_hour = at.replace(minute=0, second=0, microsecond=0)
    for _ in range(TRIES):
        stored = await records.get(COUNTS, number, at=at)
        counts = {datetime.fromisoformat(hour): count for hour, count in (stored.body if stored else {}).items()}
        counts = {hour: count for hour, count in counts.items() if hour > at - DAY - HOUR}
        if sum(counts.values()) >= limit:
            return min(counts) + DAY + HOUR
        counts[this_hour] = counts.get(this_hour, 0) + 1
        body = {hour.isoformat(): count for hour, count in counts.items()}
        version = stored.version if stored else 0
        if await records.put(Record(collection=COUNTS, key=number, version=version, body=body, updated_at=at)):
            owner, ends = row.conversation_id, at + DAY
            taken = Record(collection=PEOPLE, key=keys[0], body={}, owner=owner, expires_at=ends, updated_at=at)
            await records.put(taken)
            return None
    return at + timedelta(seconds=1)
