"""Ledger of costs: sums by hour (UTC), business line, task, model, template and arm of an experiment.

Money is exact: `Decimal` here, its text in the store. The ledger contains no conversation id and no text of a person.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from operator import add
from typing import Any, NamedTuple, Self

from contracts.conversation import CallRecord, State, TaskRecord, TurnRecord

COLLECTION = "ledger"


@dataclass(frozen=True)
class BilledCall:
    """A call that returned, with its task and the label of its template."""

    task: str
    template: str
    call: CallRecord

    @classmethod
    def of(cls, tasks: Iterable[TaskRecord]) -> tuple[Self, ...]:
        return tuple(cls(task.task, task.template, call) for task in tasks for call in task.bill)


class Group(NamedTuple):
    """Key of a row. `line` is '' without a known business line, `arm` without an experiment.

    A person in several experiments has all arms in one `arm`, in order, separated by spaces: each call counts once.
    """

    hour: int
    line: str
    task: str
    model: str
    template: str
    arm: str = ""


@dataclass(frozen=True)
class Amounts:
    """Calls, their tokens and their price; the `unpriced` calls have no known price and are not in `usd`."""

    calls: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    usd: Decimal = Decimal(0)
    unpriced: int = 0

    @classmethod
    def of(cls, call: CallRecord) -> Self:
        tokens = call.tokens
        counts = (tokens.input, tokens.output, tokens.cache_read, tokens.cache_write)
        return cls(1, *counts, usd=Decimal(call.cost_usd or 0), unpriced=int(call.cost_usd is None))

    @property
    def is_known(self) -> bool:
        """Whether the price of at least one call is known, or there was none."""
        return self.unpriced < self.calls or not self.calls

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(*map(add, astuple(self), astuple(other)))


NOTHING = Amounts()


@dataclass
class Page:
    """The sums of one day. `turns` counts, by hour and line, the turns that called a model; `resolved`, by hour and
    arm, the conversations that ended.
    """

    rows: dict[Group, Amounts] = field(default_factory=dict)
    turns: Counter[tuple[int, str]] = field(default_factory=Counter)
    resolved: Counter[tuple[int, str]] = field(default_factory=Counter)

    def add_calls(
        self, calls: Iterable[BilledCall], *, line: str | None, at: datetime, arms: Iterable[str] = ()
    ) -> None:
        hour, arm = at.astimezone(UTC).hour, _arm(arms)
        for billed in calls:
            group = Group(hour, line or "", billed.task, billed.call.model, billed.template, arm)
            self.rows[group] = self.rows.get(group, NOTHING) + Amounts.of(billed.call)

    def add_turn(self, turn: TurnRecord) -> bool:
        """Add a committed turn; return False when it has no billed call."""
        if turn.tasks and turn.state is State.COMPLETED:
            self.resolved[turn.at.astimezone(UTC).hour, _arm(turn.arms)] += 1
        calls = BilledCall.of(turn.tasks)
        if not calls:
            return False
        self.add_calls(calls, line=turn.business_line, at=turn.at, arms=turn.arms)
        self.turns[turn.at.astimezone(UTC).hour, turn.business_line or ""] += 1
        return True

    def add_page(self, other: "Page") -> None:
        for group, amounts in other.rows.items():
            self.rows[group] = self.rows.get(group, NOTHING) + amounts
        self.turns.update(other.turns)
        self.resolved.update(other.resolved)

    def within(self, hours: range) -> "Page":
        """Return the part of these hours."""
        rows = {group: amounts for group, amounts in self.rows.items() if group.hour in hours}
        turns, resolved = (
            Counter({key: count for key, count in counts.items() if key[0] in hours})
            for counts in (self.turns, self.resolved)
        )
        return Page(rows, turns, resolved)

    @property
    def total(self) -> Amounts:
        return sum(self.rows.values(), NOTHING)

    @property
    def turn_count(self) -> int:
        return sum(self.turns.values())

    def body(self) -> dict[str, Any]:
        """Return the page as a document: rows as lists, money as text."""
        rows = []
        for group, amounts in sorted(self.rows.items()):
            *counts, usd, unpriced = astuple(amounts)
            rows.append([*group, *counts, f"{usd:f}", unpriced])
        turns, resolved = ([[*key, count] for key, count in sorted(one.items())] for one in (self.turns, self.resolved))
        return {"rows": rows, "turns": turns} | ({"resolved": resolved} if resolved else {})

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        width, rows = len(Group._fields), {}
        for row in body["rows"]:
            *counts, usd, unpriced = row[width:]
            rows[Group(*row[:width])] = replace(Amounts(*counts), usd=Decimal(usd), unpriced=unpriced)
        # Earlier releases did not count resolved conversations.
        turns, resolved = (
            Counter({(hour, name): count for hour, name, count in counts})
            for counts in (body["turns"], body.get("resolved", ()))
        )
        return cls(rows, turns, resolved)


def _arm(arms: Iterable[str]) -> str:
    return " ".join(sorted(arms))


class Kind(StrEnum):
    """Content of a ledger shard.

    `TURNS`: committed turns, which the store also has one by one. `APART`: calls found nowhere else, of analyses and of
    discarded drafts. `ERASED`: the part of `TURNS` whose conversations were erased since. `RECOUNT`: a whole day of
    turns, counted again; it replaces all of `TURNS` and `ERASED` of that day.
    """

    TURNS = "turns"
    APART = "apart"
    ERASED = "erased"
    RECOUNT = "recount"


def shard_key(day: date, kind: Kind, writer: str) -> str:
    """Return the key of a shard; shards of one day are adjacent."""
    return f"{day.isoformat()}/{kind.value}/{writer}"


def kind_of(key: str) -> Kind:
    return Kind(key.split("/")[1])
