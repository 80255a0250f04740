"""What the engine needs from the outside world. Every adapter of a port passes the port's contract tests."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from pydantic import Field, InstanceOf

from contracts.analysis import Analysis, AnalysisKind
from contracts.calls import CallContext
from contracts.channels import Post, Received
from contracts.conversation import Conversation, TokenCount, TransitionRecord, TurnRecord, Utterance
from contracts.delivery import (
    Ages,
    Arrival,
    ConversationArchive,
    ConversationSummary,
    DeadLetter,
    InboxEntry,
    Lease,
    OutboxRow,
    Receipt,
    Record,
    TurnCommit,
)
from contracts.institution import Institution
from contracts.messages import Address, ChannelName, InboundMessage, StatusUpdate
from contracts.values import ConversationId, MessageId, OutboxId, Value


class Clock(Protocol):
    """The wall clock; tests set it. Correctness never rests on it, only waiting times do."""

    def now(self) -> datetime: ...


class Inbox(Protocol):
    """Messages that are durable and not yet answered, by conversation, and who works on which conversation.

    Raises:
        InboxUnavailableError: from every method, when the backend did not answer within its time-out.
    """

    async def ping(self) -> None:
        """Return when a message could be made durable now."""
        ...

    async def append(self, messages: Sequence[InboundMessage]) -> list[Arrival]:
        """Deduplicate, append and mark the conversation due, atomically for each message; durable on return."""
        ...

    async def claim(self, conversation_id: ConversationId, *, ttl: timedelta, at: datetime) -> Lease | None:
        """Take the conversation for `ttl`, or None while somebody else's lease runs."""
        ...

    async def renew(self, lease: Lease, *, ttl: timedelta, at: datetime) -> Lease:
        """Extend the lease.

        Raises:
            LeaseLostError: another claim came in between.
        """
        ...

    async def take(self, lease: Lease, *, isolate_after: int) -> list[InboxEntry]:
        """Return the messages of the next turn, oldest first, and count an attempt on each; nothing is removed.

        Sequences grow within a conversation, for ever, not necessarily by one.

        That is all pending ones; but when the oldest has had `isolate_after` attempts, it comes alone, so that one bad
        message does not take its neighbours with it.

        Raises:
            LeaseLostError: the lease is not the newest one.
        """
        ...

    async def refund_attempts(self, conversation_id: ConversationId, sequences: Sequence[int]) -> None:
        """Take back one counted attempt of each of these messages, if they still wait: it was not their fault."""
        ...

    async def has_newer(self, conversation_id: ConversationId, sequence: int) -> bool:
        """Whether a message after `sequence` waits."""
        ...

    async def remove(self, conversation_id: ConversationId, sequences: Sequence[int]) -> None:
        """Forget answered messages; their deduplication keys stay. Removing twice is harmless."""
        ...

    async def release(self, lease: Lease, *, answered: Sequence[int] = ()) -> bool:
        """Forget the answered messages; then give the lease back if it is mine and nothing is pending, in one step.

        Else False, and the lease stays as it is.
        """
        ...

    async def abandon(self, lease: Lease, *, due_at: datetime) -> None:
        """Give the lease back with work left, due again at `due_at`. A lost lease is left alone."""
        ...

    async def due(self, *, at: datetime, limit: int) -> list[ConversationId]:
        """Conversations with pending messages that nobody holds and whose time has come, longest waiting first."""
        ...

    async def pending(self, conversation_id: ConversationId) -> list[InboxEntry]:
        """All waiting messages, for people who look; no attempt is counted."""
        ...

    async def depth(self) -> int:
        """How many messages wait in all."""
        ...

    async def ages(self, *, overdue_before: datetime) -> Ages:
        """When the oldest waiting message was received, and how many were before the given moment.

        It looks at every waiting message where the backend keeps no order of them: for who looks now and then.
        """
        ...

    async def forget(self, conversation_id: ConversationId) -> int:
        """Drop every waiting message of a conversation; return the last sequence given out in it, 0 if none was.

        Deduplication keys, which are hashes, stay.
        """
        ...

    async def advance(
        self, conversation_id: ConversationId, *, past: int, answered: Sequence[InboundMessage] = ()
    ) -> None:
        """Go on where another inbox had come to: number messages after `past`, and know the answered ones again."""
        ...

    async def prune(self, *, before: datetime) -> int:
        """Forget deduplication keys of messages received before then; return how many.

        A backend whose keys expire by themselves has nothing to do.
        """
        ...


