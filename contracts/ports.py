"""Ports: the engine's requirements of the outside world. Every adapter of a port passes the port's contract tests."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from pydantic import Field, InstanceOf

from contracts.analysis import Analysis, AnalysisKind
from contracts.calls import CallContext
from contracts.channels import Post, Received
from contracts.conversation import Conversation, TokenCount, TransitionRecord, TurnRecord, Utterance
from contracts.delivery import (
    Ages,
    Appended,
    ConversationArchive,
    DeadLetter,
    InboxEntry,
    Lease,
    OutboxRow,
    Receipt,
    Record,
    TurnCommit,
)
from contracts.institution import Institution
from contracts.listing import EVERYTHING, ConversationPage, ConversationQuery
from contracts.media import MediaFile
from contracts.messages import Address, ChannelName, InboundMessage, OutboundMessage, StatusUpdate
from contracts.pages import ReportPage
from contracts.values import ConversationId, MessageId, OutboxId, Value


class Clock(Protocol):
    """The wall clock; tests set it. Correctness never depends on it, only waiting times do."""

    def now(self) -> datetime: ...


# Length of a chain of joins. A join leads every thread of its person to the one that survives, so they are short.
MAX_JOINS = 8


class Inbox(Protocol):
    """Durable messages without a reply, by conversation, and the leases of conversations.

    Raises:
        InboxUnavailableError: from every method, when the backend did not answer within its time-out.
    """

    async def ping(self) -> None:
        """Return if a message can be made durable now."""

    async def append(self, messages: Sequence[InboundMessage]) -> list[Appended]:
        """Deduplicate, append and mark the conversation due, atomically for each message; durable on return.

        What comes for a joined thread is a message of the conversation it was joined to, across `MAX_JOINS` joins.
        """

    async def join(self, conversation_id: ConversationId, into: ConversationId | None, *, after: int = 0) -> None:
        """Append what comes for the thread to `into` from now on; with None to itself again, and what waits stays.

        What waits in the thread moves to the end of `into` in the same atomic step, so that nothing overtakes it; up to
        the sequence `after` it is answered and deleted. Repeating it is harmless.
        """

    async def claim(self, conversation_id: ConversationId, *, ttl: timedelta, at: datetime) -> Lease | None:
        """Take the conversation for `ttl`, or return None while another lease runs."""

    async def renew(self, lease: Lease, *, ttl: timedelta, at: datetime) -> Lease:
        """Extend the lease. Raises LeaseLostError: another claim came in between."""

    async def take(self, lease: Lease, *, isolate_after: int) -> list[InboxEntry]:
        """Return the messages of the next turn, oldest first, and count an attempt on each; nothing is removed.

        These are all pending messages; but once the oldest has had `isolate_after` attempts it comes alone, so that one
        bad message does not block its neighbours. Sequences always grow within a conversation, not necessarily by one.

        Raises:
            LeaseLostError: the lease is not the newest one.
        """

    async def refund_attempts(self, conversation_id: ConversationId, sequences: Sequence[int]) -> None:
        """Take back one counted attempt of each of these messages, if they still wait: it was not their fault."""

    async def has_newer(self, conversation_id: ConversationId, sequence: int) -> bool:
        """Return whether a message after `sequence` waits."""

    async def remove(self, conversation_id: ConversationId, sequences: Sequence[int]) -> None:
        """Delete answered messages; their deduplication keys stay. Removing twice is harmless."""

    async def release(self, lease: Lease, *, answered: Sequence[int] = ()) -> bool:
        """Delete the answered messages; then release the lease if it is still held and nothing is pending, atomically.

        Else return False and keep the lease.
        """

    async def abandon(self, lease: Lease, *, due_at: datetime) -> None:
        """Release the lease with work left, due again at `due_at`. A lost lease is ignored."""

    async def due(self, *, at: datetime, limit: int) -> list[ConversationId]:
        """Return due conversations with pending messages and without a lease, longest waiting first."""

    async def pending(self, conversation_id: ConversationId) -> list[InboxEntry]:
        """Return all waiting messages, for inspection; no attempt is counted."""

    async def depth(self) -> int:
        """Return the number of all waiting messages."""

    async def ages(self, *, overdue_before: datetime) -> Ages:
        """Return the arrival of the oldest waiting message, and the number that arrived before the given instant.

        A backend without an order of arrivals reads every waiting message: call it rarely.
        """

    async def forget(self, conversation_id: ConversationId) -> int:
        """Delete every waiting message of a conversation; return its last sequence, 0 if it has none.

        Deduplication keys, which are hashes, stay.
        """

    async def advance(
        self, conversation_id: ConversationId, *, past: int, answered: Sequence[InboundMessage] = ()
    ) -> None:
        """Continue another inbox: number messages after `past`, and recognise the answered ones as duplicates."""

    async def prune(self, *, before: datetime) -> int:
        """Delete deduplication keys of messages received before then; return how many.

        A backend with expiring keys does nothing.
        """


class ConversationStore(Protocol):
    """Repository of conversations: heads, transitions, transcript, turns. The source of truth.

    Raises:
        StoreUnavailableError: from every method, when the backend did not answer within its time-out.
    """

    async def load(self, conversation_id: ConversationId) -> Conversation | None:
        """Return the head as last committed; for an erased conversation an empty head with its version."""

    async def commit(self, commit: TurnCommit) -> Conversation:
        """Write a whole turn atomically; return the head one version higher.

        Raises:
            ConversationConflictError: the stored version is not `commit.conversation.version`.
        """

    async def transitions(self, conversation_id: ConversationId) -> list[TransitionRecord]: ...

    async def transcript(self, conversation_id: ConversationId) -> list[Utterance]: ...

    async def turns(self, conversation_id: ConversationId, *, limit: int | None = None) -> list[TurnRecord]:
        """Return the turns, oldest first; with `limit`, the newest `limit` of them."""

    async def receipt(self, conversation_id: ConversationId, message_id: MessageId) -> Receipt | None:
        """Return the receipt of an answered message, or None."""

    async def receipts(self, conversation_id: ConversationId) -> list[Receipt]: ...

    async def turn_of(self, receipt: Receipt) -> TurnRecord | None: ...

    async def find_message(self, message_id: MessageId) -> list[ConversationId]:
        """Return conversations with an answered message of that id (web clients choose ids, so several may)."""

    async def find(
        self, query: ConversationQuery = EVERYTHING, *, limit: int = 50, cursor: str | None = None
    ) -> ConversationPage:
        """Return the page of conversations after `cursor`, in the order of the query.

        Raises:
            BadCursorError: no page has given this cursor.
        """

    async def timed_out(self, *, at: datetime, limit: int) -> list[ConversationId]:
        """Return conversations that have been in a resting state longer than the table allows."""

    async def expired(self, *, updated_before: datetime, limit: int) -> list[ConversationId]:
        """Return conversations without a change since."""

    async def erase(self, conversation_id: ConversationId, *, at: datetime, answered_up_to: int = 0) -> bool:
        """Delete the conversation's content and leave an empty head one version higher, which refuses late commits.

        The empty head keeps the cursor, at least `answered_up_to`, so that messages taken before count as answered, and
        the numbering of replies, so that resuming clients miss none. Return whether there was anything to delete.
        """

    async def restore(self, archive: ConversationArchive) -> None:
        """Replace the conversation by its archive from another store; the version is kept.

        Until it is complete, after a crash until it is repeated, the head counts as moved (`RESTORING`).
        """


class Outbox(Protocol):
    """Committed replies in delivery, in order for each conversation."""

    async def rows(self, conversation_id: ConversationId) -> list[OutboxRow]:
        """Return all rows, oldest first."""

    async def unsent(self, conversation_id: ConversationId) -> list[OutboxRow]:
        """Return the pending and sending rows, oldest first."""

    async def begin_send(self, row: OutboxRow, *, deadline: datetime, at: datetime) -> OutboxRow | None:
        """Mark the row sending and count the attempt; return None if it changed since it was read."""

    async def mark_sent(
        self, row: OutboxRow, *, platform_message_id: str, at: datetime, reported_by: datetime | None = None
    ) -> OutboxRow | None:
        """Record the platform's id, and any parked status; return the row. `row` is as `begin_send` returned it.

        With `reported_by` it holds back later rows until a status comes, or until then.
        """

    async def postpone(self, row_id: OutboxId, *, not_before: datetime, error_code: str, at: datetime) -> None:
        """Return the unsent row to pending, not before the given time."""

    async def mark_failed(
        self, row_id: OutboxId, *, error_code: str, at: datetime, in_any_form: bool = True
    ) -> OutboxRow | None:
        """Record the platform's final refusal of an unsent row, which then requests an escalation; return the row.

        Where it was refused for its form, it is pending instead, in words, unless it has none or that was refused too.
        """

    async def apply_status(self, update: StatusUpdate) -> OutboxRow | None:
        """Move the row forward, never back; park a status whose row is unknown and return None."""

    async def unsent_count(self) -> int:
        """Return the number of pending and sending rows of all conversations."""

    async def sendable(self, *, at: datetime, limit: int) -> list[ConversationId]:
        """Return conversations whose first unsent row may be sent (again) now."""

    async def to_escalate(self, *, limit: int) -> list[OutboxRow]:
        """Return failed rows whose conversation has not been escalated for it."""

    async def escalation_done(self, row_id: OutboxId) -> None: ...


class DeadLetters(Protocol):
    """Messages that could not be processed."""

    async def add(self, letter: DeadLetter) -> None:
        """Store the letter; adding the same id again changes nothing."""

    async def letters(
        self, *, conversation_id: ConversationId | None = None, until: datetime | None = None, limit: int = 100
    ) -> list[DeadLetter]:
        """Return letters, newest first, from `until` back; of one conversation, or all, also those without one.

        Letters of one instant keep their order.
        """

    async def get(self, letter_id: str) -> DeadLetter | None: ...

    async def drop(self, letter_id: str) -> bool: ...

    async def forget(self, addresses: Sequence[str]) -> int:
        """Drop the letters that hold one of the addresses, given as digests; return how many."""

    async def prune(self, *, before: datetime) -> int:
        """Delete older letters; return how many."""


class Institutions(Protocol):
    """Published versions of the institution's documents."""

    async def publish(self, institution: Institution, *, at: datetime) -> bool:
        """Store this version and make it the current one; return False if it already was."""

    async def current(self) -> Institution | None: ...

    async def get(self, version: str) -> Institution | None: ...

    async def versions(self) -> list[tuple[str, datetime]]:
        """Return all versions, newest first."""


