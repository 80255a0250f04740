"""The real thing to look at: `prosa run` as a process of its own, on a free port, with its sandbox model."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0


@dataclass(frozen=True)
class Prosa:
    """A running process: where its page is, and where the sandbox that answers is told how to behave."""

    url: str
    sandbox_url: str

    @property
    def behaviour_url(self) -> str:
        return f"{self.sandbox_url}/anthropic/sandbox/behaviour"


@contextmanager
def running_prosa(folder: Path, *, institution: str | None = None, **settings: str) -> Iterator[Prosa]:
    """Start it, and stop it as an operator would."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PROSA_", "ANTHROPIC_"))}
    environment |= {"PORT": str(free_port()), "PROSA_DATA_DIR": str(folder / "data"), "PROSA_LOG_LEVEL": "WARNING"}
    environment |= settings
    if institution is not None:
        environment["PROSA_INSTITUTION"] = str(ROOT / "context" / "documents" / institution)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "run"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log
        )
        try:
            yield _announced(process, folder / "log")
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            finally:
                process.kill()
                process.wait()
                if process.stdout is not None:
                    process.stdout.close()


def _announced(process: subprocess.Popen[bytes], log: Path) -> Prosa:
    assert process.stdout is not None
    ends = time.monotonic() + START_SECONDS
    line = ""
    while time.monotonic() < ends and process.poll() is None and "Prosa is at" not in line:
        if select.select([process.stdout], [], [], 0.2)[0]:
            line = process.stdout.readline().decode()
    found = re.findall(r"http://[\d.]+:\d+", line)
    if len(found) != 2:
        raise RuntimeError(f"prosa did not come up: {line} {log.read_text()[-2000:]}")
    return Prosa(url=found[0], sandbox_url=found[1])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
