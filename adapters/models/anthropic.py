"""The `anthropic` SDK as a language model: one request for each call, no retries, the answer's bytes parsed once.

The SDK covers the differences of the platforms (addresses, credentials, framing of streams); retries, deadlines and
spans are policies (`prompts/execution/policies.py`). Shapes: https://platform.claude.com/docs/en/api/messages; errors:
https://platform.claude.com/docs/en/api/errors
"""

import asyncio
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeAlias

import anthropic
import httpx2
import orjson
from anthropic.types import MessageParam
from pydantic import ValidationError

from contracts.backoff import retry_after
from contracts.conversation import TokenCount
from contracts.errors import ModelRequestRejectedError, ModelUnavailableError
from contracts.media import MediaFile
from contracts.ports import ModelRequest, ModelResponse, StructuredOutput, TextHeard

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


Client: TypeAlias = anthropic.AsyncAnthropic | anthropic.AsyncAnthropicVertex | anthropic.AsyncAnthropicBedrock

PUBLIC_URL = "https://api.anthropic.com"
# A turn asks twice at the same time; a worker holds 500 turns. Conversations pause for longer than the SDK's 5 s.
LIMITS = httpx2.Limits(max_connections=1_000, keepalive_expiry=30.0)
REQUEST_ID = re.compile(r"[\w-]{1,64}", re.ASCII)


def sdk_options() -> dict[str, Any]:
    """Return the options of the client that all platforms share."""
    return {
        "max_retries": 0,
        # The key or token would go along with a redirect.
        "http_client": anthropic.DefaultAioHttpClient(limits=LIMITS, follow_redirects=False),
        # The metering policy has a span of the call, and its id is of no use to the provider.
        "open_telemetry": {"traces": False, "propagation": False},
    }


class MessagesModel:
    """Model behind a client of the SDK, which it closes.

    `failures` are the errors of a platform's libraries while they look for credentials or read a stream.
    """

    def __init__(
        self,
        client: Client,
        *,
        output: StructuredOutput = StructuredOutput.OUTPUT_CONFIG,
        failures: tuple[type[Exception], ...] = (),
    ) -> None:
        self._client = client
        self._output = output
        self._failures: tuple[type[Exception], ...] = (
            anthropic.APIConnectionError,
            httpx2.HTTPError,
            TimeoutError,
            *failures,
        )

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        body = request_body(request, self._output, stream=on_text is not None)
        seconds = request.timeout.total_seconds()
        try:
            # The SDK's time-out is for each read: a model that drips one byte a second never meets it.
            async with asyncio.timeout(seconds):
                if on_text is not None:
                    return await self._streamed(body, seconds, on_text)
                answer = await self._client.post(
                    "/v1/messages", cast_to=httpx2.Response, options={"timeout": seconds}, **self._sent(body)
                )
                return read_message(answer.content)
        except anthropic.APIStatusError as exc:
            # Its text may quote the prompt.
            raise _refusal(exc.response) from None
        except self._failures as exc:
            raise ModelUnavailableError(type(exc).__name__) from exc

    async def count_tokens(self, text: str, *, model: str, within: timedelta) -> int:
        """Return the tokens of a text as the only message of a request, counted by the provider, free of charge.

        Raises:
            ModelUnavailableError, ModelRequestRejectedError: it could not be counted, or not on this platform.
        """
        message: MessageParam = {"role": "user", "content": text}
        try:
            counted = await self._client.messages.count_tokens(
                model=model, messages=[message], timeout=within.total_seconds()
            )
        except anthropic.APIStatusError as exc:
            raise _refusal(exc.response) from None
        except self._failures as exc:
            raise ModelUnavailableError(type(exc).__name__) from exc
        except anthropic.AnthropicError as exc:
            raise ModelRequestRejectedError("the platform does not count tokens") from exc
        except json.JSONDecodeError:
            counted = None
        # The SDK hands on what a proxy or another server answered.
        if not isinstance(tokens := getattr(counted, "input_tokens", None), int):
            raise ModelUnavailableError("the provider's answer is not a count of tokens")
        return tokens

    async def close(self) -> None:
        await self._client.close()

    def _sent(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body in the SDK's arguments: a mapping, which it rewrites for its platform."""
        return {"body": body}

    async def _streamed(self, body: dict[str, Any], seconds: float, on_text: TextHeard) -> ModelResponse:
        message = StreamedMessage()
        try:
            async with await self._client.post(
                "/v1/messages",
                cast_to=object,
                stream=True,
                stream_cls=anthropic.AsyncStream[object],
                options={"timeout": seconds},
                **self._sent(body),
            ) as events:
                async for event in events:
                    if text := message.add(event):
                        await on_text(text)
        except ValueError as exc:
            raise ModelUnavailableError("the provider's stream is not JSON") from exc
        return message.whole()


class AnthropicModel(MessagesModel):
    """Anthropic's API by a key, or any server at `base_url` that speaks the Messages API."""

    def __init__(
        self, *, api_key: str, base_url: str | None = None, output: StructuredOutput = StructuredOutput.OUTPUT_CONFIG
    ) -> None:
        client = anthropic.AsyncAnthropic(api_key=api_key, base_url=base_url or PUBLIC_URL, **sdk_options())
        super().__init__(client, output=output)

    def _sent(self, body: dict[str, Any]) -> dict[str, Any]:
        # Nothing to rewrite: encoded here, the SDK does not walk through it, a quarter of the processor time of a call.
        return {"content": orjson.dumps(body)}


def _refusal(response: httpx2.Response) -> ModelUnavailableError | ModelRequestRejectedError:
    """Return the error with status and request id alone: the provider's message may quote the prompt."""
    status, headers = response.status_code, response.headers
    if response.is_success:
        # Overloaded in the middle of an answer.
        return ModelUnavailableError("the provider broke its answer off")
    request_id = headers.get("request-id") or headers.get("x-amzn-requestid") or ""
    asked = f" to {request_id}" if REQUEST_ID.fullmatch(request_id) else ""
    text = f"the provider answered {status}{asked}"
    if status in (408, 409, 429) or status >= 500:
        return ModelUnavailableError(text, retry_after=retry_after(headers))
    return ModelRequestRejectedError(text, status=status)