class Records(Protocol):
    """Small documents by collection and key, with a version, a due time and an expiry."""

    async def get(self, collection: str, key: str, *, at: datetime) -> Record | None: ...

    async def put(self, record: Record) -> Record | None:
        """Write the record and return it one version higher; None when the stored version differs (0: none)."""

    async def page(self, collection: str, *, at: datetime, after: str = "", limit: int = 100) -> list[Record]:
        """Return records in the order of their keys, from the first one after `after`."""

    async def due(self, collection: str, *, at: datetime, limit: int) -> list[Record]:
        """Return the records with a past `due_at`, longest due first."""

    async def drop(self, collection: str, key: str) -> bool: ...

    async def prune(self, *, at: datetime) -> int:
        """Delete expired records; return how many. A backend with expiry of its own does nothing."""


class Store(Protocol):
    """One backend of five repositories: a commit writes a conversation and its outbox, an erasure covers all."""

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
        """Return if the backend can write. Raises StoreUnavailableError: it cannot."""

    async def close(self) -> None: ...


class WakeUps(Protocol):
    """The queue of wake-ups, which carry no messages; a lost, doubled or reordered one loses nothing."""

    async def wake(self, conversation_id: ConversationId) -> None: ...

    async def analyse(self, key: str) -> None:
        """Queue the analysis of that id, apart from the conversations, which must not wait behind it."""


