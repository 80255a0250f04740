"""What the tests are made of: messages, clocks, faults, and an engine on any backend with a scripted model."""

import asyncio
import itertools
import random
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from pydantic import SecretStr
from redis.asyncio import Redis

from adapters.channels.web import LIMITS as WEB_LIMITS
from adapters.channels.web import web_conversation_id, web_message
from adapters.firestore.database import FirestoreDatabase, Put, document_id
from adapters.firestore.inbox import BOXES, ENTRIES, FirestoreInbox
from adapters.firestore.store import FirestoreStore
from adapters.http.access import Access
from adapters.memory.events import MemoryEvents
from adapters.redis.cached_store import CachedStore
from adapters.redis.database import RedisDatabase
from adapters.redis.inbox import KEYS, RedisInbox
from adapters.redis.store import RedisStore
from adapters.sqlite.database import IN_MEMORY, Database
from adapters.sqlite.inbox import SqliteInbox, prepare_inbox
from adapters.sqlite.store import SqliteStore, prepare_store
from context.publishing import InstitutionSource
from contracts.access import Key, Role
from contracts.delivery import Appended, Arrival, OutboxRow
from contracts.errors import InboxUnavailableError
from contracts.institution import Institution
from contracts.messages import Address, ChannelName, InboundMessage, OutboundMessage
from contracts.ports import ChannelLimits, Faults, Inbox, ModelRequest, Store
from contracts.values import ConversationId, MessageId, OutboxId, TurnId
from flags.experiments.recorder import Recorder
from prompts.execution.executor import Executor, Strategy
from prompts.execution.policies import BreakerLimits, Breakers, compose
from prompts.pricing.budget import Meter
from prompts.pricing.prices import PriceBook
from prompts.prompter import Prompter
from prompts.tasks.analyses import Analyst
from prompts.tasks.registry import TASKS
from prompts.templating.registry import PromptRegistry, PromptVersions
from reports.ledger import Ledger
from sandbox.citing import Citer
from tests.real_services import firestore_host, redis_url
from tests.scripted import ScriptedModel
from worker.backends import Backend
from worker.bootstrap import Engine, Rulebooks, assemble
from worker.dependencies import EVER_SINCE, DrainLimits, Rulebook
from worker.people.notices import NO_NOTICES
from worker.variants import SettingsVariantAssigner

ROOT = Path(__file__).parents[1]
DOCUMENTS = ROOT / "context" / "documents"
START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
# How long a test waits for a real server on a machine that is busy with others: not a limit that a test is about.
PATIENCE = timedelta(seconds=60)
BACKENDS = ("sqlite", "redis", "cached", "firestore")
# The database of each open inbox, for tests that write into it by hand.
FIRESTORES = WeakKeyDictionary[FirestoreInbox, FirestoreDatabase]()


@cache
def rulebooks() -> Rulebooks:
    return Rulebooks(InstitutionSource(DOCUMENTS / "pyloto"))


def pyloto() -> Institution:
    return rulebook().institution


def rulebook() -> Rulebook:
    return rulebooks().current()


def opened_by(token: str, role: Role = Role.ADMINISTER, *, name: str = "admin") -> Access:
    """Closed routes that one token opens."""
    return Access((Key(role=role, name=name, token=SecretStr(token)),))


def inbound(
    text: str = "Oi, bom dia",
    *,
    conversation: str = "c-1",
    id: str | None = None,
    at: datetime = START,
    **changes: Any,
) -> InboundMessage:
    message = web_message(conversation, MessageId(id or f"m-{next(_numbers)}"), text, at=at)
    return message.model_copy(update=changes) if changes else message


_numbers = itertools.count(1)


def arrivals_of(appended: Iterable[Appended]) -> list[Arrival]:
    return [one.arrival for one in appended]


REPOSITORIES = ("conversations", "outbox", "dead_letters", "institutions", "records")


class SteppingClock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def move(self, by: timedelta) -> None:
        self.at += by


class CrashError(BaseException):
    """The process dies here: nothing in it may catch this, as nothing catches a kill -9."""


class CrashAt:
    """Dies at a named point, once; every point that was passed is noted."""

    def __init__(self) -> None:
        self.armed: str | None = None
        self.passed: list[str] = []
        self.pausing: dict[str, Callable[[], Awaitable[None]]] = {}

    async def reach(self, point: str) -> None:
        self.passed.append(point)
        if point in self.pausing:
            await self.pausing.pop(point)()
        if self.armed == point:
            self.armed = None
            raise CrashError(point)


