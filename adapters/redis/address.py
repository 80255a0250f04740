"""Address of a Redis: one server, or the Sentinels that name the primary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.sentinel import Sentinel

from contracts.errors import ConfigurationError

SENTINEL = "redis+sentinel"
SENTINEL_PORT = 26379
FORM = "redis+sentinel://[USER:PASSWORD@]HOST:PORT[,HOST:PORT ...]/SERVICE[/DB]"


@dataclass(frozen=True)
class RedisAddress:
    """A parsed address. Without Sentinels `service` is empty and `url` is redis-py's own.

    Attributes:
        options: redis-py's connection options, as TLS, user, password and database (in the form of Sentinels no TLS).
        sentinels: host and port of each.
        service: the name of the primary's service at the Sentinels.
    """

    url: str
    options: Mapping[str, Any]
    sentinels: Sequence[tuple[str, int]] = ()
    service: str = ""

    @classmethod
    def parse(cls, url: str) -> "RedisAddress":
        """Parse `redis://`, `rediss://` (TLS), `unix://` or `redis+sentinel://`.

        Raises:
            ConfigurationError: it is none of them.
        """
        parts = urlsplit(url)
        if parts.scheme != SENTINEL:
            return cls(url, _options(url))
        service, _, database = parts.path.strip("/").partition("/")
        user, at, hosts = parts.netloc.rpartition("@")
        try:
            pairs = [one.rpartition(":") for one in hosts.split(",") if one]
            sentinels = [(host, int(port)) if host else (port, SENTINEL_PORT) for host, _, port in pairs]
        except ValueError:
            sentinels = []
        if not service or not sentinels:
            raise ConfigurationError(f"an address of Sentinels is {FORM}")
        plain = SplitResult("redis", f"{user}{at}sentinel", f"/{database}", parts.query, "")
        options = _options(urlunsplit(plain))
        return cls(url, {name: value for name, value in options.items() if name != "host"}, sentinels, service)

    def connect(self, **options: Any) -> tuple[Redis, Sentinel | None]:
        """Return a client of the primary, and the Sentinels it uses for each new connection; the caller closes both."""
        if not self.sentinels:
            return Redis.from_pool(ConnectionPool.from_url(self.url, **options)), None
        limit = options["socket_connect_timeout"]
        sentinel = Sentinel(
            list(self.sentinels), sentinel_kwargs={"socket_connect_timeout": limit, "socket_timeout": limit}
        )
        given: dict[str, Any] = {**self.options, **options}
        return sentinel.master_for(self.service, **given), sentinel

    def for_celery(self) -> tuple[str, Mapping[str, Any]]:
        """Return the address in Kombu's form, and its transport options."""
        parts = urlsplit(self.url)
        if not self.sentinels:
            # Celery's client verifies no certificate by default.
            is_checked = parts.scheme != "rediss" or "ssl_cert_reqs=" in parts.query
            query = parts.query if is_checked else f"{parts.query}&ssl_cert_reqs=required".lstrip("&")
            return self.url if is_checked else urlunsplit(parts._replace(query=query)), {}
        user, at, _ = parts.netloc.rpartition("@")
        database = self.options.get("db", 0)
        nodes = ";".join(f"sentinel://{user}{at}{host}:{port}/{database}" for host, port in self.sentinels)
        return nodes, {"master_name": self.service}


def _options(url: str) -> Mapping[str, Any]:
    try:
        return parse_url(url)
    except ValueError as exc:
        raise ConfigurationError(
            f"a Redis address is redis://HOST:PORT/DB, rediss://HOST:PORT/DB with TLS, or {FORM}"
        ) from exc
