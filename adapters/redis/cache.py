"""Redis cache, shared by all processes; `cache.lua` defines its layout."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from redis.exceptions import ResponseError

from adapters.redis.database import PREFIX, Argument, RedisDatabase, Script
from contracts.errors import CacheUnavailableError
from contracts.ports import CacheEntry

SCRIPT = Script.read(Path(__file__).with_suffix(".lua"))
# The number of the layout: releases with different layouts do not read each other's values.
KEYS = f"{PREFIX}answers:1:"
PER_SCOPE = 10_000


class RedisCache:
    """Satisfies the `Cache` port. Belongs in a Redis with eviction; an evicted value is made again."""

    def __init__(self, database: RedisDatabase, *, per_scope: int = PER_SCOPE) -> None:
        self._database = database
        self._per_scope = per_scope

    async def get(self, scope: str, key: str) -> bytes | None:
        try:
            value: bytes | None = await self._database.command(
                "GET", f"{KEYS}v:{scope}:{key}", unavailable=CacheUnavailableError
            )
        except ResponseError:
            # The key has another type: a foreign value, which `put` will replace.
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

    async def drop(self, scope: str, *, prefix: str = "") -> int:
        dropped: int = await self._run("drop", scope, prefix)
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
