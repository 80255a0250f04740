"""What waits is counted when somebody asks, and what cannot be counted is not a number."""

import asyncio
import math
from datetime import timedelta

import pytest

from adapters.sqlite.inbox import SqliteInbox
from contracts.errors import InboxUnavailableError
from observability.exposition import LOOK_EVERY, Exposition
from observability.metrics import REGISTRY
from tests.builders import START, SteppingClock, inbound, memory_store, sqlite_database
from tests.contract.test_store import turn_commit

GAUGES = (
    "inbox_messages_waiting",
    "inbox_messages_overdue",
    "inbox_oldest_waiting_seconds",
    "outbox_replies_waiting",
)


class CountingInbox(SqliteInbox):
    looks = 0
    is_away = False

    async def depth(self) -> int:
        self.looks += 1
        if self.is_away:
            raise InboxUnavailableError("down")
        return await super().depth()


class Bed:
    def __init__(self) -> None:
        self.inbox, self.store, self.clock = CountingInbox(sqlite_database()), memory_store(), SteppingClock()
        self.seconds = 0.0
        self.exposition = Exposition(self.inbox, self.store, self.clock, monotonic=lambda: self.seconds)

    async def figures(self) -> tuple[float, ...]:
        self.seconds += LOOK_EVERY.total_seconds()
        text = (await self.exposition.text()).decode()
        lines = dict(line.split(" ") for line in text.splitlines() if line.startswith(GAUGES))
        return tuple(float(lines[name]) for name in GAUGES)


async def test_what_waits_is_counted_with_its_age() -> None:
    bed = Bed()
    assert await bed.figures() == (0, 0, 0, 0)
    await bed.inbox.append([inbound(), inbound(at=START + timedelta(seconds=80))])
    await bed.store.conversations.commit(turn_commit(replies=2))
    bed.clock.move(timedelta(seconds=90))
    assert await bed.figures() == (2, 1, 90, 2)


async def test_an_inbox_that_is_away_has_no_figures_and_comes_back() -> None:
    bed = Bed()
    before = REGISTRY.get_sample_value("backlog_reads_missed_total") or 0
    await bed.inbox.append([inbound()])
    bed.inbox.is_away = True
    assert all(math.isnan(figure) for figure in await bed.figures())
    assert REGISTRY.get_sample_value("backlog_reads_missed_total") == before + 1
    bed.inbox.is_away = False
    assert (await bed.figures())[0] == 1


async def test_who_asks_at_once_or_soon_again_shares_a_look() -> None:
    bed = Bed()
    await asyncio.gather(*(bed.exposition.text() for _ in range(20)))
    bed.seconds += LOOK_EVERY.total_seconds() - 0.1
    await bed.exposition.text()
    assert bed.inbox.looks == 1
    bed.seconds += 0.2
    await bed.exposition.text()
    assert bed.inbox.looks == 2


async def test_a_message_from_a_clock_ahead_of_ours_has_no_negative_age(monkeypatch: pytest.MonkeyPatch) -> None:
    bed = Bed()
    await bed.inbox.append([inbound(at=START + timedelta(hours=1))])
    assert (await bed.figures())[2] == 0
