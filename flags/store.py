"""Store of flags with their history: every change has an author, a reason and a content, and can be rolled back."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from contracts.delivery import Record
from contracts.errors import ChangeRefusedError
from contracts.paging import all_records
from contracts.ports import Clock, Events, Records
from contracts.values import Instant, Kept, Value
from flags.cache import Invalidation
from flags.definitions import IGNORED_PERCENTAGE, Flag, Line, Percentage, Status, difference, plain
from flags.evaluation import CompiledFlag
from observability.logs import logger

log = logger(__name__)

FLAGS, OLDER = "flags", "flag_changes"


class Change(Kept):
    """An entry of a flag's history. `flag` is the definition from then on, None after a deletion.

    Revisions of a key count from 1 and continue after a deletion. `restores` is the revision that a rollback restored.
    """

    key: str
    revision: int
    flag: Flag | None
    author: Line
    reason: Line
    at: Instant
    restores: int | None = None


class FlagEdit(Value):
    """A change by a person: status and share, or the revision to `restore`. `revision` is the one that they saw."""

    status: Status | None = None
    percentage: Percentage | None = None
    restore: Annotated[int, Field(ge=1)] | None = None
    reason: Line
    revision: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if (self.status is None) == (self.restore is None):
            raise ValueError("give status, with percentage where it has one, or restore")
        return self


def changed(before: Flag | None, after: Flag | None) -> list[str]:
    """List the differences that a change made, one line each."""
    return difference(plain(before) if before else {}, plain(after) if after else {})


class FlagStore:
    """Repository of flags and their history.

    The flag's own record holds its newest change, so that a change and its history entry are one write; before it is
    replaced it is copied to the older ones.

    Raises:
        StoreUnavailableError: from every method.
    """

    def __init__(self, store: Records, events: Events, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._invalidation = Invalidation(store, events, FLAGS)

    async def load(self) -> Mapping[str, CompiledFlag]:
        """Return all flags, compiled. A flag that this release cannot read is skipped, and logged as an error."""
        compiled = {}
        async for record in all_records(self._store, FLAGS, at=self._clock.now()):
            if (change := _read(record)) is not None and change.flag is not None:
                compiled[change.key] = CompiledFlag(change.flag, change.revision)
        return compiled

    async def stamp(self) -> str:
        """Return a text that differs after every change of a flag."""
        return await self._invalidation.stamp(self._clock.now())

    async def unreadable(self) -> list[str]:
        """Return the keys of the flags that this release cannot read."""
        return [
            record.key async for record in all_records(self._store, FLAGS, at=self._clock.now()) if not _read(record)
        ]

    async def flags(self) -> list[Flag]:
        return [compiled.flag for compiled in (await self.load()).values()]

    async def newest(self, key: str) -> Change | None:
        """Return the last change of the flag; after a deletion its `flag` is None."""
        record = await self._store.get(FLAGS, key, at=self._clock.now())
        return Change.model_validate(record.body) if record else None

    async def history(self, key: str) -> list[Change]:
        """Return the flag's changes, oldest first."""
        record = await self._store.get(FLAGS, key, at=self._clock.now())
        if record is None:
            return []
        older = all_records(self._store, OLDER, at=self._clock.now(), prefix=f"{key}/")
        newest = Change.model_validate(record.body)
        kept = [Change.model_validate(one.body) async for one in older]
        return [*(change for change in kept if change.revision < newest.revision), newest]

    async def put(self, flag: Flag, *, author: str, reason: str, expected: int) -> Change:
        """Store `flag` if the newest revision is still `expected` (0: there was none).

        Raises:
            ChangeRefusedError: the flag changed since it was read, nothing would change, or it has a percentage that
                its status ignores.
        """
        if flag.ignores_percentage:
            raise ChangeRefusedError(f"{flag.key}: {IGNORED_PERCENTAGE}")
        return await self._change(flag.key, flag, author=author, reason=reason, expected=expected)

    async def edit(self, key: str, edit: FlagEdit, *, author: str) -> Change:
        """Store what a person changed of a flag.

        Raises:
            ChangeRefusedError: as `put`, or there is no such flag or revision.
            ValidationError: the flag does not hold together.
        """
        by = {"author": author, "reason": edit.reason}
        if edit.restore is not None:
            return await self.roll_back(key, edit.restore, expected=edit.revision, **by)
        newest = await self.newest(key)
        if newest is None or newest.flag is None:
            raise ChangeRefusedError(f"there is no flag {key}")
        share = None if edit.status is Status.ENABLED else edit.percentage
        flag = Flag.model_validate(newest.flag.model_dump() | {"status": edit.status, "percentage": share})
        return await self.put(flag, expected=edit.revision, **by)

    async def delete(self, key: str, *, author: str, reason: str, expected: int) -> Change:
        """Delete the flag; its history stays, and a rollback restores it. Raises ChangeRefusedError: as `put`."""
        return await self._change(key, None, author=author, reason=reason, expected=expected)

    async def roll_back(self, key: str, revision: int, *, author: str, reason: str, expected: int) -> Change:
        """Restore an earlier revision as a new one.

        Raises:
            ChangeRefusedError: as `put`, or there is no such revision.
        """
        earlier = next((change for change in await self.history(key) if change.revision == revision), None)
        if earlier is None:
            raise ChangeRefusedError(f"{key} has no revision {revision}: prosa flags history {key}")
        return await self._change(key, earlier.flag, author=author, reason=reason, expected=expected, restores=revision)

    async def _change(
        self, key: str, flag: Flag | None, *, author: str, reason: str, expected: int, restores: int | None = None
    ) -> Change:
        at = self._clock.now()
        record = await self._store.get(FLAGS, key, at=at)
        before = Change.model_validate(record.body) if record else None
        if (before.revision if before else 0) != expected:
            raise _conflict(key, before)
        if flag == (before.flag if before else None):
            raise ChangeRefusedError(f"{key} says just that already" if flag else f"there is no flag {key}")
        if before is not None:
            # A copy of what is about to be replaced; an existing one is as good.
            older = Record.of(OLDER, f"{key}/{before.revision:08d}", before.model_dump(mode="json"), at=at)
            await self._store.put(older)
        change = Change(
            key=key, revision=expected + 1, flag=flag, author=author, reason=reason, at=at, restores=restores
        )
        body, version = change.model_dump(mode="json"), record.version if record else 0
        if await self._store.put(Record.of(FLAGS, key, body, at=at, version=version)) is None:
            raise _conflict(key, await self.newest(key))
        log.info("flag.changed", flag=key, version=change.revision)
        await self._invalidation.tell(at)
        return change


def _read(record: Record) -> Change | None:
    try:
        return Change.model_validate(record.body)
    except ValidationError as exc:
        log.error("flag.unreadable", flag=record.key, error=type(exc).__name__)
        return None


def _conflict(key: str, newest: Change | None) -> ChangeRefusedError:
    by = f"by {newest.author} at {newest.at:%Y-%m-%d %H:%M} UTC" if newest else "by somebody else"
    return ChangeRefusedError(f"{key} was changed meanwhile {by}: look at it with prosa flags show {key} and repeat")


def change_view(change: Change, before: Flag | None) -> dict[str, Any]:
    """Return the entry as JSON, with its differences."""
    shown = {"changes": changed(before, change.flag), "flag": plain(change.flag) if change.flag else None}
    return change.model_dump(exclude={"flag", "at"}) | {"at": change.at.isoformat()} | shown
