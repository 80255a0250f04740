"""Invalidation of other processes' caches when flags or experiments change."""

from datetime import datetime

from contracts.delivery import Record
from contracts.errors import StoreUnavailableError
from contracts.ports import Events, LiveEvent, Records
from contracts.values import ConversationId
from observability.logs import logger

log = logger(__name__)

COLLECTION = "flag_news"
# Invalidations travel as a conversation's events do; no conversation has such an id.
CHANNEL = ConversationId("flags:news")


class Invalidation:
    """A stamp in the store that changes with every change of `subject`, and an event for subscribers."""

    def __init__(self, store: Records, events: Events, subject: str) -> None:
        self._store = store
        self._events = events
        self._subject = subject

    async def stamp(self, at: datetime) -> str:
        """Return a text that differs after every change. Raises StoreUnavailableError: it cannot be read now."""
        record = await self._store.get(COLLECTION, self._subject, at=at)
        return str(record.version) if record else ""

    async def tell(self, at: datetime) -> None:
        """Invalidate the other processes' caches; a lost event delays the stored change by minutes at most."""
        try:
            record = await self._store.get(COLLECTION, self._subject, at=at)
            version = record.version if record else 0
            # On a conflict another writer stamped after our change, and its readers see both.
            await self._store.put(Record.of(COLLECTION, self._subject, {}, at=at, version=version))
        except StoreUnavailableError:
            log.warning("flag.untold", kind=self._subject)
        await self._events.publish(CHANNEL, LiveEvent(name=self._subject, data={}))
