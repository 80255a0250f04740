"""Performance report of a span of days, from the performance ledger: exact sums, percentiles within 2 %."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from contracts.conversation import TaskName
from contracts.paging import all_records
from contracts.performance import COLLECTION, Cause, Count, Distribution, Page, Times, hour_of, promotes
from contracts.ports import Records
from reports.cost import Span

PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
# Reported precision: a tenth of a millisecond, a tenth of a per mille.
DIGITS, SHARE_DIGITS = 1, 4


@dataclass(frozen=True)
class PerformanceReport:
    """The days of a span, each added up, and the previous span of the same length."""

    span: Span
    days: Mapping[date, Page]
    before: Page

    @property
    def total(self) -> Page:
        return Page.sum(self.days.values())

    def view(self) -> dict[str, object]:
        """Return the report as JSON; times in milliseconds."""
        return {
            "from": self.span.first.isoformat(),
            "to": self.span.last.isoformat(),
            "time_zone": str(self.span.zone),
            "total": figures(self.total),
            "before": figures(self.before),
            "days": [{"day": day.isoformat()} | figures(page) for day, page in self.days.items()],
        }


async def performance_report(store: Records, span: Span, *, at: datetime) -> PerformanceReport:
    """Add up the span and the previous one. An hour counts to the day in which it begins."""
    before = preceding(span)
    days = {day: Page() for day in days_of(span)}
    earlier = Page()
    async for hour, page in hours(store, before.begin, span.end, at=at):
        if hour < span.begin:
            earlier.add_page(page)
        else:
            days[hour.astimezone(span.zone).date()].add_page(page)
    return PerformanceReport(span, days, earlier)


async def hours(
    store: Records, begin: datetime, end: datetime, *, at: datetime
) -> AsyncIterator[tuple[datetime, Page]]:
    """Yield every page whose hour begins in that time; an hour has one page per process."""
    first, last = begin.astimezone(UTC), end.astimezone(UTC)
    async for record in all_records(store, COLLECTION, at=at, after=f"{first:%Y-%m-%d}/"):
        hour = hour_of(record.key)
        if hour >= last:
            return
        if hour >= first:
            yield hour, Page.of_body(record.body)


def preceding(span: Span) -> Span:
    """Return the span of as many days just before."""
    length = span.last - span.first + timedelta(days=1)
    return Span(span.first - length, span.last - length, span.zone)


def days_of(span: Span) -> Iterable[date]:
    return (span.first + timedelta(days=number) for number in range((span.last - span.first).days + 1))


def failure_rate(page: Page) -> float | None:
    """Return the share of processed messages with a degraded answer."""
    reached = availability(page)
    return None if reached is None else round(1 - reached[0], SHARE_DIGITS)


# Objective of 99.95 % (docs/observability.md): the share of turns that may fail.
ALLOWED_FAILURES = 0.0005


def availability(page: Page) -> tuple[float, float] | None:
    """Return the share of messages that got the answer they should have got, and the share of the error budget left.

    The budget is that of the page's own time; below 0 the objective was missed. None without any message.
    """
    failures = page.of(Count.FAILURES)
    worked_off = page.turns + failures.get(Cause.DEAD_LETTER, 0)
    if not worked_off:
        return None
    failed = sum(failures.values()) / worked_off
    return 1 - failed, 1 - failed / ALLOWED_FAILURES


def quality(page: Page) -> float | None:
    """Return the mean score of the answers of Task 2, which a person reads."""
    mean = page.quality.get(TaskName.RESPONSE)
    return None if mean is None or mean.value is None else round(mean.value, SHARE_DIGITS)


def net_promoter_score(page: Page) -> float | None:
    """Return the share of promoters minus that of detractors, in [-100, 100]; None without a score."""
    ratings = page.of(Count.RATINGS)
    net = sum(promotes(int(rating)) * number for rating, number in ratings.items())
    return round(100 * net / sum(ratings.values()), DIGITS) if ratings else None


def figures(page: Page) -> dict[str, Any]:
    """Return the figures of one page; a figure without data is null."""
    turns, reached = page.turns, availability(page)
    return {
        "turns": turns,
        "answers": page.of(Count.ANSWERS),
        "failures": page.of(Count.FAILURES),
        "failure_rate": failure_rate(page),
        "availability": None if reached is None else {"share": reached[0], "budget_left": reached[1]},
        "fallbacks": page.of(Count.FALLBACKS),
        "escalated": sum(page.of(Count.HANDOFFS).values()),
        "handoffs": page.of(Count.HANDOFFS),
        "states": page.of(Count.STATES),
        "withheld": page.of(Count.WITHHELD),
        **{f"{name}_ms": times(page.time(name)) for name in Times},
        "tasks": {task.value: _task(page, task) for task in TaskName if page.time(task).count},
        "quality": quality(page),
        "nps": net_promoter_score(page),
        "ratings": page.of(Count.RATINGS),
    }


def times(distribution: Distribution) -> dict[str, float | int | None]:
    """Return the percentiles in milliseconds."""
    found = {name: distribution.quantile(share) for name, share in PERCENTILES.items()}
    rounded = {name: None if value is None else round(value, DIGITS) for name, value in found.items()}
    return {"count": distribution.count} | rounded


def _task(page: Page, task: TaskName) -> dict[str, Any]:
    outcomes = {
        name.partition(":")[2]: number
        for name, number in page.of(Count.TASKS).items()
        if name.partition(":")[0] == task
    }
    mean = page.quality.get(task)
    return {
        "outcomes": outcomes,
        "retries": page.of(Count.RETRIES).get(task, 0),
        "ms": times(page.time(task)),
        "quality": None if mean is None or mean.value is None else round(mean.value, SHARE_DIGITS),
    }
