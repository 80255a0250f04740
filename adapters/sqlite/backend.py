"""SQLite as a backend: inbox and store in one file, which is made when there is none."""

from adapters.sqlite.database import Database
from adapters.sqlite.inbox import SqliteInbox
from adapters.sqlite.store import SqliteStore
from contracts.backends import Databases
from contracts.errors import ConfigurationError
from contracts.settings import Settings


async def open_inbox(settings: Settings, databases: Databases) -> SqliteInbox:
    inbox = SqliteInbox(_database(settings, databases))
    await inbox.prepare()
    return inbox


async def open_store(settings: Settings, databases: Databases) -> SqliteStore:
    store = SqliteStore(_database(settings, databases))
    await store.prepare()
    return store


def _database(settings: Settings, databases: Databases) -> Database:
    folder = settings.store_path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigurationError(f"{folder} cannot be made ({exc.strerror}): set PROSA_DATA_DIR") from exc

    async def close(database: Database) -> None:
        database.close()

    return databases.once("sqlite", lambda: Database(settings.store_path), lambda one: lambda: close(one))
