"""Store of experiments and of their flags: plan, start, pause, complete."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from contracts.delivery import Record
from contracts.errors import ChangeRefusedError
from contracts.paging import all_records
from contracts.ports import Clock, Events, Records
from flags.cache import Invalidation
from flags.definitions import Flag, Status
from flags.experiments.analysis import analyse
from flags.experiments.definitions import Experiment, Phase, assignment_of, silenced_by
from flags.experiments.exact import Approximate, Exactness
from flags.experiments.observations import Observations, forget, observed
from flags.experiments.recommendation import harms, in_words, recommend
from flags.experiments.report import report
from flags.store import FlagStore
from flags.switches import Kills
from observability.logs import logger

log = logger(__name__)

COLLECTION = "experiments"


class ExperimentStore:
    """Repository of experiments; as a source of a cache it yields those whose arms hold.

    `kills` are the switches of this process, for the reports.

    Raises:
        StoreUnavailableError: from every method.
    """

    def __init__(self, store: Records, events: Events, clock: Clock, *, kills: Kills | None = None) -> None:
        self._store = store
        self._clock = clock
        self._kills = kills or {}
        self._flags = FlagStore(store, events, clock)
        self._invalidation = Invalidation(store, events, COLLECTION)

    async def load(self) -> Mapping[str, Experiment]:
        """Return the experiments whose arms hold: the active ones, then those that shipped an arm."""
        found = await self.all()
        active = [one for one in found if one.phase is Phase.ACTIVE]
        return {one.key: one for one in (*active, *(one for one in found if one.shipped))}

    async def active(self) -> list[str]:
        return [one.key for one in await self.all() if one.phase is Phase.ACTIVE]

    async def stamp(self) -> str:
        return await self._invalidation.stamp(self._clock.now())

    async def all(self) -> list[Experiment]:
        """Return every experiment that this release can read, by key."""
        records = [record async for record in all_records(self._store, COLLECTION, at=self._clock.now())]
        return [experiment for record in records if (experiment := _read(record)) is not None]

    async def unreadable(self) -> list[str]:
        """Return the keys of the experiments that this release cannot read."""
        records = [record async for record in all_records(self._store, COLLECTION, at=self._clock.now())]
        return [record.key for record in records if _read(record) is None]

    async def get(self, key: str) -> Experiment:
        """Raises ChangeRefusedError: there is none of that key."""
        experiment, _ = await self._read(key)
        return experiment

    async def plan(self, experiment: Experiment) -> Experiment:
        """Store a draft, or a new version of it. Raises ChangeRefusedError: the experiment is no longer a draft."""
        at = self._clock.now()
        record = await self._store.get(COLLECTION, experiment.key, at=at)
        if record is not None and (phase := Experiment.model_validate(record.body).phase) is not Phase.DRAFT:
            raise ChangeRefusedError(f"{experiment.key} is {phase}: give the new plan another key")
        return await self._write(experiment, record.version if record else 0, at)

    async def start(self, key: str, *, author: str, reason: str) -> Experiment:
        """Assign persons, for the first time or after a pause; a second call changes nothing.

        Raises:
            ChangeRefusedError: it cannot be started, or another active experiment overrides the same flag.
        """
        experiment, version = await self._read(key)
        if experiment.phase is not Phase.ACTIVE:
            for other in await self.all():
                shared = sorted(other.overrides & experiment.overrides)
                if shared and other.phase is Phase.ACTIVE:
                    raise ChangeRefusedError(
                        f"{other.key} is active and overrides {', '.join(shared)} as well: "
                        "pause or complete it first, or neither would show what it does"
                    )
            at = self._clock.now()
            moved = experiment.moved(Phase.ACTIVE, author=author, reason=reason, at=at)
            experiment = await self._write(moved, version, at)
        # Active before its flag draws: every assigned person then belongs to a known experiment.
        await self._set_flag(experiment.flag(self._clock.now()), author=author, reason=reason)
        return experiment

    async def pause(self, key: str, *, author: str, reason: str) -> Experiment:
        """Stop assigning persons; running conversations keep their arm, and the same persons return to the same arms.

        Raises:
            ChangeRefusedError: it is not active.
        """
        experiment, version = await self._read(key)
        at = self._clock.now()
        moved = experiment.moved(Phase.PAUSED, author=author, reason=reason, at=at)
        await self._set_flag(moved.flag(at), author=author, reason=reason)
        return await self._write(moved, version, at)

    async def complete(
        self, key: str, exactness: Exactness, *, author: str, reason: str, ship: str | None = None
    ) -> Experiment:
        """End the experiment, store its result and delete the rows of its persons; every person then gets the arm
        `ship`, else the control.

        Raises:
            ChangeRefusedError: it is not running, or has no such arm.
        """
        experiment, version = await self._read(key)
        names = (experiment.control, *experiment.treatments)
        if ship is not None and ship not in names:
            raise ChangeRefusedError(f"{key} has no arm {ship}; it has: {', '.join(names)}")
        at = self._clock.now()
        moved = experiment.moved(Phase.COMPLETED, author=author, reason=reason, at=at)
        result = await self._report_on(moved, exactness)
        await self._set_flag(moved.flag(at, ship=ship), author=author, reason=reason)
        shipped = None if ship == experiment.control else ship
        completed = await self._write(moved.model_copy(update={"result": result, "shipped": shipped}), version, at)
        await forget(self._store, key, at=at)
        return completed

    async def archive(self, key: str, *, learned: str) -> Experiment:
        """Take a completed experiment from the list, with what was learned from it; its report stays.

        Raises:
            ChangeRefusedError: it is not completed, or archived already.
        """
        experiment, version = await self._read(key)
        if experiment.phase is not Phase.COMPLETED or experiment.learned:
            state = "archived" if experiment.learned else experiment.phase
            raise ChangeRefusedError(f"{key} is {state}: only a COMPLETED experiment can be archived, once")
        return await self._write(experiment.model_copy(update={"learned": learned}), version, self._clock.now())

    async def harm(self, key: str) -> str | None:
        """Return which arms do harm, in words; None when none does."""
        experiment, _ = await self._read(key)
        observations, at = await self._observed(experiment)
        return in_words(harms(analyse(experiment, observations, Approximate(), at=at)).values()) or None

    async def report(self, key: str, exactness: Exactness) -> dict[str, Any]:
        """Return the current report, or the final one of a completed experiment.

        Raises:
            ChangeRefusedError: there is none of that key, or it has not begun.
        """
        experiment, _ = await self._read(key)
        if experiment.phase is Phase.DRAFT:
            raise ChangeRefusedError(f"{key} has not begun: prosa experiments start {key}")
        return experiment.result or await self._report_on(experiment, exactness)

    async def _report_on(self, experiment: Experiment, exactness: Exactness) -> dict[str, Any]:
        observations, at = await self._observed(experiment)
        changed = await self.was_changed(experiment)
        analysis = analyse(experiment, observations, exactness, at=at, was_changed=changed)
        silenced = silenced_by(experiment, self._kills) if experiment.phase is Phase.ACTIVE else {}
        return report(experiment, analysis, recommend(analysis), observations, silenced)

    async def _observed(self, experiment: Experiment) -> tuple[Observations, datetime]:
        at = experiment.ended_at or self._clock.now()
        return await observed(self._store, experiment.key, experiment.weights, at=at), at

    async def was_changed(self, experiment: Experiment) -> bool:
        """Return whether its flag assigned persons in another way at any time since the start."""
        if experiment.started_at is None:
            return False
        ended = experiment.ended_at
        for change in await self._flags.history(experiment.flag_key):
            flag, is_within = change.flag, change.at >= experiment.started_at and (ended is None or change.at < ended)
            # A disabled or missing flag assigns no person, as in a pause.
            if not is_within or flag is None or flag.status is Status.DISABLED:
                continue
            if flag.status is not Status.AB_TEST or assignment_of(flag) != experiment.assignment:
                return True
        return False

    async def _read(self, key: str) -> tuple[Experiment, int]:
        record = await self._store.get(COLLECTION, key, at=self._clock.now())
        if record is None:
            raise ChangeRefusedError(f"there is no experiment {key}: prosa experiments list")
        return Experiment.model_validate(record.body), record.version

    async def _write(self, experiment: Experiment, version: int, at: datetime) -> Experiment:
        body = experiment.model_dump(mode="json")
        saved = await self._store.put(Record.of(COLLECTION, experiment.key, body, at=at, version=version))
        if saved is None:
            raise ChangeRefusedError(f"{experiment.key} was changed meanwhile: look at it and repeat")
        log.info("experiment.changed", experiment=experiment.key, state=experiment.phase)
        await self._invalidation.tell(at)
        return experiment

    async def _set_flag(self, flag: Flag, *, author: str, reason: str) -> None:
        newest = await self._flags.newest(flag.key)
        before = newest.flag if newest else None
        if before is not None and flag.status is Status.AB_TEST and before.status is Status.AB_TEST:
            return
        if flag != before:
            await self._flags.put(flag, author=author, reason=reason, expected=newest.revision if newest else 0)


def _read(record: Record) -> Experiment | None:
    try:
        return Experiment.model_validate(record.body)
    except ValidationError as exc:
        log.error("experiment.unreadable", experiment=record.key, error=type(exc).__name__)
        return None
