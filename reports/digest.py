"""Daily and weekly report: cost and performance against the period before, and figures outside their band."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum
from statistics import median

from contracts.performance import Page, Times
from contracts.ports import Store
from prompts.pricing.prices import usd_text
from reports.cost import By, CostReport, Span, cost_report
from reports.performance import PerformanceReport, days_of, failure_rate, hours, performance_report, preceding, quality

HISTORY = timedelta(days=14)
# A band needs at least this many days.
DAYS_NEEDED = 7
# Source: Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993: the modified z-score and its limit.
NORMAL_MAD = 0.6745
LIMIT = 3.5
# A nearly constant figure has almost no band: a change below a fifth of it is not reported.
LEAST_SHARE = 0.2


@dataclass(frozen=True)
class Band:
    """The usual range of one day's figure."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, history: Sequence[float]) -> "Band | None":
        """Return the band of the days before; None when they are too few."""
        if len(history) < DAYS_NEEDED:
            return None
        middle = median(history)
        spread = median(abs(value - middle) for value in history)
        width = max(LIMIT * spread / NORMAL_MAD, LEAST_SHARE * abs(middle))
        return cls(middle - width, middle, middle + width)


class Period(StrEnum):
    """A day, or seven; each compared with as many before."""

    DAILY = "daily"
    WEEKLY = "weekly"

    @property
    def length(self) -> timedelta:
        return timedelta(days=1 if self is Period.DAILY else 7)


@dataclass(frozen=True)
class Day:
    """The figures of one day that have a band; None where there is nothing to measure."""

    usd: float
    usd_per_turn: float | None
    reply_p95_ms: float | None
    failure_rate: float | None
    quality: float | None
    turns: int


@dataclass(frozen=True)
class Watched:
    """A monitored figure; `worse` is the unwelcome side of its band: both sides are reported."""

    name: str
    of: Callable[[Day], float | None]
    worse_above: bool


WATCHED = (
    Watched("cost_usd", lambda day: day.usd, worse_above=True),
    Watched("cost_per_turn_usd", lambda day: day.usd_per_turn, worse_above=True),
    Watched("reply_p95_ms", lambda day: day.reply_p95_ms, worse_above=True),
    Watched("failure_rate", lambda day: day.failure_rate, worse_above=True),
    Watched("quality", lambda day: day.quality, worse_above=False),
)


@dataclass(frozen=True)
class Anomaly:
    """A day with a figure outside the band of the days before it."""

    day: date
    figure: str
    value: float
    band: Band
    is_worse: bool

    def view(self) -> dict[str, object]:
        return {
            "day": self.day.isoformat(),
            "figure": self.figure,
            "value": self.value,
            "usual": self.band.middle,
            "band": [self.band.low, self.band.high],
            "is_worse": self.is_worse,
        }


@dataclass(frozen=True)
class Digest:
    """One report. `by_day` has the days of the period and the earlier ones that make up the bands."""

    period: Period
    span: Span
    cost: CostReport
    cost_before: CostReport
    performance: PerformanceReport
    by_day: Mapping[date, Day]
    anomalies: Sequence[Anomaly]

    @property
    def name(self) -> str:
        """`daily/2026-11-20`; of a week, its last day."""
        return f"{self.period}/{self.span.last.isoformat()}"

    def view(self) -> dict[str, object]:
        before = self.cost_before.total
        return {
            "period": self.period.value,
            "cost": self.cost.view() | {"before_usd": usd_text(before.usd) if before.is_known else None},
            "performance": self.performance.view(),
            "anomalies": [anomaly.view() for anomaly in self.anomalies],
        }


async def digest(store: Store, period: Period, last: date, zone: tzinfo, *, at: datetime) -> Digest:
    """Return the digest of the period that ends with the day `last`."""
    span = Span(last - period.length + timedelta(days=1), last, zone)
    by_day = await _by_day(store, Span(span.first - HISTORY, span.last, zone), at=at)
    anomalies = []
    for day in days_of(span):
        # Days without a turn, as before the first one, belong to no band.
        history = [by_day[past] for past in by_day if day - HISTORY <= past < day and by_day[past].turns]
        for watched in WATCHED:
            value = watched.of(by_day[day]) if by_day[day].turns else None
            band = Band.of([past for one in history if (past := watched.of(one)) is not None])
            if value is not None and band is not None and not band.low <= value <= band.high:
                is_worse = (value > band.high) == watched.worse_above
                anomalies.append(Anomaly(day, watched.name, round(value, 6), band, is_worse))
    return Digest(
        period,
        span,
        cost=await cost_report(store, span, By.MODEL, at=at),
        cost_before=await cost_report(store, preceding(span), By.MODEL, at=at),
        performance=await performance_report(store.records, span, at=at),
        by_day=by_day,
        anomalies=tuple(anomalies),
    )


async def _by_day(store: Store, span: Span, *, at: datetime) -> dict[date, Day]:
    pages = {day: Page() for day in days_of(span)}
    async for hour, page in hours(store.records, span.begin, span.end, at=at):
        pages[hour.astimezone(span.zone).date()].add_page(page)
    spent = dict.fromkeys(pages, Decimal(0))
    for line in (await cost_report(store, span, By.HOUR, at=at)).lines:
        spent[date.fromisoformat(line.name[:10])] += line.amounts.usd
    return {
        day: Day(
            usd=float(spent[day]),
            usd_per_turn=float(spent[day]) / page.turns if page.turns else None,
            reply_p95_ms=page.time(Times.REPLY).quantile(0.95),
            failure_rate=failure_rate(page),
            quality=quality(page),
            turns=page.turns,
        )
        for day, page in pages.items()
    }
