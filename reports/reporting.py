"""Reports on request, for the console's pages and the commands."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from contracts.pages import ReportPage
from contracts.ports import Clock, Inbox, Store
from reports.cost import By, Span, cost_report
from reports.digest import Digest, Period, digest
from reports.performance import performance_report
from reports.render.page import cost_page, digest_page, performance_page, status_page
from reports.render.words import Wording
from reports.status import Status, read_status

# The days on the pages of cost and performance.
SHOWN_DAYS = 14
DEFAULT_LANGUAGE = "pt-BR"


@dataclass(frozen=True)
class Reporting:
    """Satisfies the `Reports` port. `zone` is the time zone of days, `ceiling` the daily budget."""

    inbox: Inbox
    store: Store
    clock: Clock
    zone: tzinfo
    ceiling: Decimal | None

    @property
    def today(self) -> date:
        return self.clock.now().astimezone(self.zone).date()

    @property
    def yesterday(self) -> date:
        return self.today - timedelta(days=1)

    def last_days(self, number: int) -> Span:
        """Return the last days, today included."""
        return Span(self.today - timedelta(days=number - 1), self.today, self.zone)

    async def status(self) -> Status:
        return await read_status(self.inbox, self.store, zone=self.zone, ceiling=self.ceiling, at=self.clock.now())

    async def digest(self, period: Period, last: date | None = None) -> Digest:
        """Return the digest of the period that ends with the day, by default yesterday, the last complete one."""
        return await digest(self.store, period, last or self.yesterday, self.zone, at=self.clock.now())

    async def wording(self, language: str | None = None) -> Wording:
        """Return the wording in `language`, or else in that of the published institution."""
        if language is not None:
            return Wording(language)
        institution = await self.store.institutions.current()
        return Wording(institution.language if institution else DEFAULT_LANGUAGE)

    def span(self, first: date | None, last: date | None) -> Span:
        """Return the span of those days; by default the last ones that a page shows, today included."""
        last = last or self.today
        return Span(first or last - timedelta(days=SHOWN_DAYS - 1), last, self.zone)

    async def view(self, name: str, *, first: date | None = None, last: date | None = None) -> dict[str, Any] | None:
        """Return a report as JSON values; None when there is none of that name."""
        at, span = self.clock.now(), self.span(first, last)
        match name:
            case "status":
                return (await self.status()).view()
            case "daily" | "weekly":
                return (await self.digest(Period(name), last)).view()
            case "cost":
                return (await cost_report(self.store, span, By.MODEL, at=at)).view()
            case "performance":
                return (await performance_report(self.store.records, span, at=at)).view()
            case _:
                return None

    async def page(
        self, name: str, *, language: str, first: date | None = None, last: date | None = None
    ) -> ReportPage | None:
        """Return a report in words; None when there is none of that name."""
        wording, at, span = Wording(language), self.clock.now(), self.span(first, last)
        match name:
            case "status":
                return status_page(await self.status(), wording)
            case "daily" | "weekly":
                return digest_page(await self.digest(Period(name), last), wording)
            case "cost":
                return await self.cost_page(span, wording)
            case "performance":
                return performance_page(await performance_report(self.store.records, span, at=at), wording)
            case _:
                return None

    async def cost_page(self, span: Span, wording: Wording) -> ReportPage:
        at: datetime = self.clock.now()
        by_model = await cost_report(self.store, span, By.MODEL, at=at)
        by_hour = await cost_report(self.store, span, By.HOUR, at=at)
        return cost_page(by_model, by_hour, wording)
