"""Records besides the conversations move with them: flags, experiments, and what was spent and measured.

The later change wins, by the moment that its writer gave it. A record that went on at the target is left alone there:
the copy can be repeated, also after the cut-over, and the way back is the same copy in the other direction.
"""

from collections.abc import AsyncIterator
from datetime import datetime

from contracts import ledger, notices, performance
from contracts.delivery import Record
from contracts.paging import all_records
from contracts.ports import Records
from flags import invalidation
from flags.experiments import observations, store
from flags.store import FLAGS, OLDER
from reports import budget, posting
from worker.migration.conversations import Moved

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
    invalidation.COLLECTION,
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
