"""Fallback from the shared cache to an in-process one."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from contracts.errors import CacheUnavailableError
from contracts.ports import Cache, CacheEntry

T = TypeVar("T")

PATIENCE = timedelta(milliseconds=50)
REST = timedelta(seconds=1)


class StandbyCache:
    """Satisfies the `Cache` port: `shared` as long as it answers within `patience`, else `own` for a while.

    After a failure the shared cache rests for `rest`, so that not every call waits for it; each call to the own cache
    in that time calls `on_away`. Its values stay in this process: the processes need not agree on reproducible values.
    `sizes` are of the shared one; `drop` drops in both, and fails when that is unavailable, since the values would come
    back with it.
    """

    def __init__(
        self,
        shared: Cache,
        own: Cache,
        *,
        monotonic: Callable[[], float],
        patience: timedelta = PATIENCE,
        rest: timedelta = REST,
        on_away: Callable[[], object] = lambda: None,
    ) -> None:
        self._shared = shared
        self._own = own
        self._monotonic = monotonic
        self._patience = patience.total_seconds()
        self._rest = rest.total_seconds()
        self._on_away = on_away
        self._away_until = float("-inf")

    async def get(self, scope: str, key: str) -> bytes | None:
        return await self._either(self._shared.get, self._own.get, scope, key)

    async def put(self, scope: str, key: str, value: bytes, *, ttl: timedelta) -> int:
        return await self._either(self._shared.put, self._own.put, scope, key, value, ttl=ttl)

    async def entries(self, scope: str, *, after: int = 0, limit: int) -> list[CacheEntry]:
        return await self._either(self._shared.entries, self._own.entries, scope, after=after, limit=limit)

    async def drop(self, scope: str, *, prefix: str = "") -> int:
        await self._own.drop(scope, prefix=prefix)
        return await self._shared.drop(scope, prefix=prefix)

    async def sizes(self) -> dict[str, int]:
        return await self._shared.sizes()

    async def close(self) -> None:
        await self._shared.close()
        await self._own.close()

    async def _either(
        self, shared: Callable[..., Awaitable[T]], own: Callable[..., Awaitable[T]], *args: object, **options: object
    ) -> T:
        if self._monotonic() >= self._away_until:
            try:
                async with asyncio.timeout(self._patience):
                    return await shared(*args, **options)
            except (CacheUnavailableError, TimeoutError):
                self._away_until = self._monotonic() + self._rest
        self._on_away()
        return await own(*args, **options)
