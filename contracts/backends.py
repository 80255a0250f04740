"""Registry of backends that keep messages and conversations: one line each.

A backend's module has `open_inbox(settings, databases)` and `open_store(settings, databases)`. It is imported when a
process uses it, since its libraries are an extra. Of several backends that an engine may use, the first is its default.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple, Protocol, TypeVar

from contracts.ports import Inbox, Store

T = TypeVar("T")


class BackendEntry(NamedTuple):
    """Module of a backend, the engines that may use it, the settings it needs, and the form of its `PROSA_STORE`."""

    module: str
    engines: tuple[str, ...]
    needs: tuple[str, ...] = ()
    form: str = ""


BACKENDS: dict[str, BackendEntry] = {
    "sqlite": BackendEntry("adapters.sqlite.backend", ("embedded",), form="sqlite:PATH"),
    "redis": BackendEntry("adapters.redis.backend", ("embedded", "celery"), needs=("REDIS_URL",)),
    "firestore": BackendEntry(
        "adapters.firestore.backend", ("embedded", "celery", "cloud_tasks"), needs=("GOOGLE_CLOUD_PROJECT",)
    ),
}


def backends_of(engine: str) -> list[str]:
    return [name for name, entry in BACKENDS.items() if engine in entry.engines]


@dataclass
class Databases:
    """Databases of one process, each opened once, however many adapters use it.

    What has to be closed goes on `stack`. A server that has been silent for `refuse_after` is refused at once until it
    answers again. `on_cache_away` is called when a cache in front of a store does not answer.
    """

    stack: AsyncExitStack
    refuse_after: timedelta | None = None
    on_cache_away: Callable[[], object] = bool
    _opened: dict[str, Any] = field(default_factory=dict)

    def once(self, name: str, open_database: Callable[[], T], close: Callable[[T], Callable[[], Awaitable[None]]]) -> T:
        """Return the database of that name; the first caller opens it."""
        if name not in self._opened:
            self._opened[name] = database = open_database()
            self.stack.push_async_callback(close(database))
        opened: T = self._opened[name]
        return opened


class BackendModule(Protocol):
    async def open_inbox(self, settings: Any, databases: Databases) -> Inbox:
        """Open the inbox.

        Raises:
            ConfigurationError: the backend is set up so that it could lose messages, or its file cannot be made.
        """

    async def open_store(self, settings: Any, databases: Databases) -> Store: ...
