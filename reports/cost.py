"""Cost report of a span of days, grouped one way, from the ledger or from the turns, and its recount."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum
from functools import partial

from contracts.conversation import TurnRecord
from contracts.delivery import Record
from contracts.errors import StoreUnavailableError
from contracts.ledger import COLLECTION, NOTHING, Amounts, BilledCall, Group, Kind, Page, kind_of, shard_key
from contracts.listing import ConversationQuery
from contracts.paging import all_conversations, all_records
from contracts.ports import Records, Store
from contracts.shards import KEPT_FOR
from prompts.pricing.prices import usd_text

HOUR = timedelta(hours=1)
# A quotient is rounded, a sum never is.
QUOTIENT = Decimal("0.00000001")
# By then every turn of the day is committed.
SETTLED_AFTER = timedelta(minutes=10)
RECOUNT_ATTEMPTS = 5


class By(StrEnum):
    MODEL = "model"
    TASK = "task"
    LINE = "line"
    ARM = "arm"
    HOUR = "hour"
    TEMPLATE = "template"
    CONVERSATION = "conversation"


@dataclass(frozen=True)
class Span:
    """Days of the institution's calendar, the first and the last included."""

    first: date
    last: date
    zone: tzinfo

    @property
    def begin(self) -> datetime:
        return datetime.combine(self.first, time.min, self.zone).astimezone(UTC)

    @property
    def end(self) -> datetime:
        return datetime.combine(self.last + timedelta(days=1), time.min, self.zone).astimezone(UTC)


@dataclass(frozen=True)
class Line:
    """One group. `turns` is None where a turn may be in several groups, `resolved` where a conversation may.

    `resolved` counts the conversations that ended.
    """

    name: str
    amounts: Amounts
    turns: int | None
    resolved: int | None = None


@dataclass(frozen=True)
class CostReport:
    """The groups, most expensive first, hours in their order. `turns` counts those that called a model."""

    span: Span
    by: By
    lines: tuple[Line, ...]
    turns: int

    @property
    def total(self) -> Amounts:
        return sum((line.amounts for line in self.lines), NOTHING)

    def per_turn(self, line: Line) -> Decimal | None:
        """Return the USD of known price per turn of the group, else per turn of all; None without turns or a price."""
        turns = self.turns if line.turns is None else line.turns
        return (line.amounts.usd / turns).quantize(QUOTIENT) if turns and line.amounts.is_known else None

    @property
    def resolved(self) -> int | None:
        """The sum over all groups, where it is known by group."""
        known = [line.resolved for line in self.lines if line.resolved is not None]
        return sum(known) if known else None

    def per_resolved(self, line: Line) -> Decimal | None:
        """Return the USD of known price, unresolved conversations included, per resolved one; None without either."""
        if not line.resolved or not line.amounts.is_known:
            return None
        return (line.amounts.usd / line.resolved).quantize(QUOTIENT)

    def share(self, amounts: Amounts) -> Decimal | None:
        """Return the share of the total, in [0, 1]; None without any known price."""
        return (amounts.usd / self.total.usd).quantize(Decimal("0.0001")) if self.total.usd else None

    def view(self) -> dict[str, object]:
        """Return the report as JSON; money is decimal text."""
        everything = Line("total", self.total, self.turns, self.resolved)
        return {
            "from": self.span.first.isoformat(),
            "to": self.span.last.isoformat(),
            "time_zone": str(self.span.zone),
            "by": self.by.value,
            "rows": [{self.by.value: line.name or None} | self._view(line) for line in self.lines],
            "total": self._view(everything),
        }

    def _view(self, line: Line) -> dict[str, object]:
        amounts, per_turn, share = line.amounts, self.per_turn(line), self.share(line.amounts)
        per_resolved = self.per_resolved(line)
        resolved = {
            "resolved": line.resolved,
            "cost_per_resolved_usd": None if per_resolved is None else usd_text(per_resolved),
        }
        return ({} if line.resolved is None else resolved) | {
            "calls": amounts.calls,
            "turns": line.turns,
            "tokens": {
                "input": amounts.input,
                "output": amounts.output,
                "cache_read": amounts.cache_read,
                "cache_write": amounts.cache_write,
            },
            "cost_usd": usd_text(amounts.usd) if amounts.is_known else None,
            "unknown_price_calls": amounts.unpriced,
            "cost_per_turn_usd": None if per_turn is None else usd_text(per_turn),
            "share": None if share is None else usd_text(share),
        }


