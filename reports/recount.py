"""Reading of the ledger, and the recount of a day from the records of the turns."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta

from contracts.conversation import TurnRecord
from contracts.delivery import Record
from contracts.errors import StoreUnavailableError
from contracts.ledger import COLLECTION, Kind, Page, kind_of, shard_key
from contracts.listing import ConversationQuery
from contracts.paging import all_conversations, all_records
from contracts.ports import Records, Store
from reports.totals import KEPT_FOR

# By then every turn of the day is committed.
SETTLED_AFTER = timedelta(minutes=10)
RECOUNT_ATTEMPTS = 5


async def read_day(store: Records, day: date, *, at: datetime) -> Page:
    """Return the sums of one day (UTC), of all processes."""
    shards = [(kind_of(record.key), Page.of(record.body)) async for record in _shards(store, day, at=at)]
    turns = Kind.RECOUNT if any(kind is Kind.RECOUNT for kind, _ in shards) else Kind.TURNS
    total = Page()
    for kind, page in shards:
        if kind in (turns, Kind.APART):
            total.add_page(page)
    return total


async def recount(store: Store, day: date, *, at: datetime, retention: timedelta = timedelta(days=90)) -> Page:
    """Count the turns of a day (UTC) again, and replace the sums that the processes have written of them.

    It is exact without a concurrent erasure. Turns of a conversation migrated from another store count here.

    Raises:
        ValueError: the day is not over, or so long ago that conversations of it may have been deleted.
        StoreUnavailableError: another process replaces the sums again and again.
    """
    begin = datetime.combine(day, time.min, UTC)
    end = begin + timedelta(days=1)
    if at < end + SETTLED_AFTER:
        raise ValueError(f"{day} (UTC) is not over: its turns are still being written")
    if begin < at - retention:
        raise ValueError(f"of {day} conversations may have been forgotten: what is in the ledger is all there is")
    page = Page()
    async for record in _shards(store.records, day, at=at):
        if kind_of(record.key) is Kind.ERASED:
            page.add_page(Page.of(record.body))
    async for turn in turns_between(store, begin, end):
        page.add_turn(turn)
    key = shard_key(day, Kind.RECOUNT, "all")
    for _ in range(RECOUNT_ATTEMPTS):
        stored = await store.records.get(COLLECTION, key, at=at)
        version = stored.version if stored else 0
        record = Record.of(COLLECTION, key, page.body(), at=at, version=version, kept_for=KEPT_FOR)
        if await store.records.put(record) is not None:
            return page
    raise StoreUnavailableError(f"{key} keeps changing")


async def turns_between(store: Store, begin: datetime, end: datetime) -> AsyncIterator[TurnRecord]:
    """Yield every turn committed in that time, by conversation. It reads all conversations changed since."""
    async for head in all_conversations(store.conversations, ConversationQuery(since=begin)):
        for turn in await store.conversations.turns(head.id):
            if begin <= turn.at < end:
                yield turn


def _shards(store: Records, day: date, *, at: datetime) -> AsyncIterator[Record]:
    return all_records(store, COLLECTION, at=at, prefix=f"{day.isoformat()}/")
