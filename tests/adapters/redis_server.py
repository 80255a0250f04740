"""A redis-server of one test alone, which may be killed, stopped in its tracks and started again on its files."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from adapters.redis_database import RedisDatabase
from tests.builders import PATIENCE
from tests.real_services import free_port, redis_command, redis_url, start_server, stop_server


class RedisServer:
    def __init__(self, folder: Path, **options: str) -> None:
        program = shutil.which("redis-server")
        assert program
        self._port = free_port()
        changes = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
        self._command = [*redis_command(program, self._port, folder), *changes]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def open(self, **options: Any) -> RedisDatabase:
        """A connection whose time-out is long, as `open_redis` makes it."""
        return RedisDatabase(self.url, **({"command_timeout": PATIENCE} | options))

    def start(self) -> None:
        """Return when it has read its files: it accepts connections before that, and refuses what is asked."""
        self._process = start_server(self._command, ready=self._is_loaded, name="redis-server")

    def kill(self) -> None:
        if self._process is not None:
            stop_server(self._process)

    def _is_loaded(self) -> bool:
        with Redis.from_url(self.url) as client, suppress(RedisConnectionError):
            return bool(client.ping())
        return False

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
