"""What a message costs on Firestore, counted: `python -m tests.bench.firestore`, or `make bench`.

A real webhook app and a real engine, each with a connection of its own to the emulator as two processes have them,
answer conversations of several messages; three statuses follow each reply, in a post each. An interceptor sees every
call: what is counted is what Firestore would charge, whatever our code believes that it does. A query costs the
documents that it returns, at least one; a missing document costs a read; a write whose condition does not hold costs
nothing but its call. Documents with a time to live are deleted for money one day: that is the step `expiry`. Then one
minute of a worker without work. Times do not matter here, so a busy machine changes little but heartbeats.
"""

import argparse
import asyncio
import io
import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from functools import partial
from typing import Any

import httpx
from google.cloud.firestore_v1 import types
from grpc import StatusCode, aio  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Table

from adapters.channels.whatsapp import LIMITS
from adapters.channels.whatsapp.inbound import WhatsAppInbound
from adapters.clock import SystemClock
from adapters.firestore.database import FirestoreDatabase
from adapters.firestore.inbox import FirestoreInbox
from adapters.firestore.store import FirestoreStore
from adapters.memory.events import MemoryEvents
from cli.settings import read_settings
from cli.worker_role import BESIDE_SCHEDULER
from contracts.messages import ChannelName
from contracts.ports import ModelRequest
from contracts.settings import Settings
from contracts.values import ConversationId
from observability.logs import configure_logs
from reports.reporting import Reporting
from sandbox.whatsapp_webhooks import Change, envelope, inbound_text, signed, status
from tests.builders import DOCUMENTS, REPOSITORIES, CrashAt, RecordingChannel, agreeable, open_firestore
from tests.scripted import ScriptedModel
from webhook.app import create_app
from webhook.settings import WebhookDependencies
from worker.analyses.requests import desk_without_engine
from worker.backends import Backend
from worker.bootstrap import open_engine
from worker.drain import drain
from worker.people.notices import Notices
from worker.people.operators import operators_without_engine
from worker.service import open_worker

SECRET = "bench"
HOOK = "/webhooks/whatsapp"
MODEL_SECONDS = 1.0
# Between sent, delivered and read, as WhatsApp reports of a person who looks at the phone.
STATUS_SECONDS = 0.3
A_MONTH = 100_000
MINUTES_A_MONTH = 60 * 24 * 30

# Firestore, Standard edition, us-central1, US dollars for one document beyond the free quota. Other regions cost up to
# twice as much. Source: cloud.google.com/firestore/pricing, read in November 2026.
PRICE_SOURCE = "cloud.google.com/firestore/pricing, Standard edition, us-central1, November 2026"
READ_USD, WRITE_USD, DELETE_USD = 0.03 / 100_000, 0.09 / 100_000, 0.01 / 100_000

STEPS = {
    "append": "ingest",
    "claim": "claim and take",
    "take": "claim and take",
    "load": "load",
    "has_newer": "commit",
    "commit": "commit",
    "unsent": "send",
    "begin_send": "send",
    "mark_sent": "send",
    "apply_status": "statuses",
    "apply_statuses": "statuses",
    "renew": "heartbeat",
    "remove": "release",
    "release": "release",
    "abandon": "release",
    "due": "sweep",
    "sendable": "sweep",
    "timed_out": "timers",
    "to_escalate": "timers",
    "ping": "ping",
    "get": "figures, flags",
    "page": "figures, flags",
    "put": "figures, flags",
}
OTHER = "cleaning, start"
EXPIRY = "expiry"
STEP: ContextVar[str] = ContextVar("step", default=OTHER)

console = Console(highlight=False)


@dataclass
class Bill:
    """Calls and documents of one step."""

    calls: int = 0
    reads: int = 0
    writes: int = 0
    deletes: int = 0

    @property
    def usd(self) -> float:
        return self.reads * READ_USD + self.writes * WRITE_USD + self.deletes * DELETE_USD


@dataclass
class Ledger:
    """What came over the wire, by step."""

    bills: dict[str, Bill] = field(default_factory=lambda: defaultdict(Bill))
    expiring: set[str] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)

    def begin(self) -> None:
        """Count from here on; what was written before expires all the same, but is not counted again."""
        self.bills.clear()
        self.refused.clear()

    def book_writes(self, bill: Bill, request: types.CommitRequest) -> None:
        for write in types.CommitRequest.pb(request).writes:
            if write.HasField("delete"):
                bill.deletes += 1
                self.expiring.discard(write.delete)
                continue
            bill.writes += 1
            if "expires_at" in write.update.fields and write.update.name not in self.expiring:
                self.expiring.add(write.update.name)
                self.bills[EXPIRY].deletes += 1


