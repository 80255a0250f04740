"""Life of a message or of a whole conversation, in order of time: reception, turn, reasons, delivery."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.conversation import TurnRecord
from contracts.delivery import OutboxRow
from contracts.ports import Inbox, Store
from contracts.values import ConversationId, MessageId
from observability.tracing import trace_id_of


@dataclass(frozen=True)
class Event:
    """One event; `detail` never contains a person's text."""

    at: datetime
    what: str
    detail: str
    turn: str | None = None

    def view(self) -> dict[str, str | None]:
        return {"at": self.at.isoformat(), "what": self.what, "detail": self.detail, "turn": self.turn}


async def trace(
    conversation_id: ConversationId, inbox: Inbox, store: Store, *, message_id: MessageId | None = None
) -> list[Event]:
    """Return every event of the conversation, or of the one message and its turn."""
    turns = await store.conversations.turns(conversation_id)
    receipts = await store.conversations.receipts(conversation_id)
    rows = await store.outbox.rows(conversation_id)
    transitions = await store.conversations.transitions(conversation_id)
    waiting = await inbox.pending(conversation_id)
    if message_id is not None:
        receipts = [receipt for receipt in receipts if receipt.message.id == message_id]
        waiting = [entry for entry in waiting if entry.message.id == message_id]
        mine = {receipt.turn_id for receipt in receipts}
        turns = [turn for turn in turns if turn.id in mine]
        rows = [row for row in rows if row.turn_id in mine]
        spans = [(turn.received_at or turn.at, turn.at) for turn in turns]
        transitions = [move for move in transitions if any(start <= move.at <= end for start, end in spans)]
    events = [event for turn in turns for event in _turn(turn)] + [_delivery(row) for row in rows]
    for receipt in receipts:
        message = receipt.message
        detail = f"{message.id} ({message.kind}), inbox position {receipt.sequence}{_traced(message.traceparent)}"
        events.append(Event(message.received_at, "received, durable", detail, receipt.turn_id))
    for entry in waiting:
        message = entry.message
        state = f"claimed {entry.attempts} times, not answered" if entry.attempts else "not claimed yet"
        detail = f"{message.id} ({message.kind}), {state}{_traced(message.traceparent)}"
        events.append(Event(message.received_at, "received, waiting", detail))
    for move in transitions:
        sure = f", confidence {move.confidence:.2f}" if move.confidence is not None else ""
        why = "".join(f", {name} {value}" for name, value in move.metadata.items() if value)
        events.append(Event(move.at, "state", f"{move.source} -> {move.dest} by {move.trigger}{sure}{why}"))
    for letter in await store.dead_letters.letters(limit=1_000):
        if letter.conversation_id == conversation_id and message_id in (None, letter.message_id):
            detail = f"{letter.reason}, {letter.attempts} attempts; prosa dead-letters show"
            events.append(Event(letter.at, "dead letter", detail))
    return sorted(events, key=lambda event: event.at)


def _turn(turn: TurnRecord) -> Iterator[Event]:
    started = turn.at - timedelta(milliseconds=turn.ms.total)
    yield Event(started, "claimed", f"attempt {turn.attempts}, {len(turn.message_ids)} message(s)", turn.id)
    for task in turn.tasks:
        spent = f"{task.ended_ms - task.started_ms:.0f} ms, {task.calls} call(s), {task.tokens.output} tokens out"
        cost = f"USD {task.cost_usd}" if task.cost_usd is not None else "price unknown"
        ended = started + timedelta(milliseconds=task.ended_ms)
        yield Event(
            ended, f"task {task.task}", f"{task.outcome}: {task.template}, {task.model}, {spent}, {cost}", turn.id
        )
    for found in turn.violations:
        yield Event(turn.at, "gate", f"draft {found.draft} withheld: {found.rule}", turn.id)
    replies = f"{len(turn.replies)} reply message(s)" if turn.replies else "no reply"
    why = f"{turn.reason}; {' > '.join(turn.path)}"
    yield Event(turn.at, "committed", f"{replies}, {why}{', fallback' if turn.fallback else ''}", turn.id)


def _delivery(row: OutboxRow) -> Event:
    detail = f"{row.message.type}, {row.attempts} attempt(s)"
    if row.platform_message_id:
        detail += f", platform id {row.platform_message_id}"
    if row.is_in_words:
        detail += f", refused in that form ({row.refused_code}) and sent in words"
    if row.error_code and row.error_code != row.refused_code:
        detail += f", {row.error_code}"
    detail += _traced(row.traceparent)
    return Event(row.updated_at, f"outbox {row.state}", f"{row.id}: {detail}", row.turn_id)


def _traced(traceparent: str | None) -> str:
    """Return the trace id for the collector, where it was recorded."""
    trace_id = trace_id_of(traceparent)
    return f", trace {trace_id}" if trace_id else ""
