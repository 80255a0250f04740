"""Days of turns for the tests of reports: as many and as good as a test says, booked as the engine books them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from contracts.conversation import (
    CallRecord,
    State,
    TaskName,
    TaskRecord,
    TokenCount,
    TurnMilliseconds,
    TurnRecord,
)
from contracts.messages import OutboundMessage
from contracts.ports import Store
from contracts.values import ConversationId, TurnId
from reports.ledger import Ledger
from tests.builders import SteppingClock

MODEL = "claude-haiku-5-5"


@dataclass(frozen=True)
class Kind:
    """What the turns of a day are like. Of `turns`, the first `failed` found no model."""

    turns: int = 10
    failed: int = 0
    usd: str = "0.001"
    reply_ms: float = 1_000
    quality: float = 0.9


def answered(at: datetime, kind: Kind = Kind()) -> TurnRecord:
    bill = (CallRecord(model=MODEL, tokens=TokenCount(input=100, output=20, cache_read=900), cost_usd=kind.usd),)
    tasks = (
        _task(TaskName.STATE, 0, 400),
        _task(TaskName.RESPONSE, 400, 900, bill=bill, cost_usd=kind.usd, quality=kind.quality),
        _task(TaskName.MESSAGE_TYPE, 400, 700),
    )
    ms = TurnMilliseconds(total=910, state=400, response=500, message_type=300)
    return _turn(at, tasks=tasks, state=State.AWAITING_USER, reason="decided", ms=ms)


def failed(at: datetime) -> TurnRecord:
    tasks = (_task(TaskName.STATE, 0, 12_000, outcome="failed", attempts=3, calls=0),)
    return _turn(at, tasks=tasks, state=State.ESCALATING, reason="model_unavailable", fallback=True)


async def book(store: Store, days: dict[datetime, Kind], *, writer: str = "w") -> None:
    """Each day's turns a second apart, from the moment that the day is given as."""
    ledger = Ledger(store.records, writer=writer, clock=SteppingClock(max(days)))
    for begin, kind in days.items():
        for number in range(kind.turns):
            at = begin + timedelta(seconds=number)
            if number < kind.failed:
                ledger.book_turn(failed(at))
            else:
                ledger.book_turn(answered(at, kind))
                ledger.book_reply(received_at=at - timedelta(milliseconds=kind.reply_ms), sent_at=at)
    await ledger.flush()


def _task(name: TaskName, started: float, ended: float, **changes: Any) -> TaskRecord:
    return TaskRecord(task=name, model=MODEL, template="t.v1@x", started_ms=started, ended_ms=ended, **changes)


def _turn(at: datetime, **changes: Any) -> TurnRecord:
    return TurnRecord(
        id=TurnId(f"t-{at.isoformat()}"),
        conversation_id=ConversationId("c-1"),
        episode=1,
        message_ids=(),
        path=(),
        replies=(OutboundMessage.of_text("Certo."),),
        at=at,
        **changes,
    )
