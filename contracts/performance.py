"""Performance of turns by hour: answer sources, failures, latencies and quality.

It contains no conversation id and no text of a person.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any, Self

from contracts.conversation import State, TaskName, TurnRecord

COLLECTION = "performance"

# Neighbouring bounds are 4 % apart, so that the middle of a bucket is within 2 % of all its values. Source of the
# form: Masson, Rim, Lee, DDSketch, VLDB 2019.
ACCURACY = 0.02
GROWTH = math.log((1 + ACCURACY) / (1 - ACCURACY))
# A microsecond, below anything that is measured here.
SMALLEST_MS = 0.001


@dataclass
class Distribution:
    """Histogram of times in milliseconds: sums of several are exact, quantiles within 2 %."""

    bins: Counter[int] = field(default_factory=Counter)
    total_ms: float = 0.0

    def add(self, milliseconds: float) -> None:
        value = max(milliseconds, SMALLEST_MS)
        self.bins[math.ceil(math.log(value) / GROWTH)] += 1
        self.total_ms += value

    def add_all(self, other: "Distribution") -> None:
        self.bins.update(other.bins)
        self.total_ms += other.total_ms

    @property
    def count(self) -> int:
        return self.bins.total()

    @property
    def mean(self) -> float | None:
        """The mean in milliseconds; None of no values."""
        return self.total_ms / self.count if self.bins else None

    def quantile(self, share: float) -> float | None:
        """Return the quantile `share` (in [0, 1]) in milliseconds; None of no values."""
        if not self.bins:
            return None
        wanted = max(1, math.ceil(share * self.count))
        passed = 0
        for index in sorted(self.bins):
            passed += self.bins[index]
            if passed >= wanted:
                break
        return 2 * math.exp(index * GROWTH) / (1 + math.exp(GROWTH))


@dataclass
class Mean:
    """Mean of scores in [0, 1], by their number and sum."""

    count: int = 0
    total: float = 0.0

    def add(self, score: float) -> None:
        self.count += 1
        self.total += score

    def add_all(self, other: "Mean") -> None:
        self.count += other.count
        self.total += other.total

    @property
    def value(self) -> float | None:
        return self.total / self.count if self.count else None


class AnswerSource(StrEnum):
    """Source of a turn's reply; TEMPLATE is the institution's text as the right answer, FALLBACK as a substitute."""

    MODEL = "model"
    CACHE = "cache"
    TEMPLATE = "template"
    FALLBACK = "fallback"
    NOBODY = "nobody"


class Cause(StrEnum):
    """Cause of a degraded answer."""

    MODEL_UNAVAILABLE = "model_unavailable"
    MODEL_OUTPUT_UNUSABLE = "model_output_unusable"
    BUDGET = "budget"
    GATE = "gate"
    DEAD_LETTER = "dead_letter"
    REFUSED = "refused"


def answered_by(turn: TurnRecord) -> AnswerSource:
    if not turn.replies:
        return AnswerSource.NOBODY
    written = [task for task in turn.tasks if task.wrote_reply]
    # A draft that was withheld was written too; then a fixed text calls a person in its place.
    if written and not (turn.fallback and turn.state is State.ESCALATING):
        return AnswerSource.CACHE if written[-1].cache else AnswerSource.MODEL
    return AnswerSource.FALLBACK if turn.fallback else AnswerSource.TEMPLATE


def failure_of(turn: TurnRecord) -> Cause | None:
    """Return the cause that kept the model's answer from the person, or None."""
    if answered_by(turn) is not AnswerSource.FALLBACK:
        return None
    if turn.reason in set(Cause):
        return Cause(turn.reason)
    failed = any(task.task == TaskName.RESPONSE and task.outcome == "failed" for task in turn.tasks)
    # The canonical answer of the intent stood in; which error it was is not in the record.
    return Cause.MODEL_UNAVAILABLE if failed else None


def promotes(rating: int) -> int:
    """Return 1 for a promoter (9, 10), -1 for a detractor (0 to 6), else 0. Source: Reichheld, HBR 12/2003."""
    return 1 if rating >= 9 else -1 if rating <= 6 else 0


class Times(StrEnum):
    """Measured times, besides those of the tasks.

    `REPLY`: from the arrival of a message to the platform's acceptance of its reply. `TURN`: from a turn's start to its
    commit. `ENGINE`: the part of the turn without a wait for a model.
    """

    REPLY = "reply"
    TURN = "turn"
    ENGINE = "engine"


