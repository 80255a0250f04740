"""Content of `/metrics`: the instruments of this process, and the backlogs of inbox, outbox and team."""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from prometheus_client import CollectorRegistry, Metric, generate_latest

from contracts.errors import TransientError
from contracts.listing import MOST_COUNTED, WAITING, waiting_since
from contracts.ports import Clock, Inbox, Store
from observability import metrics


class _Exposed(CollectorRegistry):
    """The registry, whose samples carry some labels a second time under the names of the product's dashboards."""

    def collect(self) -> Iterator[Metric]:
        for family in metrics.REGISTRY.collect():
            name = f"{family.name}_total" if family.type == "counter" else family.name
            if name in metrics.LABELS and name.startswith("prompter_"):
                aliases = metrics.aliases_of(name, metrics.LABELS[name])
                for number, sample in enumerate(family.samples):
                    labels = {**sample.labels, **{alias: sample.labels[label] for label, alias in aliases.items()}}
                    if template := sample.labels.get("template"):
                        labels |= zip(metrics.TEMPLATE_LABELS, template.rsplit("_v", 1), strict=True)
                    family.samples[number] = sample._replace(labels=labels)
            yield family


BATCH_FIGURES = ("total", "batches", "average_size", "average_wait_ms", "overflows", "shared", "efficiency")


def batches_of(families: Iterable[Metric]) -> dict[str, dict[str, float]]:
    """Return the statistics of each usage. `efficiency` is the share of passes that batching has spared, in [0, 1]."""
    read: dict[str, dict[str, float]] = {}
    for sample in (sample for family in families for sample in family.samples if "usage" in sample.labels):
        read.setdefault(sample.labels["usage"], {})[sample.name.removeprefix("prompter_")] = sample.value
    found = {}
    for usage, of in read.items():
        items, count = of.get("batch_size_sum", 0), of.get("batch_size_count", 0)
        wait = of.get("batch_wait_time_ms_sum", 0) / items if items else 0
        overflow, shared = of.get("batch_overflow_total", 0), of.get("shared_calls_total", 0)
        size, efficiency = items / count if count else 0, 1 - count / items if items else 0
        values = (items, count, size, wait, overflow, shared, efficiency)
        found[usage] = dict(zip(BATCH_FIGURES, values, strict=True))
    return found


CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OVERDUE_AFTER = timedelta(minutes=1)
# Concurrent and frequent scrapes share one read of the store.
LOOK_EVERY = timedelta(seconds=5)
LOOK_WITHIN_SECONDS = 2.0
_BACKLOGS = (
    *(metrics.INBOX_DEPTH, metrics.INBOX_OVERDUE, metrics.INBOX_OLDEST),
    *(metrics.OUTBOX_DEPTH, metrics.HANDOFFS_WAITING, metrics.HANDOFFS_OLDEST),
)


class Exposition:
    """Renderer of `/metrics`. The backlog is counted here on request, so that no message waits for it."""

    def __init__(
        self, inbox: Inbox, store: Store, clock: Clock, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._inbox = inbox
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._looking = asyncio.Lock()
        self._looked_at = -math.inf

    async def text(self) -> bytes:
        async with self._looking:
            if self._monotonic() >= self._looked_at + LOOK_EVERY.total_seconds():
                await self._look()
                self._looked_at = self._monotonic()
        return generate_latest(_Exposed())

    async def _look(self) -> None:
        """Refresh the gauges; one that cannot be counted becomes NaN: its last value would pass for a current one."""
        now = self._clock.now()
        try:
            async with asyncio.timeout(LOOK_WITHIN_SECONDS):
                depth = await self._inbox.depth()
                ages = await self._inbox.ages(overdue_before=now - OVERDUE_AFTER)
                unsent = await self._store.outbox.unsent_count()
                handoffs = (await self._store.conversations.find(WAITING, limit=MOST_COUNTED)).items
        except (TransientError, TimeoutError):
            metrics.UNREAD_BACKLOGS.inc()
            figures = [math.nan] * len(_BACKLOGS)
        else:
            ages_s = [
                max(0.0, (now - since).total_seconds()) if since else 0.0
                for since in (ages.oldest_received_at, waiting_since(handoffs[0]) if handoffs else None)
            ]
            figures = [depth, ages.overdue, ages_s[0], unsent, len(handoffs), ages_s[1]]
        for gauge, figure in zip(_BACKLOGS, figures, strict=True):
            gauge.set(figure)
