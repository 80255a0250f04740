"""In-memory cache: bounded, with eviction of the least recently used value."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from contracts.ports import CacheEntry

MOST_ENTRIES = 50_000
MOST_BYTES = 64 * 1024 * 1024
# Overhead of a value in addition to its bytes: its keys, numbers, and places in two dictionaries.
OVERHEAD_BYTES = 400


@dataclass(slots=True)
class _Kept:
    value: bytes
    number: int
    expires: float

    def size(self, scope: str, key: str) -> int:
        return len(self.value) + len(scope) + len(key) + OVERHEAD_BYTES


class MemoryCache:
    """Satisfies the `Cache` port. `monotonic` gives seconds; `per_scope` bounds a scope, the others the whole cache."""

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        entries: int = MOST_ENTRIES,
        size_bytes: int = MOST_BYTES,
        per_scope: int = 10_000,
    ) -> None:
        self._monotonic = monotonic
        self._most_entries = entries
        self._most_bytes = size_bytes
        self._per_scope = per_scope
        self._by_use: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        # The keys of each scope, in insertion order.
        self._scopes: dict[str, OrderedDict[str, None]] = {}
        self._last_number = 0
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._by_use)

    async def get(self, scope: str, key: str) -> bytes | None:
        kept = self._live(scope, key)
        if kept is None:
            return None
        self._by_use.move_to_end((scope, key))
        return kept.value

    async def put(self, scope: str, key: str, value: bytes, *, ttl: timedelta) -> int:
        self._forget(scope, key)
        self._last_number += 1
        kept = _Kept(value, self._last_number, self._monotonic() + ttl.total_seconds())
        if kept.size(scope, key) > self._most_bytes:
            return self._size(scope)
        self._by_use[scope, key] = kept
        self._scopes.setdefault(scope, OrderedDict())[key] = None
        self.size_bytes += kept.size(scope, key)
        while self._size(scope) > self._per_scope:
            self._forget(scope, next(iter(self._scopes[scope])))
        while len(self._by_use) > self._most_entries or self.size_bytes > self._most_bytes:
            self._forget(*next(iter(self._by_use)))
        return self._size(scope)

    async def entries(self, scope: str, *, after: int = 0, limit: int) -> list[CacheEntry]:
        found: list[CacheEntry] = []
        for key in list(self._scopes.get(scope, ())):
            kept = self._live(scope, key)
            if kept is not None and kept.number > after:
                found.append(CacheEntry(number=kept.number, key=key, value=kept.value))
            if len(found) == limit:
                break
        return found

    async def drop(self, scope: str, *, prefix: str = "") -> int:
        keys = [key for key in self._scopes.get(scope, ()) if key.startswith(prefix)]
        live = [key for key in keys if self._live(scope, key)]
        for key in live:
            self._forget(scope, key)
        return len(live)

    async def sizes(self) -> dict[str, int]:
        for scope, key in list(self._by_use):
            self._live(scope, key)
        return {scope: len(keys) for scope, keys in self._scopes.items()}

    async def close(self) -> None:
        return

    def _live(self, scope: str, key: str) -> _Kept | None:
        kept = self._by_use.get((scope, key))
        if kept is not None and kept.expires <= self._monotonic():
            self._forget(scope, key)
            return None
        return kept

    def _forget(self, scope: str, key: str) -> None:
        kept = self._by_use.pop((scope, key), None)
        if kept is None:
            return
        self.size_bytes -= kept.size(scope, key)
        del self._scopes[scope][key]
        if not self._scopes[scope]:
            del self._scopes[scope]

    def _size(self, scope: str) -> int:
        return len(self._scopes.get(scope, ()))
