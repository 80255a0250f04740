"""Shared daily budget: each process writes its spending to a record of its own, and reads the others' records.

An unavailable store stops no process: each continues with its last knowledge, and counts the missed exchanges.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal

from contracts.delivery import Record
from contracts.errors import TransientError
from contracts.paging import all_records
from contracts.ports import Clock, Records
from observability.logs import logger
from observability.metrics import BUDGET_ALONE, BUDGET_NOTICES, BUDGET_SHARE, DRAIN_ERRORS
from prompts.pricing.budget import DaySpending, Elsewhere
from prompts.pricing.prices import ZERO, usd_text

log = logger(__name__)

COLLECTION = "spending"
KEPT_FOR = timedelta(days=3)
# A process silent for this long holds no reservations any more: it has died, or is idle.
BUSY_WITHIN = timedelta(seconds=15)


class Exchange:
    """Exchange of one process's spending with the store."""

    def __init__(self, store: Records, spending: DaySpending, *, writer: str, clock: Clock) -> None:
        self._store = store
        self._spending = spending
        self._writer = writer
        self._clock = clock
        self._said: Record | None = None
        self._noticed: set[tuple[date, int]] = set()

    async def run(self) -> None:
        """Write this process's spending, read the others', and announce once each reached share of the ceiling."""
        if self._spending.ceiling is None:
            return
        try:
            day = self._spending.day()
            await self._say(day)
            self._spending.exchange(day, await self._elsewhere(day))
            BUDGET_SHARE.set(float(self._spending.share))
            await self._notice(day)
        except TransientError as exc:
            BUDGET_ALONE.inc()
            log.warning("budget.alone", error=type(exc).__name__)
        except Exception as exc:
            DRAIN_ERRORS.labels(family="defect").inc()
            log.error("budget.defect", exc_info=exc)

    async def _say(self, day: date) -> None:
        """Write only news; old figures are repeated while calls are pending."""
        at = self._clock.now()
        body = {"spent": usd_text(self._spending.spent), "held": usd_text(self._spending.held)}
        key = f"{day.isoformat()}/process/{self._writer}"
        said = self._said if self._said is not None and self._said.key == key else None
        if said is not None and said.body == body and (not self._spending.held or said.updated_at == at):
            return
        if said is None and not self._spending.spent and not self._spending.held:
            return
        record = self._record(key, body, at, version=said.version if said else 0)
        self._said = await self._store.put(record)
        if self._said is None:
            # An earlier write succeeded although its response was lost.
            self._said = await self._store.get(COLLECTION, key, at=at)

    async def _elsewhere(self, day: date) -> Elsewhere:
        at = self._clock.now()
        spent = held = ZERO
        busy = 0
        prefix = f"{day.isoformat()}/process/"
        async for record in all_records(self._store, COLLECTION, at=at, prefix=prefix):
            if record.key != f"{prefix}{self._writer}":
                spent += Decimal(record.body["spent"])
                if record.updated_at > at - BUSY_WITHIN:
                    busy += 1
                    held += Decimal(record.body["held"])
        return Elsewhere(spent, held, busy)

    async def _notice(self, day: date) -> None:
        """Announce the share from the one process that writes the notice first."""
        for percent in sorted(self._spending.reached):
            if (day, percent) in self._noticed:
                continue
            key = f"{day.isoformat()}/notice/{percent:03d}"
            saved = await self._store.put(self._record(key, {}, self._clock.now(), version=0))
            self._noticed.add((day, percent))
            if saved is not None:
                BUDGET_NOTICES.labels(percent=str(percent)).inc()
                log.warning("budget.reached", percent=percent, ceiling_usd=usd_text(self._spending.ceiling or ZERO))

    def _record(self, key: str, body: dict[str, str], at: datetime, *, version: int) -> Record:
        return Record(
            collection=COLLECTION, key=key, version=version, body=body, expires_at=at + KEPT_FOR, updated_at=at
        )
