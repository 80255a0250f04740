"""Real processes with a log file each: started, killed, paused, and asked what they have used."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.real_services import stop_server

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """Processor seconds since the process began, and its resident memory now."""

    cpu_seconds: float
    memory_mb: float


def usage_of(pid: int) -> Usage:
    """From /proc, of the process alone, without its children."""
    proc = Path("/proc") / str(pid)
    fields = (proc / "stat").read_text().rpartition(")")[2].split()
    pages = int((proc / "statm").read_text().split()[1])
    ticks = int(fields[11]) + int(fields[12])
    return Usage(ticks / TICKS, pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


def end_when_told() -> None:
    """A run that is told to stop unwinds, so that it leaves no process behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


class Process:
    """One Python process of ours. `kill` is SIGKILL: nothing in it gets a chance to tidy up."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        health: str = "",
        niceness: int = 0,
    ) -> None:
        """Take what follows `python`; `health` is an address that answers 200 once it is up, `niceness` as for nice."""
        self.name = name
        self._niceness = niceness
        self._arguments = arguments
        self._environment = environment
        self._health = health
        self.log = folder / f"{name}.log"
        self._running: subprocess.Popen[bytes] | None = None
        self._wanted = False

    @property
    def is_running(self) -> bool:
        return self._running is not None and self._running.poll() is None

    def spawn(self) -> None:
        """Start it and do not wait until it is up."""
        self._wanted = True
        # Settings of the shell that runs this must not reach it.
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(
                [sys.executable, *self._arguments],
                cwd=ROOT,
                env={**inherited, **self._environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        os.setpriority(os.PRIO_PROCESS, self._running.pid, self._niceness)

    async def start(self) -> None:
        """Start it and wait until it is up, where it has an address to ask."""
        self.spawn()
        if not self._health:
            return
        ends = time.monotonic() + START_SECONDS
        async with httpx.AsyncClient() as client:
            while time.monotonic() < ends:
                try:
                    if (await client.get(self._health)).is_success:
                        return
                except httpx.TransportError:
                    pass
                if not self.is_running:
                    raise RuntimeError(f"{self.name} ended:\n{self.tail()}")
                await asyncio.sleep(0.02)
        raise TimeoutError(f"{self.name}: {self._health} does not answer\n{self.tail()}")

    def kill(self) -> None:
        self._wanted = False
        if self._running is not None:
            stop_server(self._running)

    def revive(self) -> bool:
        """Start it again if it ended by itself, as whatever runs a service does; whether that was so."""
        if not self._wanted or self.is_running:
            return False
        self.spawn()
        return True

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    @property
    def pid(self) -> int:
        assert self._running is not None
        return self._running.pid

    def tail(self, characters: int = 2_000) -> str:
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""

    def _signal(self, number: int) -> None:
        if self._running is not None and self._running.poll() is None:
            self._running.send_signal(number)
