"""The `anthropic` SDK as a language model: one request for each call, no retries, the answer's bytes parsed once.

The SDK covers the differences of the platforms (addresses, credentials, framing of streams); retries, deadlines and
spans are policies (`prompts/execution/policies.py`). Errors: https://platform.claude.com/docs/en/api/errors
"""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

import anthropic
import httpx2
import orjson
from anthropic.types import MessageParam

from adapters.models.messages import StreamedMessage, read_message, request_body
from contracts.errors import ModelRequestRejectedError, ModelUnavailableError
from contracts.ports import ModelRequest, ModelResponse, StructuredOutput, TextHeard

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
        return counted.input_tokens

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
        return ModelUnavailableError(text, retry_after=_retry_after(headers))
    return ModelRequestRejectedError(text, status=status)


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Return the pause of `Retry-After`: seconds, or the time until a date by the server's own clock."""
    value = headers.get("retry-after", "")
    with suppress(ValueError, OverflowError):
        return timedelta(seconds=max(0.0, float(value)))
    try:
        return parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return None
