"""The Messages API as Vertex AI and Bedrock wrap it: model and streaming in the path, the version in the body.

Sources: https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai and .../claude-on-amazon-bedrock;
framing: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
"""

import struct
from base64 import b64encode
from binascii import crc32
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sandbox.messages_request import ApiError, check_headers, invalid
from sandbox.transport import JSON

_ERROR_TYPES = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    500: "InternalServerException",
}


@dataclass(frozen=True)
class Platform:
    """Translation of a request to one of the Messages API, and how the stream of an answer is framed."""

    read: Callable[[Request, bytes], bytes]
    frame: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]] = lambda events: events
    stream_type: str = "text/event-stream"


Answering: TypeAlias = Callable[[Request, Platform], Awaitable[Response]]


def _read_plain(request: Request, body: bytes) -> bytes:
    check_headers(request.headers)
    return body


PLAIN = Platform(_read_plain)


def vertex_routes(answered: Answering, counted: Answering) -> list[BaseRoute]:
    """Vertex AI's endpoints, and the one that gives its access tokens to service accounts."""

    async def create(request: Request) -> Response:
        counts = request.path_params["model"] == "count-tokens"
        return await (counted if counts else answered)(request, Platform(_read_vertex))

    async def token(request: Request) -> Response:
        form = dict(pair.split("=", 1) for pair in (await request.body()).decode().split("&"))
        if not form.get("assertion"):
            return JSON({"error": "invalid_grant"}, status_code=400)
        return JSON({"access_token": "sandbox", "expires_in": 3600, "token_type": "Bearer"})

    path = "/v1/projects/{project}/locations/{region}/publishers/anthropic/models/{model}:{method}"
    return [Route(path, create, methods=["POST"]), Route("/token", token, methods=["POST"])]


def bedrock_routes(answered: Answering) -> list[BaseRoute]:
    """Bedrock's runtime, which takes any signature and any key but `invalid`."""

    async def create(request: Request) -> Response:
        platform = Platform(_read_bedrock, _event_stream, "application/vnd.amazon.eventstream")
        response = await answered(request, platform)
        if response.status_code < 400:
            return response
        error = orjson.loads(bytes(response.body))
        headers = {
            "x-amzn-requestid": error["request_id"],
            "x-amzn-errortype": _ERROR_TYPES.get(response.status_code, "ServiceUnavailableException"),
            **{name: value for name, value in response.headers.items() if name == "retry-after"},
        }
        return JSON({"message": error["error"]["message"]}, status_code=response.status_code, headers=headers)

    return [
        Route("/model/{model:path}/invoke", create, methods=["POST"]),
        Route("/model/{model:path}/invoke-with-response-stream", create, methods=["POST"]),
    ]


def _read_vertex(request: Request, body: bytes) -> bytes:
    method = request.path_params["method"]
    if method not in ("rawPredict", "streamRawPredict"):
        raise ApiError(404, "not_found_error", f"method: {method}")
    asked = _wrapped(request, body)
    if asked.get("stream", False) is not (method == "streamRawPredict"):
        raise invalid(f"stream: does not go with {method}")
    name = request.path_params["model"]
    return orjson.dumps(asked | ({} if name == "count-tokens" else {"model": name.partition("@")[0]}))


def _read_bedrock(request: Request, body: bytes) -> bytes:
    asked = _wrapped(request, body)
    if "stream" in asked:
        raise invalid("stream: Extra inputs are not permitted")
    name = request.path_params["model"].rpartition("anthropic.")[2].removesuffix("-v1:0")
    streams = request.url.path.endswith("-response-stream")
    return orjson.dumps(asked | {"model": name} | ({"stream": True} if streams else {}))


def _wrapped(request: Request, body: bytes) -> dict[str, Any]:
    """The body without its version.

    Raises:
        ApiError: the request is not signed, or the body is not in the form of these platforms.
    """
    authorization = request.headers.get("authorization", "")
    if not authorization or authorization == "Bearer invalid":
        raise ApiError(401, "authentication_error", "the request is not authenticated")
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise invalid(f"The request body is not valid JSON: {exc}") from exc
    if not isinstance(asked, dict) or not asked.pop("anthropic_version", None):
        raise invalid("anthropic_version: Field required")
    return asked


async def _event_stream(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Server-Sent Events in the frames of AWS; an error becomes an exception's frame."""
    async for event in events:
        data = event.partition(b"\ndata: ")[2].strip()
        content = orjson.loads(data)
        if content["type"] == "error":
            kind = {":message-type": "exception", ":exception-type": "modelStreamErrorException"}
            yield _frame(kind, orjson.dumps({"message": content["error"]["message"]}))
        else:
            kind = {":message-type": "event", ":event-type": "chunk", ":content-type": "application/json"}
            yield _frame(kind, orjson.dumps({"bytes": b64encode(data).decode()}))


def _frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One message: lengths and their sum, headers (7 marks a string), payload, sum of everything."""
    head = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", 16 + len(head) + len(payload), len(head))
    message = prelude + struct.pack("!I", crc32(prelude)) + head + payload
    return message + struct.pack("!I", crc32(message))
