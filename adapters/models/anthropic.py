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
from contracts.ports import ModelRequest, ModelResponse, SystemBlock

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

    async def complete(self, request: ModelRequest) -> ModelResponse:
        try:
            async with self._post(_body(request), request.timeout) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise ModelUnavailableError(type(exc).__name__) from exc
        if answer.status != 200:
            raise _refusal(answer.status, answer.headers)
        return _response(content)

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


def _body(request: ModelRequest) -> bytes:
    return orjson.dumps(
        {
            "model": request.model,
            "max_tokens": request.max_tokens,
            "system": [_system(block) for block in request.system],
            "messages": _messages(request),
            "output_config": {"format": {"type": "json_schema", "schema": request.output_schema}},
        }
    )


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


def _response(content: bytes) -> ModelResponse:
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError as exc:
        raise ModelUnavailableError("the provider's answer is not JSON") from exc
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
