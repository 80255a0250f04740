"""Ledger of one process: costs and performance, aggregated here and written every few seconds.

Each process writes records of its own, one for each hour and kind, always the whole sum: no two processes write the
same record, so a write whose response was lost is simply repeated. The records of the turns are the source of truth,
and each is part of its turn's commit; the ledger only aggregates them. Of a process's unwritten sums at its death,
`reports.cost.recount` recovers the costs; the performance is lost.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Generic, TypeVar

from contracts import performance
from contracts.alongside import repeating, running_beside
from contracts.conversation import CallRecord, TurnRecord
from contracts.errors import TransientError
from contracts.ledger import COLLECTION, BilledCall, Kind, Page, shard_key
from contracts.messages import ChannelName, Template
from contracts.performance import Cause
from contracts.ports import Clock, Records
from contracts.shards import Shard
from observability.logs import logger
from observability.metrics import BACKGROUND_ERRORS, LEDGER_LATE
from reports.budget import BudgetSync

log = logger(__name__)

FLUSH_EVERY = timedelta(seconds=2)

P = TypeVar("P", bound=Page | performance.Page)


class _HourShard(Shard, Generic[P]):
    """This process's sums of one hour."""

    def __init__(self, key: str, page: P) -> None:
        super().__init__(key)
        self.page = page

    def body(self) -> Mapping[str, Any]:
        return self.page.body()


class Shards(Generic[P]):
    """The sums of one process in one collection; `key` makes a key of hour, kind and the unique name of a shard."""

    def __init__(
        self,
        store: Records,
        collection: str,
        *,
        empty: Callable[[], P],
        key: Callable[[datetime, str, str], str],
        writer: str,
        clock: Clock,
    ) -> None:
        self._store = store
        self._collection = collection
        self._empty = empty
        self._key = key
        self._writer = writer
        self._clock = clock
        # By hour (UTC) and kind.
        self._shards: dict[tuple[datetime, str], _HourShard[P]] = {}
        self._opened = 0

    def page(self, at: datetime, kind: str) -> P:
        """Return the page of the hour of `at`, to add to; the next flush writes it."""
        hour = _hour(at)
        shard = self._shards.get((hour, kind))
        if shard is None:
            # A shard opened again after its release is a new shard.
            self._opened += 1
            key = self._key(hour, kind, f"{self._writer}-{self._opened}")
            self._shards[hour, kind] = shard = _HourShard(key, self._empty())
        shard.is_written = False
        return shard.page

    async def flush(self) -> None:
        """Write every changed shard, and release those of past hours; never twice at the same time.

        Raises:
            StoreUnavailableError: some of it waits for the next time.
        """
        for (hour, kind), shard in list(self._shards.items()):
            await shard.write(self._store, self._collection, self._clock)
            if shard.is_written and hour < _hour(self._clock.now()) - timedelta(hours=1):
                del self._shards[hour, kind]


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


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
