"""What the webhook costs beside a bare ASGI app that does as little as can be: `python -m tests.bench.ingest`.

Both are processes on the same server and loop, take the same signed posts, and make each durable in the same Redis: the
bare one checks the signature and runs one script with the body in it. The webhook also takes the post apart, finds
duplicates, numbers the message, arms its conversation, wakes a worker, counts and logs.
"""

import argparse
import asyncio
import hashlib
import hmac
import itertools
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.table import Table

from adapters.event_loop import keep_what_is_loaded, run_serving
from adapters.http.listener import listen
from adapters.redis.database import RedisDatabase, Script
from cli.serving import server_of, stop_signal
from sandbox.whatsapp_webhooks import envelope, inbound_text, signed
from tests.adapters.redis_server import redis_server
from tests.load.installation import PHONE_NUMBER_ID, SECRET
from tests.load.processes import Process, usage_of
from tests.real_services import free_port

POSTS, AT_ONCE, ROUNDS = 1_500, 16, 8
PATH = "/webhooks/whatsapp"
KEEP = Script.of("redis.call('RPUSH', 'bare:' .. ARGV[1], ARGV[2]) return redis.call('INCR', 'bare:depth')")


class Bare:
    """Signature, one durable write, 200."""

    def __init__(self, database: RedisDatabase) -> None:
        self._database = database

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"] if scope["method"] == "POST" else b""
        if body:
            given = dict(scope["headers"])[b"x-hub-signature-256"].decode()
            expected = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
            assert hmac.compare_digest(given, expected)
            await self._database.run(KEEP, uuid.uuid4().hex, body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


async def serve_bare(port: int, redis_url: str) -> None:
    database = RedisDatabase(redis_url)
    async with server_of(Bare(database)).running(listen("127.0.0.1", port)):
        keep_what_is_loaded()
        await stop_signal()
    await database.close()


async def cpu_us_a_post(process: Process, url: str, numbers: Iterator[int]) -> float:
    """CPU microseconds of the process for one post, posts of different people, some at once."""
    contents = []
    for number in itertools.islice(numbers, POSTS):
        change = inbound_text(
            f"55119{number:08d}", "Qual o horário?", id=f"w.{number}", phone_number_id=PHONE_NUMBER_ID
        )
        contents.append(signed(envelope(change), SECRET))
    waiting = iter(contents)
    async with aiohttp.ClientSession() as session:

        async def post() -> None:
            for body, headers in waiting:
                async with session.post(url, data=body, headers=headers) as response:
                    assert response.status == 200, (url, response.status, await response.text())
                    await response.read()

        before = usage_of(process.pid).cpu_seconds
        await asyncio.gather(*(post() for _ in range(AT_ONCE)))
        return (usage_of(process.pid).cpu_seconds - before) * 1e6 / POSTS


async def compare(folder: Path) -> dict[str, list[float]]:
    with redis_server(folder) as redis:
        ports = {name: free_port() for name in ("bare", "webhook")}
        environment = {
            "PROSA_ENGINE": "celery",
            "PORT": str(ports["webhook"]),
            "PROSA_DATA_DIR": str(folder),
            "PROSA_LOG_LEVEL": "WARNING",
            "REDIS_URL": redis.url,
            "WHATSAPP_APP_SECRET": SECRET,
            "WHATSAPP_VERIFY_TOKEN": "verify",
            "WHATSAPP_ACCESS_TOKEN": "sandbox",
            "WHATSAPP_PHONE_NUMBER_ID": PHONE_NUMBER_ID,
        }
        arguments = {
            "bare": ["-m", "tests.bench.ingest", "--bare", str(ports["bare"]), redis.url],
            "webhook": ["-m", "cli.main", "webhook"],
        }
        processes = {
            name: Process(name, arguments[name], environment, folder, health=f"http://127.0.0.1:{ports[name]}/healthz")
            for name in ports
        }
        found: dict[str, list[float]] = {name: [] for name in ports}
        numbers = itertools.count()
        try:
            for process in processes.values():
                await process.start()
            for _ in range(ROUNDS):
                for name, process in processes.items():
                    url = f"http://127.0.0.1:{ports[name]}{PATH}"
                    found[name].append(await cpu_us_a_post(process, url, numbers))
        finally:
            for process in processes.values():
                process.kill()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ingest", description=__doc__)
    parser.add_argument("--bare", nargs=2, metavar=("PORT", "REDIS_URL"), help="serve the bare app")
    given = parser.parse_args()
    if given.bare:
        run_serving(serve_bare(int(given.bare[0]), given.bare[1]))
        return 0
    with tempfile.TemporaryDirectory(prefix="prosa-ingest-") as folder:
        found = asyncio.run(compare(Path(folder)))
    best = {name: min(samples) for name, samples in found.items()}
    table = Table(
        title=f"Ingest: {POSTS} posts, {AT_ONCE} at once, best of {ROUNDS}, load {os.getloadavg()[0]:.1f}", box=None
    )
    for column in ("app", "CPU us a post", "ratio", "to reach"):
        table.add_column(column, justify="left" if column == "app" else "right")
    table.add_row("bare ASGI: signature, one durable write", f"{best['bare']:.0f}", "1", "")
    table.add_row("webhook", f"{best['webhook']:.0f}", f"{best['webhook'] / best['bare']:.2f}", "1.5, then 1.1")
    Console(highlight=False).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
