"""The first five numbers: waiting messages, latency, failures, cost, answer sources."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from contracts.listing import MOST_COUNTED, WAITING, waiting_since
from contracts.performance import Count, Page, Times
from contracts.ports import Inbox, Store
from observability.exposition import OVERDUE_AFTER
from prompts.pricing.prices import usd_text
from reports.cost import By, Span, cost_report
from reports.performance import SHARE_DIGITS, failure_rate, hours, times


@dataclass(frozen=True)
class Status:
    """Current values; latency, failures and answers since `since`, cost since midnight of the institution's zone."""

    at: datetime
    since: datetime
    zone: tzinfo
    waiting: int
    overdue: int
    oldest_seconds: float
    unsent: int
    handoffs: int
    handoff_oldest_seconds: float
    page: Page
    spent: Decimal
    unpriced_calls: int
    ceiling: Decimal | None

    @property
    def share_of_ceiling(self) -> float | None:
        return round(float(self.spent / self.ceiling), SHARE_DIGITS) if self.ceiling else None

    def view(self) -> dict[str, Any]:
        turns = self.page.turns
        answers = self.page.of(Count.ANSWERS)
        return {
            "at": self.at.isoformat(),
            "since": self.since.isoformat(),
            "unanswered": {
                "older_than_a_minute": self.overdue,
                "oldest_seconds": round(self.oldest_seconds, 1),
                "waiting": self.waiting,
                "replies_unsent": self.unsent,
            },
            "hand_offs": {"waiting": self.handoffs, "oldest_seconds": round(self.handoff_oldest_seconds, 1)},
            "reply_ms": times(self.page.time(Times.REPLY)),
            "failures": {"rate": failure_rate(self.page), "by_cause": self.page.of(Count.FAILURES), "turns": turns},
            "money": {
                "today_usd": usd_text(self.spent),
                "unknown_price_calls": self.unpriced_calls,
                "ceiling_usd": usd_text(self.ceiling) if self.ceiling else None,
                "share": self.share_of_ceiling,
            },
            "answers": {
                source: {"turns": number, "share": round(number / turns, SHARE_DIGITS)}
                for source, number in answers.items()
            },
        }


async def read_status(inbox: Inbox, store: Store, *, zone: tzinfo, ceiling: Decimal | None, at: datetime) -> Status:
    """Return the current status. Latency, failures and answers are of this hour (UTC) and the one before."""
    since = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    ages = await inbox.ages(overdue_before=at - OVERDUE_AFTER)
    oldest = ages.oldest_received_at
    handoffs = (await store.conversations.find(WAITING, limit=MOST_COUNTED)).items
    handed_off_at = waiting_since(handoffs[0]) if handoffs else None
    today = at.astimezone(zone).date()
    spent = (await cost_report(store, Span(today, today, zone), By.MODEL, at=at)).total
    page = Page()
    async for _, one in hours(store.records, since, at + timedelta(hours=1), at=at):
        page.add_page(one)
    return Status(
        at=at,
        since=since,
        zone=zone,
        waiting=await inbox.depth(),
        overdue=ages.overdue,
        oldest_seconds=max(0.0, (at - oldest).total_seconds()) if oldest else 0.0,
        unsent=await store.outbox.unsent_count(),
        handoffs=len(handoffs),
        handoff_oldest_seconds=max(0.0, (at - handed_off_at).total_seconds()) if handed_off_at else 0.0,
        page=page,
        spent=spent.usd,
        unpriced_calls=spent.unpriced,
        ceiling=ceiling,
    )
