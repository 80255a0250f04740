"""Posting of the daily and weekly report to the team, once per period across all processes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from contracts.delivery import Record
from contracts.errors import TransientError
from contracts.ports import Records
from observability.logs import logger
from observability.metrics import BACKGROUND_ERRORS, REPORTS_POSTED
from reports.digest import Period
from reports.render.page import digest_text
from reports.reporting import Reporting

log = logger(__name__)

COLLECTION = "report_posts"
# In the institution's zone: before its working day, and long after the last cost of the day was written.
FROM_HOUR = 8
# A report that could not be posted by then is outdated.
WITHIN = timedelta(hours=12)
# A claim without a post for this long belongs to a dead process.
CLAIMED_FOR = timedelta(minutes=10)
KEPT_FOR = timedelta(days=40)
MONDAY = 0

Post = Callable[[str], Awaitable[None]]
"""Posts one text. Raises `TransientError` when it was not taken."""


@dataclass(frozen=True)
class ReportPosting:
    """Poster with a record per period and `place`, empty for the first: the process that writes it posts the report."""

    reporting: Reporting
    records: Records
    post: Post
    place: str = ""

    async def run(self) -> None:
        """Post the due reports. A failed post is tried again later, and raises nothing."""
        at = self.reporting.clock.now()
        for period in due_periods(at.astimezone(self.reporting.zone)):
            try:
                await self._post_once(period, self.reporting.yesterday, at)
            except TransientError as exc:
                REPORTS_POSTED.labels(outcome="failed").inc()
                log.warning("report.unposted", kind=period.value, error=type(exc).__name__)
            except Exception as exc:
                BACKGROUND_ERRORS.labels(job="report", family="defect").inc()
                log.error("report.defect", exc_info=exc)

    async def _post_once(self, period: Period, last: date, at: datetime) -> None:
        key = "/".join(filter(None, (period.value, last.isoformat(), self.place)))
        stored = await self.records.get(COLLECTION, key, at=at)
        if stored is not None and (stored.body["posted"] or stored.updated_at > at - CLAIMED_FOR):
            return
        version = stored.version if stored else 0
        claim = Record.of(COLLECTION, key, {"posted": False}, at=at, version=version, kept_for=KEPT_FOR)
        claimed = await self.records.put(claim)
        if claimed is None:
            return
        digest = await self.reporting.digest(period, last)
        await self.post(digest_text(digest, await self.reporting.wording()))
        REPORTS_POSTED.labels(outcome="posted").inc()
        log.info("report.posted", kind=period.value)
        await self.records.put(claimed.model_copy(update={"body": {"posted": True}}))


def due_periods(local: datetime) -> list[Period]:
    """Return the periods due at a time of the institution's zone: every morning the day, on Mondays the week too."""
    begin = local.replace(hour=FROM_HOUR, minute=0, second=0, microsecond=0)
    if not begin <= local < begin + WITHIN:
        return []
    return [Period.DAILY, Period.WEEKLY] if local.weekday() == MONDAY else [Period.DAILY]
