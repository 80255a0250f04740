"""Publication of the institution's documents, rollback to an earlier version, and the one a process works with."""

from datetime import datetime
from pathlib import Path

from context.loader import load_institution
from contracts.delivery import Record
from contracts.institution import Institution
from contracts.ports import Store

ROLLBACK = ("institutions", "rollback")


async def publish(store: Store, institution: Institution, *, at: datetime) -> Institution:
    """Publish what a process read in its folder, and return the version in force.

    That is an earlier one where a rollback replaced what was read. Documents that it did not replace end it.

    Raises:
        StoreUnavailableError: nothing is known of a rollback, or nothing was published.
    """
    rollback = await store.records.get(*ROLLBACK, at=at)
    if rollback and institution.version in rollback.body["replaced"]:
        institution = await store.institutions.get(rollback.body["version"]) or institution
    elif rollback and institution.version != rollback.body["version"]:
        await store.records.drop(*ROLLBACK)
    await store.institutions.publish(institution, at=at)
    return institution


async def roll_back(store: Store, version: str, *, at: datetime) -> Institution | None:
    """Publish an earlier version in the place of the current one and of those rolled back before; None: there is none.

    Raises:
        StoreUnavailableError: run it again.
    """
    chosen, current = await store.institutions.get(version), await store.institutions.current()
    if chosen is None or current is None:
        return None
    rollback = await store.records.get(*ROLLBACK, at=at)
    replaced = {current.version, *(rollback.body["replaced"] if rollback else ())} - {version}
    body = {"version": version, "replaced": sorted(replaced)}
    collection, key = ROLLBACK
    stored = rollback.version if rollback else 0
    if not await store.records.put(Record(collection=collection, key=key, version=stored, body=body, updated_at=at)):
        return await roll_back(store, version, at=at)  # Another one was written at the same time.
    await store.institutions.publish(chosen, at=at)
    return chosen


class InstitutionSource:
    """Holds what was loaded last; documents that do not hold what they must leave it as it was."""

    def __init__(self, folder: Path) -> None:
        """Load the documents. Raises InstitutionError: the documents have problems."""
        self._folder = folder
        self._current = load_institution(folder)

    @property
    def current(self) -> Institution:
        return self._current

    def reload(self) -> Institution:
        """Read the documents again and return what they say now.

        Raises:
            InstitutionError: the documents have problems; `current` stays what it was.
        """
        self._current = load_institution(self._folder)
        return self._current
