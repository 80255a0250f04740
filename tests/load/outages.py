"""Everything that Prosa leans on, down or slow, one after the other: `python -m tests.load.outages inbox-down`.

What each must do then stands in the table "When something is down" of the delivery's design.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from cli.load import Collector, percentiles
from cli.traffic import Load
from sandbox.whatsapp_webhooks import envelope, inbound_text, signed
from tests.adapters.redis_server import redis_server
from tests.load.counts import Counts, count, settled
from tests.load.installation import PHONE_NUMBER_ID, SECRET, Installation, drive, installed, warmed
from tests.load.processes import end_when_told

POSTS = 50


@dataclass(frozen=True)
class Answers:
    """What a webhook said to single posts: how often which status, and how long it took."""

    statuses: dict[int, int]
    ms: dict[str, float]


async def inbox_down(folder: Path) -> Answers:
    """Redis is killed: nothing can be made durable, so the platform is told to come again."""
    async with installed("celery", folder, workers=1) as installation:
        await warmed(installation)
        assert installation.redis is not None
        installation.redis.kill()
        return await _posted(installation)


async def inbox_silent(folder: Path) -> Answers:
    """Redis accepts connections and says nothing: the answer comes when its time is over."""
    async with installed("celery", folder, workers=1, proxied=True) as installation:
        await warmed(installation)
        assert installation.proxy is not None
        async with installation.proxy.silence():
            return await _posted(installation)


async def _posted(installation: Installation) -> Answers:
    statuses: Counter[int] = Counter()
    seconds = []
    async with httpx.AsyncClient(timeout=30) as client:
        for number in range(POSTS):
            change = inbound_text(f"5511{number:09d}", "qual o horário?", phone_number_id=PHONE_NUMBER_ID)
            body, headers = signed(envelope(change), SECRET)
            started = time.perf_counter()
            answer = await client.post(f"{installation.url}/webhooks/whatsapp", content=body, headers=headers)
            seconds.append(time.perf_counter() - started)
            statuses[answer.status_code] += 1
    return Answers(dict(statuses), percentiles(seconds))


@dataclass(frozen=True)
class Answered:
    """What became of messages during an outage: replies over time, and what the store and the platform say after."""

    reply_ms: dict[str, float]
    acknowledged_ms: dict[str, float]
    refused: dict[str, int]
    unanswered: int
    counts: Counts


async def cache_down(folder: Path) -> Answered:
    """The cache's Redis, which also carries the news, is killed in the middle."""
    cache_folder = folder / "cache"
    cache_folder.mkdir()
    with redis_server(cache_folder) as cache:
        async with installed("celery", folder, environment={"REDIS_CACHE_URL": cache.url}) as installation:
            return await _during(installation, lambda: asyncio.to_thread(cache.kill))


async def model_failing(folder: Path) -> Answered:
    """The model answers 500 to every call: a fixed reply and a person of the team instead."""
    async with installed("celery", folder) as installation:
        return await _during(installation, lambda: installation.model(server_error=1.0))


async def model_silent(folder: Path) -> Answered:
    """The model takes a minute for every call."""
    async with installed("celery", folder) as installation:
        return await _during(installation, lambda: installation.model(latency=60_000))


async def channel_down(folder: Path, *, seconds: float = 5.0) -> Answered:
    """The platform answers 503 for a while: replies wait, in order, and none is made twice."""
    async with installed("celery", folder) as installation:

        async def down_for_a_while() -> None:
            await installation.platform(unavailable=1.0)
            await asyncio.sleep(seconds)
            await installation.platform()

        return await _during(installation, down_for_a_while)


async def channel_lying(folder: Path) -> Answered:
    """The platform takes a third of the messages and cuts the connection instead of saying so."""
    async with installed("celery", folder) as installation:
        return await _during(installation, lambda: installation.platform(cut_after_accepting=0.33))


async def _during(installation: Installation, fault: Callable[[], Awaitable[Any]]) -> Answered:
    """Ten messages a second for fifteen seconds; the fault begins with the third."""
    await warmed(installation)

    async def begin() -> None:
        await asyncio.sleep(3)
        await fault()

    beginning = asyncio.create_task(begin())
    load = Load(messages=150, people=150, rate=10, poisson=False)
    outcome = await drive(installation, load, await_seconds=90)
    await beginning
    await settled(installation)
    collector = Collector(installation.sandbox_url)
    await collector.look()
    view = outcome.view()
    return Answered(
        reply_ms=view["reply_ms"],
        acknowledged_ms=view["ack_ms"],
        refused=outcome.refused,
        unanswered=outcome.lost,
        counts=await count(installation, outcome.sent, collector.replies),
    )


OUTAGES: dict[str, Callable[[Path], Awaitable[Answers | Answered]]] = {
    "inbox-down": inbox_down,
    "inbox-silent": inbox_silent,
    "cache-down": cache_down,
    "model-failing": model_failing,
    "model-silent": model_silent,
    "channel-down": channel_down,
    "channel-lying": channel_lying,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.outages", description=__doc__)
    parser.add_argument("name", nargs="+", choices=[*OUTAGES, "all"], help="one or more, or all")
    given = parser.parse_args()
    end_when_told()
    for name in OUTAGES if "all" in given.name else given.name:
        with tempfile.TemporaryDirectory(prefix="prosa-outages-") as folder:
            found = asyncio.run(_play(name, Path(folder)))
        print(json.dumps({"outage": name} | asdict(found)), flush=True)
    return 0


async def _play(name: str, folder: Path) -> Answers | Answered:
    return await OUTAGES[name](folder)


if __name__ == "__main__":
    sys.exit(main())
