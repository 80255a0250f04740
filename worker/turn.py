"""One turn: the messages answered together, and what is worked out for them until the commit."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Self

from contracts.calls import TurnCost
from contracts.conversation import (
    Classification,
    Speaker,
    TaskRecord,
    TokenCount,
    Trigger,
    TurnMilliseconds,
    TurnRecord,
    Utterance,
    ViolationRecord,
)
from contracts.decisions import StateDecision
from contracts.delivery import InboxEntry, OutboxRow, TurnCommit
from contracts.messages import InboundMessage, OutboundMessage
from contracts.values import ConversationId, MessageId, OutboxId, TurnId
from fsm.machine import Walk
from observability.tracing import current_traceparent
from prompts.pricing.prices import total_cost, usd_text


@dataclass(frozen=True)
class Turn:
    """The messages of one conversation that get one reply; people write in bursts.

    `cost` counts its dropped drafts too.
    """

    conversation_id: ConversationId
    entries: tuple[InboxEntry, ...]
    cost: TurnCost = field(default_factory=TurnCost, compare=False)

    @property
    def id(self) -> TurnId:
        return TurnId(f"{self.conversation_id}/{self.last_sequence}")

    @property
    def last_sequence(self) -> int:
        return self.entries[-1].sequence

    @property
    def messages(self) -> tuple[InboundMessage, ...]:
        return tuple(entry.message for entry in self.entries)

    @property
    def correlation_id(self) -> MessageId:
        """The first message of the turn: its id stands in every log line about the turn."""
        return self.entries[0].message.id

    @property
    def answerable(self) -> tuple[InboundMessage, ...]:
        return tuple(message for message in self.messages if not message.is_recorded_only)

    def after(self, sequence: int) -> Self:
        """What is left of the turn when everything up to `sequence` has been answered."""
        return replace(self, entries=tuple(entry for entry in self.entries if entry.sequence > sequence))


@dataclass(frozen=True)
class Draft:
    """What a turn has come to so far. Every step returns a new one; `commit` makes it durable."""

    walk: Walk
    reason: str = ""
    replies: tuple[OutboundMessage, ...] = ()
    decision: StateDecision | None = None
    corrects: Classification | None = None
    tasks: tuple[TaskRecord, ...] = ()
    violations: tuple[ViolationRecord, ...] = ()
    fallback: bool = False

    def on(self, walk: Walk) -> Self:
        return replace(self, walk=walk)

    def with_task(self, *records: TaskRecord) -> Self:
        return replace(self, tasks=(*self.tasks, *records))

    def saying(self, *replies: OutboundMessage, reason: str, fallback: bool = False) -> Self:
        return replace(self, replies=replies, reason=reason, fallback=self.fallback or fallback)


@dataclass(frozen=True)
class Timing:
    """When the turn began on the wall, and how long it has taken."""

    at: datetime
    total_ms: float = field(default=0.0)


def person_said(messages: Sequence[InboundMessage]) -> tuple[Utterance, ...]:
    return tuple(
        Utterance(speaker=Speaker.PERSON, text=message.text or f"[{message.kind}]", at=message.received_at)
        for message in messages
    )


def assistant_said(replies: Sequence[OutboundMessage], at: datetime) -> tuple[Utterance, ...]:
    return tuple(
        Utterance(
            speaker=Speaker.ASSISTANT,
            text=reply.text or f"[{reply.type}]",
            options=tuple(option.title for option in reply.options),
            at=at,
        )
        for reply in replies
    )


def to_commit(turn: Turn, draft: Draft, timing: Timing, institution_version: str) -> TurnCommit:
    """Everything the turn writes: head, history, transcript, record, receipts and outbox, for one atomic step."""
    conversation = draft.walk.conversation
    said = (*person_said(turn.answerable), *assistant_said(draft.replies, timing.at))
    rows = _outbox_rows(turn, draft, timing.at)
    head = conversation.says(*said).model_copy(
        update={
            "last_sequence": turn.last_sequence,
            "turns": conversation.turns + 1,
            "turns_in_episode": conversation.turns_in_episode + 1,
            "next_outbox_number": conversation.next_outbox_number + len(rows),
            "updated_at": timing.at,
            "created_at": conversation.created_at or timing.at,
            "spent_usd": usd_text(Decimal(conversation.spent_usd) + turn.cost.spent),
        }
    )
    return TurnCommit(
        conversation=head,
        transitions=draft.walk.records,
        utterances=said,
        turn=_record(turn, draft, timing, institution_version),
        answered=turn.entries,
        outbox=rows,
    )


def _outbox_rows(turn: Turn, draft: Draft, at: datetime) -> tuple[OutboxRow, ...]:
    first = draft.walk.conversation.next_outbox_number
    address = turn.messages[-1].address
    return tuple(
        OutboxRow(
            id=OutboxId(f"{turn.id}/{index}"),
            conversation_id=turn.conversation_id,
            turn_id=turn.id,
            number=first + index,
            address=address,
            message=reply,
            correlation_id=turn.correlation_id,
            received_at=min(message.received_at for message in turn.messages),
            traceparent=current_traceparent(),
            created_at=at,
            updated_at=at,
        )
        for index, reply in enumerate(draft.replies)
    )


def _record(turn: Turn, draft: Draft, timing: Timing, institution_version: str) -> TurnRecord:
    conversation = draft.walk.conversation
    decision = draft.decision
    return TurnRecord(
        id=turn.id,
        conversation_id=turn.conversation_id,
        episode=conversation.episode,
        message_ids=tuple(message.id for message in turn.messages),
        path=draft.walk.path,
        state=conversation.state,
        trigger=_decisive_trigger(draft),
        reason=draft.reason,
        confidence=decision.confidence if decision else None,
        business_line=conversation.business_line,
        intent=conversation.intent,
        waiting_for=conversation.waiting_for,
        replies=draft.replies,
        violations=draft.violations,
        fallback=draft.fallback,
        tasks=draft.tasks,
        tokens=sum((task.tokens for task in draft.tasks), TokenCount()),
        cost_usd=total_cost(task.cost_usd for task in draft.tasks),
        ms=_milliseconds(draft.tasks, timing.total_ms),
        attempts=max(entry.attempts for entry in turn.entries),
        institution_version=institution_version,
        table_version=conversation.table_version,
        arms=conversation.tuning.arms,
        corrects=draft.corrects,
        received_at=min(message.received_at for message in turn.messages),
        at=timing.at,
    )


def _decisive_trigger(draft: Draft) -> Trigger | None:
    """The trigger that a decision pulled: Task 1's where there was one, else the last that was pulled at all."""
    decided = [record.trigger for record in draft.walk.records if record.confidence is not None]
    pulled = decided or [record.trigger for record in draft.walk.records[-1:]]
    return pulled[0] if pulled else None


def _milliseconds(tasks: Sequence[TaskRecord], total: float) -> TurnMilliseconds:
    spent: dict[str, float] = {}
    for task in tasks:
        spent[task.task] = spent.get(task.task, 0.0) + task.ended_ms - task.started_ms
    return TurnMilliseconds(total=total, **{name: round(ms, 2) for name, ms in spent.items()})
