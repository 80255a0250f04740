"""Ledger of one process: costs and performance, aggregated here and written every few seconds.

The records of the turns are the source of truth, and each is part of its turn's commit; the ledger only aggregates
them. Of a process's unwritten sums at its death, `reports.recount` recovers the costs; the performance is lost.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from contracts import performance
from contracts.alongside import repeating, running_beside
from contracts.conversation import CallRecord, TurnRecord
from contracts.errors import TransientError
from contracts.ledger import COLLECTION, BilledCall, Kind, Page, shard_key
from contracts.messages import ChannelName, Template
from contracts.performance import Cause
from contracts.ports import Clock, Records
from observability.logs import logger
from observability.metrics import BACKGROUND_ERRORS, LEDGER_LATE
from reports.budget import BudgetSync
from reports.totals import Shards

log = logger(__name__)

FLUSH_EVERY = timedelta(seconds=2)


class Ledger:
    """Bookkeeping of costs and performance. Booking never waits; `flush` makes it durable."""

    def __init__(
        self, store: Records, *, writer: str, clock: Clock, template_prices: Mapping[str, Decimal] | None = None
    ) -> None:
        self._clock = clock
        self._template_prices = template_prices or {}
        self._money = Shards(
            store,
            COLLECTION,
            empty=Page,
            key=lambda hour, kind, name: shard_key(hour.date(), Kind(kind), f"{hour.hour:02d}-{name}"),
            writer=writer,
            clock=clock,
        )
        self._performance = Shards(
            store,
            performance.COLLECTION,
            empty=performance.Page,
            key=lambda hour, _, name: performance.shard_key(hour, name),
            writer=writer,
            clock=clock,
        )
        self._flushing = asyncio.Lock()

    def book_turn(self, turn: TurnRecord) -> None:
        """Book a committed turn."""
        if turn.tasks:
            self._money.page(turn.at, Kind.TURNS).add_turn(turn)
        self._performance.page(turn.at, "").add_turn(turn)

    def book_apart(self, calls: Sequence[BilledCall], *, line: str | None, arms: Iterable[str] = ()) -> None:
        """Book paid calls that belong to no turn's record."""
        if calls:
            at = self._clock.now()
            self._money.page(at, Kind.APART).add_calls(calls, line=line, at=at, arms=arms)

    def book_template(self, template: Template, channel: ChannelName) -> None:
        """Book a template that a platform accepted, at its category's price; without one it costs unknown."""
        price = self._template_prices.get(template.category)
        sent = CallRecord(model=f"{channel} {template.category}", cost_usd=None if price is None else f"{price:f}")
        self.book_apart([BilledCall("template", template.name, sent)], line=None)

    def book_erased(self, turns: Iterable[TurnRecord]) -> None:
        """Book turns whose records are erased: a recount must still find their costs."""
        for turn in turns:
            if turn.tasks:
                self._money.page(turn.at, Kind.ERASED).add_turn(turn)

    def book_reply(self, *, received_at: datetime, sent_at: datetime) -> None:
        """Book a reply that a platform accepted."""
        self._performance.page(sent_at, "").add_reply(received_at=received_at, sent_at=sent_at)

    def book_failure(self, cause: Cause) -> None:
        """Book a failure that belongs to no turn's record."""
        self._performance.page(self._clock.now(), "").add_failure(cause)

    async def flush(self) -> None:
        """Write the changes. Raises StoreUnavailableError: some of it waits for the next time."""
        async with self._flushing:
            await self._money.flush()
            await self._performance.flush()


@asynccontextmanager
async def kept(ledger: Ledger, exchange: BudgetSync, *, every: timedelta = FLUSH_EVERY) -> AsyncIterator[None]:
    """Write what is booked, and learn what others have spent, while the context is open and once at its end."""

    async def keep() -> None:
        await _once(ledger, exchange)
        await repeating(partial(_once, ledger, exchange), every)

    try:
        async with running_beside(keep()):
            yield
    finally:
        await _once(ledger, exchange)


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
