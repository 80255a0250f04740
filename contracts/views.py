"""Public JSON shapes of replies, turns and analyses, which others script against."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from contracts.analysis import Analysis
from contracts.conversation import TokenCount, TurnRecord
from contracts.messages import OutboundMessage


def reply_view(replies: Sequence[OutboundMessage]) -> dict[str, Any] | None:
    """Return a reply as JSON values; the texts of several parts are joined and the last part gives the form."""
    if not replies:
        return None
    last = replies[-1]
    view: dict[str, Any] = {"type": last.type.value, "text": "\n\n".join(reply.text for reply in replies if reply.text)}
    if last.buttons:
        view["buttons"] = [{"id": option.id, "title": option.title} for option in last.buttons]
    if last.rows:
        view["rows"] = [option.model_dump(exclude_defaults=True) for option in last.rows]
        view["list_label"] = last.list_label
    for name in ("media", "location", "contact", "template", "reaction"):
        value = getattr(last, name)
        if value is not None:
            view[name] = value.model_dump(mode="json", exclude_none=True)
    return view


def turn_view(turn: TurnRecord) -> dict[str, Any]:
    """Return a turn in the shape of `prosa replay`."""
    return {
        "conversation": turn.conversation_id,
        "message_ids": list(turn.message_ids),
        "path": [state.value for state in turn.path],
        "state": turn.state.value,
        "trigger": turn.trigger.value if turn.trigger else None,
        "confidence": turn.confidence,
        "business_line": turn.business_line,
        "intent": turn.intent,
        "reply": reply_view(turn.replies),
        "violations": [violation.model_dump(mode="json") for violation in turn.violations],
        "fallback": turn.fallback,
        "tokens": turn.tokens.model_dump(),
        "cost_usd": turn.cost_usd,
        "ms": turn.ms.model_dump(exclude={"judge"}),
        "reason": turn.reason,
        "waiting_for": turn.waiting_for.value,
    }


def analysis_view(analysis: Analysis) -> dict[str, Any]:
    """Return an analysis in the shape of `GET /analyses/{id}`; `cost_usd` is None when a price is unknown."""
    context, tasks = analysis.context, analysis.tasks
    costs = [task.cost_usd for task in tasks]
    known = [Decimal(cost) for cost in costs if cost is not None]
    return {
        "id": analysis.id,
        "kind": context.kind.value,
        "conversation": context.conversation_id,
        "conversation_version": context.conversation_version,
        "status": analysis.status.value,
        "result": analysis.result,
        "error": analysis.error,
        "attempts": analysis.attempts,
        "requested_at": analysis.requested_at.isoformat(),
        "finished_at": analysis.finished_at.isoformat() if analysis.finished_at else None,
        "template": context.template,
        "model": context.model,
        "institution_version": context.institution_version,
        "tokens": sum((task.tokens for task in tasks), TokenCount()).model_dump(),
        "cost_usd": format(sum(known, Decimal(0)), "f") if len(known) == len(costs) else None,
        "callback": analysis.callback.value if analysis.callback else None,
    }
