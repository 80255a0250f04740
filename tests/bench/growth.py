"""Whether a turn costs more when its conversation has become long: `python -m tests.bench.growth`, or `make bench`.

A worker on each store, in this process, with the sandbox's model and WhatsApp over HTTP. Conversations of every length
take turns in one run, each with a single message, so that what the machine does meanwhile meets all lengths alike. What
came before was committed through the store's port, twenty messages and their replies in one turn.
"""

import argparse
import io
import itertools
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.progress import track
from rich.table import Table

from adapters.channels.whatsapp.inbound import parse
from adapters.event_loop import keep_what_is_loaded, run_serving
from contracts.conversation import Conversation
from contracts.delivery import InboxEntry, OutboxRow, TurnCommit
from contracts.messages import DeliveryState
from contracts.values import ConversationId, MessageId, OutboxId, TurnId
from observability.logs import configure_logs
from sandbox.whatsapp_webhooks import envelope, inbound_text, to_bytes
from tests.bench.tracing import PHONE_NUMBER_ID, worker_settings
from tests.real_services import accepts, firestore_host, free_port, redis_url, start_server
from worker.backends import open_backend
from worker.drain import drain
from worker.service import Worker, open_worker

# Messages, replies counted, and how many conversations there are of that length: few turns must not make them longer.
LENGTHS = {10: 30, 1_000: 8, 10_000: 3, 100_000: 2}
TURNS_A_ROUND, ROUNDS = 4, 25
TOGETHER = 20
# Long past, so that no person is taken for one who writes too fast.
SINCE = timedelta(hours=3)

console = Console(highlight=False)
_phones = itertools.count(1)
_minutes = itertools.count(1)


@dataclass
class Long:
    """Conversations of one length, whose turn it is in order, and CPU milliseconds of a turn in each round."""

    length: int
    phones: list[str] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    servers: list[float] = field(default_factory=list)


async def arrive(worker: Worker, phone: str) -> ConversationId:
    event = inbound_text(phone, "Qual o horário das entregas?", phone_number_id=PHONE_NUMBER_ID)
    at = datetime.now(UTC) - SINCE + next(_minutes) * timedelta(seconds=5)
    messages = parse(to_bytes(envelope(event)), id_salt="bench", at=at).messages
    await worker.backend.inbox.append(messages)
    return messages[0].conversation_id


async def turn(worker: Worker, phone: str) -> ConversationId:
    conversation_id = await arrive(worker, phone)
    await drain(conversation_id, worker.engine.drain)
    return conversation_id


async def grow(worker: Worker, length: int) -> str:
    """A new person whose conversation has so many messages; what it has is what a real turn of it has written."""
    phone = f"55119{next(_phones):08d}"
    conversation_id = await turn(worker, phone)
    store = worker.backend.store
    head = await store.conversations.load(conversation_id)
    assert head is not None
    written = TurnCommit(
        conversation=head,
        transitions=tuple(await store.conversations.transitions(conversation_id)),
        utterances=tuple(await store.conversations.transcript(conversation_id)),
        turn=(await store.conversations.turns(conversation_id))[-1],
        outbox=tuple(await store.outbox.rows(conversation_id)),
        answered=tuple(
            InboxEntry(sequence=one.sequence, attempts=1, message=one.message)
            for one in await store.conversations.receipts(conversation_id)
        ),
    )
    missing = length // 2 - 1
    while missing > 0:
        head = await store.conversations.commit(_again(written, head, min(missing, TOGETHER)))
        missing -= TOGETHER
    await worker.backend.inbox.advance(conversation_id, past=head.last_sequence)
    return phone


def _again(written: TurnCommit, head: Conversation, messages: int) -> TurnCommit:
    """The same turn with other names, each of its records as often as there are messages in it."""
    assert written.turn is not None
    numbers = range(head.last_sequence + 1, head.last_sequence + 1 + messages)
    turn_id = TurnId(f"{head.id}/{numbers[-1]}")
    (entry,), row = written.answered, written.outbox[-1]
    return TurnCommit(
        conversation=head.model_copy(
            update={
                "turns": head.turns + 1,
                "last_sequence": numbers[-1],
                "next_outbox_number": head.next_outbox_number + messages,
            }
        ),
        transitions=written.transitions * messages,
        utterances=written.utterances * messages,
        turn=written.turn.model_copy(update={"id": turn_id}),
        answered=tuple(
            InboxEntry(sequence=number, attempts=1, message=entry.message.model_copy(update={"id": _message(number)}))
            for number in numbers
        ),
        outbox=tuple(_sent(row, turn_id, head.next_outbox_number + place) for place in range(messages)),
    )


def _message(number: int) -> MessageId:
    return MessageId(f"earlier-{number}")


