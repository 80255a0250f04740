"""Observations of each person, merged from the shards of all processes.

A shard is written by one process and holds rows: a person's pseudonym, the arm, the times of the first exposure and
of the first event (seconds since 1970), and for each metric the number of events and their sum.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from contracts.delivery import Record
from contracts.paging import all_records
from contracts.ports import Records
from flags.definitions import Metric, MetricKind
from flags.experiments.statistics import Sample, parts_of_ratio

COLLECTION = "experiment_results"


class Sums(NamedTuple):
    """Number and sum of the events of one metric."""

    events: int = 0
    total: float = 0.0

    def plus(self, events: int, total: float) -> "Sums":
        return Sums(self.events + events, self.total + total)


@dataclass
class Row:
    """Observations of one process about one person in one arm."""

    exposed_at: int | None = None
    first_event_at: int | None = None
    sums: dict[str, Sums] = field(default_factory=dict)

    def body(self, person: str, variant: str) -> list[Any]:
        # A copy: the row can change while the record is being written.
        return [person, variant, self.exposed_at, self.first_event_at, dict(self.sums)]


@dataclass(frozen=True)
class Person:
    """One person in a single arm."""

    exposed_at: datetime
    sums: Mapping[str, Sums]

    def total(self, event: str | None) -> float:
        return self.sums.get(event or "", Sums()).total

    def value(self, metric: Metric) -> float | None:
        """Return the person's value of the metric; None for a mean without events, or a ratio without a denominator."""
        sums = self.sums.get(metric.name, Sums())
        match metric.kind:
            case MetricKind.PROPORTION:
                return float(sums.events > 0)
            case MetricKind.TOTAL:
                return sums.total
            case MetricKind.MEAN:
                return sums.total / sums.events if sums.events else None
            case MetricKind.RATIO:
                below = self.total(metric.denominator)
                return self.total(metric.numerator) / below if below else None


@dataclass(frozen=True)
class Arm:
    """The persons of one arm, in the order of their exposure."""

    people: tuple[Person, ...]

    def until(self, moment: datetime) -> "Arm":
        return Arm(tuple(person for person in self.people if person.exposed_at <= moment))

    def values(self, metric: Metric) -> list[float]:
        """Return the value of each person that has one; for a ratio, each person's part in the arm's."""
        if metric.kind is MetricKind.RATIO:
            return parts_of_ratio(
                [person.total(metric.numerator) for person in self.people],
                [person.total(metric.denominator) for person in self.people],
            )
        return [value for person in self.people if (value := person.value(metric)) is not None]

    def saying(self, metric: Metric) -> int:
        """Count the persons with a value of the metric."""
        return sum(person.value(metric) is not None for person in self.people)

    def sample(self, metric: Metric) -> Sample:
        return Sample.of(self.values(metric))


@dataclass(frozen=True)
class Observations:
    """The arms by name, without `crossovers`, persons in two arms, and `ignored`, events before the exposure."""

    arms: Mapping[str, Arm]
    crossovers: int = 0
    ignored: int = 0

    @property
    def people(self) -> int:
        return sum(len(arm.people) for arm in self.arms.values())

    def until(self, moment: datetime) -> "Observations":
        """Return only the persons exposed by then."""
        return Observations({name: arm.until(moment) for name, arm in self.arms.items()}, self.crossovers, self.ignored)


def merged(bodies: Iterable[Mapping[str, Any]], arms: Iterable[str]) -> Observations:
    """Merge the shards, with each person once."""
    rows: dict[str, list[tuple[str, Row]]] = {}
    ignored = 0
    for body in bodies:
        for person, variant, exposed_at, first_event_at, sums in body["rows"]:
            row = Row(exposed_at, first_event_at, {name: Sums(*one) for name, one in sums.items()})
            rows.setdefault(person, []).append((variant, row))
    found: dict[str, list[Person]] = {name: [] for name in arms}
    crossovers = 0
    for seen in rows.values():
        variants = {variant for variant, row in seen if row.exposed_at is not None}
        if len(variants) > 1:
            crossovers += 1
            continue
        person, before = _person([row for _, row in seen])
        ignored += before
        if person is not None and (variant := variants.pop()) in found:
            found[variant].append(person)
    ordered = {name: Arm(tuple(sorted(people, key=lambda one: one.exposed_at))) for name, people in found.items()}
    return Observations(ordered, crossovers, ignored)


def _person(rows: list[Row]) -> tuple[Person | None, int]:
    """Return the person, None if never exposed, and the number of events before the exposure."""
    exposures = [row.exposed_at for row in rows if row.exposed_at is not None]
    first = min(exposures, default=None)
    sums: dict[str, Sums] = {}
    before = 0
    for row in rows:
        # A process that did not see the exposure may hold events from before another process exposed the person.
        early = row.exposed_at is None and (first is None or (row.first_event_at or 0) < first)
        for name, one in row.sums.items():
            if early:
                before += one.events
            else:
                sums[name] = sums.get(name, Sums()).plus(*one)
    if first is None:
        return None, before
    return Person(datetime.fromtimestamp(first, UTC), sums), before


async def observed(store: Records, subject: str, arms: Iterable[str], *, at: datetime) -> Observations:
    """Read the observations of an experiment or a canary. Raises StoreUnavailableError: they cannot be read now."""
    shards = [record.body async for record in all_records(store, COLLECTION, at=at, prefix=f"{subject}/")]
    return merged(shards, arms)


def pseudonym(salt: bytes, subject: str, person: str) -> str:
    """Return the person's pseudonym, another one in each experiment: persons cannot be linked across them."""
    text = f"{subject}:{person}".encode("utf-8", "surrogatepass")
    return hmac.new(salt, text, hashlib.sha256).hexdigest()[:20]


async def erase_person(store: Records, person: str, *, salt: bytes, at: datetime) -> None:
    """Remove the person's rows from every shard; the writers of the shards notice and drop the person as well.

    Raises:
        StoreUnavailableError: some rows are left.
    """
    async for record in all_records(store, COLLECTION, at=at):
        name = pseudonym(salt, record.key.rpartition("/")[0], person)
        found: Record | None = record
        while found is not None and any(row[0] == name for row in found.body["rows"]):
            rows = [row for row in found.body["rows"] if row[0] != name]
            body = found.body | {"rows": rows}
            if await store.put(found.model_copy(update={"body": body, "updated_at": at})) is not None:
                break
            # The shard's writer came first: try again on what it wrote.
            found = await store.get(COLLECTION, record.key, at=at)


async def forget(store: Records, subject: str, *, at: datetime) -> None:
    """Delete the rows of all persons. Raises StoreUnavailableError: some are left."""
    keys = [record.key async for record in all_records(store, COLLECTION, at=at, prefix=f"{subject}/")]
    for key in keys:
        await store.drop(COLLECTION, key)