async def cost_report(store: Store, span: Span, by: By, *, at: datetime) -> CostReport:
    """Add up the span. An hour counts to the day in which it begins."""
    if by is By.CONVERSATION:
        return await _by_conversation(store, span)
    groups: dict[str, Amounts] = {}
    turns: dict[str, int] = {}
    resolved: dict[str, int] = {}
    count = 0
    first, last = span.begin.date(), (span.end - timedelta(microseconds=1)).date()
    for day in (first + timedelta(days=number) for number in range((last - first).days + 1)):
        page = await read_day(store.records, day, at=at)
        begin = datetime.combine(day, time.min, UTC)
        inside = [hour for hour in range(24) if span.begin <= begin + hour * HOUR < span.end]
        page = page.within(range(inside[0], inside[-1] + 1)) if inside else Page()
        count += page.turn_count
        name = partial(_name, by, day, span.zone)
        for group, amounts in page.rows.items():
            groups[name(group)] = groups.get(name(group), NOTHING) + amounts
        for (hour, line), number in page.turns.items():
            key = name(Group(hour, line, "", "", ""))
            turns[key] = turns.get(key, 0) + number
        for (_, arm), number in page.resolved.items():
            resolved[arm] = resolved.get(arm, 0) + number
    if by is By.ARM:
        lines = [Line(arm, groups.get(arm, NOTHING), None, resolved.get(arm, 0)) for arm in groups | resolved]
        return CostReport(span, by, _ordered(lines, by), count)
    has_turns = by in (By.LINE, By.HOUR)
    lines = [Line(name, amounts, turns.get(name, 0) if has_turns else None) for name, amounts in groups.items()]
    return CostReport(span, by, _ordered(lines, by), count)


async def _by_conversation(store: Store, span: Span) -> CostReport:
    """Add up by conversation, of turns only: the ledger does not contain the conversation of an analysis."""
    groups: dict[str, Amounts] = {}
    turns: dict[str, int] = {}
    async for turn in turns_between(store, span.begin, span.end):
        calls = BilledCall.of(turn.tasks)
        if calls:
            spent = sum((Amounts.of(billed.call) for billed in calls), NOTHING)
            groups[turn.conversation_id] = groups.get(turn.conversation_id, NOTHING) + spent
            turns[turn.conversation_id] = turns.get(turn.conversation_id, 0) + 1
    lines = [Line(name, amounts, turns[name]) for name, amounts in groups.items()]
    return CostReport(span, By.CONVERSATION, _ordered(lines, By.CONVERSATION), sum(turns.values()))


def _name(by: By, day: date, zone: tzinfo, group: Group) -> str:
    """Return the group's part that is named as the grouping is; an hour in the zone."""
    if by is not By.HOUR:
        return str(getattr(group, by.value))
    return f"{datetime.combine(day, time(group.hour), UTC).astimezone(zone):%Y-%m-%d %H:00}"


def _ordered(lines: list[Line], by: By) -> tuple[Line, ...]:
    if by is By.HOUR:
        return tuple(sorted(lines, key=lambda line: line.name))
    return tuple(sorted(lines, key=lambda line: (-line.amounts.usd, line.name)))


async def read_day(store: Records, day: date, *, at: datetime) -> Page:
    """Return the sums of one day (UTC), of all processes."""
    shards = [(kind_of(record.key), Page.of(record.body)) async for record in _shards(store, day, at=at)]
    turns = Kind.RECOUNT if any(kind is Kind.RECOUNT for kind, _ in shards) else Kind.TURNS
    total = Page()
    for kind, page in shards:
        if kind in (turns, Kind.APART):
            total.add_page(page)
    return total


async def recount(store: Store, day: date, *, at: datetime, retention: timedelta = timedelta(days=90)) -> Page:
    """Count the turns of a day (UTC) again, and replace the sums that the processes have written of them.

    It is exact without a concurrent erasure. Turns of a conversation migrated from another store count here.

    Raises:
        ValueError: the day is not over, or so long ago that conversations of it may have been deleted.
        StoreUnavailableError: another process replaces the sums again and again.
    """
    begin = datetime.combine(day, time.min, UTC)
    end = begin + timedelta(days=1)
    if at < end + SETTLED_AFTER:
        raise ValueError(f"{day} (UTC) is not over: its turns are still being written")
    if begin < at - retention:
        raise ValueError(f"of {day} conversations may have been forgotten: what is in the ledger is all there is")
    page = Page()
    async for record in _shards(store.records, day, at=at):
        if kind_of(record.key) is Kind.ERASED:
            page.add_page(Page.of(record.body))
    async for turn in turns_between(store, begin, end):
        page.add_turn(turn)
    key = shard_key(day, Kind.RECOUNT, "all")
    for _ in range(RECOUNT_ATTEMPTS):
        stored = await store.records.get(COLLECTION, key, at=at)
        version = stored.version if stored else 0
        record = Record.of(COLLECTION, key, page.body(), at=at, version=version, kept_for=KEPT_FOR)
        if await store.records.put(record) is not None:
            return page
    raise StoreUnavailableError(f"{key} keeps changing")


async def turns_between(store: Store, begin: datetime, end: datetime) -> AsyncIterator[TurnRecord]:
    """Yield every turn committed in that time, by conversation. It reads all conversations changed since."""
    async for head in all_conversations(store.conversations, ConversationQuery(since=begin)):
        for turn in await store.conversations.turns(head.id):
            if begin <= turn.at < end:
                yield turn


def _shards(store: Records, day: date, *, at: datetime) -> AsyncIterator[Record]:
    return all_records(store, COLLECTION, at=at, prefix=f"{day.isoformat()}/")
