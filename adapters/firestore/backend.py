"""Firestore as a backend, with a cache of heads in front of it where `REDIS_CACHE_URL` is set."""

from datetime import timedelta

from adapters.firestore.database import FirestoreDatabase
from adapters.firestore.inbox import FirestoreInbox
from adapters.firestore.store import FirestoreStore
from contracts.backends import Databases
from contracts.ports import Store
from contracts.settings import Settings


async def open_inbox(settings: Settings, databases: Databases) -> FirestoreInbox:
    return FirestoreInbox(_database(settings, databases))


async def open_store(settings: Settings, databases: Databases) -> Store:
    retention = timedelta(days=settings.retention_days)
    store = FirestoreStore(_database(settings, databases), retention=retention)
    if settings.redis_cache_url is None:
        return store
    from adapters.redis.backend import cache_database
    from adapters.redis.cached_store import CachedStore

    return CachedStore(store, cache_database(settings, databases), on_away=databases.on_cache_away)


def _database(settings: Settings, databases: Databases) -> FirestoreDatabase:
    project = settings.google_cloud_project
    assert project is not None  # noqa: S101 - the settings were checked for it
    return databases.once(
        "firestore",
        lambda: FirestoreDatabase(
            project, database=settings.firestore_database, emulator_host=settings.firestore_emulator_host
        ),
        lambda one: one.close,
    )
