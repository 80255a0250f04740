"""Draft of a turn, the commit that makes it durable, and the end of a form that it completes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Self

from contracts.conversation import (
    Classification,
    Conversation,
    Speaker,
    State,
    TaskRecord,
    TokenCount,
    TurnMilliseconds,
    TurnRecord,
    Utterance,
    ViolationRecord,
)
from contracts.decisions import MessageTypeChoice, ResponseDraft, StateDecision
from contracts.delivery import OutboxRow, TurnCommit
from contracts.institution import Institution
from contracts.messages import InboundMessage, OutboundMessage
from contracts.turn import Turn, TurnReason
from contracts.values import OutboxId
from fsm.machine import Transitions
from observability.tracing import current_traceparent
from prompts.execution.executor import TaskResult
from prompts.pricing.prices import ZERO, total_cost, usd_text
from worker.replies.judging import TurnJudge


@dataclass(frozen=True)
class WrittenReply:
    """Answers of Tasks 2 and 3: the form of the words, and the task that wrote them or failed to, with its judge.

    Without a judge no task writes: `response` and `judge` are None.
    """

    form: MessageTypeChoice
    response: TaskResult[ResponseDraft] | None = None
    judge: TurnJudge | None = None


@dataclass(frozen=True)
class Draft:
    """A turn as far as it has come. Every stage returns a new one; the commit makes it durable."""

    transitions: Transitions
    reason: TurnReason = TurnReason.DECIDED
    replies: tuple[OutboundMessage, ...] = ()
    decision: StateDecision | None = None
    corrects: Classification | None = None
    tasks: tuple[TaskRecord, ...] = ()
    violations: tuple[ViolationRecord, ...] = ()
    fallback: bool = False
    written: WrittenReply | None = None
    agents_said: tuple[Utterance, ...] = ()

    @property
    def conversation(self) -> Conversation:
        return self.transitions.conversation

    @property
    def needs_reply(self) -> bool:
        """Whether Tasks 2 and 3 are to be asked: Task 1 has decided to go on."""
        return self.conversation.state is State.PROCESSING

    def with_conversation(self, conversation: Conversation) -> Self:
        return replace(self, transitions=self.transitions.holding(conversation))

    def with_task(self, *records: TaskRecord) -> Self:
        return replace(self, tasks=(*self.tasks, *records))

    def with_reply(self, *replies: OutboundMessage, reason: TurnReason | None = None, fallback: bool = False) -> Self:
        return replace(self, replies=replies, reason=reason or self.reason, fallback=self.fallback or fallback)


def person_said(messages: Sequence[InboundMessage]) -> tuple[Utterance, ...]:
    return tuple(
        Utterance(
            speaker=Speaker.PERSON,
            text=message.text if message.text and not message.revision else f"[{message.kind}] {message.text}".rstrip(),
            message_id=message.id,
            revision=message.revision,
            content=message.content,
            at=message.received_at,
        )
        for message in messages
    )


def agent_said(echo: InboundMessage) -> Utterance:
    """Return the line of an agent that came back from the platform."""
    text = echo.text or f"[{echo.kind}]"
    return Utterance(
        speaker=Speaker.OPERATOR, text=text, author=author_of(echo), message_id=echo.id, at=echo.received_at
    )


def author_of(echo: InboundMessage) -> str:
    return echo.data.get("agent") or "phone"


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


def to_commit(
    turn: Turn, draft: Draft, institution_version: str, *, at: datetime, total_ms: float = 0.0, spent: Decimal = ZERO
) -> TurnCommit:
    """Return everything that the turn writes in one step: head, history, transcript, record, receipts and outbox.

    `total_ms` is what the turn has taken until `at`, `spent` its cost in USD, dropped drafts included.
    """
    conversation = draft.conversation
    replied = assistant_said(draft.replies, at)
    # The transcript has what was written and that it was edited; the window has what holds.
    written = [message for message in turn.messages if message.revision or not message.is_recorded_only]
    rows = _outbox_rows(turn, draft, at)
    head = conversation.says(*person_said(turn.answerable), *draft.agents_said, *replied).model_copy(
        update={
            "last_sequence": turn.last_sequence,
            "turns": conversation.turns + 1,
            "turns_in_episode": conversation.turns_in_episode + 1,
            "next_outbox_number": conversation.next_outbox_number + len(rows),
            "updated_at": at,
            "created_at": conversation.created_at or at,
            "spent_usd": usd_text(Decimal(conversation.spent_usd) + spent),
        }
    )
    return TurnCommit(
        conversation=head,
        transitions=draft.transitions.records,
        utterances=(*person_said(written), *draft.agents_said, *replied),
        turn=_record(turn, draft, institution_version, at, total_ms),
        answered=turn.entries,
        outbox=rows,
    )


def _outbox_rows(turn: Turn, draft: Draft, at: datetime) -> tuple[OutboxRow, ...]:
    first = draft.conversation.next_outbox_number
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
            window_from=draft.conversation.last_inbound_at,
            quotes=None if index else turn.messages[-1].platform_id,
            created_at=at,
            updated_at=at,
        )
        for index, reply in enumerate(draft.replies)
    )


def _record(turn: Turn, draft: Draft, institution_version: str, at: datetime, total_ms: float) -> TurnRecord:
    conversation, decision, records = draft.conversation, draft.decision, draft.transitions.records
    # The trigger that Task 1 decided, else the last one.
    decided = [record.trigger for record in records if record.confidence is not None]
    triggers = decided or [record.trigger for record in records[-1:]]
    thinking: dict[str, float] = {}
    for task in (task for task in draft.tasks if task.outcome != "dropped"):
        thinking[task.task] = thinking.get(task.task, 0.0) + task.ended_ms - task.started_ms
    return TurnRecord(
        id=turn.id,
        conversation_id=turn.conversation_id,
        episode=conversation.episode,
        message_ids=tuple(message.id for message in turn.messages),
        path=draft.transitions.path,
        state=conversation.state,
        trigger=triggers[0] if triggers else None,
        reason=draft.reason.value,
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
        ms=TurnMilliseconds(total=total_ms, **{name: round(ms, 2) for name, ms in thinking.items()}),
        attempts=max(entry.attempts for entry in turn.entries),
        institution_version=institution_version,
        table_version=conversation.table_version,
        arms=conversation.tuning.arms,
        corrects=draft.corrects,
        rating=conversation.rating if draft.reason is TurnReason.SCORED else None,
        received_at=min(message.received_at for message in turn.messages),
        at=at,
    )


def completed_form(
    before: Conversation, after: Conversation, decision: StateDecision, institution: Institution
) -> bool:
    """Whether a turn ends the questions of a line that leads on; once for each line and episode.

    The form has the fields of the intent, where it has any, else those of the line. A field that was asked for in an
    earlier turn and not given counts as declined: nothing is asked twice. Another field given instead, a correction
    for one, does not decline it yet, and a digression to another intent ends nothing.
    """
    intent, line = institution.intent(after.intent), institution.line(after.business_line)
    if line is None or not line.on_complete or line.id in after.completed_lines or decision.ask_field:
        return False
    wanted = intent.fields if intent is not None and intent.line == line.id and intent.fields else line.fields
    declined = before.asked_fields[:-1] if decision.collected else before.asked_fields
    known = {*after.fields, *declined, *(["name"] if after.person_name else [])}
    goes_on = bool(decision.collected) or after.intent == before.intent
    return goes_on and bool(after.fields) and known.issuperset(wanted)
