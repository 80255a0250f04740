"""The real app on a real backend, with a queue that notes who was woken, and ports that can be made to fail."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from adapters.channels.whatsapp.inbound import WhatsAppInbound
from adapters.http.listener import listen
from adapters.memory.events import MemoryEvents
from cli.serving import server_of
from contracts.conversation import Conversation, State, TurnRecord, Utterance
from contracts.delivery import Appended, Arrival, InboxEntry, OutboxRow, TurnCommit
from contracts.errors import InboxUnavailableError, StoreUnavailableError
from contracts.messages import ChannelName, InboundMessage, OutboundMessage, StatusUpdate
from contracts.ports import ChannelInbound, Inbox, LiveEvent, Store
from contracts.settings import Settings
from contracts.values import ConversationId, OutboxId, TurnId
from contracts.views import reply_view
from reports.reporting import Reporting
from sandbox.whatsapp_webhooks import DEFAULT_PHONE_NUMBER_ID, Change, envelope, sign, to_bytes
from tests.builders import DOCUMENTS, REPOSITORIES, START, CrashAt, SteppingClock, conversation_id, open_backend
from webhook.app import create_app
from webhook.settings import WebhookDependencies
from worker.analyses.requests import desk_without_engine
from worker.people.notices import Notices
from worker.people.operators import operators_without_engine

SECRET, PREVIOUS_SECRET, VERIFY_TOKEN = "agora", "antes", "handshake"
ACCOUNT = DEFAULT_PHONE_NUMBER_ID
ANA = "5511987654321"
HOOK = "/webhooks/whatsapp"


SETTINGS = Settings(PROSA_INSTITUTION=DOCUMENTS / "pyloto")


class RecordingQueue:
    """A queue that nobody works on: it keeps who was woken."""

    def __init__(self) -> None:
        self.woken: list[ConversationId] = []

        self.asked: list[str] = []

    async def wake(self, conversation_id: ConversationId) -> None:
        self.woken.append(conversation_id)

    async def analyse(self, key: str) -> None:
        self.asked.append(key)


class BreakableInbox:
    """The inbox behind a switch."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self.is_down = False
        self.kept: list[InboundMessage] = []

    async def append(self, messages: Sequence[InboundMessage]) -> list[Appended]:
        self._check()
        appended = await self._inbox.append(messages)
        self.kept += [each for each, one in zip(messages, appended, strict=True) if one.arrival is Arrival.ACCEPTED]
        return appended

    async def ping(self) -> None:
        self._check()
        await self._inbox.ping()

    async def pending(self, conversation_id: ConversationId) -> list[InboxEntry]:
        self._check()
        return await self._inbox.pending(conversation_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inbox, name)

    def _check(self) -> None:
        if self.is_down:
            raise InboxUnavailableError("the inbox is away")


