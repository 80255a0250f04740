"""One pooled HTTP session for each service that is called with every turn; what httpx or an SDK adds costs more."""

import ssl
from functools import cache
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import certifi


def open_session(
    *, connections: int, keep_alive_seconds: float, timeout: aiohttp.ClientTimeout | None = None
) -> aiohttp.ClientSession:
    """A session without cookies. Made where an event loop runs, closed by who made it."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=keep_alive_seconds, ssl=_tls()),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=timeout or aiohttp.ClientTimeout(total=None),
    )


def proxy_to(url: str) -> str | None:
    """The proxy that the environment names, looked up once: aiohttp would look for each request, in a thread."""
    address = urlsplit(url)
    return None if proxy_bypass(address.netloc) else getproxies().get(address.scheme)


@cache
def _tls() -> ssl.SSLContext:
    """With the authorities that come with the libraries: an image need not have any of its own."""
    return ssl.create_default_context(cafile=certifi.where())