def outbox_row(
    channel: ChannelName, person: str, message: OutboundMessage | None = None, *, account: str = "account-1"
) -> OutboxRow:
    """Return a reply as it is when it is sent."""
    return OutboxRow(
        id=OutboxId("c-1/1/0"),
        conversation_id=ConversationId("c-1"),
        turn_id=TurnId("c-1/1"),
        number=1,
        address=Address(channel=channel, account=account, person=person),
        message=message or OutboundMessage.of_text("Oi"),
        attempts=1,
        created_at=START,
        updated_at=START,
    )


@dataclass
class RecordingChannel:
    """A platform in memory: it keeps what it accepted, and can fail, refuse, or accept without answering."""

    name: ChannelName = ChannelName.WEB
    limits: ChannelLimits = WEB_LIMITS
    send_timeout: timedelta = timedelta(seconds=5)
    settle_after: timedelta = timedelta(seconds=4)
    is_watched: bool = True
    shows_forming_text: bool = True
    reply_window: timedelta | None = timedelta(hours=24)
    accepted: list[OutboxRow] = field(default_factory=list)
    next_errors: list[Exception] = field(default_factory=list)
    errors_after_accepting: list[Exception] = field(default_factory=list)

    async def send(self, row: OutboxRow) -> str:
        if self.next_errors:
            raise self.next_errors.pop(0)
        self.accepted.append(row)
        if self.errors_after_accepting:
            raise self.errors_after_accepting.pop(0)
        return f"platform-{row.id}-{len(self.accepted)}"

    def acknowledge(self, address: Address, platform_message_id: str) -> None:
        return

    async def close(self) -> None:
        return


def decision(**changes: Any) -> str:
    """Task 1's answer as JSON."""
    answer = {
        "next_state": "PROCESSING",
        "confidence": 0.9,
        "business_line": None,
        "intent": "greeting",
        "waiting_for": "anything",
        "collected": [],
        "ask_field": None,
        "options": [],
    }
    return orjson.dumps(answer | changes).decode()


def response(text: str = "Em que posso ajudar?") -> str:
    """Task 2's answer as JSON: each sentence cites the passage it was taken from; by default one of the documents'."""
    return orjson.dumps({"parts": Citer(pyloto()).parts(text)}).decode()


def verdict(*findings: tuple[int, str]) -> str:
    """The judge's answer as JSON: sentences by number with the rule that each breaks."""
    return orjson.dumps(
        {"findings": [{"sentence": n, "rule": rule, "why": "because"} for n, rule in findings]}
    ).decode()


def summary(**changes: Any) -> str:
    """A hand-off summary as JSON."""
    answer: dict[str, Any] = {
        "person": "Ana, da Padaria Sol",
        "wants": "Contratar entregas diárias na região de Campinas.",
        "collected": [{"name": "company", "value": "Padaria Sol"}],
        "promised": [],
        "refused": ["O preço por entrega"],
        "open_questions": ["Em quanto tempo alguém responde?"],
        "tone": "impatient",
    }
    return orjson.dumps(answer | changes).decode()


def review(**changes: Any) -> str:
    """A review of a conversation as JSON."""
    answer: dict[str, Any] = {
        "answered": "partly",
        "sentiment": "neutral",
        "assessment": "A pergunta foi entendida; o prazo ficou sem resposta.",
        "unresolved_needs": ["prazo"],
        "taxonomy_gaps": [{"need": "entrega de bolo", "suggestion": "intenção para cargas frágeis"}],
    }
    return orjson.dumps(answer | changes).decode()


def question(**changes: Any) -> str:
    """The next question for a missing field as JSON."""
    return orjson.dumps({"field": "company", "question": "Qual é o nome da sua empresa?"} | changes).decode()


def message_type(kind: str = "TEXT", **changes: Any) -> str:
    return orjson.dumps({"type": kind, "asset": None, "list_label": ""} | changes).decode()


def turn_answer(*, state: str | None = None, text: str | None = None, form: str | None = None) -> str:
    parts = {"state": state or decision(), "response": text or response(), "message_type": form or message_type()}
    return orjson.dumps({name: orjson.loads(part) for name, part in parts.items()}).decode()


async def agreeable(request: ModelRequest) -> str:
    """Answers every task in the plainest way that is legal."""
    return {
        "state_decision": decision(),
        "response_draft": response(),
        "message_type_choice": message_type(),
        "judge_verdict": verdict(),
        "turn_answer": turn_answer(),
        "handoff_summary": summary(),
        "conversation_review": review(),
        "interview_question": question(),
    }[request.schema_name]


