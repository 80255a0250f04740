"""What Redis costs this process: `python -m tests.bench.redis`.

CPU time of the Python process (the server's is not in it), beside the least that redis-py itself needs for the same
bytes: one EVALSHA of the inbox's script in a pipeline of its own, or two hundred in one pipeline.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from adapters.clock import micros
from adapters.redis.database import RedisDatabase
from adapters.redis.inbox import SCRIPT, RedisInbox
from adapters.redis.store import RedisStore
from contracts.conversation import Conversation
from contracts.errors import TransientError
from contracts.messages import InboundMessage
from tests.bench.engine import console
from tests.builders import conversation_id, inbound
from tests.contract.test_store import turn_commit
from tests.real_services import free_port, redis_url

ROUNDS = 9
ALONE = 400
TOGETHER = 200
BATCHES = 10


def messages(count: int) -> list[InboundMessage]:
    return [inbound("Oi, bom dia, qual é o horário?", conversation=f"c-{number % 50}") for number in range(count)]


async def cpu_us(work: Callable[[], Awaitable[None]], operations: int) -> float:
    """CPU microseconds of this process for one operation."""
    began = time.process_time()
    await work()
    return (time.process_time() - began) / operations * 1e6


class Appends:
    """The same appends, by the inbox and by redis-py alone."""

    def __init__(self, database: RedisDatabase, client: "Redis") -> None:
        self.inbox = RedisInbox(database)
        self.client = client

    async def ours_alone(self) -> None:
        for message in self.batch:
            await self.inbox.append([message])

    async def bare_alone(self) -> None:
        for message in self.batch:
            await self._pipeline([message])

    async def ours_together(self) -> None:
        for start in range(0, len(self.batch), TOGETHER):
            await asyncio.gather(*(self.inbox.append([message]) for message in self.batch[start : start + TOGETHER]))

    async def bare_together(self) -> None:
        for start in range(0, len(self.batch), TOGETHER):
            await self._pipeline(self.batch[start : start + TOGETHER])

    async def _pipeline(self, batch: list[InboundMessage]) -> None:
        async with self.client.pipeline(transaction=False) as pipeline:
            for message in batch:
                parts = (message.conversation_id, message.dedup_key, micros(message.received_at))
                pipeline.evalsha(SCRIPT.sha, 0, "append", "777600000", *parts, message.model_dump_json())
            await pipeline.execute()

    async def measure(self, work: Callable[[], Awaitable[None]], count: int) -> float:
        self.batch = messages(count)
        return await cpu_us(work, count)


async def compare_appends(database: RedisDatabase, client: "Redis") -> None:
    appends = Appends(database, client)
    pairs = {
        "alone": (appends.ours_alone, appends.bare_alone, ALONE),
        f"{TOGETHER} at once": (appends.ours_together, appends.bare_together, TOGETHER * BATCHES),
    }
    for name, (ours, bare, count) in pairs.items():
        figures: list[tuple[float, float]] = []
        for _ in range(ROUNDS):
            await database.command("FLUSHDB")
            figures.append((await appends.measure(ours, count), await appends.measure(bare, count)))
        mine, theirs = (statistics.median(column) for column in zip(*figures, strict=True))
        ratio = statistics.median(one / other for one, other in figures)
        console.print(f"append {name}: {mine:.0f} us CPU, redis-py pipeline {theirs:.0f} us, ratio {ratio:.2f}")


async def turn(store: RedisStore, head: Conversation) -> Conversation:
    """What a turn asks of the store."""
    await store.conversations.load(head.id)
    saved = await store.conversations.commit(turn_commit(head))
    (row,) = await store.outbox.unsent(head.id)
    sending = await store.outbox.begin_send(row, deadline=row.created_at, at=row.created_at)
    assert sending
    await store.outbox.mark_sent(row, platform_message_id=row.id, at=row.created_at)
    return saved


async def turns_of_a_growing_conversation(database: RedisDatabase) -> None:
    store = RedisStore(database)
    await database.command("FLUSHDB")
    head = Conversation(id=conversation_id("long"))
    for grown in (10, 100, 1_000, 10_000):
        while head.turns < grown:
            head = await store.conversations.commit(turn_commit(head))
            for row in await store.outbox.unsent(head.id):
                await store.outbox.mark_sent(row, platform_message_id=row.id, at=row.created_at)
        times = []
        await database.command("CONFIG", "RESETSTAT")
        for _ in range(100):
            began = time.perf_counter()
            head = await turn(store, head)
            times.append((time.perf_counter() - began) * 1000)
        server_us = await script_us(database) / 100
        console.print(
            f"store's part of a turn after {grown} turns: {statistics.median(times):.2f} ms, "
            f"{server_us:.0f} us of it in the server's scripts"
        )


async def script_us(database: RedisDatabase) -> int:
    stats = (await database.command("INFO", "commandstats")).decode()
    (line,) = [line for line in stats.splitlines() if line.startswith("cmdstat_evalsha:")]
    return int(line.partition("usec=")[2].partition(",")[0])


async def refusals() -> None:
    database = RedisDatabase(f"redis://127.0.0.1:{free_port()}/0")
    times = []
    for _ in range(100):
        began = time.perf_counter()
        try:
            await RedisInbox(database).append([inbound()])
        except TransientError:
            times.append((time.perf_counter() - began) * 1000)
    console.print(f"refused connection: {statistics.median(times):.2f} ms to the error, slowest {max(times):.2f} ms")
    await database.close()


async def main() -> None:
    url = redis_url()
    database, client = RedisDatabase(url), Redis.from_url(url)
    await RedisInbox(database).append([inbound()])
    await compare_appends(database, client)
    await turns_of_a_growing_conversation(database)
    await refusals()
    await client.aclose()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main())
