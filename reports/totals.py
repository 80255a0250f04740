"""What a process adds up, written to records of its own: one for each hour and kind, always the whole sum of it.

No two processes write the same record, so a write whose answer got lost is simply written again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from contracts.delivery import Record
from contracts.ports import Clock, Records

KEPT_FOR = timedelta(days=400)
# The second attempt finds a record that the first one has written without our hearing of it.
ATTEMPTS = 3


class Page(Protocol):
    """A sum that can be written down whole."""

    def body(self) -> Mapping[str, Any]: ...


P = TypeVar("P", bound=Page)


class _Drawer(NamedTuple):
    """Where an amount goes: the hour it belongs to, in UTC, and its kind."""

    hour: datetime
    kind: str


@dataclass
class _Shard(Generic[P]):
    """What this process has booked in one hour; `version` is that of the record, 0 before the first write."""

    key: str
    page: P
    version: int = 0
    is_written: bool = True


class Shards(Generic[P]):
    """The sums of one process in one collection. `key` makes a record's key of the hour, the kind and a writer's name
    that is new for each drawer."""

    def __init__(
        self,
        store: Records,
        collection: str,
        *,
        empty: Callable[[], P],
        key: Callable[[datetime, str, str], str],
        writer: str,
        clock: Clock,
    ) -> None:
        self._store = store
        self._collection = collection
        self._empty = empty
        self._key = key
        self._writer = writer
        self._clock = clock
        self._shards: dict[_Drawer, _Shard[P]] = {}
        self._opened = 0

    def page(self, at: datetime, kind: str) -> P:
        """The page to add to, of the hour of `at`; it is written at the next flush."""
        drawer = _Drawer(_hour(at), kind)
        shard = self._shards.get(drawer)
        if shard is None:
            # A drawer that is opened again after it was forgotten is another shard.
            self._opened += 1
            key = self._key(drawer.hour, kind, f"{self._writer}-{self._opened}")
            self._shards[drawer] = shard = _Shard(key, self._empty())
        shard.is_written = False
        return shard.page

    async def flush(self) -> None:
        """Write every shard that has changed, and forget those of hours that are over; not twice at the same time.

        Raises:
            StoreUnavailableError: some of it waits for the next time.
        """
        for drawer, shard in list(self._shards.items()):
            await self._write(shard)
            if shard.is_written and drawer.hour < _hour(self._clock.now()) - timedelta(hours=1):
                del self._shards[drawer]

    async def _write(self, shard: _Shard[P]) -> None:
        for _ in range(ATTEMPTS):
            if shard.is_written:
                return
            at = self._clock.now()
            record = Record(
                collection=self._collection,
                key=shard.key,
                version=shard.version,
                body=dict(shard.page.body()),
                expires_at=at + KEPT_FOR,
                updated_at=at,
            )
            # What is booked while we wait is for the next write.
            shard.is_written = True
            try:
                saved = await self._store.put(record)
                if saved is None:
                    stored = await self._store.get(self._collection, shard.key, at=at)
                    shard.version = stored.version if stored else 0
                else:
                    shard.version = saved.version
            except BaseException:
                shard.is_written = False
                raise
            shard.is_written = shard.is_written and saved is not None


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