class BreakableStore:
    """The store behind a switch; `breaks_after` lets some statuses through first."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_down = False
        self.breaks_after: int | None = None
        self.updates: list[StatusUpdate] = []

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._store, name)
        if name in REPOSITORIES:
            return self.__dict__.setdefault(name, _BreakableRepository(inner, self))
        return self.away if self.is_down else inner

    async def apply_status(self, update: StatusUpdate) -> OutboxRow | None:
        if self.breaks_after is not None:
            self.breaks_after -= 1
        self._check()
        self.updates.append(update)
        return await self._store.outbox.apply_status(update)

    async def away(self, *_: Any, **__: Any) -> None:
        self._check()

    def _check(self) -> None:
        if self.is_down or (self.breaks_after is not None and self.breaks_after < 0):
            raise StoreUnavailableError("the store is away")


@dataclass
class _BreakableRepository:
    inner: Any
    store: BreakableStore

    def __getattr__(self, name: str) -> Any:
        if name == "apply_status":
            return self.store.apply_status
        return self.store.away if self.store.is_down else getattr(self.inner, name)


class WatchedEvents(MemoryEvents):
    """Tells how many are watching, and lets a test wait until that many are."""

    def __init__(self) -> None:
        super().__init__()
        self.watching = 0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def subscribe(self, conversation_id: ConversationId) -> AsyncIterator[AsyncIterator[LiveEvent]]:
        async with super().subscribe(conversation_id) as news:
            await self._count(1)
            try:
                yield news
            finally:
                # Shielded: who watches is often cancelled at this very place.
                await asyncio.shield(self._count(-1))

    async def until_watching(self, number: int) -> None:
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: self.watching == number)

    async def _count(self, change: int) -> None:
        async with self._changed:
            self.watching += change
            self._changed.notify_all()


@dataclass
class WebhookBed:
    """The app and everything a test looks at."""

    app: ASGIApp
    inbox: BreakableInbox
    store: BreakableStore
    http: httpx.AsyncClient
    queue: RecordingQueue = field(default_factory=RecordingQueue)
    events: WatchedEvents = field(default_factory=WatchedEvents)
    clock: SteppingClock = field(default_factory=SteppingClock)
    faults: CrashAt = field(default_factory=CrashAt)

    @property
    def kept(self) -> list[InboundMessage]:
        """Every message that was made durable, in order."""
        return self.inbox.kept

    async def post(self, *changes: Change, secret: str = SECRET) -> httpx.Response:
        return await self.post_bytes(to_bytes(envelope(*changes)), secret=secret)

    async def post_bytes(self, body: bytes, *, secret: str = SECRET) -> httpx.Response:
        return await self.http.post(HOOK, content=body, headers={"x-hub-signature-256": sign(body, secret)})

    async def receive(self, *changes: Change) -> list[InboundMessage]:
        """Post, and return what of it was kept."""
        before = len(self.kept)
        response = await self.post(*changes)
        assert response.status_code == 200, response.text
        return self.kept[before:]

    async def write(self, text: Any = "Olá", *, conversation: str = "c-1", **content: Any) -> httpx.Response:
        return await self.http.post(f"/chat/{conversation}/messages", json={"text": text, **content})

    async def ask(self, message_id: str, *, conversation: str = "c-1", **query: Any) -> httpx.Response:
        return await self.http.get(f"/chat/{conversation}/messages/{message_id}", params=query)

    async def raw_letters(self) -> list[str]:
        return [letter.raw or "" for letter in await self.store.dead_letters.letters()]

    async def reply(
        self, text: str = "Pois não", *, conversation: str = "c-1", told: bool = True, **turn: Any
    ) -> OutboxRow:
        """Answer what waits in a web conversation: one turn, committed, and its news published unless they get lost."""
        name = conversation_id(conversation)
        entries = await self.inbox.pending(name)
        address = entries[-1].message.address if entries else None
        head = await self.store.conversations.load(name) or Conversation(id=name, address=address)
        number = head.next_outbox_number
        row = outbox_row(name, number, text)
        record = TurnRecord(
            id=TurnId(f"{name}/{number}"),
            conversation_id=name,
            episode=1,
            message_ids=tuple(entry.message.id for entry in entries),
            path=(State.INIT, turn.get("state", State.AWAITING_USER)),
            replies=(row.message,),
            at=START,
            **({"state": State.AWAITING_USER} | turn),
        )
        changes = {"next_outbox_number": number + 1, "turns": number, "updated_at": START, "state": record.state}
        commit = TurnCommit(
            conversation=head.model_copy(update=changes),
            turn=record,
            answered=tuple(entries),
            outbox=(row,),
            utterances=(Utterance(speaker="assistant", text=text, at=START),),
        )
        await self.store.conversations.commit(commit)
        await self.inbox.remove(name, [entry.sequence for entry in entries])
        if told:
            data = {"id": row.id, "turn": row.turn_id, "reply": reply_view((row.message,))}
            await self.events.publish(name, LiveEvent(name="reply", data=data, number=row.number))
        return row

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """The app on a real socket."""
        async with server_of(self.app).running(listen("127.0.0.1", 0)) as url:
            yield url


def outbox_row(conversation: ConversationId, number: int, text: str) -> OutboxRow:
    return OutboxRow(
        id=OutboxId(f"{conversation}/{number}/0"),
        conversation_id=conversation,
        turn_id=TurnId(f"{conversation}/{number}"),
        number=number,
        address={"channel": "web", "account": conversation, "person": "ana"},  # type: ignore[arg-type]
        message=OutboundMessage.of_text(text),
        created_at=START,
        updated_at=START,
    )


def whatsapp(
    app_secrets: Sequence[str] = (SECRET, PREVIOUS_SECRET),
    verify_token: str = VERIFY_TOKEN,
    numbers: Sequence[str] = (),
) -> dict[ChannelName, ChannelInbound]:
    """WhatsApp alone, as the receiving sides of an app."""
    inbound = WhatsAppInbound(app_secrets=app_secrets, verify_token=verify_token, id_salt="salt", numbers=numbers)
    return {ChannelName.WHATSAPP: inbound}


@asynccontextmanager
async def webhook_bed(kind: str, folder: Path, **settings: Any) -> AsyncIterator[WebhookBed]:
    queue, events, clock, faults = RecordingQueue(), WatchedEvents(), SteppingClock(), CrashAt()
    async with open_backend(kind, folder) as (real_inbox, real_store):
        inbox, store = BreakableInbox(real_inbox), BreakableStore(real_store)
        # A busy machine must not decide what a test of something else sees.
        chosen = {"inbound": whatsapp(), "durable_within": timedelta(seconds=60)} | settings
        app = create_app(
            WebhookDependencies(
                inbox=inbox,  # type: ignore[arg-type]
                store=store,  # type: ignore[arg-type]
                queue=queue,
                operators=operators_without_engine(
                    store, clock, queue, {ChannelName.WHATSAPP: timedelta(hours=24)}, Notices()
                ),  # type: ignore[arg-type]
                analyses=desk_without_engine(SETTINGS, store, clock, queue),  # type: ignore[arg-type]
                reports=Reporting(inbox, store, clock, UTC, None),  # type: ignore[arg-type]
                events=events,
                clock=clock,
                faults=faults,
                **chosen,
            )
        )
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
            yield WebhookBed(app, inbox, store, http, queue, events, clock, faults)


def assert_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The answer is a problem document of that status, and says what to do."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem


async def raw_exchange(url: str, sent: bytes, *, end: bool = False, limit_seconds: float = 10) -> bytes:
    """Bytes to the server, and everything it answers until it closes or has sent one whole response."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(sent)
        await writer.drain()
        if end:
            writer.write_eof()
        async with asyncio.timeout(limit_seconds):
            return await reader.read() if end else await _one_response(reader)
    finally:
        writer.close()


async def _one_response(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.split(b":")[1]))
    return head
