"""Anthropic's Messages API through its SDK: structured output, prompt caching, no retries of the SDK's own."""

from datetime import timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import anthropic
import httpx2
import orjson
from anthropic import transform_schema
from anthropic.types import MessageParam, OutputConfigParam, TextBlockParam
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from pydantic import ValidationError

from contracts.conversation import TokenCount
from contracts.errors import ModelRequestRejectedError, ModelUnavailableError
from contracts.ports import ModelRequest, ModelResponse, TextHeard

PATH = "/v1/messages"


class AnthropicModel:
    """Satisfies the `LanguageModel` port. `base_url` points at anything that speaks the Messages API."""

    def __init__(self, *, api_key: str, base_url: str | None = None) -> None:
        self._client = anthropic.AsyncAnthropic(
            auth_token=None,
            api_key=api_key,
            base_url=base_url,
            # Retries are the executor's, which knows the turn's deadline and its fallback model.
            max_retries=0,
            http_client=anthropic.DefaultAioHttpClient(),
        )

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        try:
            answer = await (self._whole(request) if on_text is None else self._streamed(request, on_text))
        except anthropic.APIStatusError as exc:
            raise _translated(exc) from exc
        except (anthropic.APIConnectionError, httpx2.HTTPError) as exc:
            # The second one is a stream's connection that was cut after its headers.
            raise ModelUnavailableError(type(exc).__name__) from exc
        except ValueError as exc:
            raise ModelUnavailableError("the provider's answer is not JSON") from exc
        return _response(answer)

    async def _whole(self, request: ModelRequest) -> Any:
        # The call below `messages.create`, which would copy the request and build the answer as models of its own
        # types: more than half of what a call costs, for values that are checked on both sides of it here.
        return await self._client.post(
            PATH, content=_body(request), cast_to=object, options={"timeout": request.timeout.total_seconds()}
        )

    async def _streamed(self, request: ModelRequest, on_text: TextHeard) -> Any:
        """The same message put together from its events, each piece of its text told as it comes."""
        events = await self._client.post(
            PATH,
            content=_body(request, stream=True),
            cast_to=object,
            options={"timeout": request.timeout.total_seconds()},
            stream=True,
            stream_cls=anthropic.AsyncStream[Any],
        )
        message = StreamedMessage()
        async with events:
            async for event in events:
                if text := message.add(event):
                    await on_text(text)
        return message.whole()

    async def close(self) -> None:
        await self._client.close()


class StreamedMessage:
    """A message of the Messages API, put together from the events of its stream."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self._texts: list[str] = []
        self._has_ended = False

    def add(self, event: Any) -> str:
        """Take the next event; return the text that came with it."""
        try:
            match event["type"]:
                case "message_start":
                    self._message = dict(event["message"])
                case "content_block_delta" if event["delta"]["type"] == "text_delta":
                    self._texts.append(event["delta"]["text"])
                    return self._texts[-1]
                case "message_delta":
                    self._message["stop_reason"] = event["delta"]["stop_reason"]
                    self._message["usage"] = self._message["usage"] | event["usage"]
                case "message_stop":
                    self._has_ended = True
        except (KeyError, TypeError) as exc:
            raise ModelUnavailableError("the provider's stream is not one of a message") from exc
        return ""

    def whole(self) -> dict[str, Any]:
        if not self._has_ended:
            raise ModelUnavailableError("the provider's stream broke off")
        return self._message | {"content": [{"type": "text", "text": "".join(self._texts)}]}


def _body(request: ModelRequest, *, stream: bool = False) -> bytes:
    content: MessageCreateParamsNonStreaming = {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "system": _system(request),
        "messages": _messages(request),
        "output_config": _output_config(request),
    }
    return orjson.dumps({**content, "stream": True} if stream else content)


def _output_config(request: ModelRequest) -> OutputConfigParam:
    config: OutputConfigParam = {"format": {"type": "json_schema", "schema": _schema(request.output_schema)}}
    if request.effort is not None:
        config["effort"] = request.effort.value
    return config


def _system(request: ModelRequest) -> list[TextBlockParam]:
    blocks: list[TextBlockParam] = []
    for block in request.system:
        content: TextBlockParam = {"type": "text", "text": block.text}
        if block.cached:
            content["cache_control"] = {"type": "ephemeral"}
        blocks.append(content)
    return blocks


def _messages(request: ModelRequest) -> list[MessageParam]:
    messages: list[MessageParam] = [{"role": "user", "content": request.user}]
    if request.repair_of is not None:
        messages.append({"role": "assistant", "content": request.repair_of.strip() or "(empty)"})
        messages.append({"role": "user", "content": f"That answer is invalid: {request.repair_reason}. Answer again."})
    return messages


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    return _transformed(orjson.dumps(schema))


@lru_cache(maxsize=256)
def _transformed(schema: bytes) -> dict[str, Any]:
    """The schema as the API takes it; there are few (one for each set of legal moves), so each is made once."""
    return transform_schema(orjson.loads(schema))


def _response(answer: Any) -> ModelResponse:
    try:
        usage = answer["usage"]
        return ModelResponse(
            text="".join(block["text"] for block in answer["content"] if block["type"] == "text"),
            stop_reason=answer["stop_reason"] or "unknown",
            model=answer["model"],
            tokens=TokenCount(
                input=usage["input_tokens"],
                output=usage["output_tokens"],
                cache_read=usage.get("cache_read_input_tokens") or 0,
                cache_write=usage.get("cache_creation_input_tokens") or 0,
                cache_write_1h=(usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0,
            ),
        )
    except (KeyError, TypeError, AttributeError, ValidationError) as exc:
        raise ModelUnavailableError("the provider's answer is not a message") from exc


def _translated(error: anthropic.APIStatusError) -> ModelUnavailableError | ModelRequestRejectedError:
    """Only the status goes into the text: the provider's message may quote the prompt."""
    text = f"the provider answered {error.status_code}"
    # An error in the middle of a stream comes with the status of its beginning: what broke off may be asked again.
    if error.status_code in (200, 408, 409, 429) or error.status_code >= 500:
        return ModelUnavailableError(text, retry_after=_retry_after(error))
    return ModelRequestRejectedError(text)


def _retry_after(error: anthropic.APIStatusError) -> timedelta | None:
    value = error.response.headers.get("retry-after", "")
    try:
        return timedelta(seconds=max(0.0, float(value)))
    except (ValueError, OverflowError):
        return _until(value, error.response.headers.get("date", ""))


def _until(moment: str, now: str) -> timedelta | None:
    """A `Retry-After` in the form of a date, measured by the server's own clock."""
    try:
        return parsedate_to_datetime(moment) - parsedate_to_datetime(now)
    except (TypeError, ValueError):
        return None
