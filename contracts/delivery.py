"""Values between the webhook, the inbox, the worker and the outbox."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Self

from pydantic import Field, ValidationError

from contracts.conversation import Conversation, Owner, State, TransitionRecord, TurnRecord, Utterance
from contracts.listing import facets_of, waiting_since
from contracts.messages import (
    Address,
    ChannelName,
    DeliveryState,
    InboundKind,
    InboundMessage,
    OutboundMessage,
    StatusUpdate,
    digest,
)
from contracts.values import ConversationId, Instant, Kept, MessageId, OutboxId, Text, TurnId, Value


class Lease(Value):
    """The exclusive right to process a conversation until `expires_at`; `token` grows with every claim of it.

    `oldest_attempts` is the number of attempts of the oldest waiting message at the claim.
    """

    conversation_id: ConversationId
    token: int
    expires_at: Instant
    oldest_attempts: int = 0


class InboxEntry(Kept):
    """A durable message without a reply yet. `sequence` orders the messages of one conversation.

    `raw` is what is stored where this release cannot read it: `message` then only identifies it.
    """

    sequence: int
    attempts: int
    message: InboundMessage
    raw: str | None = None

    @classmethod
    def read(cls, conversation_id: ConversationId, sequence: int, attempts: int, stored: bytes | str) -> Self:
        """Return the entry; one that cannot be read does not hide its neighbours."""
        try:
            return cls(sequence=sequence, attempts=attempts, message=InboundMessage.model_validate_json(stored))
        except ValidationError:
            raw = stored.decode("utf-8", "replace") if isinstance(stored, bytes) else stored
        message = InboundMessage(
            id=MessageId(f"unreadable-{sequence}"),
            conversation_id=conversation_id,
            address=Address(channel=ChannelName.WEB, account="", person=""),
            platform_id=f"{conversation_id}/{sequence}",
            kind=InboundKind.UNSUPPORTED,
            recorded_only=True,
            received_at=datetime.fromtimestamp(0, UTC),
        )
        return cls(sequence=sequence, attempts=attempts, message=message, raw=raw)


class Ages(Value):
    """Waiting times of an inbox: arrival of the oldest message, and the number that arrived before a given instant."""

    oldest_received_at: Instant | None = None
    overdue: int = 0

    @classmethod
    def of(cls, received: Iterable[datetime], *, overdue_before: datetime) -> Self:
        moments = list(received)
        overdue = sum(1 for moment in moments if moment < overdue_before)
        return cls(oldest_received_at=min(moments, default=None), overdue=overdue)


class Arrival(StrEnum):
    """Outcome of an append to the inbox. A duplicate whose first copy still waits re-arms the wake-up."""

    ACCEPTED = "accepted"
    DUPLICATE_PENDING = "duplicate_pending"
    DUPLICATE_DONE = "duplicate_done"


class Appended(NamedTuple):
    """Outcome of an append, and the conversation that holds the message: the one that its thread was joined to."""

    arrival: Arrival
    conversation_id: ConversationId


class OutboxRow(Kept):
    """A committed reply in delivery. `number` orders the rows of a conversation; `deadline` ends a `sending`.

    A `sending` row with the platform's id is accepted; the next bubble of its reply waits for its status.

    `correlation_id` is the first message that the reply answers, which arrived at `received_at`: all log lines of that
    message's life carry it. `traceparent` names the span of the turn, if any: sends and statuses belong to its trace.
    `refused_code` is the platform's code for refusing `message` in its form:
    since then the row is about the same in words. `author` is the agent who wrote it, None: the assistant.
    `window_from` is the person's last message before it, from which the platform's reply window counts; `quotes` is the
    platform's id of the message that it answers, for places where several people write.
    """

    id: OutboxId
    conversation_id: ConversationId
    turn_id: TurnId
    number: int
    address: Address
    message: OutboundMessage
    correlation_id: MessageId | None = None
    received_at: Instant | None = None
    traceparent: str | None = Field(None, exclude_if=lambda name: name is None)
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    deadline: Instant | None = None
    not_before: Instant | None = None
    platform_message_id: str | None = None
    error_code: str | None = None
    refused_code: str | None = Field(None, exclude_if=lambda code: code is None)
    needs_escalation: bool = False
    author: str | None = Field(None, exclude_if=lambda author: author is None)
    window_from: Instant | None = Field(None, exclude_if=lambda moment: moment is None)
    quotes: str | None = Field(None, exclude_if=lambda quoted: quoted is None)
    created_at: Instant
    updated_at: Instant

    @property
    def is_unsent(self) -> bool:
        return self.state in (DeliveryState.PENDING, DeliveryState.SENDING)

    @property
    def sendable_at(self) -> datetime:
        """The instant from which the row may be sent: pending after its backoff, sending after its deadline."""
        waits_for = self.deadline if self.state is DeliveryState.SENDING else self.not_before
        return waits_for or self.created_at

    @property
    def is_accepted(self) -> bool:
        """Whether the platform has taken it, and its status is waited for until the deadline."""
        return self.state is DeliveryState.SENDING and self.platform_message_id is not None

    @property
    def is_in_words(self) -> bool:
        """Whether the message goes as plain text, since its own form was refused."""
        return self.refused_code is not None

    @property
    def reference(self) -> str:
        """Return what a platform echoes in its statuses: the row, and which form of its message they are about."""
        return f"{self.id}{IN_WORDS if self.is_in_words else ''}"

    def sending(self, *, deadline: datetime, at: datetime) -> Self:
        return self._with(state=DeliveryState.SENDING, attempts=self.attempts + 1, deadline=deadline, updated_at=at)

    def sent(self, *, platform_message_id: str, at: datetime, reported_by: datetime | None = None) -> Self:
        """Return the row as accepted by the platform; its status is waited for until `reported_by`, None: not at all.

        After an earlier status only the platform's id is added.
        """
        is_awaited = reported_by is not None and self.state is DeliveryState.SENDING
        state = self.state if is_awaited else max(self.state, DeliveryState.SENT, key=_rank)
        return self._with(state=state, platform_message_id=platform_message_id, deadline=reported_by, updated_at=at)

    def postponed(self, *, not_before: datetime, error_code: str, at: datetime) -> Self:
        return self._with(state=DeliveryState.PENDING, not_before=not_before, error_code=error_code, updated_at=at)

    @property
    def is_reminder(self) -> bool:
        """Whether a timer wrote it: it is no use when it is late."""
        return self.id.endswith(REMINDER)

    def withdrawn(self, *, reason: str, at: datetime) -> Self:
        """Return the row as one that must not be sent any more, unless a status proves that it was already."""
        return self._with(state=DeliveryState.WITHDRAWN, error_code=reason, updated_at=at)

    def moved(self, thread: ConversationId, number: int, *, at: datetime) -> Self:
        """Return a withdrawn row as one of the thread that its conversation was joined to."""
        new = {"id": OutboxId(f"{thread}/of-{digest(self.id)}"), "conversation_id": thread, "number": number}
        begun = {"state": DeliveryState.PENDING, "error_code": None, "attempts": 0, "deadline": None}
        return self._with(**new, **begun, updated_at=at)

    def failed(self, *, error_code: str, at: datetime, in_any_form: bool) -> Self:
        """The row after a final refusal: pending in words, once, where it has any; else a person is to be called."""
        if in_any_form or self.is_in_words or not self.message.in_words:
            return self._with(state=DeliveryState.FAILED, error_code=error_code, needs_escalation=True, updated_at=at)
        return self._with(
            state=DeliveryState.PENDING,
            error_code=error_code,
            refused_code=error_code,
            platform_message_id=None,
            attempts=0,
            deadline=None,
            not_before=None,
            updated_at=at,
        )

    def reported(self, update: StatusUpdate) -> Self:
        """Return the row after a status: forward only, so that a late or repeated status changes nothing.

        One about the form that was refused counts only as proof that it has arrived after all.
        """
        is_proof = update.state in (DeliveryState.DELIVERED, DeliveryState.READ)
        is_named = update.client_reference == self.reference or update.platform_message_id == self.platform_message_id
        if _rank(update.state) <= _rank(self.state) or not (is_proof or is_named or not self.is_in_words):
            return self
        if update.state is DeliveryState.FAILED:
            if self.state is DeliveryState.WITHDRAWN:
                return self
            code = update.error_code or "unknown"
            return self.failed(error_code=code, at=update.at, in_any_form=update.in_any_form)
        platform_id = update.platform_message_id or self.platform_message_id
        return self._with(state=update.state, platform_message_id=platform_id, updated_at=update.at)

    def _with(self, **changes: object) -> Self:
        return self.model_copy(update=changes)


# Ends the reference of a row in words; a row's own id ends with a number.
IN_WORDS = "/words"
# Ends the id of a row that a timer wrote.
REMINDER = "/timer"


def row_of(reference: str | None) -> OutboxId:
    """Return the id of the row that a platform's status refers to; an empty one where it refers to none."""
    return OutboxId((reference or "").removesuffix(IN_WORDS))


