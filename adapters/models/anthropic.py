"""Anthropic's Messages API: structured output, prompt caching, one request for each question and none repeated.

Spoken over HTTP and not through the SDK, whose layers cost a worker a quarter of its time
(`docs/decisions/0013-lean-processes.md`); a test holds the request against the one that the SDK sends.
Shapes, headers and error types: https://platform.claude.com/docs/en/api/messages and .../api/errors.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import aiohttp
import orjson
from pydantic import ValidationError
from yarl import URL

from adapters.http_session import open_session, proxy_to
from contracts.conversation import TokenCount
from contracts.errors import ConfigurationError, ModelRequestRejectedError, ModelUnavailableError
from contracts.ports import ModelRequest, ModelResponse, SystemBlock, TextHeard

PUBLIC_URL = "https://api.anthropic.com"
API_VERSION = "2026-10-21"
# A turn asks twice at the same time; a worker holds 500 turns.
CONNECTIONS = 1_000
KEEP_ALIVE_SECONDS = 30.0
REQUEST_ID = re.compile(r"[\w-]{1,64}", re.ASCII)


class AnthropicModel:
    """Satisfies the `LanguageModel` port. `base_url` points at anything that speaks the Messages API.

    Made where an event loop runs.

    Raises:
        ConfigurationError: `api_key` cannot stand in a header.
    """

    def __init__(self, *, api_key: str, base_url: str | None = None) -> None:
        base_url = (base_url or PUBLIC_URL).rstrip("/")
        self._url = URL(f"{base_url}/v1/messages")
        self._proxy = proxy_to(base_url)
        self._headers = {
            "Authorization": f"Bearer {_writable(api_key)}",
            "anthropic-version": API_VERSION,
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "Prosa",
        }
        self._session = open_session(connections=CONNECTIONS, keep_alive_seconds=KEEP_ALIVE_SECONDS)

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        try:
            async with self._post(_body(request, stream=on_text is not None), request.timeout) as answer:
                if answer.status != 200:
                    raise _refusal(answer.status, answer.headers)
                if on_text is None:
                    return _response(await answer.read())
                return await _streamed(answer.content, on_text)
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise ModelUnavailableError(type(exc).__name__) from exc

    async def close(self) -> None:
        await self._session.close()

    def _post(self, body: bytes, timeout: timedelta) -> Any:
        # Whoever redirects would be given the key.
        return self._session.post(
            self._url,
            data=body,
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=timeout.total_seconds()),
            proxy=self._proxy,
            allow_redirects=False,
        )


def _writable(api_key: str) -> str:
    key = api_key.strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError("ANTHROPIC_API_KEY holds what no header can: copy the key again, in one line")
    return key


def _body(request: ModelRequest, *, stream: bool = False) -> bytes:
    config: dict[str, Any] = {"format": {"type": "json_schema", "schema": request.output_schema}}
    if request.effort is not None:
        config["effort"] = request.effort.value
    content = {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "system": [_system(block) for block in request.system],
        "messages": _messages(request),
        "output_config": config,
    }
    return orjson.dumps({**content, "stream": True} if stream else content)


@lru_cache(maxsize=256)
def _system(block: SystemBlock) -> orjson.Fragment:
    """The parts of the prefix are the same for everybody: each is encoded once."""
    content: dict[str, Any] = {"type": "text", "text": block.text}
    if block.cached:
        content["cache_control"] = {"type": "ephemeral"}
    return orjson.Fragment(orjson.dumps(content))


def _messages(request: ModelRequest) -> list[dict[str, str]]:
    messages = [{"role": "user", "content": request.user}]
    if request.repair_of is not None:
        messages.append({"role": "assistant", "content": request.repair_of.strip() or "(empty)"})
        messages.append({"role": "user", "content": f"That answer is invalid: {request.repair_reason}. Answer again."})
    return messages


class StreamedMessage:
    """A message of the Messages API, put together from the events of its stream.

    Source: https://platform.claude.com/docs/en/build-with-claude/streaming
    """

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self._texts: list[str] = []
        self._has_ended = False

    def add(self, data: bytes) -> str:
        """Take the data of the next event; return the text that came with it. Kinds that are new are passed over."""
        event = _decoded(data)
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
                case "error":
                    # Overloaded in the middle of an answer: its status was 200.
                    raise ModelUnavailableError("the provider broke its answer off")
        except (KeyError, TypeError, AttributeError, ValueError) as exc:
            raise ModelUnavailableError("the provider's stream is not one of a message") from exc
        return ""

    def whole(self) -> ModelResponse:
        if not self._has_ended:
            raise ModelUnavailableError("the provider's stream has no end")
        return _message({**self._message, "content": [{"type": "text", "text": "".join(self._texts)}]})


async def _streamed(lines: aiohttp.StreamReader, on_text: TextHeard) -> ModelResponse:
    """Server-Sent Events: of each only its data is of interest, which names the event once more."""
    message = StreamedMessage()
    try:
        async for line in lines:
            if line.startswith(b"data:") and (text := message.add(line.removeprefix(b"data:"))):
                await on_text(text)
    except ValueError as exc:
        raise ModelUnavailableError("the provider's stream has a line without end") from exc
    return message.whole()


def _response(content: bytes) -> ModelResponse:
    return _message(_decoded(content))


def _decoded(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as exc:
        raise ModelUnavailableError("the provider's answer is not JSON") from exc


def _message(answer: Any) -> ModelResponse:
    try:
        return ModelResponse(
            text="".join(block["text"] for block in answer["content"] if block["type"] == "text"),
            stop_reason=answer["stop_reason"] or "unknown",
            model=answer["model"],
            tokens=_tokens(answer["usage"]),
        )
    except (KeyError, TypeError, AttributeError, ValidationError) as exc:
        raise ModelUnavailableError("the provider's answer is not a message") from exc


def _tokens(usage: Mapping[str, Any]) -> TokenCount:
    return TokenCount(
        input=usage["input_tokens"],
        output=usage["output_tokens"],
        cache_read=usage.get("cache_read_input_tokens") or 0,
        cache_write=usage.get("cache_creation_input_tokens") or 0,
        cache_write_1h=(usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0,
    )


def _refusal(status: int, headers: Mapping[str, str]) -> ModelUnavailableError | ModelRequestRejectedError:
    """Status and request id go into the text; the provider's message may quote the prompt."""
    request_id = headers.get("request-id", "")
    asked = f" to {request_id}" if REQUEST_ID.fullmatch(request_id) else ""
    text = f"the provider answered {status}{asked}"
    if status in (408, 409, 429) or status >= 500:
        return ModelUnavailableError(text, retry_after=_retry_after(headers))
    return ModelRequestRejectedError(text)


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    value = headers.get("retry-after", "")
    try:
        return timedelta(seconds=max(0.0, float(value)))
    except (ValueError, OverflowError):
        return _until(value, headers.get("date", ""))


def _until(moment: str, now: str) -> timedelta | None:
    """A `Retry-After` in the form of a date, measured by the server's own clock."""
    try:
        return parsedate_to_datetime(moment) - parsedate_to_datetime(now)
    except (TypeError, ValueError):
        return None
