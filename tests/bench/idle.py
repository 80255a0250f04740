"""What processes cost that have nothing to do: `python -m tests.bench.idle`.

The embedded engine on SQLite, and the Celery engine on a Redis of its own: webhook, two workers, the timers' process.
Each has answered ten messages, so that everything is loaded and open. Processor time is the kernel's count, wake-ups
are its count of times a thread waited.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from tests.load.installation import EngineName, Installation, installed, warmed
from tests.load.processes import Process, end_when_told, usage_of

SETTLE_SECONDS, SECONDS = 15.0, 60.0
TO_REACH_MS = 3.0


def wake_ups_of(pid: int) -> int:
    """Times that a thread of the process began to wait."""
    counts = (status.read_text() for status in Path(f"/proc/{pid}/task").glob("*/status"))
    return sum(int(text.partition("voluntary_ctxt_switches:")[2].split()[0]) for text in counts)


async def of_a_second(process: Process, seconds: float) -> tuple[float, float]:
    """CPU milliseconds and wake-ups of one second."""
    cpu, wake_ups = usage_of(process.pid).cpu_seconds, wake_ups_of(process.pid)
    await asyncio.sleep(seconds)
    spent = usage_of(process.pid).cpu_seconds - cpu
    return 1_000 * spent / seconds, (wake_ups_of(process.pid) - wake_ups) / seconds


async def measured(engine: EngineName, folder: Path, seconds: float) -> dict[str, tuple[float, float]]:
    async with installed(engine, folder) as installation:
        await warmed(installation)
        await asyncio.sleep(SETTLE_SECONDS)
        processes = processes_of(installation)
        found = await asyncio.gather(*(of_a_second(process, seconds) for process in processes))
        return {f"{engine}: {process.name}": of for process, of in zip(processes, found, strict=True)}


def processes_of(installation: Installation) -> list[Process]:
    """Each process of Prosa once: the embedded engine is webhook and worker in one."""
    return list(dict.fromkeys([*installation.webhooks, *installation.workers, *installation.others]))


def main() -> int:
    end_when_told()
    parser = argparse.ArgumentParser(prog="python -m tests.bench.idle", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found: dict[str, tuple[float, float]] = {}
    engines: tuple[EngineName, ...] = ("embedded", "celery")
    for engine in engines:
        with tempfile.TemporaryDirectory(prefix="prosa-idle-") as folder:
            found |= asyncio.run(measured(engine, Path(folder), given.seconds))
    if given.json:
        print(orjson.dumps(found).decode())
        return 0
    table = Table(title=f"Idle, {given.seconds:.0f} s, load {os.getloadavg()[0]:.1f}", box=None)
    for column in ("process", "CPU ms a second", "wake-ups a second", "to reach"):
        table.add_column(column, justify="left" if column == "process" else "right")
    for name, (cpu_ms, wake_ups) in found.items():
        table.add_row(name, f"{cpu_ms:.1f}", f"{wake_ups:.0f}", f"< {TO_REACH_MS:.0f}")
    Console(highlight=False).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
