"""How processes learn that flags or experiments were changed."""

from datetime import datetime

from contracts.delivery import Record
from contracts.errors import StoreUnavailableError
from contracts.ports import Events, LiveEvent, Records
from contracts.values import ConversationId
from observability.logs import logger

log = logger(__name__)

COLLECTION = "flag_news"
# News travel as those of a conversation do; no conversation has such an id.
CHANNEL = ConversationId("flags:news")


class Invalidation:
    """A stamp in the store that changes with every change of `subject`, and a word to those who listen."""

    def __init__(self, store: Records, events: Events, subject: str) -> None:
        self._store = store
        self._events = events
        self._subject = subject

    async def stamp(self, at: datetime) -> str:
        """Another text after every change.

        Raises:
            StoreUnavailableError: it cannot be read now.
        """
        record = await self._store.get(COLLECTION, self._subject, at=at)
        return str(record.version) if record else ""

    async def tell(self, at: datetime) -> None:
        """Have the others read again. The change holds already: who is not told finds it minutes later."""
        try:
            record = await self._store.get(COLLECTION, self._subject, at=at)
            version = record.version if record else 0
            # Where somebody else came first, they did so after our change, and those whom they tell see it too.
            await self._store.put(
                Record(collection=COLLECTION, key=self._subject, version=version, body={}, updated_at=at)
            )
        except StoreUnavailableError:
            log.warning("flag.untold", kind=self._subject)
        await self._events.publish(CHANNEL, LiveEvent(name=self._subject, data={}))
