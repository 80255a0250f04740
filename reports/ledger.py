"""The ledger of this process: what was spent, and how turns went, is added up here and written every few seconds.

The records of the turns are the truth, and each is part of its turn's commit; the ledger only adds them up. What a
process had not written when it died is, of the money, found by `reports.recount`; of how turns went, lost.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from contracts import performance
from contracts.alongside import running_beside
from contracts.conversation import TurnRecord
from contracts.errors import TransientError
from contracts.ledger import COLLECTION, BilledCall, Kind, Page, shard_key
from contracts.performance import Cause
from contracts.ports import Clock, Records
from observability.logs import logger
from observability.metrics import BACKGROUND_ERRORS, LEDGER_LATE
from reports.budget import BudgetSync
from reports.totals import Shards

log = logger(__name__)

FLUSH_EVERY = timedelta(seconds=2)


class Ledger:
    """Books what was spent, and how turns went. Booking waits for nothing; `flush` makes it durable."""

    def __init__(self, store: Records, *, writer: str, clock: Clock) -> None:
        self._clock = clock
        self._money = Shards(store, COLLECTION, empty=Page, key=_money_key, writer=writer, clock=clock)
        self._performance = Shards(
            store, performance.COLLECTION, empty=performance.Page, key=_hour_key, writer=writer, clock=clock
        )
        self._flushing = asyncio.Lock()

    def book_turn(self, turn: TurnRecord) -> None:
        """A turn was committed."""
        if turn.tasks:
            self._money.page(turn.at, Kind.TURNS).add_turn(turn)
        self._performance.page(turn.at, "").add_turn(turn)

    def book_apart(self, calls: Sequence[BilledCall], *, line: str | None, arms: Iterable[str] = ()) -> None:
        """Calls were paid of which no turn's record will tell."""
        if calls:
            at = self._clock.now()
            self._money.page(at, Kind.APART).add_calls(calls, line=line, at=at, arms=arms)

    def book_erased(self, turns: Iterable[TurnRecord]) -> None:
        """The records of these turns are gone: a recount must still find their money."""
        for turn in turns:
            if turn.tasks:
                self._money.page(turn.at, Kind.ERASED).add_turn(turn)

    def book_reply(self, *, received_at: datetime, sent_at: datetime) -> None:
        """A platform took the reply to a message."""
        self._performance.page(sent_at, "").add_reply(received_at=received_at, sent_at=sent_at)

    def book_failure(self, cause: Cause) -> None:
        """Something failed of which no turn's record tells."""
        self._performance.page(self._clock.now(), "").add_failure(cause)

    async def flush(self) -> None:
        """Write what has changed.

        Raises:
            StoreUnavailableError: some of it waits for the next time.
        """
        async with self._flushing:
            await self._money.flush()
            await self._performance.flush()


@asynccontextmanager
async def kept(ledger: Ledger, exchange: BudgetSync, *, every: timedelta = FLUSH_EVERY) -> AsyncIterator[None]:
    """Write what is booked, and learn what others have spent, while the context is open and once at its end."""
    try:
        async with running_beside(_keep(ledger, exchange, every)):
            yield
    finally:
        await _once(ledger, exchange)


async def _keep(ledger: Ledger, exchange: BudgetSync, every: timedelta) -> None:
    while True:
        await _once(ledger, exchange)
        await asyncio.sleep(every.total_seconds())


async def _once(ledger: Ledger, exchange: BudgetSync) -> None:
    """No message waits for it, and what could not be written stays booked here until the next time."""
    try:
        await ledger.flush()
    except TransientError as exc:
        LEDGER_LATE.inc()
        log.warning("ledger.late", error=type(exc).__name__)
    except Exception as exc:
        BACKGROUND_ERRORS.labels(job="ledger", family="defect").inc()
        log.error("ledger.defect", exc_info=exc)
    await exchange.run()


def _money_key(hour: datetime, kind: str, writer: str) -> str:
    return shard_key(hour.date(), Kind(kind), f"{hour.hour:02d}-{writer}")


def _hour_key(hour: datetime, _: str, writer: str) -> str:
    return performance.shard_key(hour, writer)
