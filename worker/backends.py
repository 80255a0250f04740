"""Inbox, store, events, cache and wake-ups of a process, opened as the settings say."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from adapters.memory.cache import MemoryCache
from adapters.memory.events import MemoryEvents
from adapters.redis.standby_cache import StandbyCache
from adapters.sqlite.database import Database
from adapters.sqlite.inbox import SqliteInbox
from adapters.sqlite.store import SqliteStore
from contracts.errors import CacheUnavailableError, ConfigurationError
from contracts.ports import Cache, Events, Inbox, Store, WakeUps
from contracts.settings import Settings
from observability.metrics import ANSWERS_AWAY, CACHE_AWAY, EVENTS_DROPPED, WAKE_UPS_LOST
from observability.tracing import current_traceparent

if TYPE_CHECKING:
    from adapters.firestore.database import FirestoreDatabase
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
        databases = _Databases(settings, stack, refuse_after)
        if settings.store_kind == "sqlite":
            inbox, store = await _open_sqlite(settings, stack)
        else:
            inbox, store = await _open_inbox(settings, databases), _open_store(settings, databases)
        yield Backend(inbox, store, _open_events(settings, databases, stack), databases.opened_redis)


async def _open_sqlite(settings: Settings, stack: AsyncExitStack) -> tuple[Inbox, Store]:
    folder = settings.store_path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigurationError(f"{folder} cannot be made ({exc.strerror}): set PROSA_DATA_DIR") from exc
    database = Database(settings.store_path)
    stack.callback(database.close)
    inbox, store = SqliteInbox(database), SqliteStore(database)
    await inbox.prepare()
    await store.prepare()
    return inbox, store


async def _open_inbox(settings: Settings, databases: "_Databases") -> Inbox:
    if settings.inbox_kind == "redis":
        with required("Redis"):
            from adapters.redis.inbox import RedisInbox

        database = databases.redis()
        if settings.is_production and (problems := await database.problems()):
            raise ConfigurationError(f"REDIS_URL must not hold messages: {'; '.join(problems)}")
        return RedisInbox(database)
    with required("Firestore"):
        from adapters.firestore.inbox import FirestoreInbox

    return FirestoreInbox(databases.firestore())


def _open_store(settings: Settings, databases: "_Databases") -> Store:
    if settings.store_kind == "redis":
        with required("Redis"):
            from adapters.redis.store import RedisStore

        return RedisStore(databases.redis())
    with required("Firestore"):
        from adapters.firestore.store import FirestoreStore

    store = FirestoreStore(databases.firestore(), retention=timedelta(days=settings.retention_days))
    if settings.redis_cache_url is None:
        return store
    from adapters.redis.cached_store import CachedStore

    return CachedStore(store, databases.cache_redis(), on_away=CACHE_AWAY.inc)


def _open_events(settings: Settings, databases: "_Databases", stack: AsyncExitStack) -> Events:
    """Open the news between processes; over the cache's Redis, since losing one loses nothing."""
    if settings.engine == "embedded" or (settings.redis_cache_url or settings.redis_url) is None:
        return MemoryEvents()
    with required("Redis"):
        from adapters.redis.events import RedisEvents

    events = RedisEvents(databases.cache_redis(), on_dropped=EVENTS_DROPPED.inc)
    stack.push_async_callback(events.close)
    return events


class _Databases:
    """Databases of one process, each opened once, however many adapters use it; the stack closes them."""

    def __init__(self, settings: Settings, stack: AsyncExitStack, refuse_after: timedelta | None) -> None:
        self._settings = settings
        self._stack = stack
        self._refuse_after = refuse_after
        self.opened_redis: RedisDatabase | None = None
        self._cache: RedisDatabase | None = None
        self._firestore: FirestoreDatabase | None = None

    def redis(self) -> "RedisDatabase":
        if self.opened_redis is None:
            self.opened_redis = self._open_redis(self._settings.redis_url)
        return self.opened_redis

    def cache_redis(self) -> "RedisDatabase":
        """Return the cache's Redis; without one of its own, as in development, the inbox's."""
        if self._settings.redis_cache_url is None:
            return self.redis()
        if self._cache is None:
            self._cache = self._open_redis(self._settings.redis_cache_url)
        return self._cache

    def firestore(self) -> "FirestoreDatabase":
        from adapters.firestore.database import FirestoreDatabase

        if self._firestore is None:
            assert self._settings.google_cloud_project is not None  # noqa: S101 - the settings were checked for it
            self._firestore = FirestoreDatabase(
                self._settings.google_cloud_project,
                database=self._settings.firestore_database,
                emulator_host=self._settings.firestore_emulator_host,
            )
            self._stack.push_async_callback(self._firestore.close)
        return self._firestore

    def _open_redis(self, url: SecretStr | None) -> "RedisDatabase":
        assert url is not None  # noqa: S101 - the settings were checked for it
        database = open_redis(url, refuse_after=self._refuse_after)
        self._stack.push_async_callback(database.close)
        return database


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
