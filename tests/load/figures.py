"""The figures of an engine on this machine, in real processes: `python -m tests.load.figures steady`.

It is the Celery engine, or for `steady` and `burst` the one of Cloud Tasks with `--engine cloud_tasks`.

`steady` and `burst` are the load, `hot` one person who writes too fast beside the others, `flood` new names of the web
chat (`--seconds 30 --rate 20`), `takeover` a killed worker's
conversations until another one has them, `cold-start` a worker until its first commit, `events` a worker's news until
a web client has them. The sandbox's statuses (three for each reply) come on top of what is sent.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count as count_from
from pathlib import Path
from typing import Any

import httpx
import orjson
from redis import Redis

from adapters.channels.web import web_conversation_id, web_message
from adapters.clock import SystemClock
from adapters.event_loop import run_serving
from cli.load import percentiles
from cli.traffic import Load
from contracts.messages import InboundMessage
from contracts.ports import LiveEvent
from contracts.values import MessageId
from tests.load.counts import count, settled
from tests.load.installation import EngineName, Installation, drive, installed, warmed
from tests.load.processes import end_when_told, usage_of
from worker.backends import Backend, open_backend

MODEL_MS = 1_000.0
# So long that the conversations stay in the hands of who took them.
THINKING_MS = 60_000.0
PATIENT = {"PROSA_MODEL_TIMEOUT_S": "60", "PROSA_TURN_BUDGET_S": "120"}


@asynccontextmanager
async def _running(
    folder: Path,
    engine: EngineName = "celery",
    *,
    workers: int,
    webhooks: int = 1,
    model_ms: float = MODEL_MS,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Installation]:
    async with installed(engine, folder, workers=workers, webhooks=webhooks, environment=environment) as installation:
        await installation.model()
        await warmed(installation)
        await installation.model(latency=model_ms)
        yield installation


async def loaded(
    folder: Path, load: Load, engine: EngineName, *, workers: int, webhooks: int, model_ms: float = MODEL_MS
) -> dict[str, Any]:
    """One load: acknowledgements, replies over the model's critical path, loss, and what each process used."""
    async with _running(folder, engine, workers=workers, webhooks=webhooks, model_ms=model_ms) as installation:
        pids = _pids(installation)
        before = {name: usage_of(pid) for name, pid in pids.items()}
        outcome = await drive(installation, load)
        after = {name: usage_of(pid) for name, pid in pids.items()}
        await settled(installation)
        assert outcome.replies is not None
        counts = await count(installation, outcome.sent, [])
        statuses = await _posted_statuses(installation)
    used = {name: after[name].cpu_seconds - before[name].cpu_seconds for name in pids}
    view = outcome.view()
    return {
        **view,
        "over_critical_path_ms": round(view["reply_ms"]["p50"] - 2 * model_ms, 1),
        "statuses_a_second": round(statuses / outcome.seconds),
        "cpu_ms_a_message": {name: round(1000 * seconds / load.messages, 2) for name, seconds in used.items()},
        "memory_mb": {name: round(usage.memory_mb) for name, usage in after.items()},
        "in_store": {"lost": counts.lost, "doubled": counts.doubled, "out_of_order": counts.out_of_order},
        "load_average": [round(value, 1) for value in os.getloadavg()],
    }


def _pids(installation: Installation) -> dict[str, int]:
    own = (*installation.webhooks, *installation.workers, installation.sandbox)
    pids = {process.name: process.pid for process in own}
    if installation.redis is not None:
        with Redis.from_url(installation.redis.url) as client:
            pids["redis"] = int(client.info("server")["process_id"])
    return pids


async def _posted_statuses(installation: Installation) -> int:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{installation.sandbox_url}/graph/sandbox/messages", params={"limit": 1})
        return int(answer.json()["counters"].get("statuses_posted", 0))


async def hot(folder: Path, *, workers: int) -> dict[str, Any]:
    """The same load without and with one person more who writes ten messages a second."""
    quiet = Load(messages=720, people=360, rate=12, seed=1)
    figures = {}
    for name, hot_rate in (("without", 0.0), ("with", 10.0)):
        part = folder / name
        part.mkdir()
        async with _running(part, workers=workers) as installation:
            given = Load(quiet.messages, quiet.people, quiet.rate, hot_rate=hot_rate, seed=quiet.seed)
            view = (await drive(installation, given)).view()
            figures[name] = {key: view[key] for key in ("reply_ms", "ack_ms", "lost", "doubled")}
    return figures | {"load_average": [round(value, 1) for value in os.getloadavg()]}


