"""What a kill -9 of the inbox's Redis loses while its disk is busy: `python -m tests.load.redis_kills`.

Messages are appended until some moment, every one of them acknowledged; then the server is killed and started again on
its files, and its messages are counted. Other processes write and flush large files to the same disk all the while.
"""

import argparse
import asyncio
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from adapters.redis.inbox import RedisInbox
from tests.adapters.redis_server import RedisServer, redis_server
from tests.builders import inbound

KILLS, AT_ONCE, ROUNDS = 6, 256, 20
# The first flush behind the server's back comes after a second.
QUIET_SECONDS = 1.2
WRITERS, FILE_MB = 3, 400
POLICIES = ("everysec", "always")


def keep_disk_busy(file: Path) -> None:
    block = bytes(1 << 20)
    while True:
        with file.open("wb") as written:
            for _ in range(FILE_MB):
                written.write(block)
            written.flush()
            os.fsync(written.fileno())


@contextmanager
def busy_disk(folder: Path) -> Iterator[None]:
    writers = [
        multiprocessing.Process(target=keep_disk_busy, args=(folder / f"{number}",), daemon=True)
        for number in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    try:
        yield
    finally:
        for writer in writers:
            writer.kill()


async def lost_in_a_kill(server: RedisServer) -> int:
    """Acknowledged messages that are not there after it."""
    database = server.open()
    inbox, acknowledged = RedisInbox(database), 0
    for number in range(ROUNDS + 1):
        batch = [inbound("Oi", conversation=f"c-{sender}") for sender in range(AT_ONCE)]
        await asyncio.gather(*(inbox.append([message]) for message in batch))
        acknowledged += len(batch)
        if number == 0:
            await asyncio.sleep(QUIET_SECONDS)
    server.kill()
    await database.close()
    server.start()
    database = server.open()
    kept = await RedisInbox(database).depth()
    await database.close()
    return acknowledged - kept


async def compare(kills: int) -> None:
    table = Table(title=f"{kills} kills of Redis beside {WRITERS} writers to its disk", box=None)
    for column in ("appendfsync", "kills that lost messages", "messages lost"):
        table.add_column(column, justify="left" if column == "appendfsync" else "right")
    with tempfile.TemporaryDirectory(prefix="prosa-kills-") as folder, busy_disk(Path(folder)):
        for policy in POLICIES:
            lost = []
            for number in range(kills):
                own = Path(folder) / f"{policy}-{number}"
                own.mkdir()
                with redis_server(own, appendfsync=policy) as server:
                    lost.append(await lost_in_a_kill(server))
            table.add_row(policy, str(sum(1 for one in lost if one)), str(sum(lost)))
    Console(highlight=False).print(table)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.redis_kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS, help="of each policy")
    asyncio.run(compare(parser.parse_args().kills))
    return 0


if __name__ == "__main__":
    sys.exit(main())
