"""In-memory cache of flags and experiments, refreshed in the background, and its invalidation by other processes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from contracts.alongside import repeating, running_beside
from contracts.delivery import Record
from contracts.errors import ConfigurationError, StoreUnavailableError, TransientError
from contracts.ports import Events, LiveEvent, Records
from contracts.values import ConversationId
from observability.logs import logger
from observability.metrics import FLAG_REFRESHES

log = logger(__name__)

MAX_AGE = timedelta(minutes=5)
LOOK_EVERY = timedelta(seconds=5)
# A store that takes longer counts as failed; the values read before stay in use.
PATIENCE = timedelta(seconds=2)
COLLECTION = "flag_news"
# Invalidations travel as a conversation's events do; no conversation has such an id.
CHANNEL = ConversationId("flags:news")


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Source(Protocol[T_co]):
    """Source of the cached values, by key. Raises TransientError, ConfigurationError: the values cannot be read now."""

    async def load(self) -> Mapping[str, T_co]: ...

    async def stamp(self) -> str:
        """Return a text that changes whenever the result of `load` may have changed; cheap."""


class Cache(Generic[T]):
    """Stale-while-revalidate cache: a read never waits; a stale value is served once more during the refresh."""

    def __init__(
        self,
        source: Source[T],
        *,
        patience: timedelta = PATIENCE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._patience = patience.total_seconds()
        self._monotonic = monotonic
        self._known: Mapping[str, T] = {}
        self._stamp: str | None = None
        self._too_old_at = float("-inf")
        self._reading = asyncio.Lock()
        self._asked: asyncio.Task[bool] | None = None
        self.is_ready = False

    def get(self, key: str) -> T | None:
        return self.known.get(key)

    @property
    def known(self) -> Mapping[str, T]:
        """All cached values, by key."""
        if self._monotonic() >= self._too_old_at and (self._asked is None or self._asked.done()):
            # Without an event loop there is no refresh in the background.
            with suppress(RuntimeError):
                self._asked = asyncio.get_running_loop().create_task(self.refresh())
        return self._known

    async def look(self) -> bool:
        """Refresh if the source changed or the values are stale; False when that failed and the earlier values stay."""
        return await self.refresh(only_if_changed=True)

    async def refresh(self, *, only_if_changed: bool = False) -> bool:
        """Refresh from the source; False when that failed and the earlier values stay."""
        async with self._reading:
            try:
                async with asyncio.timeout(self._patience):
                    # The stamp is read first: a change between the two reads is found at the next look.
                    stamp, outcome = await self._source.stamp(), "unchanged"
                    is_fresh = self._monotonic() < self._too_old_at and self.is_ready
                    if not only_if_changed or not is_fresh or stamp != self._stamp:
                        self._known, outcome = await self._source.load(), "read"
                        self._stamp, self.is_ready = stamp, True
                        self._too_old_at = self._monotonic() + MAX_AGE.total_seconds()
            except (TransientError, ConfigurationError, TimeoutError) as exc:
                FLAG_REFRESHES.labels(outcome="failed").inc()
                log.warning("flags.not_refreshed", error=type(exc).__name__)
                self._wait_a_while()
                return False
            except Exception as exc:
                FLAG_REFRESHES.labels(outcome="defect").inc()
                log.error("flags.defect", exc_info=exc)
                self._wait_a_while()
                return False
            FLAG_REFRESHES.labels(outcome=outcome).inc()
            return True

    def _wait_a_while(self) -> None:
        """Postpone the next refresh, so that not every evaluation runs into an unavailable source."""
        self._too_old_at = self._monotonic() + min(MAX_AGE.total_seconds(), LOOK_EVERY.total_seconds())

    async def close(self) -> None:
        """Cancel the refresh that is running."""
        if self._asked is not None:
            self._asked.cancel()
            with suppress(asyncio.CancelledError):
                await self._asked


@asynccontextmanager
async def kept_fresh(events: Events, *caches: Cache[Any], every: timedelta = LOOK_EVERY) -> AsyncIterator[None]:
    """Refresh the caches while the context is open: at each invalidation event, and every few seconds regardless.

    Waits for the first refresh, at most as long as a cache's patience.
    """

    async def look() -> None:
        for cache in caches:
            await cache.look()

    async def listen() -> None:
        async with events.subscribe(CHANNEL) as news:
            async for _ in news:
                await look()

    await asyncio.gather(*(cache.refresh() for cache in caches))
    try:
        async with running_beside(repeating(look, every)), running_beside(listen()):
            yield
    finally:
        for cache in caches:
            await cache.close()


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