class ConversationStore(Protocol):
    """Keeps conversations: heads, history, transcript, turns. The truth everything else follows.

    Raises:
        StoreUnavailableError: from every method, when the backend did not answer within its time-out.
    """

    async def load(self, conversation_id: ConversationId) -> Conversation | None:
        """The head as last committed; of an erased conversation an empty head with its version."""
        ...

    async def commit(self, commit: TurnCommit) -> Conversation:
        """Write everything of a turn in one step; return the head one version higher.

        Raises:
            ConversationConflictError: the stored version is not `commit.conversation.version`.
        """
        ...

    async def transitions(self, conversation_id: ConversationId) -> list[TransitionRecord]: ...

    async def transcript(self, conversation_id: ConversationId) -> list[Utterance]: ...

    async def turns(self, conversation_id: ConversationId, *, limit: int | None = None) -> list[TurnRecord]:
        """Oldest first; with `limit`, the newest `limit` of them."""
        ...

    async def receipt(self, conversation_id: ConversationId, message_id: MessageId) -> Receipt | None:
        """What is known of an answered message, or None when it has not been answered."""
        ...

    async def receipts(self, conversation_id: ConversationId) -> list[Receipt]: ...

    async def turn_of(self, receipt: Receipt) -> TurnRecord | None: ...

    async def find_message(self, message_id: MessageId) -> list[ConversationId]:
        """Conversations that hold an answered message of that id (web clients choose ids, so there may be several)."""
        ...

    async def summaries(
        self, *, state: str | None = None, limit: int = 50, before: datetime | None = None
    ) -> list[ConversationSummary]:
        """Newest first."""
        ...

    async def timed_out(self, *, at: datetime, limit: int) -> list[ConversationId]:
        """Conversations whose resting state has lasted longer than the table allows."""
        ...

    async def expired(self, *, updated_before: datetime, limit: int) -> list[ConversationId]:
        """Conversations nobody has touched since."""
        ...

    async def erase(self, conversation_id: ConversationId, *, at: datetime, answered_up_to: int = 0) -> bool:
        """Delete everything of the conversation and leave an empty head one version higher, which refuses late commits.

        The empty head keeps the cursor, at least `answered_up_to`, so that messages that were taken before count as
        answered, and the numbering of replies, so that clients that resume miss none. Returns whether there was
        anything.
        """
        ...

    async def restore(self, archive: ConversationArchive) -> None:
        """Put the conversation, as another store had it, in the place of whatever is here; the version is kept.

        Until it is whole, and after a crash in the middle until that is done again, its head counts as moved
        (`RESTORING`).
        """
        ...


class Outbox(Protocol):
    """Committed replies on their way to the platform, in order for each conversation."""

    async def rows(self, conversation_id: ConversationId) -> list[OutboxRow]:
        """All rows, oldest first."""
        ...

    async def unsent(self, conversation_id: ConversationId) -> list[OutboxRow]:
        """Rows that are pending or sending, oldest first."""
        ...

    async def begin_send(self, row: OutboxRow, *, deadline: datetime, at: datetime) -> OutboxRow | None:
        """Mark the row sending and count the attempt, unless it changed since it was read: then None."""
        ...

    async def mark_sent(self, row: OutboxRow, *, platform_message_id: str, at: datetime) -> None:
        """Record the platform's id, and any status that came before it. `row` is as `begin_send` returned it."""
        ...

    async def postpone(self, row_id: OutboxId, *, not_before: datetime, error_code: str, at: datetime) -> None:
        """Nothing was sent: pending again, not before the given time."""
        ...

    async def mark_failed(
        self, row_id: OutboxId, *, error_code: str, at: datetime, in_any_form: bool = True
    ) -> OutboxRow | None:
        """The platform refused it for good: an unsent row asks for an escalation; return it as it is then.

        Where it was refused for its form, it is pending instead, in words, unless it has none or that was refused too.
        """
        ...

    async def apply_status(self, update: StatusUpdate) -> OutboxRow | None:
        """Move the row forward, never back; park a status whose row is not known yet and return None."""
        ...

    async def unsent_count(self) -> int:
        """How many rows of all conversations are pending or sending."""
        ...

    async def sendable(self, *, at: datetime, limit: int) -> list[ConversationId]:
        """Conversations whose first unsent row may be sent (again) now."""
        ...

    async def to_escalate(self, *, limit: int) -> list[OutboxRow]:
        """Failed rows whose conversation has not been escalated for it."""
        ...

    async def escalation_done(self, row_id: OutboxId) -> None: ...


