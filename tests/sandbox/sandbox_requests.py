"""Requests as the product sends them: the stable prefix, the conversation between its tags, a schema per task."""

from typing import Any

import anthropic
import orjson
from anthropic import transform_schema

from contracts.decisions import MessageTypeChoice, ResponseDraft, StateDecision

MODEL = "claude-haiku-5-5"
SCHEMAS = {
    "state": transform_schema(StateDecision),
    "response": transform_schema(ResponseDraft),
    "message_type": transform_schema(MessageTypeChoice),
}
PREFIX = "Everything the institution says about itself. " * 200


def conversation(text: str = "oi", **known: Any) -> dict[str, Any]:
    return {
        "state": "UNDERSTANDING_INTENT",
        "allowed_states": ["PROCESSING", "ESCALATING", "COMPLETED", "SPAM"],
        "waiting_for": "anything",
        "person_name": None,
        "fields": {},
        "business_line": None,
        "intent": None,
        "first_conversation": True,
        "returning": False,
        "history": [],
        "messages": [{"kind": "text", "text": text, "choice": None}],
        **known,
    }


def prompt(about: dict[str, Any]) -> str:
    escapes = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
    return f"<conversation>\n{orjson.dumps(about).decode().translate(escapes)}\n</conversation>"


def request(task: str = "state", text: str = "oi", *, cached: bool = False, **known: Any) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "text": PREFIX if cached else "Be kind."}
    if cached:
        block["cache_control"] = {"type": "ephemeral"}
    return {
        "model": MODEL,
        "max_tokens": 1024,
        "system": [block],
        "messages": [{"role": "user", "content": prompt(conversation(text, **known))}],
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMAS[task]}},
    }


def text_of(message: anthropic.types.Message) -> str:
    block = message.content[0]
    assert block.type == "text"
    return block.text
