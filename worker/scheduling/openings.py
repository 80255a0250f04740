"""Places of a number for people that it writes to first, shared by all processes: templates wait instead of failing.

Source: Meta, "Messaging limits": people outside a customer service window that a business messages in 24 hours.
"""

from datetime import datetime, timedelta

from contracts.delivery import OutboxRow, Record
from contracts.messages import MessageType, digest
from contracts.ports import Channel, Records

# People by number, person and day; counts of a number by hour.
PEOPLE, COUNTS = "openings", "opening_counts"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
TRIES = 8


async def wait_for_place(row: OutboxRow, channel: Channel, records: Records, at: datetime) -> datetime | None:
    """Take a place for the person of a template, for 24 hours; return when to ask again, None: it may leave now.

    Counts are by hour, so a place is free again up to an hour late. A send that fails keeps its place.

    Raises:
        StoreUnavailableError: the places are not known now.
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