class DeadLetters(Protocol):
    """Messages that could not be processed."""

    async def add(self, letter: DeadLetter) -> None:
        """Keep the letter; adding the same id again changes nothing."""
        ...

    async def letters(self, *, conversation_id: ConversationId | None = None, limit: int = 100) -> list[DeadLetter]:
        """Newest first; of one conversation, or of all and of none."""
        ...

    async def get(self, letter_id: str) -> DeadLetter | None: ...

    async def drop(self, letter_id: str) -> bool: ...

    async def forget(self, addresses: Sequence[str]) -> int:
        """Drop the letters that hold one of the addresses, given as digests; return how many."""
        ...

    async def prune(self, *, before: datetime) -> int:
        """Drop the letters that are older; return how many."""
        ...


class Institutions(Protocol):
    """Published versions of the institution's documents."""

    async def publish(self, institution: Institution, *, at: datetime) -> bool:
        """Keep this version and make it the current one; False when it already was."""
        ...

    async def current(self) -> Institution | None: ...

    async def versions(self) -> list[tuple[str, datetime]]:
        """Newest first."""
        ...


class Records(Protocol):
    """Small documents by collection and key, with a version, a time to look at them and a time to forget them."""

    async def get(self, collection: str, key: str, *, at: datetime) -> Record | None: ...

    async def put(self, record: Record) -> Record | None:
        """Write it and return it one version higher; None when the stored version is another one (0: there is none)."""
        ...

    async def page(self, collection: str, *, at: datetime, after: str = "", limit: int = 100) -> list[Record]:
        """In the order of their keys, from the first one after `after`."""
        ...

    async def due(self, collection: str, *, at: datetime, limit: int) -> list[Record]:
        """Those whose `due_at` has come, longest waiting first."""
        ...

    async def drop(self, collection: str, key: str) -> bool: ...

    async def prune(self, *, at: datetime) -> int:
        """Drop those that have expired; return how many. A backend that does so by itself has nothing to do."""
        ...


class Store(Protocol):
    """One backend of five repositories: one commit writes a conversation and its outbox, one erasure leaves nothing."""

    @property
    def conversations(self) -> ConversationStore: ...

    @property
    def outbox(self) -> Outbox: ...

    @property
    def dead_letters(self) -> DeadLetters: ...

    @property
    def institutions(self) -> Institutions: ...

    @property
    def records(self) -> Records: ...

    async def ping(self) -> None:
        """Return when the backend can write.

        Raises:
            StoreUnavailableError: it cannot.
        """
        ...

    async def close(self) -> None: ...


class WakeUps(Protocol):
    """The queue: it carries wake-ups, never messages; losing, doubling or reordering one loses nothing."""

    async def wake(self, conversation_id: ConversationId) -> None: ...

    async def analyse(self, key: str) -> None:
        """Have the analysis of that id worked on, apart from the conversations, which must not wait behind it."""
        ...


class Analyses(Protocol):
    """Asks for analyses and finds them again.

    Raises:
        StoreUnavailableError: from every method, when the backend did not answer within its time-out.
    """

    async def request(self, conversation_id: ConversationId, kind: AnalysisKind) -> Analysis | None:
        """Ask for an analysis of the conversation as it is now: the one there is, or a new one, or None without such a
        conversation. One that failed is begun again.
        """
        ...

    async def find(self, analysis_id: str) -> Analysis | None: ...