_ORDER = (
    DeliveryState.PENDING,
    DeliveryState.SENDING,
    DeliveryState.WITHDRAWN,
    DeliveryState.SENT,
    DeliveryState.FAILED,
    # Evidence of arrival outweighs an earlier report of a failure.
    DeliveryState.DELIVERED,
    DeliveryState.READ,
)


def _rank(state: DeliveryState) -> int:
    return _ORDER.index(state)


class Receipt(Kept):
    """The stored trace of one inbound message after its turn."""

    message: InboundMessage
    sequence: int
    turn_id: TurnId
    answered_at: Instant


class TurnCommit(Value):
    """The atomic write of one turn, valid if the stored version is still `conversation.version`.

    `unchanged` are rows as they were read, of which `outbox` has the next state: it is valid only if they are still
    stored so. `records` are new ones.
    """

    conversation: Conversation
    transitions: tuple[TransitionRecord, ...] = ()
    utterances: tuple[Utterance, ...] = ()
    turn: TurnRecord | None = None
    answered: tuple[InboxEntry, ...] = ()
    outbox: tuple[OutboxRow, ...] = ()
    unchanged: tuple[OutboxRow, ...] = ()
    records: "tuple[Record, ...]" = ()

    def withdrawing(self, unsent: Iterable[OutboxRow], *, reason: str, at: datetime) -> Self:
        """Return the commit that also withdraws the assistant's replies among these rows."""
        rows = tuple(row for row in unsent if row.author is None and not row.is_accepted)
        withdrawn = (row.withdrawn(reason=reason, at=at) for row in rows)
        return self.model_copy(update={"outbox": (*withdrawn, *self.outbox), "unchanged": rows})

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """The receipt of each answered message."""
        if self.turn is None:
            return ()
        return tuple(
            Receipt(message=entry.message, sequence=entry.sequence, turn_id=self.turn.id, answered_at=self.turn.at)
            for entry in self.answered
        )