def _sent(row: OutboxRow, turn_id: TurnId, number: int) -> OutboxRow:
    name = f"{turn_id}/{number}"
    changes = {"id": OutboxId(name), "turn_id": turn_id, "number": number, "platform_message_id": f"wamid.{name}"}
    return row.model_copy(update={**changes, "state": DeliveryState.READ, "needs_escalation": False})


async def measure(worker: Worker, lengths: Mapping[int, int], server_seconds: Any, *, name: str) -> list[Long]:
    found = [Long(length) for length in lengths]
    for one in found:
        for _ in track(
            range(lengths[one.length]), description=f"{name}: {one.length:,}", console=console, transient=True
        ):
            one.phones.append(await grow(worker, one.length))
    keep_what_is_loaded()
    chance = random.Random(0)
    for _ in track(range(ROUNDS), description=f"{name}: turns", console=console, transient=True):
        for one in chance.sample(found, len(found)):
            phones = [one.phones[n % len(one.phones)] for n in range(TURNS_A_ROUND)]
            one.phones = one.phones[TURNS_A_ROUND % len(one.phones) :] + one.phones[: TURNS_A_ROUND % len(one.phones)]
            ours, servers = time.process_time(), await server_seconds()
            for phone in phones:
                await turn(worker, phone)
            one.ours.append((time.process_time() - ours) * 1000 / TURNS_A_ROUND)
            one.servers.append((await server_seconds() - servers) * 1000 / TURNS_A_ROUND)
    return found


@asynccontextmanager
async def stores(kind: str, folder: Path, sandbox_url: str) -> AsyncIterator[tuple[Worker, Any]]:
    """A worker on that store, and what its server has used until now."""
    where: dict[str, Any] = {"PROSA_ENGINE": "embedded"}
    if kind != "SQLite":
        where = {"PROSA_ENGINE": "celery", "REDIS_URL": redis_url()}
    if kind == "Firestore":
        where |= {"PROSA_STORE": "firestore", "GOOGLE_CLOUD_PROJECT": "bench"}
    settings = worker_settings(folder, sandbox_url, **where)
    async with open_backend(settings) as backend, open_worker(settings, backend) as worker:

        async def seconds() -> float:
            if backend.redis is None:
                return 0.0
            lines = (await backend.redis.command("INFO", "cpu")).decode().splitlines()
            used = dict(line.split(":", 1) for line in lines if ":" in line)
            return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])

        yield worker, seconds


def report(found: Mapping[str, list[Long]]) -> None:
    table = Table(
        title=f"A turn of conversations of some length, CPU ms: {ROUNDS} rounds of {TURNS_A_ROUND} turns, "
        f"load {os.getloadavg()[0]:.1f}",
        box=None,
    )
    for column in ("store", "messages before", "worker", "ratio", "redis-server"):
        table.add_column(column, justify="left" if column == "store" else "right")
    for kind, lengths in found.items():
        shortest = _least(lengths[0].ours)
        for one in lengths:
            ms = _least(one.ours)
            server = "" if kind == "SQLite" else f"{statistics.median(one.servers):.2f}"
            table.add_row(kind, f"{one.length:,}", f"{ms:.2f}", f"{ms / shortest:.2f}", server)
    console.print(table)
    console.print("to reach: the same at every length")


def _least(rounds: list[float]) -> float:
    """The lower quartile: whatever else the machine does can only add to a round."""
    return statistics.quantiles(rounds, n=4)[0]


async def work(folder: Path, sandbox_url: str, longest: int, *, with_firestore: bool) -> dict[str, list[Long]]:
    lengths = {length: count for length, count in LENGTHS.items() if length <= longest}
    found: dict[str, list[Long]] = {}
    for kind in ("Redis", "SQLite", *(("Firestore",) if with_firestore else ())):
        # The emulator takes minutes to be filled.
        wanted = {length: min(count, 4) for length, count in lengths.items() if length <= 1_000}
        async with stores(kind, folder, sandbox_url) as (worker, server_seconds):
            given = wanted if kind == "Firestore" else lengths
            found[kind] = await measure(worker, given, server_seconds, name=kind)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.growth", description=__doc__)
    parser.add_argument("--longest", type=int, default=max(LENGTHS))
    parser.add_argument("--firestore", action="store_true", help="the emulator too, up to 1,000 messages")
    given = parser.parse_args()
    configure_logs(stream=io.StringIO())
    port = free_port()
    start_server([sys.executable, "-m", "sandbox", "--port", str(port)], ready=lambda: accepts(port), name="sandbox")
    environment = {"FIRESTORE_EMULATOR_HOST": firestore_host()} if given.firestore else {}
    with tempfile.TemporaryDirectory(prefix="prosa-bench-") as folder, patch.dict(os.environ, environment):
        url = f"http://127.0.0.1:{port}"
        report(run_serving(work(Path(folder), url, given.longest, with_firestore=given.firestore)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