class Reports(Protocol):
    """How it goes and what it costs: `status`, `daily`, `weekly`, `cost`, `performance`.

    Raises:
        StoreUnavailableError, InboxUnavailableError: from every method, when a backend did not answer in time.
    """

    async def view(self, name: str) -> dict[str, Any] | None:
        """For programs; None when there is no report of that name."""
        ...

    async def page(self, name: str) -> str | None:
        """As HTML that loads nothing; None when there is no report of that name."""
        ...


class Callback(Protocol):
    """The one receiver that is told when an analysis has ended."""

    async def send(self, content: Mapping[str, Any], *, delivery_id: str, at: datetime) -> None:
        """Tell it once; `delivery_id` is the same at every repetition.

        Raises:
            CallbackRefusedError: it did not answer 2xx in time; nobody knows whether it has understood.
        """
        ...

    async def close(self) -> None: ...


class SystemBlock(Value):
    """A piece of the system prompt; `cached` ends a prefix that the provider may keep."""

    text: str
    cached: bool = False


class Effort(StrEnum):
    """How thoroughly a model works on an answer; not every model can be told."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class StructuredOutput(StrEnum):
    """How a model is asked for JSON: by the API's own parameter, as the input of a forced tool, or in words."""

    OUTPUT_CONFIG = "output_config"
    TOOL = "tool"
    PROMPT = "prompt"


class ModelRequest(Value):
    """One call of a language model with a JSON schema for its answer. Without `effort` it is the provider's default.

    `context` is for the policies around the model (`prompts/execution/policies.py`) and never sent; a call outside a
    prompt task has one of its own.
    """

    model: str
    system: tuple[SystemBlock, ...]
    user: str
    schema_name: str
    output_schema: dict[str, Any]
    max_tokens: int
    timeout: timedelta
    repair_of: str | None = None
    repair_reason: str | None = None
    effort: Effort | None = None
    context: InstanceOf[CallContext] = Field(default_factory=CallContext, exclude=True, repr=False)


class ModelResponse(Value):
    """Answer of a language model; `stop_reason` is the provider's word (`end_turn`, `max_tokens`, `refusal`).

    `tokens` is None where the server does not count them. A `shared` answer belongs to an identical call of the same
    moment and is booked there: no tokens. `by_fallback`: the fallback model gave it.
    """

    text: str
    stop_reason: str
    model: str
    tokens: TokenCount | None
    shared: bool = False
    by_fallback: bool = False


TextHeard = Callable[[str], Awaitable[None]]
"""Receives each piece of an answer's text as it comes, in order."""


class LanguageModel(Protocol):
    """A provider's model, or a policy around one (`prompts/execution/policies.py`)."""

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        """Return the answer to one request. With `on_text` it is streamed, and returned in full all the same.

        A provider's model asks once; retries are a policy.

        Raises:
            ModelUnavailableError: overloaded, unavailable or too slow.
            ModelRequestRejectedError: the request itself is refused.
        """
        ...

    async def close(self) -> None: ...


class CacheEntry(Value):
    """One value of a scope; of two entries of a scope the later one has the higher `number`, in every process."""

    number: int
    key: str
    value: bytes


class Cache(Protocol):
    """Values that can be made again, by scope and key, each for a while. Losing any of them loses nothing.

    A scope is what is counted, listed and dropped together. A full one gives up its oldest values.

    Raises:
        CacheUnavailableError: from every method, when the backend did not answer within its time-out.
    """

    async def get(self, scope: str, key: str) -> bytes | None: ...

    async def put(self, scope: str, key: str, value: bytes, *, ttl: timedelta) -> int:
        """Keep the value, in the place of an earlier one; return how many the scope holds now."""
        ...

    async def entries(self, scope: str, *, after: int = 0, limit: int) -> list[CacheEntry]:
        """The oldest `limit` of those with a number above `after`, oldest first: one page after the other."""
        ...

    async def drop(self, scope: str) -> int:
        """Forget everything of the scope; return how many values that were."""
        ...

    async def sizes(self) -> dict[str, int]:
        """How many values each scope holds; scopes that hold none are left out."""
        ...

    async def close(self) -> None: ...


