"""Kills a running process again and again under load, then counts what was lost, doubled or reordered.

`python -m tests.engine.killing --messages 2000 --conversations 100 --kills 20` prints the counts. The process is the
real one (`prosa run` on SQLite), the platform and the model are the sandbox in a process of its own, which lives on.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from adapters.sqlite_database import Database
from adapters.stores.sqlite import SqliteStore
from contracts.values import ConversationId
from fsm.table import MOVES
from sandbox.whatsapp_webhooks import envelope, inbound_text, signed

ROOT = Path(__file__).parents[2]
SECRET = "killing-secret"
PHONE_NUMBER_ID = "200000000000002"
SECONDS_PER_KILL = 4.0
LEGAL = {(move.source, move.trigger, move.dest) for move in MOVES}


@dataclass(frozen=True)
class Report:
    """What was counted. `doubled_replies` are sends of one outbox row that the platform accepted more than once.

    A message that was being worked on at more than five kills is a dead letter, as nobody can tell it from one that
    kills its worker. Its person is told so and a member of the team is called; it is not lost.
    """

    messages: int
    conversations: int
    kills: int
    seconds: float
    lost: int
    doubled: int
    out_of_order: int
    illegal_moves: int
    unanswered_turns: int
    doubled_replies: int
    unsent_replies: int
    dead_letters: int
    posts_repeated: int


@dataclass
class _Process:
    """One of the two processes; `kill` is SIGKILL, nothing in it gets a chance to tidy up."""

    arguments: list[str]
    environment: dict[str, str]
    log: Path
    running: asyncio.subprocess.Process | None = None

    async def start(self, health: str) -> None:
        with self.log.open("ab") as log:
            self.running = await asyncio.create_subprocess_exec(
                sys.executable, *self.arguments, cwd=ROOT, env=os.environ | self.environment, stdout=log, stderr=log
            )
        async with httpx.AsyncClient() as client:
            for _ in range(1_000):
                try:
                    if (await client.get(health)).is_success:
                        return
                except httpx.TransportError:
                    pass
                if self.running.returncode is not None:
                    raise RuntimeError(self.log.read_text()[-2_000:])
                await asyncio.sleep(0.02)
        raise TimeoutError(f"{health} does not answer")

    async def kill(self) -> None:
        if self.running is not None and self.running.returncode is None:
            self.running.send_signal(signal.SIGKILL)
            await self.running.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def running_processes(folder: Path) -> AsyncIterator[tuple[_Process, str, str]]:
    app_port, sandbox_port = _free_port(), _free_port()
    app_url, sandbox_url = f"http://127.0.0.1:{app_port}", f"http://127.0.0.1:{sandbox_port}"
    webhook = f"{app_url}/webhooks/whatsapp"
    sandbox = _Process(
        ["-m", "sandbox", "--port", str(sandbox_port), "--webhook-url", webhook, "--app-secret", SECRET],
        {},
        folder / "sandbox.log",
    )
    app = _Process(
        ["-m", "cli.main", "run"],
        {
            "PORT": str(app_port),
            "PROSA_DATA_DIR": str(folder),
            "PROSA_LOG_LEVEL": "WARNING",
            "ANTHROPIC_API_KEY": "sandbox",
            "ANTHROPIC_BASE_URL": f"{sandbox_url}/anthropic",
            "WHATSAPP_APP_SECRET": SECRET,
            "WHATSAPP_VERIFY_TOKEN": "verify",
            "WHATSAPP_ACCESS_TOKEN": "sandbox",
            "WHATSAPP_PHONE_NUMBER_ID": PHONE_NUMBER_ID,
            "WHATSAPP_API_URL": f"{sandbox_url}/graph/v26.0",
        },
        folder / "app.log",
    )
    try:
        await sandbox.start(f"{sandbox_url}/healthz")
        await _keep_reporting(sandbox_url)
        await app.start(f"{app_url}/healthz")
        yield app, app_url, sandbox_url
    finally:
        await app.kill()
        await sandbox.kill()


async def _keep_reporting(sandbox_url: str) -> None:
    """A platform reports for days; a stand-in that gave up after seconds would hide what a status settles."""
    async with httpx.AsyncClient() as client:
        behaviour = {"statuses": {"attempts": 20, "backoff_ms": 100}}
        (await client.put(f"{sandbox_url}/graph/sandbox/behaviour", json=behaviour)).raise_for_status()


async def run(
    folder: Path, *, messages: int, conversations: int, kills: int, seed: int = 0, duplicates: float = 0.05
) -> Report:
    """Play the load and the kills, wait until everything is answered, count."""
    chance = random.Random(seed)
    started = time.monotonic()
    async with running_processes(folder) as (app, app_url, sandbox_url):
        progress = Counter[str]()
        load = _Load(messages // conversations, conversations, duplicates, kills * SECONDS_PER_KILL)
        posting = asyncio.create_task(_post_all(app_url, load, chance, progress))
        for _ in range(kills):
            # Long enough to work on something, too short to finish what came while it was down.
            await asyncio.sleep(1.5 + chance.random() * 1.5)
            await app.kill()
            await app.start(f"{app_url}/healthz")
        await posting
        await _settle(folder, messages)
        sends = await _sends(sandbox_url)
    counted = await _count(folder, messages, conversations, sends)
    return Report(
        messages=messages,
        conversations=conversations,
        kills=kills,
        seconds=round(time.monotonic() - started, 1),
        posts_repeated=progress["repeated"],
        **counted,
    )


@dataclass(frozen=True)
class _Load:
    """How many people write how many messages each, over how long, and the share that the platform delivers twice."""

    messages_each: int
    people: int
    duplicates: float
    seconds: float


async def _post_all(app_url: str, load: _Load, chance: random.Random, progress: Counter[str]) -> None:
    """Every person writes their messages one after the other, as the platform would: again until it gets a 200."""
    limits = httpx.Limits(max_connections=32)
    pause = load.seconds / load.messages_each
    async with httpx.AsyncClient(timeout=5, limits=limits) as client:

        async def write(person: int) -> None:
            for number in range(1, load.messages_each + 1):
                content = envelope(
                    inbound_text(
                        f"55119{person:08d}",
                        f"pergunta {number}: qual o horário das entregas?",
                        id=f"wamid.{person}.{number}",
                        phone_number_id=PHONE_NUMBER_ID,
                    )
                )
                body, headers = signed(content, SECRET)
                for _ in range(2 if chance.random() < load.duplicates else 1):
                    await _post_until_taken(client, f"{app_url}/webhooks/whatsapp", body, headers, progress)
                await asyncio.sleep(chance.random() * 2 * pause)

        await asyncio.gather(*(write(person) for person in range(load.people)))


async def _post_until_taken(
    client: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str], progress: Counter[str]
) -> None:
    for _ in range(3_000):
        try:
            if (await client.post(url, content=body, headers=headers)).status_code == 200:
                return
        except httpx.TransportError:
            pass
        progress["repeated"] += 1
        await asyncio.sleep(0.02)
    raise TimeoutError("the webhook took nothing for a minute")


async def _settle(folder: Path, messages: int) -> None:
    """Wait until every message has its turn and every reply is sent; the counts say what did not make it."""
    database = Database(folder / "prosa.sqlite")
    try:
        for _ in range(1_200):
            answered, unsent = await database.run(
                lambda c: (
                    c.execute("SELECT count(*) FROM receipts").fetchone()[0],
                    c.execute("SELECT count(*) FROM outbox WHERE unsent = 1").fetchone()[0],
                )
            )
            if answered >= messages and unsent == 0:
                return
            await asyncio.sleep(0.05)
    finally:
        database.close()


async def _sends(sandbox_url: str) -> Counter[str]:
    """How often the platform accepted each outbox row."""
    counted: Counter[str] = Counter()
    after = 0
    async with httpx.AsyncClient(timeout=10) as client:
        while True:
            page = (await client.get(f"{sandbox_url}/graph/sandbox/messages?after={after}&limit=1000")).json()
            for message in page["messages"]:
                counted[message["client_reference"]] += 1
                after = message["number"]
            if not page["messages"]:
                return counted


async def _count(folder: Path, messages: int, conversations: int, sends: Counter[str]) -> dict[str, Any]:
    database = Database(folder / "prosa.sqlite")
    store = SqliteStore(database)
    found: Counter[str] = Counter()
    answered: defaultdict[str, list[int]] = defaultdict(list)
    try:
        for summary in await store.list_conversations(limit=conversations * 2):
            await _count_conversation(summary.id, store, answered, found)
        found["dead letters"] = len(await store.dead_letters(limit=messages))
    finally:
        database.close()
    expected = messages // conversations
    total = sum(len(numbers) for numbers in answered.values())
    unique = sum(len(set(numbers)) for numbers in answered.values())
    return {
        "lost": expected * conversations - unique,
        "doubled": total - unique,
        "out_of_order": sum(1 for numbers in answered.values() if numbers != sorted(numbers)),
        "illegal_moves": found["illegal"],
        "unanswered_turns": found["silent"],
        "doubled_replies": sum(times - 1 for times in sends.values() if times > 1),
        "unsent_replies": found["rows"] - len(sends),
        "dead_letters": found["dead letters"],
    }


async def _count_conversation(
    conversation_id: ConversationId, store: SqliteStore, answered: defaultdict[str, list[int]], found: Counter[str]
) -> None:
    texts = {
        receipt.message.id: int(receipt.message.text.split()[1].rstrip(":"))
        for receipt in await store.receipts(conversation_id)
    }
    for turn in await store.turns(conversation_id):
        answered[conversation_id] += [texts[message_id] for message_id in turn.message_ids]
        found["silent"] += not turn.replies
    moves = await store.transitions(conversation_id)
    found["illegal"] += sum((move.source, move.trigger, move.dest) not in LEGAL for move in moves)
    found["illegal"] += sum(move.dest is not following.source for move, following in pairwise(moves))
    found["rows"] += len(await store.rows(conversation_id))


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill a running process under load and count what was lost.")
    parser.add_argument("--messages", type=int, default=2_000)
    parser.add_argument("--conversations", type=int, default=100)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="prosa-killing-") as folder:
        report = asyncio.run(
            run(
                Path(folder),
                messages=given.messages,
                conversations=given.conversations,
                kills=given.kills,
                seed=given.seed,
            )
        )
    print(json.dumps(asdict(report), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
