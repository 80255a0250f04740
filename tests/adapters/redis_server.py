"""A redis-server of one test alone, which may be killed, stopped in its tracks and started again on its files."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real_services import accepts, free_port, redis_command, redis_url, start_server, stop_server


class RedisServer:
    def __init__(self, folder: Path, **options: str) -> None:
        program = shutil.which("redis-server")
        assert program
        self._port = free_port()
        changes = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
        self._command = [*redis_command(program, self._port, folder), *changes]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        self._process = start_server(self._command, ready=lambda: accepts(self._port), name="redis-server")

    def kill(self) -> None:
        if self._process is not None:
            stop_server(self._process)

    def pause(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def redis_server(folder: Path, **options: str) -> Iterator[RedisServer]:
    """Running, append-only and without eviction unless the options say otherwise."""
    redis_url()  # skips where there is no redis-server
    server = RedisServer(folder, **options)
    server.start()
    try:
        yield server
    finally:
        server.kill()