class Analyses(Protocol):
    """Requests for analyses and their results.

    Raises:
        StoreUnavailableError: from every method, when the backend did not answer within its time-out.
    """

    async def request(self, conversation_id: ConversationId, kind: AnalysisKind) -> Analysis | None:
        """Return the analysis of the current version: a known or a new one (a failed one again), or None without it."""

    async def find(self, analysis_id: str) -> Analysis | None: ...

    async def newest(self, conversation_id: ConversationId, kind: AnalysisKind) -> Analysis | None:
        """Return the one that was requested last, whatever has been said since."""


class Operators(Protocol):
    """Agents' moves of conversations, by the agent's name; each is in the history.

    Raises:
        IllegalTransitionError: from every method, when the table has no such move, or there is no such conversation.
        ConversationConflictError: from every method, when the conversation kept changing.
        StoreUnavailableError: from every method, when the backend did not answer within its time-out.
    """

    async def take(self, conversation_id: ConversationId, *, agent: str) -> Conversation:
        """Make the agent the owner: the assistant says nothing more until the conversation is handed back."""

    async def reply(
        self, conversation_id: ConversationId, message: OutboundMessage, *, agent: str, request_id: str
    ) -> Conversation:
        """Send the agent's message, after taking the conversation; the same `request_id` sends once.

        Raises:
            ReplyWindowClosedError: the platform takes only a template now.
            ReplyRefusedError: the platform takes no templates, or no text of that length.
        """

    async def hand_back(self, conversation_id: ConversationId, *, agent: str) -> Conversation:
        """Let the assistant answer again."""

    async def close(self, conversation_id: ConversationId, *, agent: str) -> Conversation:
        """End the conversation; the next message opens its successor."""

    async def note(self, conversation_id: ConversationId, text: str, *, agent: str, request_id: str) -> Conversation:
        """Add a line for the team to the transcript; the same `request_id` adds one."""

    async def escalate(self, conversation_id: ConversationId, *, agent: str, reason: str) -> Conversation:
        """Call an agent, without a word to the person; nothing when one is called already."""

    async def reopen(self, conversation_id: ConversationId, *, agent: str) -> Conversation:
        """Undo SPAM, or any other end."""