def scripted(
    *,
    state: str | Iterable[str] | None = None,
    text: str | Iterable[str] | None = None,
    form: str | Iterable[str] | None = None,
    judge: str | Iterable[str] | None = None,
    **analyses: str | Iterable[str] | None,
) -> ScriptedModel:
    """A model with given answers for a task: always the same one, or one after the other."""
    given = {
        "state_decision": state,
        "response_draft": text,
        "message_type_choice": form,
        "judge_verdict": judge,
    } | analyses
    queues = {name: iter(value) for name, value in given.items() if value is not None and not isinstance(value, str)}

    async def answer(request: ModelRequest) -> str:
        if request.schema_name in queues:
            return next(queues[request.schema_name])
        fixed = given.get(request.schema_name)
        return fixed if isinstance(fixed, str) else await agreeable(request)

    return ScriptedModel(answer)


def meter(clock: SteppingClock | None = None, **options: Any) -> Meter:
    return Meter(PriceBook(), now=(clock or SteppingClock()).now, zone=UTC, **options)


def executor(model: ScriptedModel, **options: Any) -> Executor:
    policies = compose(
        model,
        meter=options.get("meter") or meter(),
        # Clocks stand still here: a circuit that has opened is half-open at once, so that no test waits for it.
        breakers=options.get("breakers")
        or Breakers(monotonic=time.monotonic, limits=BreakerLimits(first_pause=timedelta(0))),
        fallback_model=options.get("fallback_model"),
        monotonic=time.monotonic,
        chance=lambda: 0.0,
    )
    return Executor(
        policies,
        monotonic=time.monotonic,
        before=options.get("before", ()),
        after=options.get("after", ()),
    )


@cache
def registry() -> PromptRegistry:
    return PromptRegistry.read()


def analyst(model: ScriptedModel) -> Analyst:
    return Analyst(executor(model), PromptVersions(registry()), "claude-haiku-5-5", monotonic=time.monotonic)


def prompter(model: ScriptedModel, *, budget: timedelta = timedelta(seconds=12), **options: Any) -> Prompter:
    return Prompter(
        executor(model, **options),
        PromptVersions(registry(), options.get("choosers", ())),
        {task.name: "claude-haiku-5-5" for task in TASKS},
        call_timeout=timedelta(seconds=6),
        turn_budget=budget,
        monotonic=time.monotonic,
        strategy=options.get("strategy", Strategy.BALANCED),
    )


@dataclass
class EngineBed:
    """An engine and everything a test looks at."""

    engine: Engine
    clock: SteppingClock
    channel: RecordingChannel
    events: MemoryEvents
    faults: CrashAt
    model: ScriptedModel

    @property
    def inbox(self) -> Inbox:
        return self.engine.drain.inbox

    @property
    def store(self) -> Store:
        return self.engine.turn.store

    @property
    def ledger(self) -> Ledger:
        return self.engine.turn.ledger


def engine_bed(
    inbox: Inbox,
    store: Store,
    *,
    model: ScriptedModel | None = None,
    clock: SteppingClock | None = None,
    channel: RecordingChannel | None = None,
    faults: Faults | None = None,
    limits: DrainLimits | None = None,
    **options: Any,
) -> EngineBed:
    clock = clock or SteppingClock()
    channel = channel or RecordingChannel()
    events = MemoryEvents()
    faults = faults or CrashAt()
    model = model or ScriptedModel(agreeable)
    asker = options.get("prompter") or prompter(model, **options)
    engine = assemble(
        Backend(inbox, store, events),
        options.get("rulebooks") or rulebooks(),
        channels=options.get("channels") or {ChannelName.WEB: channel, ChannelName.WHATSAPP: channel},
        prompter=asker,
        variants=options.get("variants")
        or SettingsVariantAssigner(
            asker, Recorder(store.records, writer=uuid.uuid4().hex[:8], salt="salt", clock=clock)
        ),
        analyst=analyst(model),
        ledger=Ledger(
            store.records,
            writer=uuid.uuid4().hex[:8],
            clock=clock,
            template_prices=options.get("template_prices"),
        ),
        clock=clock,
        faults=faults,
        limits=limits or DrainLimits(),
        retention=timedelta(days=90),
        listening_since=options.get("listening_since", EVER_SINCE),
        callback=options.get("callback"),
        notices=options.get("notices", NO_NOTICES),
        reviews_completed=options.get("reviews_completed", False),
        id_salt="salt",
        ages=options.get("ages"),
        quiet=options.get("quiet"),
        media=options.get("media"),
        prompts_kept=options.get("prompts_kept", timedelta(0)),
        monotonic=options.get("monotonic", time.monotonic),
        chance=random.Random(0).random,
    )
    return EngineBed(engine, clock, channel, events, faults, model)  # type: ignore[arg-type]


