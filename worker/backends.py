"""Inbox, store, events, cache and wake-ups of a process, opened as the settings say."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from pydantic import SecretStr

from adapters.memory.cache import MemoryCache
from adapters.memory.events import MemoryEvents
from adapters.redis.standby_cache import StandbyCache
from contracts.backends import BACKENDS, BackendModule, Databases
from contracts.errors import CacheUnavailableError, ConfigurationError
from contracts.ports import Cache, Events, Inbox, Store, WakeUps
from contracts.settings import Settings
from observability.metrics import ANSWERS_AWAY, CACHE_AWAY, EVENTS_DROPPED, WAKE_UPS_LOST
from observability.tracing import current_traceparent

if TYPE_CHECKING:
    from adapters.redis.database import RedisDatabase

# The libraries of Redis and of Google Cloud are extras, and take long to import: they are loaded where they are used.


@dataclass(frozen=True)
class Backend:
    """Backends that the processes share. `redis` is the inbox's and the broker's."""

    inbox: Inbox
    store: Store
    events: Events
    redis: "RedisDatabase | None" = None


@asynccontextmanager
async def open_backend(settings: Settings, *, refuse_after: timedelta | None = None) -> AsyncIterator[Backend]:
    """Open inbox, store and events; a SQLite file is made when there is none.

    A Redis that has been silent for `refuse_after` is not waited for until it answers again.

    Raises:
        ConfigurationError: the file cannot be made or opened, a library is missing, or in production the inbox's Redis
            is set up so that it could lose messages.
        StoreUnavailableError, InboxUnavailableError: the server did not answer.
    """
    async with AsyncExitStack() as stack:
        databases = Databases(stack, refuse_after, CACHE_AWAY.inc)
        inbox = await _module(settings.inbox_kind).open_inbox(settings, databases)
        store = await _module(settings.store_kind).open_store(settings, databases)
        redis = None
        if "redis" in (settings.inbox_kind, settings.store_kind):
            from adapters.redis.backend import inbox_database

            redis = inbox_database(settings, databases)
        yield Backend(inbox, store, _open_events(settings, databases), redis)


def _module(name: str) -> BackendModule:
    with required(name.capitalize()):
        return cast(BackendModule, import_module(BACKENDS[name].module))


def _open_events(settings: Settings, databases: Databases) -> Events:
    """Open the events between processes; over the cache's Redis, since losing one loses nothing."""
    if settings.engine == "embedded" or (settings.redis_cache_url or settings.redis_url) is None:
        return MemoryEvents()
    with required("Redis"):
        from adapters.redis.backend import cache_database
        from adapters.redis.events import RedisEvents

    events = RedisEvents(cache_database(settings, databases), on_dropped=EVENTS_DROPPED.inc)
    databases.stack.push_async_callback(events.close)
    return events


@contextmanager
def required(what: str, remedy: str = "make engines, or pip install 'prosa[celery,gcp]'") -> Iterator[None]:
    """Import a library that belongs to an extra.

    Raises:
        ConfigurationError: it is not installed; the text says how it comes.
    """
    try:
        yield
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.startswith("adapters"):
            raise
        raise ConfigurationError(f"{what} needs the library {exc.name}: {remedy}") from exc


@asynccontextmanager
async def open_wake_ups(settings: Settings, backend: Backend) -> AsyncIterator[WakeUps]:
    """The sending side of the engine's queue, for a process that does no work itself."""
    if settings.engine == "celery":
        from adapters.redis.celery_queue import CeleryQueue

        assert backend.redis is not None  # noqa: S101 - its inbox is on Redis
        celery = CeleryQueue(backend.redis, on_lost=WAKE_UPS_LOST.inc)
        try:
            yield celery
        finally:
            await celery.close()
        return
    if settings.engine == "cloud_tasks":
        with required("Cloud Tasks"):
            from adapters.google.cloud_tasks import CloudTasksQueue

        queue, url, account = settings.tasks_queue, settings.tasks_url, settings.tasks_service_account
        assert queue is not None and url is not None and account is not None  # noqa: S101, PT018 - they were checked
        tasks = CloudTasksQueue(
            queue,
            url=url,
            service_account_email=account,
            on_lost=WAKE_UPS_LOST.inc,
            audience=settings.tasks_audience,
            emulator_host=settings.tasks_emulator_host,
            headers=lambda: {"traceparent": traceparent} if (traceparent := current_traceparent()) else {},
        )
        try:
            yield tasks
        finally:
            await tasks.close()
        return
    raise ConfigurationError(f"PROSA_ENGINE={settings.engine} has no queue between processes: use prosa run")


@asynccontextmanager
async def open_answers(settings: Settings) -> AsyncIterator[Cache]:
    """Open the cache of answers: in Redis for all processes, in this one's memory while Redis is unavailable.

    Without Redis, in memory alone.
    """
    own = MemoryCache(monotonic=time.monotonic)
    url = settings.redis_cache_url or settings.redis_url
    if url is None:
        yield own
        return
    database = open_redis(url)
    from adapters.redis.cache import RedisCache

    shared = RedisCache(database)
    try:
        with suppress(CacheUnavailableError):
            # Connected now, so that the first question does not take the time of it for absence.
            await shared.get("", "")
        yield StandbyCache(shared, own, monotonic=time.monotonic, on_away=ANSWERS_AWAY.inc)
    finally:
        await database.close()


def open_redis(url: SecretStr, **limits: Any) -> "RedisDatabase":
    """A database that connects when it is first asked.

    Raises:
        ConfigurationError: it is no address of a Redis, or the library is missing.
    """
    with required("Redis"):
        from adapters.redis.database import RedisDatabase

    return RedisDatabase(url.get_secret_value(), **limits)
