"""What a turn costs a worker of the Celery engine, in CPU and in memory: `python -m tests.bench.turn`, or `make bench`.

One real `prosa worker` with everything that an installation has beside it: webhook, beat, Redis, the sandbox's model
and WhatsApp over HTTP, a collector of traces. The processor time is what the kernel counts for the worker's process,
all of its threads. Workers of each kind are started anew in each round, one at a time, since two would share the
messages out between them.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cli.traffic import Load, Traffic
from tests.collector import collecting
from tests.load.counts import settled
from tests.load.installation import PHONE_NUMBER_ID, SECRET, Installation, installed, warmed
from tests.load.processes import Process, end_when_told, usage_of

TURNS, TURNS_A_SECOND, ROUNDS = 400, 40, 3
MODEL_MS = 500
WARM_UP = 50
IDLE_SECONDS = 5.0

IN_FLIGHT = 1_000
# So long that the first one still waits for the model when the last one has begun.
THINKING_MS = 30_000
PATIENT = {"PROSA_MODEL_TIMEOUT_S": "60", "PROSA_TURN_BUDGET_S": "120", "PROSA_WORKER_CONCURRENCY": str(IN_FLIGHT)}

console = Console(highlight=False)


def kinds(collector_url: str) -> dict[str, dict[str, str]]:
    """Settings of the workers to compare: with all that production has on, and without what can be left out."""
    traces = {
        "PROMPTER_USE_TRACING": "true",
        "PROSA_TRACE_SAMPLE": "0.1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector_url,
    }
    logs = {"PROSA_LOG_LEVEL": "INFO"}
    return {
        "everything on": traces | logs,
        "without traces": logs,
        "without traces and INFO lines": {},
    }


class Writer:
    """Messages of people who have never written before: who writes often in a minute is answered by a rule."""

    def __init__(self, installation: Installation) -> None:
        self._url = f"{installation.url}/webhooks/whatsapp"
        self._runs = 0

    async def write(self, count: int, *, rate: float | None) -> None:
        """So many messages through the webhook, at a rate (a second) or all at once."""
        self._runs += 1
        traffic = Traffic(self._url, secret=SECRET, phone_number_id=PHONE_NUMBER_ID, run=f"{self._runs:04d}")
        sent = await traffic.drive(Load(count, count, rate, duplicates=0))
        assert all(one.taken_at is not None for one in sent)


@dataclass
class Costs:
    """CPU milliseconds of one kind of worker in each round: of a turn at a steady rate, of one of many at once, and
    of a second without any."""

    steady: list[float] = field(default_factory=list)
    burst: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)


async def costs(folder: Path, *, turns: int, rounds: int, kind: str | None = None) -> dict[str, Costs]:
    with collecting() as collector:
        every_kind = kinds(collector.url)
        of_kind = every_kind if kind is None else {kind: every_kind[kind]}
        found = {name: Costs() for name in of_kind}
        # The webhook opens the traces, and so decides for how many turns there is one.
        async with installed("celery", folder, workers=1, environment=every_kind["everything on"]) as installation:
            await installation.model()
            await warmed(installation)
            await installation.model(latency=MODEL_MS)
            writer = Writer(installation)
            for _ in track(range(rounds), description="Turns", console=console, transient=True):
                for number, (name, environment) in enumerate(of_kind.items()):
                    worker = _in_place_of_others(installation, f"kind-{number}", environment)
                    await _measure(found[name], worker, writer, installation, turns)
    return found


async def _measure(into: Costs, worker: Process, writer: Writer, installation: Installation, turns: int) -> None:
    async def cpu_ms_of(rate: float | None) -> float:
        before = usage_of(worker.pid).cpu_seconds
        await writer.write(turns, rate=rate)
        await settled(installation)
        return (usage_of(worker.pid).cpu_seconds - before) * 1000 / turns

    await writer.write(WARM_UP, rate=TURNS_A_SECOND)
    await settled(installation)
    into.steady.append(await cpu_ms_of(TURNS_A_SECOND))
    into.burst.append(await cpu_ms_of(None))
    before = usage_of(worker.pid).cpu_seconds
    await asyncio.sleep(IDLE_SECONDS)
    into.idle.append((usage_of(worker.pid).cpu_seconds - before) * 1000 / IDLE_SECONDS)


def _in_place_of_others(installation: Installation, name: str, environment: Mapping[str, str]) -> Process:
    for other in installation.workers:
        other.kill()
    untraced = dict.fromkeys(("PROMPTER_USE_TRACING", "PROSA_TRACE_SAMPLE", "OTEL_EXPORTER_OTLP_ENDPOINT"), "")
    own = installation.environment | untraced | {"PROSA_LOG_LEVEL": "WARNING"} | environment
    worker = Process(name, ["-m", "cli.main", "worker", "--name", name], own, installation.folder)
    installation.workers[:] = [worker]
    worker.spawn()
    return worker


async def memory(folder: Path, *, in_flight: int) -> tuple[float, float]:
    """Megabytes of a worker before, and with so many turns waiting for the model."""
    async with installed("celery", folder, workers=1, environment=PATIENT) as installation:
        await installation.model()
        await warmed(installation)
        (worker,) = installation.workers
        before = usage_of(worker.pid).memory_mb
        await installation.model(latency=THINKING_MS)
        asked = await _model_calls(installation)
        await Writer(installation).write(in_flight, rate=None)
        while await _model_calls(installation) < asked + in_flight:  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.2)
        return before, usage_of(worker.pid).memory_mb


async def _model_calls(installation: Installation) -> int:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{installation.sandbox_url}/anthropic/sandbox/requests", params={"limit": 1})
        return int(answer.json()["counters"]["requests"])


def report(found: Mapping[str, Costs], *, turns: int) -> None:
    columns = (f"at {TURNS_A_SECOND} a second", "all at once", "an idle second")
    first = next(iter(found.values()))
    rounds = len(first.steady)
    table = Table(
        title=f"CPU ms of a Celery worker for one of {turns} turns, least of {rounds}, load {os.getloadavg()[0]:.1f}",
        box=None,
    )
    for column in ("worker", *columns):
        table.add_column(column, justify="left" if column == "worker" else "right")
    # Whatever else the machine does can only add.
    least = {name: (min(one.steady), min(one.burst), min(one.idle)) for name, one in found.items()}
    whole = next(iter(least.values()))
    for name, ms in least.items():
        shares = [f"{value:.2f} ({value / all_on:.0%})" for value, all_on in zip(ms[:2], whole[:2], strict=True)]
        table.add_row(name, *shares, f"{ms[2]:.1f}")
    table.add_row("to reach", "6, then 2.5", "6, then 2.5", "")
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.turn", description=__doc__)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--kind", choices=list(kinds("")), help="measure this one alone, each round, and no memory")
    parser.add_argument("--in-flight", type=int, default=IN_FLIGHT)
    given = parser.parse_args()
    end_when_told()
    with tempfile.TemporaryDirectory(prefix="prosa-turn-") as folder:
        found = asyncio.run(costs(Path(folder), turns=given.turns, rounds=given.rounds, kind=given.kind))
        report(found, turns=given.turns)
    if given.kind:
        each = found[given.kind]
        rounds = (" ".join(f"{ms:.1f}" for ms in samples) for samples in (each.steady, each.burst))
        console.print("each round: at a rate {}, at once {}".format(*rounds))
        return 0
    with tempfile.TemporaryDirectory(prefix="prosa-turn-") as folder:
        before, full = asyncio.run(memory(Path(folder), in_flight=given.in_flight))
    console.print(
        f"\nMemory of a worker with {given.in_flight:,} turns in flight: {full:.0f} MB, {before:.0f} MB before them; "
        "to reach: 300"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
