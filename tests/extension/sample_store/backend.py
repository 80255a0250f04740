"""What a new backend writes: `open_inbox` and `open_store`, over databases that the process opens once."""

from adapters.sqlite.inbox import SqliteInbox
from adapters.sqlite.store import SqliteStore
from contracts.backends import Databases
from contracts.errors import ConfigurationError
from contracts.settings import Settings
from tests.builders import memory_inbox, memory_store


class Shelf:
    """The sample's database: a place that is opened once and closed with the process."""

    def __init__(self, name: str) -> None:
        if not name.isidentifier():
            raise ConfigurationError(f"PROSA_STORE=scratch:{name}: the name of a shelf is one word")
        self.inbox, self.store, self.is_closed = memory_inbox(), memory_store(), False

    async def close(self) -> None:
        self.is_closed = True


async def open_inbox(settings: Settings, databases: Databases) -> SqliteInbox:
    return _shelf(settings, databases).inbox


async def open_store(settings: Settings, databases: Databases) -> SqliteStore:
    return _shelf(settings, databases).store


def _shelf(settings: Settings, databases: Databases) -> Shelf:
    return databases.once("shelf", lambda: Shelf(settings.store.partition(":")[2]), lambda one: one.close)
