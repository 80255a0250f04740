"""SQLite as a backend: inbox and store in one file, which is made when there is none."""

from adapters.sqlite.database import Database
from adapters.sqlite.inbox import SqliteInbox, prepare_inbox
from adapters.sqlite.store import SqliteStore, prepare_store
from contracts.backends import Databases
from contracts.errors import ConfigurationError
from contracts.settings import Settings


async def open_inbox(settings: Settings, databases: Databases) -> SqliteInbox:
    return SqliteInbox(_database(settings, databases))


async def open_store(settings: Settings, databases: Databases) -> SqliteStore:
    return SqliteStore(_database(settings, databases))


def _database(settings: Settings, databases: Databases) -> Database:
    folder = settings.store_path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigurationError(f"{folder} cannot be made ({exc.strerror}): set PROSA_DATA_DIR") from exc

    async def close(database: Database) -> None:
        database.close()

    def open_file() -> Database:
        return Database(settings.store_path, prepare_inbox, prepare_store)

    return databases.once("sqlite", open_file, lambda one: lambda: close(one))
