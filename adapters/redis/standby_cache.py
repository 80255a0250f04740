"""A process's own cache in the place of the shared one; without Redis's client, as it is loaded where that is not."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from contracts.errors import CacheUnavailableError
from contracts.ports import Cache, CacheEntry

T = TypeVar("T")

PATIENCE = timedelta(milliseconds=50)
REST = timedelta(seconds=1)


@dataclass(eq=False)
class StandbyCache:
    """Satisfies the `Cache` port: `shared` as long as it answers within `patience`, else `own` for a while.

    After a failure the shared cache rests for `rest`, so that not every call waits for it; each call to the own cache
    in that time calls `on_away`. Its values stay in this process: the processes need not agree on reproducible values.
    `sizes` are of the shared one; `drop` drops in both, and fails when that is unavailable, since the values would come
    back with it.
    """

    shared: Cache
    own: Cache
    monotonic: Callable[[], float]
    patience: timedelta = PATIENCE
    rest: timedelta = REST
    on_away: Callable[[], object] = lambda: None
    _away_until: float = float("-inf")

    async def get(self, scope: str, key: str) -> bytes | None:
        return await self._either(self.shared.get, self.own.get, scope, key)

    async def put(self, scope: str, key: str, value: bytes, *, ttl: timedelta) -> int:
        return await self._either(self.shared.put, self.own.put, scope, key, value, ttl=ttl)

    async def entries(self, scope: str, *, after: int = 0, limit: int) -> list[CacheEntry]:
        return await self._either(self.shared.entries, self.own.entries, scope, after=after, limit=limit)

    async def drop(self, scope: str, *, prefix: str = "") -> int:
        await self.own.drop(scope, prefix=prefix)
        return await self.shared.drop(scope, prefix=prefix)

    async def sizes(self) -> dict[str, int]:
        return await self.shared.sizes()

    async def close(self) -> None:
        await self.shared.close()
        await self.own.close()

    async def _either(
        self, shared: Callable[..., Awaitable[T]], own: Callable[..., Awaitable[T]], *args: object, **options: object
    ) -> T:
        if self.monotonic() >= self._away_until:
            try:
                async with asyncio.timeout(self.patience.total_seconds()):
                    return await shared(*args, **options)
            except (CacheUnavailableError, TimeoutError):
                self._away_until = self.monotonic() + self.rest.total_seconds()
        self.on_away()
        return await own(*args, **options)