async def flood(folder: Path, *, workers: int, seconds: float, rate: float) -> dict[str, Any]:
    """The same customers without and with new names of the web chat that write once each, `rate` a second beside them.

    Every name comes from an address of its own, so that no limit of an address holds the flood back.
    """
    messages = int(seconds * CUSTOMERS_RATE)
    customers = Load(messages, messages // 2, CUSTOMERS_RATE)
    figures: dict[str, Any] = {}
    for name, strangers in (("without", 0.0), ("with", rate)):
        part = folder / name
        part.mkdir()
        async with _running(part, workers=workers) as installation:
            flooding = asyncio.create_task(_flood(installation.url, strangers))
            view = (await drive(installation, customers)).view()
            flooding.cancel()
            answers = (await asyncio.gather(flooding, return_exceptions=True))[0]
            figures[name] = {key: view[key] for key in ("reply_ms", "ack_ms", "lost", "doubled")}
            figures[name]["load_average"] = round(os.getloadavg()[0], 1)
        if isinstance(answers, BaseException):
            raise answers
        figures[name]["strangers"] = answers
    grown = figures["with"]["reply_ms"]["p95"] / figures["without"]["reply_ms"]["p95"] - 1
    return figures | {"p95_grown": round(grown, 3), "within": grown <= MOST_GROWN}


async def _flood(url: str, rate: float) -> dict[int, int]:
    """Write as ever new names until cancelled; return the answers by HTTP status."""
    answers = Counter[int]()
    async with httpx.AsyncClient(timeout=60) as client, asyncio.TaskGroup() as group:

        async def write(number: int) -> None:
            address = f"198.18.{number // 250 % 250}.{number % 250}"
            answer = await client.post(
                f"{url}/chat/stranger-{number}/messages",
                json={"text": "Qual o horário das entregas?"},
                headers={"X-Forwarded-For": address},
            )
            answers[answer.status_code] += 1

        with suppress(asyncio.CancelledError):
            for number in count_from(0):
                if rate:
                    group.create_task(write(number))
                await asyncio.sleep(1 / rate if rate else 1)
    return dict(answers)


async def takeover(folder: Path, *, rounds: int = 8, conversations: int = 50) -> dict[str, Any]:
    """A worker is killed with conversations in its hands; the time until another one has taken each of them.

    A second attempt in the inbox shows that it was claimed again; it is looked for every few milliseconds.
    """
    taken: list[float] = []
    async with (
        _running(folder, workers=1, model_ms=THINKING_MS, environment=PATIENT) as installation,
        _backend(installation) as backend,
    ):
        for number in range(rounds):
            messages = [_question(f"takeover-{number}-{each}") for each in range(conversations)]
            await backend.inbox.append(messages)
            await _until(partial(_all_tried, messages, 1, backend))
            await _start_beside(installation, f"next-{number}")
            killed = installation.workers.pop(0)
            at = time.monotonic()
            killed.kill()
            waiting = list(messages)
            while waiting:
                tried = await asyncio.gather(*(_attempts(one, backend) for one in waiting))
                taken += [time.monotonic() - at for attempts in tried if attempts > 1]
                waiting = [one for one, attempts in zip(waiting, tried, strict=True) if attempts == 1]
                await asyncio.sleep(0.01)
            for one in messages:
                await backend.inbox.forget(one.conversation_id)
    return {"conversations": len(taken), "claimed_again_ms": percentiles(taken)}


async def _start_beside(installation: Installation, name: str) -> None:
    """Start a worker and wait until it listens for wake-ups, beside the one that is there."""
    worker = installation.worker(name)
    installation.workers.append(worker)
    worker.spawn()
    await _until(partial(_are_listening, installation, len(installation.workers)))


async def _are_listening(installation: Installation, count: int) -> bool:
    """Whether so many workers wait at the broker's queues."""
    assert installation.redis is not None
    with Redis.from_url(installation.redis.url) as client:
        waiting = [each for each in client.client_list() if each["cmd"] == "brpop"]
    return len(waiting) >= count


async def cold_start(folder: Path, *, starts: int = 10) -> dict[str, Any]:
    """A worker is started with a message waiting; the time until its turn is committed. The model answers at once."""
    times: list[float] = []
    cpu_seconds: list[float] = []
    async with _running(folder, workers=1, model_ms=0) as installation, _backend(installation) as backend:
        for number in range(starts):
            for worker in installation.workers:
                worker.kill()
            message = _question(f"cold-{number}")
            await backend.inbox.append([message])
            worker = installation.worker(f"cold-{number}")
            installation.workers = [worker]
            at = time.monotonic()
            worker.spawn()
            await _until(partial(_is_answered, message, backend))
            times.append(time.monotonic() - at)
            cpu_seconds.append(usage_of(worker.pid).cpu_seconds)
        installation.workers[0].kill()
    return {
        "starts": starts,
        "first_commit_ms": percentiles(times),
        "cpu_ms": percentiles(cpu_seconds),
        "load_average": round(os.getloadavg()[0], 1),
    }


async def events(folder: Path, *, count: int = 500, rate: float = 50.0, load: Load | None = None) -> dict[str, Any]:
    """News published as a worker does, until a web client has them from the webhook's stream, by one clock."""
    async with _running(folder, workers=1) as installation, _backend(installation) as backend:
        conversation = "watched"
        url = f"{installation.url}/chat/{conversation}/events"
        seconds: list[float] = []
        beside = asyncio.create_task(drive(installation, load)) if load else None
        async with httpx.AsyncClient(timeout=60) as client, client.stream("GET", url) as response:
            lines = response.aiter_lines()
            async for line in lines:
                if line.startswith(": connected"):
                    break
            publishing = asyncio.create_task(_publish(backend, conversation, count, rate))
            async for line in lines:
                if line.startswith("data:") and "published" in (data := orjson.loads(line.removeprefix("data:"))):
                    seconds.append(time.perf_counter() - data["published"])
                    if len(seconds) == count:
                        break
            await publishing
        if beside is not None:
            await beside
    return {"events": len(seconds), "publish_to_client_ms": percentiles(seconds)}


async def _publish(backend: Backend, conversation: str, count: int, rate: float) -> None:
    for _ in range(count):
        event = LiveEvent(name="state", data={"published": time.perf_counter()})
        await backend.events.publish(web_conversation_id(conversation), event)
        await asyncio.sleep(1 / rate)


@asynccontextmanager
async def _backend(installation: Installation) -> AsyncIterator[Backend]:
    async with open_backend(installation.settings) as backend:
        yield backend


def _question(conversation: str) -> InboundMessage:
    return web_message(conversation, MessageId("m-1"), "Qual o horário das entregas?", at=SystemClock().now())


async def _attempts(message: InboundMessage, backend: Backend) -> int:
    return max((entry.attempts for entry in await backend.inbox.pending(message.conversation_id)), default=0)


async def _all_tried(messages: list[InboundMessage], times: int, backend: Backend) -> bool:
    return min(await asyncio.gather(*(_attempts(one, backend) for one in messages))) >= times


async def _is_answered(message: InboundMessage, backend: Backend) -> bool:
    return await backend.store.conversations.receipt(message.conversation_id, message.id) is not None


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    while not await holds():  # noqa: ASYNC110 - another process makes it true
        await asyncio.sleep(0.01)


STEADY_SECONDS, STEADY_RATE, STEADY_PEOPLE = 300.0, 100.0, 3_000
# Three statuses follow each reply, in a post of its own each, as WhatsApp sends them.
STATUSES_OF_A_REPLY = 3
BURST_MESSAGES = 1_000
# Of `flood`: as many customers as this machine answers with time to spare, and the growth that is allowed.
CUSTOMERS_RATE, MOST_GROWN = 6.0, 0.2
BACKGROUND = Load(messages=400, people=200, rate=15)


async def _play(name: str, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    workers = given.workers
    sizes = {"workers": workers, "webhooks": given.webhooks, "model_ms": given.model_ms}
    match name:
        case "steady":
            messages = int(given.seconds * given.rate)
            foreign = max(0.0, given.statuses - STATUSES_OF_A_REPLY * given.rate)
            load = Load(messages, min(messages, given.people), given.rate, statuses_rate=foreign)
            return await loaded(folder, load, given.engine, **sizes)
        case "burst":
            load = Load(given.messages, given.messages, rate=None)
            return await loaded(folder, load, given.engine, **sizes)
        case "hot":
            return await hot(folder, workers=workers)
        case "flood":
            return await flood(folder, workers=workers, seconds=given.seconds, rate=given.rate)
        case "takeover":
            return await takeover(folder)
        case "cold-start":
            return await cold_start(folder)
        case "events":
            return await events(folder)
        case _:
            return await events(folder, load=BACKGROUND)


NAMES = ("steady", "burst", "hot", "flood", "takeover", "cold-start", "events", "events-under-load")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.figures", description=__doc__)
    parser.add_argument("name", nargs="+", choices=[*NAMES, "all"])
    parser.add_argument("--engine", choices=["celery", "cloud_tasks"], default="celery", help="of steady and burst")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--webhooks", type=int, default=1, help="which get the load's posts in turn")
    parser.add_argument("--seconds", type=float, default=STEADY_SECONDS, help="of the steady load and the flood")
    parser.add_argument("--rate", type=float, default=STEADY_RATE, help="of the steady load and the flood, a second")
    parser.add_argument(
        "--statuses", type=float, default=0, help="in all, a second of the steady load; three follow each reply anyway"
    )
    parser.add_argument("--messages", type=int, default=BURST_MESSAGES, help="of the burst")
    parser.add_argument("--model-ms", type=float, default=MODEL_MS, help="of a model call, of steady and burst")
    parser.add_argument("--people", type=int, default=STEADY_PEOPLE, help="of the steady load")
    given = parser.parse_args()
    end_when_told()
    for name in NAMES if "all" in given.name else given.name:
        with tempfile.TemporaryDirectory(prefix="prosa-figures-") as folder:
            figures = run_serving(_play(name, Path(folder), given))
        print(json.dumps({"figure": name} | figures), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