class Reports(Protocol):
    """Operational reports: `status`, `daily`, `weekly`, `cost`, `performance`.

    Raises:
        StoreUnavailableError, InboxUnavailableError: from every method, when a backend did not answer in time.
    """

    async def view(self, name: str, *, first: date | None = None, last: date | None = None) -> dict[str, Any] | None:
        """Return the report of those days as JSON values; None when there is no report of that name."""

    async def page(
        self, name: str, *, language: str, first: date | None = None, last: date | None = None
    ) -> ReportPage | None:
        """Return the report of those days in words; None when there is no report of that name."""


class Callback(Protocol):
    """Receiver of the callback at the end of an analysis."""

    async def send(self, content: Mapping[str, Any], *, delivery_id: str, at: datetime) -> None:
        """Send the callback once; `delivery_id` is the same at every repetition.

        Raises:
            CallbackRefusedError: no 2xx response in time; the receiver may have processed it.
        """

    async def close(self) -> None: ...


class SystemBlock(Value):
    """A piece of the system prompt; `cached` ends a prefix that the provider may keep."""

    text: str
    cached: bool = False


class Effort(StrEnum):
    """Thoroughness of a model's work on an answer; not every model takes it."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class StructuredOutput(StrEnum):
    """Way of asking a model for JSON: by the API's own parameter, as the input of a forced tool, or in words."""

    OUTPUT_CONFIG = "output_config"
    TOOL = "tool"
    PROMPT = "prompt"


