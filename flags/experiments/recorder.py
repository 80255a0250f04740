"""Recorder of exposures and metric events: aggregated in memory, written every few seconds, so that no turn waits.

As in the ledger, each process writes its own shards, always a whole one: a write whose response was lost is repeated
and counts once. A process that dies loses its last seconds.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from contracts.alongside import repeating, running_beside
from contracts.delivery import TurnCommit
from contracts.errors import TransientError
from contracts.ports import Clock, Records
from contracts.shards import Shard
from flags.experiments.observations import COLLECTION, Row, Sums, erase_person, pseudonym
from flags.resolver import Assignment, assignments_of
from observability.logs import logger
from observability.metrics import EXPERIMENT_EVENTS, EXPERIMENT_FLUSHES_MISSED, EXPOSURES

log = logger(__name__)

# Events that the engine records; applications may record others under any name.
IMPRESSION, CONVERSION, ERROR = "impression", "conversion", "error"
RESPONSE_TIME_MS, QUALITY_SCORE = "response_time_ms", "quality_score"
# -1 takes a classification's event of value 1 back, so that the sums are a share.
CLASSIFICATION_HELD, CORRECTION = "classification_held", "correction"
CORRECTED = ((CORRECTION, 1.0), (CLASSIFICATION_HELD, -1.0))

FLUSH_EVERY = timedelta(seconds=5)
# Rows of one shard, which is written whole: some 20 KB.
ROWS = 200
# Shards that wait for an unavailable store; beyond, observations are dropped and counted.
BACKLOG = 50

_RECORDED = EXPERIMENT_EVENTS.labels(outcome="recorded")
_DROPPED = EXPERIMENT_EVENTS.labels(outcome="dropped")
_UNUSABLE = EXPERIMENT_EVENTS.labels(outcome="unusable")


@dataclass
class _Shard(Shard):
    """The rows of one record; `earlier` has events before the exposure here, perhaps after one in another process."""

    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    earlier: dict[tuple[str, str], Row] = field(default_factory=dict)
    stored: set[tuple[str, str]] = field(default_factory=set)

    @property
    def subject(self) -> str:
        return self.key.rpartition("/")[0]

    @property
    def is_full(self) -> bool:
        return len(self.rows) >= ROWS

    def body(self) -> dict[str, Any]:
        both = (*self.earlier.items(), *self.rows.items())
        return {"rows": [row.body(person, variant) for (person, variant), row in both]}

    def note_saved(self, body: Mapping[str, Any]) -> None:
        self.stored |= {(row[0], row[1]) for row in body["rows"]}

    def note_stored(self, body: Mapping[str, Any] | None) -> None:
        # Either our own write whose response was lost, or the erasure of a person, who leaves here too.
        left = {(row[0], row[1]) for row in body["rows"]} if body else set()
        self.drop(self.stored - left)
        self.stored = left

    def drop(self, keys: Iterable[tuple[str, str]]) -> None:
        for key in keys:
            self.rows.pop(key, None)
            self.earlier.pop(key, None)


class Recorder:
    """Recorder of the exposures and metric events of persons, under a pseudonym made with `salt`."""

    def __init__(self, store: Records, *, writer: str, salt: str, clock: Clock) -> None:
        self._store = store
        self._writer = writer
        self._salt = salt.encode()
        self._clock = clock
        self._open: dict[str, _Shard] = {}
        self._full: list[_Shard] = []
        self._opened = 0
        self._flushing = asyncio.Lock()

    def expose(self, assignments: Iterable[Assignment], person: str) -> None:
        """Record that these arms decided what the person gets, or could have; call it at every use."""
        now = int(self._clock.now().timestamp())
        for assignment, shard, row in self._rows(assignments, person):
            if row.exposed_at is None:
                key = (pseudonym(self._salt, assignment.subject, person), assignment.variant)
                if row.first_event_at is not None:
                    # The event came first, even if in the same second; it counts if another process had exposed them.
                    shard.earlier[key] = Row(None, min(row.first_event_at, now - 1), row.sums)
                shard.rows[key] = row = Row(exposed_at=now)
            _add(row, IMPRESSION, 1, now)
            if "@" not in assignment.subject:
                EXPOSURES.labels(assignment.subject).inc()

    def note(self, assignments: Iterable[Assignment], person: str, metric: str, value: float = 1.0) -> None:
        """Record an event of a person in these arms."""
        if not math.isfinite(value):
            _UNUSABLE.inc()
            return
        now = int(self._clock.now().timestamp())
        for _, _, row in self._rows(assignments, person):
            _add(row, metric, value, now)

    def note_correction(self, commit: TurnCommit) -> None:
        """Record that a move corrects the assistant's classification, in the arms in which it was classified."""
        corrects = commit.turn.corrects if commit.turn else None
        if corrects is not None:
            for metric, value in CORRECTED:
                self.note(assignments_of(corrects.arms), commit.conversation.id, metric, value)

    async def flush(self) -> None:
        """Write every changed shard, and release the full ones.

        Raises:
            StoreUnavailableError: some shards wait for the next flush.
        """
        async with self._flushing:
            for shard in list(self._full):
                await shard.write(self._store, COLLECTION, self._clock)
                if shard.is_written:
                    self._full.remove(shard)
            for shard in list(self._open.values()):
                await shard.write(self._store, COLLECTION, self._clock)

    async def erase(self, person: str) -> None:
        """Delete everything about the person, except what other processes observed in their last seconds.

        Raises:
            StoreUnavailableError: something may be left; repeat it.
        """
        async with self._flushing:
            for shard in (*self._full, *self._open.values()):
                name = pseudonym(self._salt, shard.subject, person)
                theirs = [key for key in shard.rows if key[0] == name]
                shard.is_written = shard.is_written and not theirs
                shard.drop(theirs)
                # A person who returns is a new person.
                shard.stored = {key for key in shard.stored if key[0] != name}
            await erase_person(self._store, person, salt=self._salt, at=self._clock.now())

    def _rows(self, assignments: Iterable[Assignment], person: str) -> Iterator[tuple[Assignment, _Shard, Row]]:
        """Yield the row of each assignment to add to; none where too many shards wait for the store."""
        for assignment in assignments:
            subject = assignment.subject
            key = (pseudonym(self._salt, subject, person), assignment.variant)
            shard = self._open.get(subject)
            if shard is None or (shard.is_full and key not in shard.rows):
                if len(self._full) >= BACKLOG:
                    _DROPPED.inc()
                    continue
                if shard is not None:
                    self._full.append(shard)
                self._opened += 1
                self._open[subject] = shard = _Shard(f"{subject}/{self._writer}-{self._opened:06d}")
            row = shard.rows.setdefault(key, Row())
            shard.is_written = False
            _RECORDED.inc()
            yield assignment, shard, row


def _add(row: Row, metric: str, value: float, now: int) -> None:
    if row.first_event_at is None:
        row.first_event_at = now
    row.sums[metric] = row.sums.get(metric, Sums()).plus(1, value)


@asynccontextmanager
async def recording(recorder: Recorder, *, every: timedelta = FLUSH_EVERY) -> AsyncIterator[None]:
    """Flush the recorder while the context is open, and once at its end."""
    try:
        async with running_beside(repeating(partial(_once, recorder), every)):
            yield
    finally:
        await _once(recorder)


async def _once(recorder: Recorder) -> None:
    """Flush; whatever cannot be written stays for the next time."""
    try:
        await recorder.flush()
    except TransientError as exc:
        EXPERIMENT_FLUSHES_MISSED.inc()
        log.warning("experiments.late", error=type(exc).__name__)
    except Exception as exc:
        EXPERIMENT_FLUSHES_MISSED.inc()
        log.error("experiments.defect", exc_info=exc)
