"""The cache in Redis, shared by all processes; `cache.lua` beside it says how it is laid out."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from redis.exceptions import ResponseError

from adapters.redis.database import PREFIX, Argument, RedisDatabase, Script
from contracts.errors import CacheUnavailableError
from contracts.ports import CacheEntry

SCRIPT = Script.read(Path(__file__).with_suffix(".lua"))
# The number is that of the layout: a release with another one neither reads nor breaks what this one keeps.
KEYS = f"{PREFIX}answers:1:"
PER_SCOPE = 10_000


class RedisCache:
    """Satisfies the `Cache` port. Belongs in the Redis that may evict; what is evicted is only had again."""

    def __init__(self, database: RedisDatabase, *, per_scope: int = PER_SCOPE) -> None:
        self._database = database
        self._per_scope = per_scope

    async def get(self, scope: str, key: str) -> bytes | None:
        try:
            value: bytes | None = await self._database.command(
                "GET", f"{KEYS}v:{scope}:{key}", unavailable=CacheUnavailableError
            )
        except ResponseError:
            # Something of another type stands there: not ours, and `put` will replace it.
            return None
        return value

    async def put(self, scope: str, key: str, value: bytes, *, ttl: timedelta) -> int:
        keep_ms = max(1, round(ttl / timedelta(milliseconds=1)))
        size: int = await self._run("put", scope, key, value, keep_ms, self._per_scope)
        return size

    async def entries(self, scope: str, *, after: int = 0, limit: int) -> list[CacheEntry]:
        flat = await self._run("entries", scope, after, limit)
        triples = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
        return [CacheEntry(number=int(float(number)), key=key.decode(), value=value) for number, key, value in triples]

    async def drop(self, scope: str) -> int:
        dropped: int = await self._run("drop", scope)
        return dropped

    async def sizes(self) -> dict[str, int]:
        scopes = await self._database.command("SMEMBERS", f"{KEYS}scopes", unavailable=CacheUnavailableError)
        names = sorted(scope.decode() for scope in scopes)
        sizes = await asyncio.gather(*(self._run("size", name) for name in names))
        return {name: size for name, size in zip(names, sizes, strict=True) if size}

    async def close(self) -> None:
        return

    async def _run(self, what: str, scope: str, *arguments: Argument) -> Any:
        return await self._database.run(SCRIPT, KEYS, what, scope, *arguments, unavailable=CacheUnavailableError)
