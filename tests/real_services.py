"""Real servers for the tests, one of a kind for a test process: redis-server and the Firestore emulator. And a model.

Each is started when it is first asked for and stopped when the process ends. A server that is not on the machine
skips the test that asked for it; with `CI` set it fails it.
"""

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import httpx
import pytest

if TYPE_CHECKING:
    from adapters.models.onnx_embedder import OnnxEmbedder

EMULATOR = "cloud_firestore_emulator"
EMULATOR_FOLDER = Path("platform") / "cloud-firestore-emulator"
SDK_FOLDERS = (Path("/usr/lib/google-cloud-sdk"), Path("/usr/share/google-cloud-sdk"), Path("/opt/google-cloud-sdk"))
START_SECONDS = 60
MEMORY = Path("/dev/shm")


@cache
def redis_url() -> str:
    """The address of a redis-server of this test process, set up as an inbox has to be: no eviction, append-only."""
    program = shutil.which("redis-server")
    if program is None:
        absent("redis-server", "install Debian's package redis-server")
    # In memory where there is such a place: nobody kills this one, and a busy disk must not fail tests of other things.
    port, folder = free_port(), tempfile.mkdtemp(prefix="prosa-redis-", dir=MEMORY if MEMORY.is_dir() else None)
    start_server(redis_command(program, port, Path(folder)), ready=lambda: accepts(port), name="redis-server")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return f"redis://127.0.0.1:{port}/0"


def redis_command(program: str, port: int, folder: Path) -> list[str]:
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(folder),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    return [program, *(part for name, value in options.items() for part in (f"--{name}", value))]


@cache
def firestore_host() -> str:
    """`host:port` of a Firestore emulator of this test process; every test takes a project id of its own."""
    program = firestore_emulator()
    if program is None or shutil.which("java") is None:
        absent("the Firestore emulator", "install google-cloud-cli-firestore-emulator and a Java runtime")
    port = free_port()
    command = [str(program), "start", "--host=127.0.0.1", f"--port={port}"]
    start_server(command, ready=lambda: accepts(port), name=EMULATOR)
    _warm_up(port)
    return f"127.0.0.1:{port}"


def _warm_up(port: int) -> None:
    """Read and write once: the first answers of a Java that has just started take seconds."""
    documents = f"http://127.0.0.1:{port}/v1/projects/warm-up/databases/(default)/documents/warm-up"
    httpx.post(documents, json={"fields": {}}, timeout=START_SECONDS)
    httpx.get(documents, timeout=START_SECONDS)


def firestore_emulator() -> Path | None:
    """The emulator's program: on the path, or in the folder of a Google Cloud SDK."""
    on_path = shutil.which(EMULATOR)
    gcloud = shutil.which("gcloud")
    beside = (Path(gcloud).resolve().parents[1],) if gcloud else ()
    candidates = [folder / EMULATOR_FOLDER / EMULATOR for folder in (*beside, *SDK_FOLDERS)]
    return Path(on_path) if on_path else next((one for one in candidates if one.is_file()), None)


def start_server(command: list[str], *, ready: Callable[[], bool], name: str) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, which ends with this process, and wait until it answers."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    atexit.register(stop_server, process)
    ends = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > ends:
            raise RuntimeError(f"{name} did not start (exit {process.poll()})")
        time.sleep(0.02)
    return process


def stop_server(process: subprocess.Popen[bytes]) -> None:
    """Kill the program with what it started: the emulator is a shell that starts a Java of its own."""
    if process.poll() is None:
        os.killpg(process.pid, 9)
        process.wait()


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@cache
def minilm() -> "OnnxEmbedder":
    """all-MiniLM-L6-v2, read once for a test process."""
    from adapters.models.onnx_embedder import load_embedder

    need_minilm()
    return load_embedder("all-MiniLM-L6-v2")


def need_minilm() -> None:
    from adapters.models.onnx_embedder import MODELS

    if not (MODELS / "all-MiniLM-L6-v2" / "model.onnx").is_file():
        absent("the model all-MiniLM-L6-v2", "make semantic")


def absent(what: str, next_step: str) -> NoReturn:
    """Skip the test that asked for it, or fail it where CI is set."""
    reason = f"{what} is not on this machine: {next_step}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