class Embedder(Protocol):
    """Turns texts into vectors whose cosine says how alike their meanings are. `name` is part of what is kept by it."""

    name: str
    width: int

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """One vector for each text, in order: `width` little-endian float32, of unit length."""
        ...

    async def close(self) -> None: ...


class Markup(Value):
    """Marks that a channel shows as the emphasis of the words between them; empty where it shows none.

    `code` encloses words, `block` lines. Headings and links with a text of their own are not shown by any of them.
    """

    bold: str = ""
    italic: str = ""
    strike: str = ""
    code: str = ""
    block: str = ""


class ChannelLimits(Value):
    """Limits of one message on a channel. Lengths are in code points; a type that is absent is not offered there.

    `markup` is what of a text's emphasis the channel shows.
    """

    types: frozenset[str]
    text: int
    markup: Markup = Markup()
    button_body: int = 0
    buttons: int = 0
    button_title: int = 0
    list_body: int = 0
    rows: int = 0
    row_title: int = 0
    row_description: int = 0
    list_label: int = 0
    caption: int = 0


class Channel(Protocol):
    """Sending side of one channel, with its capabilities."""

    name: ChannelName
    limits: ChannelLimits
    send_timeout: timedelta
    """Time limit of one send."""
    settle_after: timedelta
    """Time that a status is waited for, after a send without an answer, before the send is made again."""
    is_watched: bool
    """Whether clients watch a conversation here, and get the states of a turn."""
    shows_forming_text: bool
    """Whether clients can show a reply while it forms."""
    reply_window: timedelta | None
    """Time after a customer's message in which the platform takes replies; later ones fail instead of waiting."""

    async def send(self, row: OutboxRow) -> str:
        """Send once; return the platform's message id.

        Raises:
            ChannelUnavailableError: not sent; try later.
            ChannelRefusedError: never will be.
            SendOutcomeUnknownError: perhaps sent.
        """
        ...

    def acknowledge(self, address: Address, platform_message_id: str) -> None:
        """Show the customer, in the background, that the message is read and an answer on its way; best effort."""
        ...

    async def close(self) -> None: ...


class ChannelInbound(Protocol):
    """Receiving side of a channel whose platform posts to `/webhooks/{name}`. Pure: it neither reads nor writes.

    Posts that come in the same moment are parsed together and made durable in one write.
    """

    max_body: int
    """Largest post in bytes; a larger one is answered 413."""

    def handshake(self, query: Mapping[str, str]) -> str:
        """Answer a GET challenge with the body of the response; a POST challenge is the `answer` of `parse`.

        Raises:
            OriginRefusedError: the token is wrong, or the platform has no GET challenge.
        """
        ...

    def verify(self, post: Post, *, at: datetime) -> None:
        """Check signature or token, in constant time, and the clock where the platform signs one.

        Raises:
            OriginRefusedError: the post is not the platform's.
        """
        ...

    def parse(self, post: Post, *, at: datetime) -> Received:
        """Parse a verified post. Never raises: an unreadable piece is returned as such and kept as a dead letter."""
        ...


class LiveEvent(Value):
    """Something a watching client is told: `state`, `token`, `reply` or `error`. Only durable ones have a number."""

    name: str
    data: dict[str, Any]
    number: int | None = None


class Events(Protocol):
    """News for those who watch a conversation now. Losing one loses nothing: clients catch up from the store."""

    async def publish(self, conversation_id: ConversationId, event: LiveEvent) -> None: ...

    def subscribe(self, conversation_id: ConversationId) -> AbstractAsyncContextManager[AsyncIterator[LiveEvent]]:
        """Inside the context nothing that is published after it was entered is missed, up to a bounded backlog."""
        ...


class Faults(Protocol):
    """Named points where the tests make the process die or a call fail; in production every one is a no-op."""

    async def reach(self, point: str) -> None: ...
