"""HTTP servers of processes that handle signals themselves."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from adapters.http.listener import listen
from cli.connections import Connections
from contracts.errors import ConfigurationError
from contracts.settings import Settings

ROOM = 2_000


def listening(settings: Settings) -> socket.socket:
    """Open the public socket. Raises ConfigurationError: the port is taken or not allowed."""
    return _listening(settings.host, settings.port, named="PORT")


def listening_for_metrics(settings: Settings) -> socket.socket | None:
    """Open the socket of a process that serves only metrics; None where PROSA_METRICS_PORT is not set.

    Raises:
        ConfigurationError: the port is taken or not allowed.
    """
    if settings.metrics_port is None:
        return None
    return _listening(settings.host, settings.metrics_port, named="PROSA_METRICS_PORT")


def _listening(host: str, port: int, *, named: str) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as exc:
        raise ConfigurationError(
            f"port {port} on {host} cannot be used ({exc.strerror}): set {named} to another one"
        ) from exc


async def stop_signal() -> None:
    """Return on Ctrl-C or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


class Server(uvicorn.Server):
    """uvicorn server that leaves signals, and what they end, to its process."""

    @asynccontextmanager
    async def running(self, listener: socket.socket) -> AsyncIterator[str]:
        """Serve on the socket while the context is open; yield the address."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=[listener])
        try:
            host, port = listener.getsockname()[:2]
            yield f"http://{host}:{port}"
        finally:
            await self.shutdown(sockets=[listener])


def server_of(app: ASGIApp, *, room: int = ROOM) -> Server:
    """Return the server of the app, for `room` connections and as many requests at a time."""
    connections = Connections(app, room=room)
    config = uvicorn.Config(
        connections,
        # Typed as a class; what uvicorn asks of it is to be called.
        http=cast("type[asyncio.Protocol]", connections.accept),
        ws="none",
        access_log=False,
        log_config=None,
        # Its warnings are of requests that cannot be read: a flood of them is counted and fills no log.
        log_level="error",
        lifespan="off",
        timeout_graceful_shutdown=2,
        limit_concurrency=room,
        server_header=False,
        date_header=False,
    )
    return Server(config)
