"""A copy of everything that a store and its inbox hold: a backup, and the way back from one.

What waits is read before the conversations: a message that is answered in between is in both, and its deduplication
key, which goes along, keeps it from being answered twice. So no message acknowledged before the copy began is missing.

Of records the later change wins, by the moment that its writer gave it; one that went on at the target stays.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from contracts import ledger, notices, performance
from contracts.delivery import Record
from contracts.listing import ConversationQuery
from contracts.paging import all_conversations, all_records
from contracts.ports import Records
from contracts.values import ConversationId
from flags import cache
from flags.experiments import observations, store
from flags.store import FLAGS, OLDER
from reports import budget, posting
from worker.migration.conversations import Migration, Moved

# Every lease has run out by then, so that what is worked on counts as waiting.
FAR = datetime(2200, 1, 1, tzinfo=UTC)
MOST = 1_000_000
# Clocks of other processes may be so far behind.
SKEW = timedelta(minutes=5)
APPENDED_AT_ONCE = 500
UNREADABLE = "messages unreadable"


async def copy_everything(migration: Migration, *, at: datetime, replacing: bool = False) -> AsyncIterator[str]:
    """Copy conversations, then what waits, records, dead letters and documents; yield a word for each one's outcome.

    With `replacing` a conversation of the source also takes the place of a newer one. `at` is the beginning.

    Raises:
        StoreUnavailableError, InboxUnavailableError: one of both places did not answer; the copy can be repeated.
    """
    source, target = migration.source, migration.target
    due = await source.inbox.due(at=FAR, limit=MOST)
    waiting = [entry for conversation_id in due for entry in await source.inbox.pending(conversation_id)]
    done: set[ConversationId] = set()
    query = ConversationQuery()
    while True:
        # A conversation that changes while the pages are read may be passed over: those that changed are read again.
        found = [head.id async for head in all_conversations(source.store.conversations, query) if head.id not in done]
        for id_ in found:
            yield f"conversations {await migration.copy(id_, replacing=replacing)}"
        if not found:
            break
        done.update(found)
        query = ConversationQuery(since=at - SKEW)
    readable = [entry.message for entry in waiting if entry.raw is None]
    for first in range(0, len(readable), APPENDED_AT_ONCE):
        for _ in await target.inbox.append(readable[first : first + APPENDED_AT_ONCE]):
            yield f"messages {Moved.COPIED}"
    for _ in range(len(waiting) - len(readable)):
        yield UNREADABLE
    async for moved in copy_records(source.store.records, target.store.records, at=at):
        yield f"records {moved}"
    for letter in await source.store.dead_letters.letters(limit=MOST):
        await target.store.dead_letters.add(letter)
        yield f"dead letters {Moved.COPIED}"
    if (institution := await source.store.institutions.current()) is not None:
        await target.store.institutions.publish(institution, at=at)


# Flags last but for their news: whoever reads them again finds their history and the experiments that they belong to.
COLLECTIONS = (
    ledger.COLLECTION,
    performance.COLLECTION,
    budget.COLLECTION,
    posting.COLLECTION,
    observations.COLLECTION,
    notices.COLLECTION,
    store.COLLECTION,
    OLDER,
    FLAGS,
    cache.COLLECTION,
)


async def copy_records(source: Records, target: Records, *, at: datetime) -> AsyncIterator[Moved]:
    """Bring the target's records up to date, one after the other; yields what became of each.

    Raises:
        StoreUnavailableError: one of both places is unavailable; what was copied stays.
    """
    for collection in COLLECTIONS:
        async for record in all_records(source, collection, at=at):
            yield await _copy(record, target, at)


async def _copy(record: Record, target: Records, at: datetime) -> Moved:
    there = await target.get(record.collection, record.key, at=at)
    if there is not None and _content(there) == _content(record):
        return Moved.UNCHANGED
    if there is not None and there.updated_at >= record.updated_at:
        return Moved.AHEAD
    version = there.version if there is not None else 0
    written = await target.put(record.model_copy(update={"version": version}))
    if written is None:
        # Another process changed it there in this moment.
        return Moved.AHEAD
    read_back = await target.get(record.collection, record.key, at=at)
    return Moved.COPIED if read_back is not None and _content(read_back) == _content(record) else Moved.DIFFERENT


def _content(record: Record) -> Record:
    """The record without its version, which each store counts for itself."""
    return record.model_copy(update={"version": 0})
