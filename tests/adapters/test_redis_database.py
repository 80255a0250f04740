"""One Redis for many callers: shared flushes, each caller's own fate, and a server that goes away and comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from adapters.redis.database import RedisDatabase, Script
from contracts.errors import InboxUnavailableError, StoreUnavailableError
from tests.adapters.redis_server import redis_server
from tests.builders import open_redis
from tests.real_services import free_port, redis_url

MANY = 512
ADD = Script.of("return redis.call('INCRBY', ARGV[1], ARGV[2])")
PUSH = Script.of("return redis.call('RPUSH', ARGV[1], ARGV[2])")
HOUR = timedelta(hours=1)


@pytest.fixture
async def database() -> AsyncIterator[RedisDatabase]:
    async with open_redis() as database:
        yield database


async def test_calls_of_the_same_moment_leave_in_one_flush(database: RedisDatabase) -> None:
    before = database.flushes
    replies = await asyncio.gather(*(database.command("ECHO", number) for number in range(MANY)))
    assert replies == [b"%d" % number for number in range(MANY)]
    assert database.flushes - before == 1


async def test_more_than_a_read_holds_reaches_every_caller(database: RedisDatabase) -> None:
    many = 20 * MANY
    replies = await asyncio.gather(*(database.command("ECHO", number) for number in range(many)))
    assert replies == [b"%d" % number for number in range(many)]


async def test_an_error_reply_is_its_caller_s_alone(database: RedisDatabase) -> None:
    await database.command("SET", "text", "a")
    before = database.flushes
    good, bad, unpackable, also_good = await asyncio.gather(
        database.run(ADD, "n", 1),
        database.run(PUSH, "text", 1),
        database.command("SET", "x", object()),  # type: ignore[arg-type]
        database.run(ADD, "n", 1),
        return_exceptions=True,
    )
    assert database.flushes - before == 1
    assert (good, also_good) == (1, 2)
    assert isinstance(bad, ResponseError)
    assert isinstance(unpackable, TypeError)


async def test_a_caller_that_gives_up_takes_nobody_along(database: RedisDatabase) -> None:
    calls = [asyncio.create_task(database.run(ADD, f"n{number}", 1)) for number in range(10)]
    await asyncio.sleep(0)
    calls[3].cancel()
    replies = await asyncio.gather(*calls, return_exceptions=True)
    assert [reply for reply in replies if reply == 1] == [1] * 9
    assert await database.command("EXISTS", "n3") == 0, "who gave up before the flush is left out of it"


async def test_a_caller_that_gives_up_during_a_flush_takes_nobody_along(database: RedisDatabase) -> None:
    calls = [asyncio.create_task(database.run(ADD, f"n{number}", 1)) for number in range(10)]
    before = database.flushes
    while database.flushes == before:  # noqa: ASYNC110 - the next turn of the loop is what is waited for
        await asyncio.sleep(0)
    calls[3].cancel()
    replies = await asyncio.gather(*calls, return_exceptions=True)
    assert [reply for reply in replies if reply == 1] == [1] * 9
    assert await database.run(ADD, "n4", 1) == 2


async def test_a_server_that_has_forgotten_its_scripts_is_told_them_again(database: RedisDatabase) -> None:
    await database.run(ADD, "n", 1)
    await database.command("SCRIPT", "FLUSH")
    before = database.flushes
    calls = [database.run(ADD, "n", 1) for _ in range(50)] + [database.run(PUSH, "list", 1) for _ in range(50)]
    await asyncio.gather(*calls, database.command("SET", "x", 1))
    assert await database.command("GET", "n") == b"51"
    assert await database.command("LLEN", "list") == 50
    assert database.flushes - before == 3


async def test_where_nobody_listens_the_answer_is_at_once() -> None:
    """It does not come from a time-out: they are an hour long here."""
    database = RedisDatabase(f"redis://127.0.0.1:{free_port()}/0", connect_timeout=HOUR, command_timeout=HOUR)
    with pytest.raises(InboxUnavailableError, match="connect"):
        await database.command("PING", unavailable=InboxUnavailableError)
    await database.close()


async def test_after_a_kill_it_fails_and_then_recovers_by_itself(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        database = server.open()
        await asyncio.gather(*(database.run(PUSH, "kept", number) for number in range(5 * MANY)))
        server.kill()
        for _ in range(2):
            down = await asyncio.gather(*(database.run(ADD, "n", 1) for _ in range(20)), return_exceptions=True)
            assert {type(error) for error in down} == {StoreUnavailableError}
        server.start()
        assert set(await asyncio.gather(*(database.run(ADD, "n", 1) for _ in range(20)))) == set(range(1, 21))
        assert await database.command("LLEN", "kept") == 5 * MANY
        await database.close()


async def test_a_restart_that_nobody_noticed_fails_nobody(tmp_path: Path) -> None:
    """The connection is dead, and the server knows no script; the next calls find out before they ask."""
    with redis_server(tmp_path) as server:
        database = server.open()
        await asyncio.gather(*(database.run(PUSH, "kept", number) for number in range(5 * MANY)))
        server.kill()
        server.start()
        await asyncio.gather(*(database.run(PUSH, "kept", number) for number in range(5 * MANY)))
        assert await database.command("LLEN", "kept") == 10 * MANY
        await database.close()


async def test_a_connection_that_was_reset_fails_one_flush(tmp_path: Path) -> None:
    """A server that dies with something unread resets its connection, and nothing to read tells so."""
    with redis_server(tmp_path) as server:
        database = server.open()
        await database.ping()
        server.pause()
        hung = asyncio.create_task(database.ping())
        await asyncio.sleep(0.01)
        server.kill()
        server.start()
        failures = 0
        for _ in range(10):
            try:
                await database.ping()
            except StoreUnavailableError:
                failures += 1
        assert failures <= 1
        with suppress(StoreUnavailableError):
            await hung
        await database.close()


async def test_a_kill_in_the_middle_of_flushes_leaves_nobody_waiting(tmp_path: Path) -> None:
    """What was answered is there after the restart; what was not may be, since nothing is sent twice, at most once."""
    with redis_server(tmp_path) as server:
        database = server.open()
        calls = [asyncio.create_task(database.run(ADD, f"n{number}", 1)) for number in range(20 * MANY)]
        await calls[0]
        server.kill()
        replies = await asyncio.gather(*calls, return_exceptions=True)
        assert all(reply == 1 or isinstance(reply, StoreUnavailableError) for reply in replies)
        server.start()
        for number, reply in enumerate(replies):
            if reply == 1:
                assert await database.command("GET", f"n{number}") == b"1"
        await database.close()


async def test_a_server_that_hangs_is_given_up_and_works_again_later(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        database = server.open(command_timeout=timedelta(milliseconds=100))
        await answered(database)
        server.pause()
        hung = await asyncio.gather(*(database.run(ADD, "n", 1) for _ in range(20)), return_exceptions=True)
        assert {type(error) for error in hung} == {StoreUnavailableError}
        server.go_on()
        await answered(database)
        await database.close()


async def test_a_slow_server_fails_only_those_who_have_waited_too_long(database: RedisDatabase) -> None:
    """It is heard, so the connection stays: an answer that nobody waits for any more is passed over."""
    slow = RedisDatabase(redis_url(), command_timeout=timedelta(milliseconds=300))
    await slow.ping()
    late = asyncio.create_task(slow.command("BLPOP", "nothing", 0.6))
    await asyncio.sleep(0.25)
    quick = asyncio.create_task(slow.command("ECHO", "a"))
    with pytest.raises(StoreUnavailableError, match="within its time"):
        await late
    await asyncio.wait([quick])
    await slow.close()


async def test_whoever_asks_a_silent_server_is_refused_at_once_until_it_answers(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        database = server.open(command_timeout=timedelta(seconds=1), refuse_after=timedelta(milliseconds=50))
        await answered(database)
        server.pause()
        first = asyncio.create_task(database.run(ADD, "n", 1))
        await asyncio.sleep(0.1)
        for _ in range(20):
            # Refused before anything is sent, so that a second one in the same moment is too.
            with pytest.raises(StoreUnavailableError, match="does not answer"):
                await asyncio.wait_for(database.run(ADD, "n", 1), 0.05)
        with pytest.raises(StoreUnavailableError, match="within its time"):
            await first
        # Also while and after a first probe has had no answer.
        for _ in range(20):
            with pytest.raises(StoreUnavailableError, match="does not answer"):
                await database.ping()
            await asyncio.sleep(0.06)
        server.go_on()
        await answered(database)
        await database.close()


async def test_a_silent_server_that_then_answers_is_asked_again_over_the_same_connection(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        database = server.open(command_timeout=timedelta(seconds=20), refuse_after=timedelta(milliseconds=50))
        await answered(database)
        server.pause()
        first = asyncio.create_task(database.run(ADD, "n", 1))
        await asyncio.sleep(0.1)
        with pytest.raises(StoreUnavailableError, match="does not answer"):
            await database.ping()
        server.go_on()
        assert await first == 1
        assert await database.run(ADD, "n", 1) == 2
        await database.close()


async def test_a_silent_server_that_dies_is_away(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        database = server.open(command_timeout=timedelta(milliseconds=200), refuse_after=timedelta(milliseconds=50))
        await answered(database)
        server.pause()
        with pytest.raises(StoreUnavailableError, match="within its time"):
            await database.ping()
        server.kill()
        server.start()
        await answered(database)
        await database.close()


async def answered(database: RedisDatabase) -> None:
    """Ask until the server answers, which on a busy machine may take it longer than the time-out."""
    while True:
        with suppress(StoreUnavailableError):
            return await database.ping()
        await asyncio.sleep(0.01)


async def test_a_server_without_memory_is_away_and_has_written_nothing(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        database = server.open()
        await database.ping()
        await database.command("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreUnavailableError):
            await database.run(PUSH, "list", 1)
        with pytest.raises(StoreUnavailableError):
            await database.ping()
        await database.command("CONFIG", "SET", "maxmemory", "0")
        assert await database.run(PUSH, "list", 1) == 1
        await database.close()


async def test_a_server_that_may_lose_messages_is_told_from_one_that_may_not(
    tmp_path: Path, database: RedisDatabase
) -> None:
    assert await database.problems() == []
    with redis_server(tmp_path, maxmemory_policy="allkeys-lru", appendonly="no") as server:
        careless = server.open()
        evicts, forgets = await careless.problems()
        assert "noeviction" in evicts
        assert "appendonly" in forgets
        await careless.close()


async def test_when_a_server_writes_to_its_file_is_told_where_it_says_so(tmp_path: Path) -> None:
    with redis_server(tmp_path, appendfsync="everysec") as server:
        database = server.open()
        assert await database.append_policy() == "everysec"
        await database.command("CONFIG", "SET", "appendfsync", "always")
        assert await database.append_policy() == "always"
        await database.command("ACL", "SETUSER", "default", "-config")
        assert await database.append_policy() is None
        await database.close()


async def test_what_was_asked_before_the_close_is_answered(database: RedisDatabase) -> None:
    calls = [asyncio.create_task(database.run(ADD, "n", 1)) for _ in range(3)]
    await asyncio.sleep(0)
    await database.close()
    assert await asyncio.gather(*calls) == [1, 2, 3]
    with pytest.raises(StoreUnavailableError):
        await database.ping()
