"""The ledger of this process: what was spent is added up here and written every few seconds.

The records of the turns are the truth, and each is part of its turn's commit; the ledger only adds them up. A process
writes shards of its own, one for each hour and kind, always the whole sum of it: no two processes write the same
record, and a write whose answer got lost is simply written again. What a process had not written when it died is found
by `worker.recount`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from contracts.conversation import TurnRecord
from contracts.delivery import Record
from contracts.errors import TransientError
from contracts.ledger import COLLECTION, BilledCall, Kind, Page, shard_key
from contracts.ports import Clock, Records
from observability.logs import logger
from observability.metrics import DRAIN_ERRORS, LEDGER_LATE
from worker.spending import Exchange

log = logger(__name__)

FLUSH_EVERY = timedelta(seconds=2)
KEPT_FOR = timedelta(days=400)
# The second attempt finds a record that the first one has written without our hearing of it.
ATTEMPTS = 3


class _Drawer(NamedTuple):
    """Where an amount goes: the hour it belongs to, in UTC, and its kind."""

    hour: datetime
    kind: Kind


@dataclass
class _Shard:
    """What this process has booked in one hour; `version` is that of the record, 0 before the first write."""

    key: str
    page: Page = field(default_factory=Page)
    version: int = 0
    is_written: bool = True


class Ledger:
    """Books what was spent. Booking waits for nothing; `flush` makes it durable."""

    def __init__(self, store: Records, *, writer: str, clock: Clock) -> None:
        self._store = store
        self._writer = writer
        self._clock = clock
        self._shards: dict[_Drawer, _Shard] = {}
        self._opened = 0
        self._flushing = asyncio.Lock()

    def book_turn(self, turn: TurnRecord) -> None:
        """A turn was committed."""
        if any(task.bill for task in turn.tasks):
            self._shard(turn.at, Kind.TURNS).page.add_turn(turn)

    def book_apart(self, calls: Sequence[BilledCall], *, line: str | None) -> None:
        """Calls were paid of which no turn's record will tell."""
        if calls:
            at = self._clock.now()
            self._shard(at, Kind.APART).page.add_calls(calls, line=line, at=at)

    def book_erased(self, turns: Iterable[TurnRecord]) -> None:
        """The records of these turns are gone: a recount must still find their money."""
        for turn in turns:
            if any(task.bill for task in turn.tasks):
                self._shard(turn.at, Kind.ERASED).page.add_turn(turn)

    async def flush(self) -> None:
        """Write every shard that has changed, and forget those of hours that are over.

        Raises:
            StoreUnavailableError: some of it waits for the next time.
        """
        async with self._flushing:
            for drawer, shard in list(self._shards.items()):
                await self._write(shard)
                if shard.is_written and drawer.hour < _hour(self._clock.now()) - timedelta(hours=1):
                    del self._shards[drawer]

    def _shard(self, at: datetime, kind: Kind) -> _Shard:
        drawer = _Drawer(_hour(at), kind)
        shard = self._shards.get(drawer)
        if shard is None:
            # A drawer that is opened again after it was forgotten is another shard.
            self._opened += 1
            name = f"{drawer.hour.hour:02d}-{self._writer}-{self._opened}"
            self._shards[drawer] = shard = _Shard(shard_key(drawer.hour.date(), kind, name))
        shard.is_written = False
        return shard

    async def _write(self, shard: _Shard) -> None:
        for _ in range(ATTEMPTS):
            if shard.is_written:
                return
            at = self._clock.now()
            record = Record(
                collection=COLLECTION,
                key=shard.key,
                version=shard.version,
                body=shard.page.body(),
                expires_at=at + KEPT_FOR,
                updated_at=at,
            )
            # What is booked while we wait is for the next write.
            shard.is_written = True
            try:
                saved = await self._store.put_record(record)
                if saved is None:
                    stored = await self._store.record(COLLECTION, shard.key, at=at)
                    shard.version = stored.version if stored else 0
                else:
                    shard.version = saved.version
            except BaseException:
                shard.is_written = False
                raise
            shard.is_written = shard.is_written and saved is not None


@asynccontextmanager
async def kept(ledger: Ledger, exchange: Exchange, *, every: timedelta = FLUSH_EVERY) -> AsyncIterator[None]:
    """Write what is booked, and learn what others have spent, while the context is open and once at its end."""
    task = asyncio.create_task(_keep(ledger, exchange, every))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await _once(ledger, exchange)


async def _keep(ledger: Ledger, exchange: Exchange, every: timedelta) -> None:
    while True:
        await _once(ledger, exchange)
        await asyncio.sleep(every.total_seconds())


async def _once(ledger: Ledger, exchange: Exchange) -> None:
    """No message waits for it, and what could not be written stays booked here until the next time."""
    try:
        await ledger.flush()
    except TransientError as exc:
        LEDGER_LATE.inc()
        log.warning("ledger.late", error=type(exc).__name__)
    except Exception as exc:
        DRAIN_ERRORS.labels(family="defect").inc()
        log.error("ledger.defect", exc_info=exc)
    await exchange.run()


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
