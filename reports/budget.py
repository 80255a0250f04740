"""Exchange of the day's spending between processes: each writes a record of its own, and reads those of the others.

While the store is unavailable each process continues with its last figures, and counts the missed exchanges.
"""

from datetime import date, timedelta
from decimal import Decimal

from contracts.delivery import Record
from contracts.errors import TransientError
from contracts.paging import all_records
from contracts.ports import Clock, Records
from observability.logs import logger
from observability.metrics import BACKGROUND_ERRORS, BUDGET_ALONE, BUDGET_NOTICES, BUDGET_SHARE
from prompts.pricing.budget import DaySpending, RemoteSpend
from prompts.pricing.prices import ZERO, usd_text

log = logger(__name__)

COLLECTION = "spending"
KEPT_FOR = timedelta(days=3)
# A process without an update for so long holds nothing any more: it has died, or is idle.
BUSY_WITHIN = timedelta(seconds=15)


class BudgetSync:
    """Spending of one process to the store, and that of the others back."""

    def __init__(self, store: Records, spending: DaySpending, *, writer: str, clock: Clock) -> None:
        self._store = store
        self._spending = spending
        self._writer = writer
        self._clock = clock
        self._said: Record | None = None
        self._noticed: set[tuple[date, int]] = set()

    async def run(self) -> None:
        """Write the own spending, read that of the others, and notify once of each share of the ceiling reached."""
        if self._spending.ceiling is None:
            return
        try:
            day = self._spending.day()
            await self._say(day)
            spent, held, busy, at = ZERO, ZERO, 0, self._clock.now()
            prefix = f"{day.isoformat()}/process/"
            async for record in all_records(self._store, COLLECTION, at=at, prefix=prefix):
                if record.key != f"{prefix}{self._writer}":
                    spent += Decimal(record.body["spent"])
                    if record.updated_at > at - BUSY_WITHIN:
                        busy += 1
                        held += Decimal(record.body["held"])
            self._spending.exchange(day, RemoteSpend(spent, held, busy))
            BUDGET_SHARE.set(float(self._spending.share))
            await self._notice(day)
        except TransientError as exc:
            BUDGET_ALONE.inc()
            log.warning("budget.alone", error=type(exc).__name__)
        except Exception as exc:
            BACKGROUND_ERRORS.labels(job="budget", family="defect").inc()
            log.error("budget.defect", exc_info=exc)

    async def _say(self, day: date) -> None:
        """Write the record when it is new, and renew it while calls are under way."""
        at = self._clock.now()
        body = {"spent": usd_text(self._spending.spent), "held": usd_text(self._spending.held)}
        key = f"{day.isoformat()}/process/{self._writer}"
        said = self._said if self._said is not None and self._said.key == key else None
        if said is not None and said.body == body and (not self._spending.held or said.updated_at == at):
            return
        if said is None and not self._spending.spent and not self._spending.held:
            return
        version = said.version if said else 0
        record = Record.of(COLLECTION, key, body, at=at, version=version, kept_for=KEPT_FOR)
        self._said = await self._store.put(record)
        if self._said is None:
            # An earlier write arrived and its answer was lost.
            self._said = await self._store.get(COLLECTION, key, at=at)

    async def _notice(self, day: date) -> None:
        """Notify of new shares; of all processes only the one that writes the notice does."""
        for percent in sorted(self._spending.reached):
            if (day, percent) in self._noticed:
                continue
            key = f"{day.isoformat()}/notice/{percent:03d}"
            notice = Record.of(COLLECTION, key, {}, at=self._clock.now(), kept_for=KEPT_FOR)
            saved = await self._store.put(notice)
            self._noticed.add((day, percent))
            if saved is not None:
                BUDGET_NOTICES.labels(percent=str(percent)).inc()
                log.warning("budget.reached", percent=percent, ceiling_usd=usd_text(self._spending.ceiling or ZERO))
