"""Invalidation of other processes' caches when flags or experiments change."""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Invalidation:
    """A stamp in the store that changes with every change of `subject`, and an event for subscribers."""

    store: Records
    events: Events
    subject: str

    async def stamp(self, at: datetime) -> str:
        """Return a text that differs after every change. Raises StoreUnavailableError: it cannot be read now."""
        record = await self.store.get(COLLECTION, self.subject, at=at)
        return str(record.version) if record else ""

    async def tell(self, at: datetime) -> None:
        """Invalidate the other processes' caches; a lost event delays the stored change by minutes at most."""
        try:
            record = await self.store.get(COLLECTION, self.subject, at=at)
            version = record.version if record else 0
            # On a conflict another writer stamped after our change, and its readers see both.
            await self.store.put(Record.of(COLLECTION, self.subject, {}, at=at, version=version))
        except StoreUnavailableError:
            log.warning("flag.untold", kind=self.subject)
        await self.events.publish(CHANNEL, LiveEvent(name=self.subject, data={}))
