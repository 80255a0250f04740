"""A Redis that fails over: a primary that becomes a replica for a while, and one that Sentinels replace."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from adapters.redis.address import RedisAddress
from adapters.redis.database import RedisDatabase, Script
from contracts.errors import ConfigurationError, StoreUnavailableError
from tests.adapters.redis_server import RedisServer, redis_server
from tests.real_services import free_port, start_server, stop_server

ADD = Script.of("return redis.call('INCRBY', ARGV[1], ARGV[2])")
SERVICE = "prosa"


async def test_a_primary_that_is_a_replica_for_a_while_is_waited_out(tmp_path: Path) -> None:
    with two_servers(tmp_path) as (server, other):
        database = server.open()
        assert await database.run(ADD, "n", 1) == 1
        await database.command("REPLICAOF", "127.0.0.1", _port(other))
        for _ in range(3):
            with pytest.raises(StoreUnavailableError):
                await database.run(ADD, "n", 1)
        await database.command("REPLICAOF", "NO", "ONE")
        await until_written(database)
        await database.close()


@pytest.mark.slow
async def test_a_replica_that_takes_over_is_found_through_the_sentinels(tmp_path: Path) -> None:
    with two_servers(tmp_path) as (primary, replica), sentinel(tmp_path, primary) as port:
        follower = replica.open()
        await follower.command("REPLICAOF", "127.0.0.1", _port(primary))
        database = RedisDatabase(f"redis+sentinel://127.0.0.1:{port}/{SERVICE}/0")
        await until_written(database)
        await database.command("SET", "kept", "1")
        while await follower.command("GET", "kept") != b"1":  # noqa: ASYNC110 - replication offers no event for it
            await asyncio.sleep(0.05)
        await _known_replica(port)
        primary.kill()
        with pytest.raises(StoreUnavailableError):
            await database.run(ADD, "n", 1)
        await until_written(database)
        assert await database.command("GET", "kept") == b"1"
        await database.close()
        await follower.close()


@pytest.mark.parametrize(
    ("url", "broker", "options"),
    [
        ("redis://h:1/2", "redis://h:1/2", {}),
        ("rediss://h:1/2", "rediss://h:1/2?ssl_cert_reqs=required", {}),
        (
            "redis+sentinel://:p%40w@a:1,b/name/3",
            "sentinel://:p%40w@a:1/3;sentinel://:p%40w@b:26379/3",
            {"master_name": "name"},
        ),
    ],
)
def test_celery_is_given_the_same_address(url: str, broker: str, options: dict[str, str]) -> None:
    assert RedisAddress.parse(url).for_celery() == (broker, options)


@pytest.mark.parametrize(
    "url", ["http://h", "redis+sentinel://h:1", "redis+sentinel:///name", "redis+sentinel://h:x/name"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"redis"):
        RedisAddress.parse(url)


def test_password_and_database_of_sentinels_reach_the_primary() -> None:
    address = RedisAddress.parse("redis+sentinel://user:secret@a:1/name/3")
    assert dict(address.options) == {"username": "user", "password": "secret", "db": 3}
    assert address.sentinels == [("a", 1)]


async def until_written(database: RedisDatabase) -> None:
    while True:
        try:
            await database.run(ADD, "n", 1)
        except StoreUnavailableError:
            await asyncio.sleep(0.05)
        else:
            return


@contextmanager
def two_servers(folder: Path) -> Iterator[tuple[RedisServer, RedisServer]]:
    for name in ("one", "two"):
        (folder / name).mkdir()
    with redis_server(folder / "one") as one, redis_server(folder / "two") as two:
        yield one, two


@contextmanager
def sentinel(folder: Path, primary: RedisServer) -> Iterator[int]:
    """One Sentinel that is enough to decide, and decides within half a second."""
    program, port = shutil.which("redis-server"), free_port()
    assert program
    file = folder / "sentinel.conf"
    file.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor {SERVICE} 127.0.0.1 {_port(primary)} 1\n"
        f"sentinel down-after-milliseconds {SERVICE} 500\nsentinel failover-timeout {SERVICE} 3000\n"
    )
    process = start_server([program, str(file), "--sentinel"], ready=lambda: _answers(port), name="redis-sentinel")
    try:
        yield port
    finally:
        stop_server(process)


async def _known_replica(port: int) -> None:
    """Return when the Sentinel has heard of the replica: it looks every ten seconds, and sooner after a change."""
    ends = time.monotonic() + 60
    with Redis(port=port, decode_responses=True) as client:
        while not client.execute_command("SENTINEL", "REPLICAS", SERVICE):
            assert time.monotonic() < ends
            await asyncio.sleep(0.1)


def _answers(port: int) -> bool:
    with Redis(port=port) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False


def _port(server: RedisServer) -> int:
    return int(server.url.rpartition(":")[2].partition("/")[0])
