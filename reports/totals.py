"""Sums of one process, in records of its own: one for each hour and kind, always the whole sum.

No two processes write the same record, so a write whose response was lost is simply repeated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from contracts.delivery import Record
from contracts.ports import Clock, Records

KEPT_FOR = timedelta(days=400)
# A second attempt meets the record that the first one wrote when its response was lost.
ATTEMPTS = 3


class Page(Protocol):
    """A sum that is serialised as a whole."""

    def body(self) -> Mapping[str, Any]: ...


P = TypeVar("P", bound=Page)


@dataclass
class _Shard(Generic[P]):
    """This process's sums of one hour; `version` is the record's, 0 before the first write."""

    key: str
    page: P
    version: int = 0
    is_written: bool = True


class Shards(Generic[P]):
    """The sums of one process in one collection; `key` makes a key of hour, kind and the unique name of a shard."""

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
        # By hour (UTC) and kind.
        self._shards: dict[tuple[datetime, str], _Shard[P]] = {}
        self._opened = 0

    def page(self, at: datetime, kind: str) -> P:
        """Return the page of the hour of `at`, to add to; the next flush writes it."""
        hour = _hour(at)
        shard = self._shards.get((hour, kind))
        if shard is None:
            # A shard opened again after its release is a new shard.
            self._opened += 1
            key = self._key(hour, kind, f"{self._writer}-{self._opened}")
            self._shards[hour, kind] = shard = _Shard(key, self._empty())
        shard.is_written = False
        return shard.page

    async def flush(self) -> None:
        """Write every changed shard, and release those of past hours; never twice at the same time.

        Raises:
            StoreUnavailableError: some of it waits for the next time.
        """
        for (hour, kind), shard in list(self._shards.items()):
            await self._write(shard)
            if shard.is_written and hour < _hour(self._clock.now()) - timedelta(hours=1):
                del self._shards[hour, kind]

    async def _write(self, shard: _Shard[P]) -> None:
        for _ in range(ATTEMPTS):
            if shard.is_written:
                return
            at = self._clock.now()
            body, version = shard.page.body(), shard.version
            record = Record.of(self._collection, shard.key, body, at=at, version=version, kept_for=KEPT_FOR)
            # Amounts booked during the write belong to the next one.
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
