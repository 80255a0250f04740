"""Redis as a backend, with its two roles: inbox and broker (`REDIS_URL`), and cache (`REDIS_CACHE_URL`)."""

from adapters.redis.database import RedisDatabase
from adapters.redis.inbox import RedisInbox
from adapters.redis.store import RedisStore
from contracts.backends import Databases
from contracts.errors import ConfigurationError
from contracts.settings import Settings


async def open_inbox(settings: Settings, databases: Databases) -> RedisInbox:
    database = inbox_database(settings, databases)
    if settings.is_production and (problems := await database.problems()):
        raise ConfigurationError(f"REDIS_URL must not hold messages: {'; '.join(problems)}")
    return RedisInbox(database)


async def open_store(settings: Settings, databases: Databases) -> RedisStore:
    return RedisStore(inbox_database(settings, databases))


def inbox_database(settings: Settings, databases: Databases) -> RedisDatabase:
    url = settings.redis_url
    assert url is not None  # noqa: S101 - the settings were checked for it
    return databases.once(
        "redis",
        lambda: RedisDatabase(url.get_secret_value(), refuse_after=databases.refuse_after),
        lambda one: one.close,
    )


def cache_database(settings: Settings, databases: Databases) -> RedisDatabase:
    """Return the cache's Redis; without one of its own, as in development, the inbox's."""
    url = settings.redis_cache_url
    if url is None:
        return inbox_database(settings, databases)
    return databases.once(
        "redis cache",
        lambda: RedisDatabase(url.get_secret_value(), refuse_after=databases.refuse_after),
        lambda one: one.close,
    )
