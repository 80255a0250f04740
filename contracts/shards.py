"""Records that one process writes whole, again and again: a write whose response was lost is simply repeated."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from contracts.delivery import Record
from contracts.ports import Clock, Records

KEPT_FOR = timedelta(days=400)
# A second attempt meets the record that the first one wrote when its response was lost.
ATTEMPTS = 3


@dataclass
class Shard(ABC):
    """One record of one process; `version` is that of the stored one, 0 before the first write."""

    key: str
    version: int = 0
    is_written: bool = True

    @abstractmethod
    def body(self) -> Mapping[str, Any]:
        """Return a copy: the shard may change while it is being written."""

    def note_saved(self, body: Mapping[str, Any]) -> None:
        """Take note of a write."""
        return

    def note_stored(self, body: Mapping[str, Any] | None) -> None:
        """Take note of what is stored where a write was refused: an earlier write, or a change by another process."""
        return

    async def write(self, store: Records, collection: str, clock: Clock) -> None:
        """Write the shard if it changed. Raises StoreUnavailableError: it waits for the next time."""
        for _ in range(ATTEMPTS):
            if self.is_written:
                return
            at, body = clock.now(), self.body()
            # What is added during the write belongs to the next one.
            self.is_written = True
            try:
                record = Record.of(collection, self.key, body, at=at, version=self.version, kept_for=KEPT_FOR)
                saved = await store.put(record)
                if saved is None:
                    stored = await store.get(collection, self.key, at=at)
                    self.note_stored(stored.body if stored else None)
                    self.version = stored.version if stored else 0
                else:
                    self.note_saved(body)
                    self.version = saved.version
            except BaseException:
                self.is_written = False
                raise
            self.is_written = self.is_written and saved is not None
