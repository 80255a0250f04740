"""Faults in a running installation under traffic, and what they cost: `python -m tests.load.faults --scenario all`."""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from adapters.redis.celery_queue import ANALYSIS, FAST, KEY_PREFIX
from adapters.redis.database import RedisDatabase
from cli.traffic import Load
from tests.adapters.redis_server import RedisServer
from tests.load.counts import Counts, count, settled
from tests.load.installation import Installation, installed, warmed
from tests.load.processes import Process, end_when_told
from tests.load.proxy import Proxy
from tests.load.scenarios import FULL, SHORT, Fault, Kind, Scenario

console = Console(highlight=False)


@dataclass(frozen=True)
class Report:
    """One scenario: what was counted, what was done to it, and how long everything took."""

    name: str
    counts: Counts
    faults: dict[str, int]
    refused: dict[str, int]
    not_taken: int
    seconds: float
    settled_after_s: float

    def view(self) -> dict[str, Any]:
        return {
            "scenario": self.name,
            **self.counts.view(),
            "faults": self.faults,
            "refused": self.refused,
            "not_taken": self.not_taken,
            "seconds": round(self.seconds, 1),
            "settled_after_s": round(self.settled_after_s, 1),
        }


async def play(name: str, scenario: Scenario, folder: Path, *, seed: int = 0) -> Report:
    """Start the installation, play traffic and faults, wait until everything is answered, count."""
    started = time.monotonic()
    async with installed(
        scenario.engine, folder, workers=scenario.workers, proxied=scenario.is_proxied, channel=scenario.channel
    ) as installation:
        await installation.model(latency={"median_ms": scenario.model_ms, "sigma": 0.5})
        if scenario.tasks:
            await installation.tasks(**scenario.tasks)
        await warmed(installation)
        faults = Faults(installation, random.Random(seed))
        if scenario.platform:
            await installation.platform(**scenario.platform)
        traffic, collector = installation.traffic("1000001"), installation.collector()
        beside = [asyncio.create_task(collector.look_forever()), asyncio.create_task(faults.supervise())]
        load = Load(scenario.messages, scenario.people, scenario.messages / scenario.seconds, seed=seed)
        try:
            sent, _ = await asyncio.gather(traffic.drive(load), faults.play(scenario.faults))
            waited = await settled(installation, seconds=scenario.settle_seconds)
        finally:
            for task in beside:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await collector.look()
        counts = await count(installation, sent, collector.replies)
    return Report(
        name=name,
        counts=counts,
        faults=dict(faults.done),
        refused=dict(traffic.progress.refused),
        not_taken=sum(one.taken_at is None for one in sent),
        seconds=time.monotonic() - started,
        settled_after_s=waited,
    )


@dataclass
class Faults:
    """Does to an installation what a scenario says, at moments that its chance chooses."""

    installation: Installation
    chance: random.Random
    done: Counter[str] = field(default_factory=Counter)

    async def play(self, faults: tuple[Fault, ...]) -> None:
        await asyncio.gather(*(self._repeat(fault) for fault in faults))

    async def supervise(self) -> None:
        """Start again what ends by itself: who installs Prosa has something that does."""
        one = self.installation
        while True:
            self.done["ended_by_itself"] += sum(
                process.revive() for process in (*one.webhooks, *one.workers, *one.others)
            )
            await asyncio.sleep(0.5)

    async def _repeat(self, fault: Fault) -> None:
        for _ in range(fault.times):
            await asyncio.sleep(self.chance.uniform(*fault.pause))
            await self._do(fault.kind, self.chance.uniform(*fault.lasts))
            self.done[fault.kind] += 1

    async def _do(self, kind: Kind, seconds: float) -> None:
        match kind:
            case Kind.KILL_WORKER:
                await _again(self.chance.choice(self.installation.workers))
            case Kind.PAUSE_WORKER:
                await self._pause_worker(seconds)
            case Kind.KILL_WEBHOOK:
                await _again(self.installation.webhooks[0])
            case Kind.KILL_REDIS:
                await self._kill_redis(seconds)
            case Kind.STORE_OUTAGE:
                async with self._proxy.outage():
                    await asyncio.sleep(seconds)
            case Kind.STORE_SILENCE:
                async with self._proxy.silence():
                    await asyncio.sleep(seconds)
            case Kind.STORE_HALF_CLOSE:
                self._proxy.half_close(to_server=self.chance.random() < 0.5)
            case Kind.FLUSH_BROKER:
                await self._flush_broker()

    @property
    def _proxy(self) -> Proxy:
        assert self.installation.proxy is not None
        return self.installation.proxy

    @property
    def _redis(self) -> RedisServer:
        assert self.installation.redis is not None
        return self.installation.redis

    async def _pause_worker(self, seconds: float) -> None:
        worker = self.chance.choice(self.installation.workers)
        worker.pause()
        await asyncio.sleep(seconds)
        worker.go_on()

    async def _kill_redis(self, seconds: float) -> None:
        self._redis.kill()
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self._redis.start)

    async def _flush_broker(self) -> None:
        database = RedisDatabase(self._redis.url)
        try:
            await database.command("DEL", *(KEY_PREFIX + queue for queue in (FAST, ANALYSIS)))
        finally:
            await database.close()


async def _again(process: Process) -> None:
    process.kill()
    await process.start()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.faults", description=__doc__)
    parser.add_argument("--scenario", action="append", choices=["all", *FULL], default=None)
    parser.add_argument("--full", action="store_true", help="as long as the figures ask for; default: the short ones")
    parser.add_argument("--messages", type=int, help="another number of messages, at the same rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the logs; default: thrown away")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    end_when_told()
    table = FULL if given.full else SHORT
    names = list(table) if "all" in (given.scenario or ["all"]) else given.scenario
    clean = True
    for name in names:
        scenario = table.get(name, FULL[name])
        if given.messages:
            seconds = scenario.seconds * given.messages / scenario.messages
            scenario = replace(scenario, messages=given.messages, seconds=seconds)
        report = _play_in_folder(name, scenario, given.seed, given.keep)
        clean = clean and report.counts.is_clean and not report.not_taken
        if given.json:
            print(json.dumps(report.view()), flush=True)
        else:
            console.print(f"[bold]{name}[/]: {scenario.says}")
            console.print("  " + ", ".join(f"{key} {value}" for key, value in report.view().items()))
    return 0 if clean else 1


def _play_in_folder(name: str, scenario: Scenario, seed: int, keep: Path | None) -> Report:
    if keep is not None:
        folder = keep / name
        folder.mkdir(parents=True, exist_ok=True)
        return asyncio.run(play(name, scenario, folder, seed=seed))
    with tempfile.TemporaryDirectory(prefix="prosa-faults-") as temporary:
        return asyncio.run(play(name, scenario, Path(temporary), seed=seed))


if __name__ == "__main__":
    sys.exit(main())
