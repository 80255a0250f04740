"""Iteration over all records of a collection, page by page."""

from collections.abc import AsyncIterator
from datetime import datetime

from contracts.delivery import Record
from contracts.ports import Records

PAGE = 200


async def all_records(
    store: Records, collection: str, *, at: datetime, prefix: str = "", after: str = ""
) -> AsyncIterator[Record]:
    """Yield the records with this key prefix after the key `after`, in the order of their keys.

    Raises:
        StoreUnavailableError: it cannot be read now.
    """
    after = after or prefix
    while page := await store.page(collection, at=at, after=after, limit=PAGE):
        for record in page:
            if not record.key.startswith(prefix):
                return
            yield record
        if len(page) < PAGE:
            return
        after = page[-1].key
