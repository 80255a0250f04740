"""Listening sockets of HTTP servers."""

import socket


def listen(host: str, port: int) -> socket.socket:
    """Open a socket that listens; port 0 takes a free one.

    It names TCP, as `asyncio` switches Nagle's delay off only for sockets that do; without it every answer whose head
    and body are written apart waits 40 ms.

    Raises:
        OSError: the port is taken or not allowed.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
