"""The JSON schema of each task's answer, narrowed to what is legal now: the model cannot choose what is not listed.

They are as the provider's SDK would send them (its `transform_schema` leaves them as they are; a test looks).
"""

from collections.abc import Iterable
from typing import Any

from contracts.analysis import Answered, Sentiment, Tone
from contracts.conversation import State, WaitingFor
from contracts.messages import MessageType

Schema = dict[str, Any]


def state_schema(
    *,
    states: Iterable[State],
    lines: Iterable[str],
    intents: Iterable[str],
    fields: Iterable[str],
    askable: Iterable[str],
) -> Schema:
    collected = _object({"name": _enum(fields), "value": {"type": "string"}})
    return _object(
        {
            "next_state": _enum(state.value for state in states),
            "confidence": {"type": "number", "description": "from 0 to 1"},
            "business_line": _enum_or_null(lines),
            "intent": _enum_or_null(intents),
            "waiting_for": _enum(waiting.value for waiting in WaitingFor),
            "collected": {"type": "array", "items": collected},
            "ask_field": _enum_or_null(askable),
            "options": {"type": "array", "items": {"type": "string"}},
        }
    )


def response_schema() -> Schema:
    return _object({"text": {"type": "string", "description": "the reply, plain text"}})


def message_type_schema(*, types: Iterable[MessageType], assets: Iterable[str]) -> Schema:
    return _object(
        {
            "type": _enum(kind.value for kind in types),
            "asset": _enum_or_null(assets),
            "list_label": {"type": "string", "description": "at most 20 characters"},
        }
    )


def question_schema(*, askable: Iterable[str]) -> Schema:
    return _object({"field": _enum_or_null(askable), "question": {"type": "string", "description": "plain text"}})


def summary_schema(*, fields: Iterable[str]) -> Schema:
    fact = _object({"name": _enum(fields), "value": {"type": "string"}})
    return _object(
        {
            "person": {"type": "string"},
            "wants": {"type": "string"},
            "collected": {"type": "array", "items": fact},
            "promised": _texts(),
            "refused": _texts(),
            "open_questions": _texts(),
            "tone": _enum(tone.value for tone in Tone),
        }
    )


def review_schema() -> Schema:
    gap = _object({"need": {"type": "string"}, "suggestion": {"type": "string"}})
    return _object(
        {
            "answered": _enum(answered.value for answered in Answered),
            "sentiment": _enum(sentiment.value for sentiment in Sentiment),
            "assessment": {"type": "string"},
            "unresolved_needs": _texts(),
            "taxonomy_gaps": {"type": "array", "items": gap},
        }
    )


def _texts() -> Schema:
    return {"type": "array", "items": {"type": "string"}}


def _object(properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "required": list(properties),
    }


def _enum(values: Iterable[str]) -> Schema:
    return {"enum": list(values)}


def _enum_or_null(values: Iterable[str]) -> Schema:
    listed = list(values)
    if not listed:
        return {"type": "null"}
    return {"anyOf": [_enum(listed), {"type": "null"}]}
