"""Redis over TLS with a password, at an authority of one's own, as managed Redis services and companies have it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from kombu.exceptions import OperationalError

from adapters.event_loop import run_serving
from adapters.redis.celery_queue import FAST, KEY_PREFIX
from adapters.redis.database import RedisDatabase, Script
from adapters.redis.events import RedisEvents
from contracts.errors import ConfigurationError, StoreUnavailableError
from contracts.ports import LiveEvent
from tests.adapters.certificates import Certificates
from tests.adapters.redis_server import RedisServer, redis_server
from tests.builders import PATIENCE, conversation_id
from worker.engines.celery_app import create_celery

PASSWORD = "of the test"
ADD = Script.of("return redis.call('INCRBY', ARGV[1], ARGV[2])")
C1 = conversation_id()

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=[asyncio.run, run_serving], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Both loops, since what is taken over from redis-py is the loop's own transport."""
    chosen: Run = request.param
    return chosen


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[RedisServer, RedisDatabase]]:
    with redis_server(folder, certificates=Certificates.made_in(folder / "tls"), password=PASSWORD) as server:
        database = server.open()
        try:
            yield server, database
        finally:
            await database.close()


def on_a_server(folder: Path, run: Run, work: Callable[[RedisServer, RedisDatabase], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        async with served(folder) as (server, database):
            await work(server, database)

    run(all_of_it())


def test_commands_and_scripts_are_answered(tmp_path: Path, run: Run) -> None:
    async def work(_: RedisServer, database: RedisDatabase) -> None:
        assert await database.command("SET", "a", "olá") == b"OK"
        assert await database.command("GET", "a") == "olá".encode()
        assert [await database.run(ADD, "n", 2), await database.run(ADD, "n", 3)] == [2, 5]
        await database.ping()

    on_a_server(tmp_path, run, work)


def test_many_at_once_and_more_than_a_record_holds(tmp_path: Path, run: Run) -> None:
    """A record of TLS has 16 KB: these cross many of them in both directions."""
    long = b"x" * 300_000

    async def work(_: RedisServer, database: RedisDatabase) -> None:
        replies = await asyncio.gather(*(database.command("ECHO", b"%d" % n + long) for n in range(20)))
        assert replies == [b"%d" % n + long for n in range(20)]

    on_a_server(tmp_path, run, work)


def test_a_server_that_comes_back_is_found_again(tmp_path: Path, run: Run) -> None:
    async def work(server: RedisServer, database: RedisDatabase) -> None:
        await database.command("SET", "a", "1")
        server.kill()
        with pytest.raises(StoreUnavailableError):
            await database.command("GET", "a")
        server.start()
        assert await database.command("SET", "a", "2") == b"OK"

    on_a_server(tmp_path, run, work)


def test_news_cross_from_one_process_to_another(tmp_path: Path, run: Run) -> None:
    async def work(server: RedisServer, database: RedisDatabase) -> None:
        other = server.open()
        worker, web = RedisEvents(database), RedisEvents(other, confirm_within=PATIENCE)
        event = LiveEvent(name="reply", data={"text": "Olá 👋"}, number=1)
        async with web.subscribe(C1) as news:
            await worker.publish(C1, event)
            assert await anext(news) == event
        await worker.close()
        await web.close()
        await other.close()

    on_a_server(tmp_path, run, work)


def test_another_authority_is_refused_and_the_error_says_what_to_do(tmp_path: Path, run: Run) -> None:
    foreign = Certificates.made_in(tmp_path / "foreign")

    async def work(server: RedisServer, _: RedisDatabase) -> None:
        stranger = RedisDatabase(server.address(authority=foreign.authority))
        with pytest.raises(StoreUnavailableError, match=r"certificate.*ssl_ca_certs=FILE"):
            await stranger.command("GET", "a")
        await stranger.close()

    on_a_server(tmp_path, run, work)


def test_a_server_of_another_name_is_refused(tmp_path: Path, run: Run) -> None:
    """Its certificate is good, and not for the name that was asked for."""

    async def work(server: RedisServer, _: RedisDatabase) -> None:
        stranger = RedisDatabase(server.url.replace("@127.0.0.1:", "@localhost:"))
        with pytest.raises(StoreUnavailableError, match="not valid for 'localhost'"):
            await stranger.command("GET", "a")
        await stranger.close()

    on_a_server(tmp_path, run, work)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ssl_ca_certs=.*nowhere\.pem"):
        RedisDatabase(f"rediss://127.0.0.1:1/0?ssl_ca_certs={tmp_path / 'nowhere.pem'}")


def test_a_wrong_password_is_refused(tmp_path: Path, run: Run) -> None:
    async def work(server: RedisServer, _: RedisDatabase) -> None:
        stranger = RedisDatabase(server.url.replace(":of%20the%20test@", ":wrong@"))
        with pytest.raises(StoreUnavailableError, match="password"):
            await stranger.command("GET", "a")
        await stranger.close()

    on_a_server(tmp_path, run, work)


def test_celery_reaches_its_broker_and_checks_who_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own client by itself trusts anybody when the address says nothing about certificates."""
    with redis_server(tmp_path, certificates=Certificates.made_in(tmp_path / "tls"), password=PASSWORD) as server:
        with create_celery(server.url).connection() as connection:
            connection.default_channel.client.lpush(KEY_PREFIX + FAST, "x")
        unsaid = server.url.partition("?")[0]
        with create_celery(unsaid).connection() as connection, pytest.raises(OperationalError, match="certificate"):
            connection.ensure_connection(max_retries=1, interval_start=0)
        # An authority that the whole machine knows needs no word in the address.
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls" / "authority.pem"))
        with create_celery(unsaid).connection() as connection:
            assert connection.default_channel.client.llen(KEY_PREFIX + FAST) == 1