@asynccontextmanager
async def open_backend(kind: str, folder: Path, number: int = 0) -> AsyncIterator[tuple[Inbox, Store]]:
    """An empty inbox and store of the kind; of Redis the database of that number."""
    if kind == "memory":
        async with closing_database(IN_MEMORY) as database:
            yield SqliteInbox(database), SqliteStore(database)
        return
    if kind == "redis":
        async with open_redis(number) as redis:
            yield RedisInbox(redis), RedisStore(redis)
        return
    if kind == "firestore":
        async with open_firestore() as firestore:
            # The store's own clock only says what has expired: it stands still, as what the tests write is of START.
            inbox = FirestoreInbox(firestore)
            FIRESTORES[inbox] = firestore
            yield inbox, FirestoreStore(firestore, clock=SteppingClock())
        return
    if kind == "cached":
        async with open_sqlite(folder) as (inbox, store), open_redis() as cache:
            yield inbox, CachedStore(store, cache)
        return
    async with open_sqlite(folder) as both:
        yield both


async def damage(inbox: Inbox, folder: Path, conversation: ConversationId, stored: bytes) -> None:
    """Overwrite the first stored message, as a defect, another release or a person might."""
    first = (await inbox.pending(conversation))[0].sequence
    match inbox:
        case SqliteInbox():
            with sqlite3.connect(folder / "prosa.sqlite") as file:
                file.execute("UPDATE inbox_entries SET message = CAST(? AS TEXT) WHERE sequence = ?", (stored, first))
        case RedisInbox():
            async with Redis.from_url(redis_url()) as redis:
                await redis.zremrangebyscore(f"{KEYS}entries:{conversation}", first, first)
                await redis.zadd(f"{KEYS}entries:{conversation}", {stored: first})
        case FirestoreInbox():
            documents = FIRESTORES[inbox].documents(InboxUnavailableError)
            entry = (await documents.find(f"{BOXES}/{document_id(conversation)}/{ENTRIES}", limit=1))[0]
            await documents.apply([Put(entry.path, {**entry.fields, "message": stored.decode("utf-8", "replace")})])
        case _:
            raise AssertionError(f"there is no way to damage {type(inbox).__name__}")


@asynccontextmanager
async def open_sqlite(folder: Path) -> AsyncIterator[tuple[Inbox, Store]]:
    async with closing_database(folder / "prosa.sqlite") as database:
        yield SqliteInbox(database), SqliteStore(database)


def sqlite_database(path: Path | str = IN_MEMORY) -> Database:
    return Database(path, prepare_inbox, prepare_store)


def memory_inbox() -> SqliteInbox:
    return SqliteInbox(sqlite_database())


def memory_store() -> SqliteStore:
    return SqliteStore(sqlite_database())


@asynccontextmanager
async def closing_database(path: Path | str) -> AsyncIterator[Database]:
    database = sqlite_database(path)
    try:
        yield database
    finally:
        await asyncio.to_thread(database.close)


@asynccontextmanager
async def open_redis(number: int = 0) -> AsyncIterator[RedisDatabase]:
    """A database of the Redis of this test process, emptied."""
    database = RedisDatabase(f"{redis_url()}/{number}", connect_timeout=PATIENCE, command_timeout=PATIENCE)
    await database.command("FLUSHDB")
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def open_firestore(project: str | None = None, **options: Any) -> AsyncIterator[FirestoreDatabase]:
    """A connection to the emulator of this test process; without a project, to one that is new and empty.

    Its deadline is long: an emulator that has just started, on a busy machine, takes seconds for its first answers.
    """
    patience = {"deadline": timedelta(seconds=60), "retry_within": timedelta(seconds=1)}
    options = patience | {"emulator_host": firestore_host()} | options
    database = FirestoreDatabase(project or f"prosa-{uuid.uuid4().hex}", **options)
    try:
        yield database
    finally:
        await database.close()


def conversation_id(name: str = "c-1") -> ConversationId:
    return web_conversation_id(name)
