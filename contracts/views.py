"""How replies and turns look to the outside: the shapes that other people script against."""

from collections.abc import Sequence
from typing import Any

from contracts.conversation import TurnRecord
from contracts.messages import OutboundMessage


def reply_view(replies: Sequence[OutboundMessage]) -> dict[str, Any] | None:
    """One reply as JSON values; of several parts the words are joined and the last one gives the form."""
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
    """One turn in the shape of `prosa replay`."""
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
        "ms": turn.ms.model_dump(),
        "reason": turn.reason,
    }
