"""The Messages API as plain values: requests in each form of structured output, and the parsing of answers.

Shapes: https://platform.claude.com/docs/en/api/messages
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import ValidationError

from contracts.conversation import TokenCount
from contracts.errors import ModelUnavailableError
from contracts.media import MediaFile
from contracts.ports import ModelRequest, ModelResponse, StructuredOutput

# One block between fences, as chat models write it; an answer that begins with a brace is never searched.
FENCED = re.compile(r"```[a-z]*[ \t]*\r?\n(.*?)```", re.DOTALL | re.IGNORECASE)
SCHEMA_AS_TEXT = (
    "Answer with one JSON object and nothing else. It conforms to this JSON Schema:\n<schema>\n{}\n</schema>"
)


def request_body(request: ModelRequest, form: StructuredOutput, *, stream: bool = False) -> dict[str, Any]:
    """Return the body of `POST /v1/messages`.

    `effort` is sent in the form `output_config` alone: a server that needs another form refuses the parameter.
    """
    cached = {"cache_control": {"type": "ephemeral"}}
    system = [{"type": "text", "text": one.text, **(cached if one.cached else {})} for one in request.system]
    said: Any = request.user
    if request.files:
        said = [*map(_file, request.files), {"type": "text", "text": request.user}]
    messages = [{"role": "user", "content": said}]
    if request.repair_of is not None:
        messages.append({"role": "assistant", "content": request.repair_of.strip() or "(empty)"})
        messages.append({"role": "user", "content": f"That answer is invalid: {request.repair_reason}. Answer again."})
    body: dict[str, Any] = {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "system": system,
        "messages": messages,
    }
    match form:
        case StructuredOutput.OUTPUT_CONFIG:
            effort = {} if request.effort is None else {"effort": request.effort.value}
            body["output_config"] = {"format": {"type": "json_schema", "schema": request.output_schema}, **effort}
        case StructuredOutput.TOOL:
            answer = {"name": request.schema_name, "description": "The answer.", "input_schema": request.output_schema}
            body |= {"tools": [answer], "tool_choice": {"type": "tool", "name": request.schema_name}}
        case StructuredOutput.PROMPT:
            # Behind the cached prefix: the schema follows the conversation's state.
            schema = orjson.dumps(request.output_schema).decode()
            body["system"].append({"type": "text", "text": SCHEMA_AS_TEXT.format(schema)})
    return {**body, "stream": True} if stream else body


def _file(file: MediaFile) -> dict[str, Any]:
    """Return the block of a picture, a PDF or a text.

    Source: https://platform.claude.com/docs/en/build-with-claude/vision and .../pdf-support
    """
    if file.mime_type == "text/plain":
        source = {"type": "text", "media_type": file.mime_type, "data": file.content.decode("utf-8", "replace")}
    else:
        source = {"type": "base64", "media_type": file.mime_type, "data": b64encode(file.content).decode()}
    return {"type": "image" if file.mime_type.startswith("image/") else "document", "source": source}


def read_message(content: bytes) -> ModelResponse:
    """Parse the answer of `POST /v1/messages`. Raises ModelUnavailableError: it is not a message."""
    try:
        return _response(orjson.loads(content))
    except orjson.JSONDecodeError as exc:
        raise ModelUnavailableError("the provider's answer is not JSON") from exc


class StreamedMessage:
    """Message assembled from the events of its stream.

    Source: https://platform.claude.com/docs/en/build-with-claude/streaming
    """

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self._texts: list[str] = []
        self._inputs: list[str] = []
        self._has_ended = False

    def add(self, event: Any) -> str:
        """Add the next event; return its text. Unknown kinds are skipped."""
        try:
            match event["type"]:
                case "message_start":
                    self._message = dict(event["message"])
                case "content_block_delta" if event["delta"]["type"] == "text_delta":
                    self._texts.append(event["delta"]["text"])
                    return self._texts[-1]
                case "content_block_delta" if event["delta"]["type"] == "input_json_delta":
                    self._inputs.append(event["delta"]["partial_json"])
                    return self._inputs[-1]
                case "message_delta":
                    self._message["stop_reason"] = event["delta"]["stop_reason"]
                    self._message["usage"] = (self._message.get("usage") or {}) | (event.get("usage") or {})
                case "message_stop":
                    self._has_ended = True
        except (KeyError, TypeError, AttributeError, ValueError) as exc:
            raise ModelUnavailableError("the provider's stream is not one of a message") from exc
        return ""

    def whole(self) -> ModelResponse:
        """Return the message, once its stream has ended.

        Raises:
            ModelUnavailableError: the stream broke off, or is not one of a message.
        """
        if not self._has_ended:
            raise ModelUnavailableError("the provider's stream has no end")
        text = "".join(self._inputs or self._texts)
        return _response({**self._message, "content": [{"type": "text", "text": text}]})


def _response(message: Any) -> ModelResponse:
    try:
        return ModelResponse(
            text=_text(message["content"]),
            stop_reason=message["stop_reason"] or "unknown",
            model=message["model"],
            tokens=_tokens(message.get("usage")),
        )
    except (KeyError, TypeError, AttributeError, ValidationError) as exc:
        raise ModelUnavailableError("the provider's answer is not a message") from exc


def _text(blocks: list[Mapping[str, Any]]) -> str:
    """Return the input of the tool call, else the text, or its only fenced block without the words around it."""
    called = next((block["input"] for block in blocks if block["type"] == "tool_use"), None)
    if called is not None:
        return orjson.dumps(called).decode()
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    fenced = [] if text.lstrip().startswith("{") else FENCED.findall(text)
    return fenced[0].strip() if len(fenced) == 1 else text


def _tokens(usage: Mapping[str, Any] | None) -> TokenCount | None:
    """Return the tokens, None where the server does not count: gateways and local servers may omit either number."""
    counts = usage or {}
    if counts.get("input_tokens") is None or counts.get("output_tokens") is None:
        return None
    return TokenCount(
        input=counts["input_tokens"],
        output=counts["output_tokens"],
        cache_read=counts.get("cache_read_input_tokens") or 0,
        cache_write=counts.get("cache_creation_input_tokens") or 0,
        cache_write_1h=(counts.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0,
    )
