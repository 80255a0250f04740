"""A redis-server of one test alone, which may be killed, stopped in its tracks and started again on its files."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from adapters.redis.database import RedisDatabase
from tests.adapters.certificates import Certificates
from tests.builders import PATIENCE
from tests.real_services import free_port, redis_command, redis_url, start_server, stop_server


class RedisServer:
    """`certificates` makes it speak TLS and nothing else, `password` has to be given by who connects."""

    def __init__(
        self, folder: Path, *, certificates: Certificates | None = None, password: str = "", **options: str
    ) -> None:
        program = shutil.which("redis-server")
        assert program
        self._port, self._password = free_port(), password
        if password:
            options |= {"requirepass": password}
        if certificates is not None:
            options |= _speaking_tls(self._port, certificates)
        changes = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
        self._command = [*redis_command(program, self._port, folder), *changes]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = self.address(authority=certificates.authority if certificates else None)

    def address(self, *, authority: Path | None) -> str:
        """Its address for who trusts that authority; without one, as a server that does not speak TLS."""
        password = f":{quote(self._password)}@" if self._password else ""
        place = f"{password}127.0.0.1:{self._port}/0"
        return f"rediss://{place}?ssl_ca_certs={authority}" if authority else f"redis://{place}"

    def open(self, **options: Any) -> RedisDatabase:
        """A connection whose time-out is long, as `open_redis` makes it."""
        return RedisDatabase(self.url, **({"connect_timeout": PATIENCE, "command_timeout": PATIENCE} | options))

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


def _speaking_tls(port: int, certificates: Certificates) -> dict[str, str]:
    return {
        "port": "0",
        "tls_port": str(port),
        "tls_cert_file": str(certificates.server),
        "tls_key_file": str(certificates.key),
        "tls_ca_cert_file": str(certificates.authority),
        "tls_auth_clients": "no",
    }


@contextmanager
def redis_server(folder: Path, **options: Any) -> Iterator[RedisServer]:
    """Running, append-only and without eviction unless the options say otherwise."""
    redis_url()  # skips where there is no redis-server
    server = RedisServer(folder, **options)
    server.start()
    try:
        yield server
    finally:
        server.kill()
