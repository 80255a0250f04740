"""`prosa conversations migrate`: resolution of both stores, and the progress between them."""

from collections import Counter

from rich.progress import MofNCompleteColumn, Progress, TextColumn

from adapters.clock import SystemClock
from cli.output import console
from contracts.backends import backends_of
from contracts.errors import ConfigurationError
from contracts.paging import all_conversations
from contracts.settings import Settings, checked
from worker.backends import open_backend
from worker.migration.conversations import Migration, Moved, Place
from worker.migration.everything import copy_records


async def run_migration(settings: Settings, source: str, target: str, *, cut_over: bool, quiet: bool) -> dict[str, int]:
    """Migrate everything; return the number of conversations by outcome, and the number of other records.

    Raises:
        ConfigurationError: a place is not known, or both are the same one.
    """
    here, there = settings_of(settings, source), settings_of(settings, target)
    if (here.store_kind, here.store_path) == (there.store_kind, there.store_path):
        raise ConfigurationError(f"FROM and TO are the same store: {source}")
    shares_inbox = here.inbox_kind == there.inbox_kind != "sqlite"
    counts = Counter[str]({moved.value: 0 for moved in Moved})
    counts.update(
        {f"records {moved.value}": 0 for moved in (Moved.COPIED, Moved.UNCHANGED, Moved.AHEAD, Moved.DIFFERENT)}
    )
    async with open_backend(here) as first, open_backend(there) as second:
        migration = Migration(Place(source, first), Place(target, second), shares_inbox)
        columns = (TextColumn("{task.description}"), MofNCompleteColumn())
        with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
            line = progress.add_task("conversations", total=None)
            async for head in all_conversations(first.store.conversations):
                work = migration.cut_over if cut_over else migration.copy
                counts[(await work(head.id)).value] += 1
                progress.advance(line)
            line = progress.add_task("records", total=None)
            async for moved in copy_records(first.store.records, second.store.records, at=SystemClock().now()):
                counts[f"records {moved.value}"] += 1
                progress.advance(line)
    return dict(counts)


def settings_of(settings: Settings, store: str) -> Settings:
    """Return the settings with that store and its inbox: the engine's own, where it can use the store."""
    kind = store.partition(":")[0]
    engine = settings.engine if kind in backends_of(settings.engine) else "embedded"
    return checked(settings.model_copy(update={"engine": engine}), PROSA_STORE=store)