class Count(StrEnum):
    """Kinds of counters. `ANSWERS` by source, `FAILURES` by cause, `FALLBACKS` by reason, `STATES` by the turn's final
    state, `HANDOFFS` by the reason of a turn that began one, `TASKS` by task and outcome (`state:ok`), `RETRIES` by
    task, `WITHHELD` by rule of the gate, `RATINGS` by score from 0 to 10.
    """

    ANSWERS = "answers"
    FAILURES = "failures"
    FALLBACKS = "fallbacks"
    STATES = "states"
    HANDOFFS = "handoffs"
    TASKS = "tasks"
    RETRIES = "retries"
    WITHHELD = "withheld"
    RATINGS = "ratings"


@dataclass
class Page:
    """Sums of at most one hour where it is stored; times by name of `Times` or of the task."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    times: dict[str, Distribution] = field(default_factory=dict)
    quality: dict[str, Mean] = field(default_factory=dict)

    def add_turn(self, turn: TurnRecord) -> None:
        """Add a committed turn."""
        self._count(Count.ANSWERS, answered_by(turn))
        self._count(Count.STATES, turn.state)
        if turn.state is State.ESCALATING and State.ESCALATING not in turn.path[:1]:
            self._count(Count.HANDOFFS, turn.reason or "unknown")
        if turn.fallback:
            self._count(Count.FALLBACKS, turn.reason or "unknown")
        if cause := failure_of(turn):
            self._count(Count.FAILURES, cause)
        for violation in turn.violations:
            self._count(Count.WITHHELD, violation.rule)
        if turn.rating is not None:
            self._count(Count.RATINGS, str(turn.rating))
        if turn.ms.total:
            self._times(Times.TURN).add(turn.ms.total)
            waited = reached = 0.0
            # The model is waited for while at least one task is under way.
            for task in sorted(turn.tasks, key=attrgetter("started_ms")):
                waited += max(0.0, task.ended_ms - max(task.started_ms, reached))
                reached = max(reached, task.ended_ms)
            self._times(Times.ENGINE).add(turn.ms.total - waited)
        for task in turn.tasks:
            self._count(Count.TASKS, f"{task.task}:{task.outcome}")
            if task.outcome == "dropped":
                continue
            if task.attempts > task.calls:
                self._count(Count.RETRIES, task.task, task.attempts - task.calls)
            self._times(task.task).add(task.ended_ms - task.started_ms)
            if task.quality is not None:
                self.quality.setdefault(task.task, Mean()).add(task.quality)

    def add_reply(self, *, received_at: datetime, sent_at: datetime) -> None:
        """Add a reply that a platform accepted."""
        self._times(Times.REPLY).add((sent_at - received_at).total_seconds() * 1000)

    def add_failure(self, cause: Cause) -> None:
        self._count(Count.FAILURES, cause)

    def add_page(self, other: "Page") -> None:
        self.counts.update(other.counts)
        for name, times in other.times.items():
            self._times(name).add_all(times)
        for task, scores in other.quality.items():
            self.quality.setdefault(task, Mean()).add_all(scores)

    @property
    def turns(self) -> int:
        return sum(self.of(Count.ANSWERS).values())

    def of(self, kind: Count) -> dict[str, int]:
        """Return the counts of one kind, the largest first."""
        found = {name: number for (counted, name), number in self.counts.items() if counted == kind}
        return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))

    def time(self, name: str) -> Distribution:
        return self.times.get(name, Distribution())

    def body(self) -> dict[str, Any]:
        """Return the page as a document."""
        return {
            "counts": [[*key, number] for key, number in sorted(self.counts.items())],
            "times": [
                [name, round(times.total_ms, 3), sorted(map(list, times.bins.items()))]
                for name, times in sorted(self.times.items())
            ],
            "quality": [[task, mean.count, round(mean.total, 6)] for task, mean in sorted(self.quality.items())],
        }

    @classmethod
    def of_body(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            counts=Counter({(kind, name): number for kind, name, number in body["counts"]}),
            times={name: Distribution(Counter(dict(bins)), total) for name, total, bins in body["times"]},
            quality={task: Mean(count, total) for task, count, total in body["quality"]},
        )

    @classmethod
    def sum(cls, pages: Iterable["Page"]) -> Self:
        total = cls()
        for page in pages:
            total.add_page(page)
        return total

    def _times(self, name: str) -> Distribution:
        return self.times.setdefault(str(name), Distribution())

    def _count(self, kind: Count, name: str, number: int = 1) -> None:
        # Plain text, as the store returns it.
        self.counts[str(kind), str(name)] += number


def shard_key(hour: datetime, writer: str) -> str:
    """Return the key of a shard; shards of one day (UTC), and in it of one hour, are adjacent."""
    return f"{hour:%Y-%m-%d/%H}/{writer}"


def hour_of(key: str) -> datetime:
    """Return the hour, in UTC, of a shard's key."""
    return datetime.strptime(key[:13], "%Y-%m-%d/%H").replace(tzinfo=UTC)