class DeadLetter(Kept):
    """A message that could not be processed, kept unchanged for a person's decision.

    `addresses` are the digests of the addresses in one that belongs to no conversation, by which an erasure finds it.
    """

    id: str
    conversation_id: ConversationId | None
    message_id: MessageId | None
    channel: str
    reason: str
    attempts: int
    message: InboundMessage | None = None
    raw: str | None = None
    addresses: tuple[str, ...] = Field((), exclude_if=lambda addresses: not addresses)
    at: Instant


class ConversationArchive(Value):
    """Everything a store keeps of one conversation, for a copy in another store."""

    head: Conversation
    transitions: tuple[TransitionRecord, ...] = ()
    utterances: tuple[Utterance, ...] = ()
    turns: tuple[TurnRecord, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    outbox: tuple[OutboxRow, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()


class Erasure(Value):
    """Counts of what an erasure has removed, by place: messages, turns, replies, letters, analyses, prompts, names.

    `caches` are answers of Task 1 in the answer cache; its other answers, embeddings among them, belong to no person.
    """

    inbox: int = 0
    conversation: int = 0
    outbox: int = 0
    dead_letters: int = 0
    records: int = 0
    prompts: int = 0
    names: int = 0
    caches: int = 0

    def __add__(self, other: Self) -> Self:
        return self.model_copy(update={place: count + getattr(other, place) for place, count in self})

    @property
    def is_empty(self) -> bool:
        return not any(self.model_dump().values())


class ConversationSummary(Value):
    """One line of a list of conversations, without the person's words. `reason` is that of the hand-off."""

    id: ConversationId
    channel: str
    state: State
    owner: Owner
    agent: str | None
    waiting_since: Instant | None
    reason: str | None
    episode: int
    turns: int
    business_line: str | None
    intent: str | None
    opted_out: bool
    updated_at: Instant | None

    @classmethod
    def of(cls, head: Conversation) -> Self:
        return cls(
            channel=facets_of(head)["channel"],
            owner=head.owner,
            waiting_since=waiting_since(head),
            reason=head.handoff.reason if head.handoff else None,
            **{name: getattr(head, name) for name in SAME_IN_HEAD},
        )


SAME_IN_HEAD = ("id", "state", "agent", "episode", "turns", "business_line", "intent", "opted_out", "updated_at")


class FoundConversation(ConversationSummary):
    """One line of a search, with the person's name and address and the newest words: for an agent's eyes."""

    person_name: Text | None
    person: str | None
    said: Text | None

    @classmethod
    def of(cls, head: Conversation) -> Self:
        return cls(
            **dict(ConversationSummary.of(head)),
            person_name=head.known_name,
            person=head.address.person if head.address else None,
            said=head.window[-1].text if head.window else None,
        )


class Record(Kept):
    """A small document of one collection outside the conversations: an analysis, a flag, an amount of money.

    `version` is the compare-and-set token, 0 before the first write. With an `owner` it is erased together with that
    conversation; at `due_at` it appears among the due records; from `expires_at` on it no longer exists.
    """

    collection: str
    key: str
    version: int = 0
    body: dict[str, Any]
    owner: ConversationId | None = None
    due_at: Instant | None = None
    expires_at: Instant | None = None
    updated_at: Instant

    @classmethod
    def of(
        cls,
        collection: str,
        key: str,
        body: Mapping[str, Any],
        *,
        at: datetime,
        version: int = 0,
        kept_for: timedelta | None = None,
    ) -> Self:
        """Return a record written now, which exists for `kept_for`; None: until it is dropped."""
        ends = at + kept_for if kept_for else None
        return cls(collection=collection, key=key, version=version, body=dict(body), expires_at=ends, updated_at=at)
