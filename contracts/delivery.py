"""What travels between the webhook, the inbox, the worker and the outbox."""

from enum import StrEnum

from contracts.conversation import Conversation, TransitionRecord, TurnRecord, Utterance
from contracts.messages import Address, DeliveryState, InboundMessage, OutboundMessage
from contracts.values import ConversationId, Instant, MessageId, OutboxId, TurnId, Value


class Lease(Value):
    """The right to work on a conversation until `expires_at`; `token` grows with every claim of that conversation."""

    conversation_id: ConversationId
    token: int
    expires_at: Instant


class InboxEntry(Value):
    """A durable message that has no reply yet. `sequence` orders the messages of one conversation."""

    sequence: int
    attempts: int
    message: InboundMessage


class Arrival(StrEnum):
    """What the inbox did with a message. A duplicate whose first copy still waits re-arms the wake-up."""

    ACCEPTED = "accepted"
    DUPLICATE_PENDING = "duplicate_pending"
    DUPLICATE_DONE = "duplicate_done"


class OutboxRow(Value):
    """A committed reply on its way. `number` orders the rows of a conversation; `deadline` ends a `sending`."""

    id: OutboxId
    conversation_id: ConversationId
    turn_id: TurnId
    number: int
    address: Address
    message: OutboundMessage
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    deadline: Instant | None = None
    not_before: Instant | None = None
    platform_message_id: str | None = None
    error_code: str | None = None
    needs_escalation: bool = False
    created_at: Instant
    updated_at: Instant


class TurnCommit(Value):
    """What one turn writes, all or nothing, if the stored version is still `conversation.version`."""

    conversation: Conversation
    transitions: tuple[TransitionRecord, ...] = ()
    utterances: tuple[Utterance, ...] = ()
    turn: TurnRecord | None = None
    answered: tuple[InboxEntry, ...] = ()
    outbox: tuple[OutboxRow, ...] = ()


class DeadLetter(Value):
    """A message that could not be processed, kept as it came until a person looks at it."""

    id: str
    conversation_id: ConversationId | None
    message_id: MessageId | None
    channel: str
    reason: str
    attempts: int
    message: InboundMessage | None = None
    raw: str | None = None
    at: Instant


class Receipt(Value):
    """What the store knows of one inbound message after its turn."""

    message: InboundMessage
    sequence: int
    turn_id: TurnId
    answered_at: Instant


class ConversationSummary(Value):
    """One line of a list of conversations; nothing in it was written by the person."""

    id: ConversationId
    channel: str
    state: str
    episode: int
    turns: int
    business_line: str | None
    intent: str | None
    opted_out: bool
    updated_at: Instant | None