class CountingCalls(aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    """Sees commits."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        bill = self._ledger.bills[STEP.get()]
        bill.calls += 1
        call = await continuation(details, request)
        if await call.code() is StatusCode.OK:
            self._ledger.book_writes(bill, request)
        else:
            self._ledger.refused[STEP.get()] += 1
        return call


class CountingReads(aio.UnaryStreamClientInterceptor):  # type: ignore[misc]
    """Sees reads: their answers are charged, and at least one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        bill = self._ledger.bills[STEP.get()]
        bill.calls += 1
        return self._counted(await continuation(details, request), bill)

    async def _counted(self, call: Any, bill: Bill) -> AsyncIterator[Any]:
        reads = 0
        async for answer in call:
            reads += _charged(answer)
            yield answer
        bill.reads += max(1, reads)


def _charged(answer: Any) -> int:
    match answer:
        case types.RunQueryResponse():
            return int(types.RunQueryResponse.pb(answer).HasField("document"))
        case types.RunAggregationQueryResponse():
            counted = types.RunAggregationQueryResponse.pb(answer).result.aggregate_fields
            # One read for up to a thousand entries of an index.
            return sum(math.ceil(value.integer_value / 1_000) for value in counted.values())
        case _:
            return 1


class Stepped:
    """A port whose calls say to which step they belong, also to what they start."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name in REPOSITORIES:
            return Stepped(method)
        if not callable(method):
            return method

        async def stepped(*args: Any, **options: Any) -> Any:
            token = STEP.set(STEPS.get(name, OTHER))
            try:
                return await method(*args, **options)
            finally:
                STEP.reset(token)

        return stepped


@asynccontextmanager
async def counted_firestore(ledger: Ledger, project: str | None = None) -> AsyncIterator[FirestoreDatabase]:
    interceptors = (CountingCalls(ledger), CountingReads(ledger))
    async with open_firestore(project, interceptors=interceptors) as database:
        yield database


def backend_of(database: FirestoreDatabase) -> Backend:
    inbox, store = Stepped(FirestoreInbox(database)), Stepped(FirestoreStore(database))
    return Backend(inbox, store, MemoryEvents())  # type: ignore[arg-type]


def bench_settings() -> Settings:
    environment = {"PROSA_INSTITUTION": str(DOCUMENTS / "pyloto"), "ANTHROPIC_API_KEY": "none"}
    return read_settings(environment, env_file=None)


@dataclass
class Waking:
    """The queue: a wake-up is a drain, as the task of Cloud Tasks that posts to the worker."""

    drain: Callable[[ConversationId], Any]
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    created: int = 0

    async def wake(self, conversation_id: ConversationId) -> None:
        self.created += 1
        task = asyncio.create_task(self.drain(conversation_id))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def analyse(self, key: str) -> None:
        return


@dataclass
class Bench:
    """A webhook and a worker, and the person who writes."""

    http: httpx.AsyncClient
    queue: Waking
    channel: RecordingChannel

    async def post(self, change: Change) -> None:
        body, headers = signed(envelope(change), SECRET)
        answer = await self.http.post(HOOK, content=body, headers=headers)
        answer.raise_for_status()

    async def say(self, person: str, number: int) -> None:
        """One message, its reply, its three statuses."""
        before = len(self.channel.accepted)
        await self.post(inbound_text(person, f"Mensagem {number}: vocês entregam no sábado?"))
        while self.queue.tasks:
            await asyncio.gather(*list(self.queue.tasks))
        mine = [row for row in self.channel.accepted[before:] if row.address.person == person]
        for row in mine:
            place = self.channel.accepted.index(row) + 1
            for state in ("sent", "delivered", "read"):
                await self.post(status(f"platform-{row.id}-{place}", state, person, client_reference=row.id))
                await asyncio.sleep(STATUS_SECONDS)


async def thinking(request: ModelRequest) -> str:
    await asyncio.sleep(MODEL_SECONDS)
    return await agreeable(request)


@asynccontextmanager
async def bench(ledger: Ledger) -> AsyncIterator[Bench]:
    async with counted_firestore(ledger) as front, counted_firestore(ledger, front.project) as back:
        settings, backend = bench_settings(), backend_of(back)
        channel = RecordingChannel(ChannelName.WHATSAPP, LIMITS, is_watched=False, shows_forming_text=False)
        channels = {ChannelName.WHATSAPP: channel}
        async with open_engine(settings, backend, model=ScriptedModel(thinking), channels=channels) as engine:
            queue = Waking(partial(drain, deps=engine.drain))
            app = create_app(webhook_of(backend_of(front), queue, settings))
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                yield Bench(http, queue, channel)


def webhook_of(backend: Backend, queue: Waking, settings: Settings) -> WebhookDependencies:
    clock = SystemClock()
    return WebhookDependencies(
        inbox=backend.inbox,
        store=backend.store,
        queue=queue,
        operators=operators_without_engine(backend.store, clock, queue, {}, Notices()),
        analyses=desk_without_engine(settings, backend.store, clock, queue),
        reports=Reporting(backend.inbox, backend.store, clock, UTC, None),
        events=backend.events,
        clock=clock,
        faults=CrashAt(),
        inbound={ChannelName.WHATSAPP: WhatsAppInbound(app_secrets=(SECRET,), verify_token="verify", id_salt="salt")},
        durable_within=timedelta(seconds=60),
    )


async def of_a_message(people: int, messages: int) -> tuple[dict[str, Bill], Counter[str], float, int]:
    """The bills of all messages but the first ones, how many they were, and of how many tasks."""
    ledger = Ledger()
    async with bench(ledger) as one:

        async def talk(person: str, numbers: range) -> None:
            for number in numbers:
                await one.say(person, number)

        names = [f"55119876500{number:02}" for number in range(people)]
        await asyncio.gather(*(talk(name, range(1)) for name in names))
        await asyncio.sleep(3)
        ledger.begin()
        one.queue.created = 0
        before = len(one.channel.accepted)
        await asyncio.gather(*(talk(name, range(1, messages + 1)) for name in names))
        # What is booked of the last turns is written every few seconds.
        await asyncio.sleep(6)
        replies = len(one.channel.accepted) - before
        return dict(ledger.bills), ledger.refused, replies / (people * messages), one.queue.created


async def of_an_idle_minute(seconds: float) -> dict[str, Bill]:
    """A worker that runs and has nothing to do, by the bills of so many seconds, and a readiness look at each side."""
    ledger = Ledger()
    async with counted_firestore(ledger) as database:
        backend = backend_of(database)
        async with open_worker(bench_settings(), backend, sweeping=BESIDE_SCHEDULER):
            await asyncio.sleep(5)
            ledger.begin()
            ends = time.monotonic() + seconds
            while (left := ends - time.monotonic()) > 0:
                await backend.store.ping()
                await backend.inbox.ping()
                await asyncio.sleep(min(10.0, left))
            return dict(ledger.bills)


def per(bills: dict[str, Bill], count: float) -> dict[str, dict[str, float]]:
    rows = {}
    for step in dict.fromkeys([*STEPS.values(), OTHER, EXPIRY]):
        if step in bills:
            bill = bills[step]
            rows[step] = {
                "calls": bill.calls / count,
                "reads": bill.reads / count,
                "writes": bill.writes / count,
                "deletes": bill.deletes / count,
                "usd": bill.usd / count,
            }
    names = ("calls", "reads", "writes", "deletes", "usd")
    rows["in all"] = {name: sum(row[name] for row in rows.values()) for name in names}
    return rows


def show(title: str, rows: dict[str, dict[str, float]], money: dict[str, float]) -> None:
    table = Table(title=title)
    for name in ("step", "calls", "reads", "writes", "deletes", *money):
        table.add_column(name, justify="left" if name == "step" else "right")
    for step, row in rows.items():
        amounts = [f"{row[name]:.1f}" for name in ("calls", "reads", "writes", "deletes")]
        table.add_row(step, *amounts, *(f"{row['usd'] * times:.4f}" for times in money.values()))
    console.print(table)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.firestore", description=__doc__)
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--messages", type=int, default=4, help="of each of them, that are counted")
    parser.add_argument("--idle-seconds", type=float, default=60.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    configure_logs(level="ERROR", stream=io.StringIO())
    bills, refused, replies, tasks = await of_a_message(given.people, given.messages)
    count = given.people * given.messages
    message = per(bills, count)
    minute = per(await of_an_idle_minute(given.idle_seconds), given.idle_seconds / 60)
    if given.json:
        view = {"message": message, "idle_minute": minute, "replies_a_message": replies, "tasks": tasks / count}
        view |= {"refused": {step: times / count for step, times in refused.items()}, "prices": PRICE_SOURCE}
        print(json.dumps(view))
        return
    show(
        f"A message, its {replies:.1f} replies and three statuses of each; {tasks / count:.1f} tasks of the queue",
        message,
        {"$ for 1,000 messages": 1_000, f"$ a month at {A_MONTH:,}": A_MONTH},
    )
    if refused:
        console.print("refused writes, a message:", {step: round(n / count, 2) for step, n in refused.items()})
    show("A minute of an idle worker, with six readiness looks", minute, {"$ a month": MINUTES_A_MONTH})
    console.print(f"Prices: {PRICE_SOURCE}")


if __name__ == "__main__":
    asyncio.run(main())
