"""A store that is away and comes back with less room than is asked of it: `python -m tests.bench.overload`.

The store is a model of one: it serves its calls one after the other, so long each, also those whose caller has given
up. That is what keeps an overloaded one overloaded. Everything else is the engine, in memory.
"""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

from adapters.clock import SystemClock
from contracts.errors import InboxUnavailableError, StoreUnavailableError
from contracts.ports import ModelRequest
from tests.builders import REPOSITORIES, EngineBed, agreeable, engine_bed, inbound, memory_inbox, memory_store
from tests.scripted import ScriptedModel
from worker.dependencies import DrainLimits
from worker.drain import drain
from worker.scheduling import limiter
from worker.scheduling.keyed_queue import EmbeddedQueue
from worker.scheduling.limiter import Attempt
from worker.sweeper import sweep_forever

PEOPLE = 300
OUTAGE_SECONDS = 5.0
MODEL_SECONDS = 0.3
DEADLINE_SECONDS = 1.0
GIVEN_UP_SECONDS = 90.0
# The webhook's own, which this is not about.
LET_THROUGH = {"append", "depth"}


@dataclass
class Server:
    """Serves one call after the other; `is_down` it refuses them at once."""

    service_seconds: float
    is_down: bool = True
    free_at: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)

    async def serve(self, error: Exception) -> None:
        if self.is_down:
            self.calls["in the outage"] += 1
            raise error
        now = time.monotonic()
        self.free_at = max(now, self.free_at) + self.service_seconds
        wait = self.free_at - now
        await asyncio.sleep(min(wait, DEADLINE_SECONDS))
        self.calls["after it"] += 1
        if wait > DEADLINE_SECONDS:
            self.calls["of these failed"] += 1
            raise error


@dataclass
class Served:
    """A port whose calls take their way through the server."""

    inner: Any
    server: Server
    error: Exception

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        if name in REPOSITORIES:
            return Served(method, self.server, self.error)
        if name in LET_THROUGH:
            return method

        async def call(*given: Any, **named: Any) -> Any:
            await self.server.serve(self.error)
            return await method(*given, **named)

        return call


@contextmanager
def without_it() -> Iterator[None]:
    """As before: nobody says how the store answers, so everything begins at once, always."""
    with patch.object(Attempt, "answered", lambda _: None), patch.object(Attempt, "failed", lambda _: None):
        yield


async def measured(service_ms: float) -> tuple[float | None, Counter[str]]:
    """Seconds from the end of the outage to the last reply, None when that does not come; and the calls."""
    server = Server(service_ms / 1000)
    inbox: Any = Served(memory_inbox(), server, InboxUnavailableError("down"))
    store: Any = Served(memory_store(), server, StoreUnavailableError("down"))

    async def thinking(request: ModelRequest) -> str:
        await asyncio.sleep(MODEL_SECONDS)
        return await agreeable(request)

    clock: Any = SystemClock()
    bed = engine_bed(inbox, store, model=ScriptedModel(thinking), clock=clock, limits=DrainLimits())
    queue = EmbeddedQueue(partial(drain, deps=bed.engine.drain), at_once=DrainLimits().at_once)
    names = [f"c-{number}" for number in range(PEOPLE)]
    await inbox.append([inbound(conversation=name, at=clock.now()) for name in names])
    for entry in await inbox.inner.due(at=clock.now(), limit=PEOPLE):
        await queue.wake(entry)
    sweeping = asyncio.create_task(sweep_forever(queue, bed.engine.sweep))
    await asyncio.sleep(OUTAGE_SECONDS)
    server.is_down = False
    took = await _all_replied(bed)
    sweeping.cancel()
    await queue.close(grace_seconds=0)
    return took, server.calls


async def _all_replied(bed: EngineBed) -> float | None:
    began = time.monotonic()
    while len(bed.channel.accepted) < PEOPLE:
        if time.monotonic() - began > GIVEN_UP_SECONDS:
            return None
        await asyncio.sleep(0.02)
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.overload", description=__doc__)
    parser.add_argument("--service-ms", type=float, action="append", help="how long the store takes for a call")
    given = parser.parse_args()
    table = Table(
        "the store's ms a call", "room grows by", "all replied after s", "calls in the outage", "after", "failed"
    )
    for service_ms in given.service_ms or (0.5, 4.0):
        for growth in (None, 0.25, 1.0, 2.0):
            with without_it() if growth is None else patch.object(limiter, "GROWTH", growth):
                took, calls = asyncio.run(measured(service_ms))
            table.add_row(
                f"{service_ms:g}",
                "without it" if growth is None else f"{growth:g}",
                f"not within {GIVEN_UP_SECONDS:g}" if took is None else f"{took:.1f}",
                *(str(calls[name]) for name in ("in the outage", "after it", "of these failed")),
            )
    Console().print(table)


if __name__ == "__main__":
    main()