class ModelRequest(Value):
    """One call of a language model with a JSON schema for its answer. Without `effort` it is the provider's default.

    `files` are pictures and documents of the person, for the beginning of the user's part.

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
    files: tuple[MediaFile, ...] = Field((), exclude=True, repr=False)
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

    async def close(self) -> None: ...


class CacheEntry(Value):
    """One value of a scope; the later of two entries has the higher `number`, across processes."""

    number: int
    key: str
    value: bytes


class Cache(Protocol):
    """Reproducible values by scope and key, with expiry. Losing any of them loses nothing.

    A scope is the unit that is counted, listed and dropped. A full scope evicts its oldest values.

    Raises:
        CacheUnavailableError: from every method, when the backend did not answer within its time-out.
    """

    async def get(self, scope: str, key: str) -> bytes | None: ...

    async def put(self, scope: str, key: str, value: bytes, *, ttl: timedelta) -> int:
        """Store the value, replacing an earlier one; return the new size of the scope."""

    async def entries(self, scope: str, *, after: int = 0, limit: int) -> list[CacheEntry]:
        """Return the oldest `limit` entries with a number above `after`, oldest first, for paging."""

    async def drop(self, scope: str, *, prefix: str = "") -> int:
        """Delete the values of the scope whose keys begin with `prefix`, by default all; return their number."""

    async def sizes(self) -> dict[str, int]:
        """Return the number of values by scope, without empty scopes."""

    async def close(self) -> None: ...


class Embedder(Protocol):
    """Sentence embeddings, whose cosine is the semantic similarity. `name` is part of the keys of stored vectors."""

    name: str
    width: int

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return one vector for each text, in order: `width` little-endian float32, of unit length."""

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


class Rate(Value):
    """One message in `every` on average; `burst` of them may go at once, which then has to be waited off."""

    every: timedelta
    burst: int


class ChannelLimits(Value):
    """Limits of one message on a channel. Lengths are in code points; a type that is absent is not offered there.

    `markup` is what of a text's emphasis the channel shows. `pair` is the pace from one number to one person, `number`
    that of one number, `openings` are the people that a number may write to first in 24 hours; None: the platform names
    none. `agent_window` is the time after a customer's message in which
    the platform takes an agent's messages, where it is longer than for the assistant's. `reported_within` is the time
    for which the next bubble of a reply waits for the status of the one before; None: no status comes.
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
    pair: Rate | None = None
    number: Rate | None = None
    openings: int | None = None
    agent_window: timedelta | None = None
    reported_within: timedelta | None = None


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

    def acknowledge(self, address: Address, platform_message_id: str) -> None:
        """Show the customer, in the background, that the message is read and an answer on its way; best effort."""

    async def close(self) -> None: ...


@runtime_checkable
class SentLookup(Protocol):
    """A channel whose platform can be asked whether a message has arrived."""

    async def find_sent(self, row: OutboxRow) -> str | None:
        """Return the platform's id of the row's message after a send without an answer; None: not known there."""
        ...


@runtime_checkable
class HelpDesk(Protocol):
    """A channel with people of the team behind it."""

    async def hand_over(self, person: str, note: str) -> None:
        """Open the conversation for the team, with a note that the person does not see.

        Raises:
            ChannelUnavailableError, SendOutcomeUnknownError: try later.
            ChannelRefusedError: the conversation is gone.
        """


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

    def verify(self, post: Post, *, at: datetime) -> None:
        """Check signature or token, in constant time, and the clock where the platform signs one.

        Raises:
            OriginRefusedError: the post is not the platform's.
        """

    def parse(self, post: Post, *, at: datetime) -> Received:
        """Parse a verified post. Never raises: an unreadable piece is returned as such and kept as a dead letter."""


class LiveEvent(Value):
    """An event for a client that watches: `state`, `token`, `reply` or `error`; durable ones have a number."""

    name: str
    data: dict[str, Any]
    number: int | None = None


class Events(Protocol):
    """Publish/subscribe of live events. Losing one loses nothing: clients catch up from the store."""

    async def publish(self, conversation_id: ConversationId, event: LiveEvent) -> None: ...

    def subscribe(self, conversation_id: ConversationId) -> AbstractAsyncContextManager[AsyncIterator[LiveEvent]]:
        """Subscribe; in the context no event published since its start is missed, up to a bounded backlog."""


class Faults(Protocol):
    """Fault injection points where tests kill the process or fail a call; in production each is a no-op."""

    async def reach(self, point: str) -> None: ...
