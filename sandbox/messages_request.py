"""One request to the Messages API: refused as the API refuses it, or read into what the double needs."""

import re
from base64 import b64decode
from binascii import Error as NotBase64Error
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from adapters.channels.fetching import file_of
from contracts.conversation import TaskName
from contracts.media import MediaRefusedError
from sandbox.prompt_cache import FIVE_MINUTES, ONE_HOUR, Block
from sandbox.schema import OutputSchema, SchemaShelf, UnsupportedSchemaError

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_BREAKPOINTS = 4
MAX_OUTPUT_TOKENS = 128_000
FILES = ("image", "document")

_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}")
_TASKS = {
    "state": TaskName.MERGED,
    "next_state": TaskName.STATE,
    "parts": TaskName.RESPONSE,
    "type": TaskName.MESSAGE_TYPE,
    "findings": TaskName.JUDGE,
    "wants": TaskName.HANDOFF_SUMMARY,
    "assessment": TaskName.CONVERSATION_REVIEW,
    "question": TaskName.INTERVIEW_QUESTION,
}


def _parts(content: Any) -> Any:
    """Return a plain text as the one block that it stands for."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class _Strict(BaseModel):
    """A part of the request; the API's words for what is wrong with it are pydantic's."""

    model_config = ConfigDict(extra="forbid", strict=True)


class _CacheControl(_Strict):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] = "5m"


class _Tool(_Strict, extra="allow"):
    name: str
    cache_control: _CacheControl | None = None


class _Part(_Strict, extra="allow"):
    type: str
    text: str | None = None
    cache_control: _CacheControl | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.type == "text" and not self.text:
            raise ValueError("text content blocks must be non-empty")
        if self.type == "text" and not (self.text or "").strip():
            raise ValueError("text content blocks must contain non-whitespace text")
        return self


class _SystemPart(_Part):
    type: Literal["text"]


class _Message(_Strict):
    role: Literal["user", "assistant", "system"]
    content: Annotated[list[_Part], BeforeValidator(_parts), Field(min_length=1)]


class _Format(_Strict):
    type: Literal["json_schema"]
    schema_of_output: dict[str, Any] = Field(alias="schema")


class _OutputConfig(_Strict):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: _Format | None = None


class _Thinking(_Strict, extra="allow"):
    type: Literal["adaptive", "enabled", "disabled"]
    budget_tokens: Annotated[int, Field(ge=1024)] | None = None


class _Metadata(_Strict):
    user_id: str | None = None


class _Counted(_Strict):
    """Parameters of a count of tokens."""

    model: str
    messages: list[_Message]
    cache_control: _CacheControl | None = None
    output_config: _OutputConfig | None = None
    speed: Any = None
    system: Annotated[list[_SystemPart] | None, BeforeValidator(lambda system: _parts(system) if system else None)] = (
        None
    )
    thinking: _Thinking | None = None
    tool_choice: Any = None
    tools: list[_Tool] | None = None


class _Created(_Counted):
    """Parameters of an answer."""

    max_tokens: Annotated[int, Field(ge=0, le=MAX_OUTPUT_TOKENS)]
    container: Any = None
    diagnostics: Any = None
    inference_geo: Any = None
    metadata: _Metadata | None = None
    service_tier: Literal["auto", "standard_only"] = "auto"
    stop_sequences: list[Annotated[str, Field(pattern=r"\S")]] | None = None
    stream: bool = False

    @model_validator(mode="after")
    def _leaves_room_for_an_answer(self) -> Self:
        if self.thinking and (self.thinking.budget_tokens or 0) >= (self.max_tokens or 1):
            raise ValueError("`max_tokens` must be greater than `thinking.budget_tokens`")
        return self


class ApiError(Exception):
    """An error in the API's own words."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message


def invalid(message: str) -> ApiError:
    return ApiError(400, "invalid_request_error", message)


@dataclass(frozen=True, slots=True)
class MessagesRequest:
    """Basis of the answer. `user_text` is what all user turns say, `blocks` the prompt as the cache sees it.

    `seen` are the texts in pictures and documents, None without any.

    `tool` names the tool that must be called; its input is the answer.
    """

    model: str
    max_tokens: int
    stream: bool
    blocks: tuple[Block, ...]
    schema: OutputSchema | None
    tool: str | None
    format_bytes: bytes
    user_text: str
    stop_sequences: tuple[str, ...]
    seen: str | None = None

    @property
    def task(self) -> TaskName | None:
        """Return the task, recognised by the properties of the schema."""
        if self.schema is None:
            return None
        return next((task for name, task in _TASKS.items() if name in self.schema.properties), None)


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises ApiError when the key or the version of the API is missing."""
    authorization = headers.get("authorization", "")
    key = authorization.removeprefix("Bearer ").strip() if authorization else headers.get("x-api-key", "")
    if not key:
        raise ApiError(401, "authentication_error", "x-api-key header is required")
    if key == "invalid":
        raise ApiError(401, "authentication_error", "invalid x-api-key")
    version = headers.get("anthropic-version", "")
    if not version:
        raise invalid("anthropic-version: header is required")
    if not _VERSION.fullmatch(version):
        raise invalid(f"anthropic-version: {version!r} is not a valid version")


def parse_request(
    body: bytes, schemas: SchemaShelf, *, counting: bool = False, takes_output_config: bool = True
) -> MessagesRequest:
    """Raises ApiError for what the API would answer 400 or 404 to, or a server without structured output."""
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise invalid(f"The request body is not valid JSON: {exc}") from exc
    if not isinstance(request, dict):
        raise invalid("The request body must be a JSON object")
    try:
        (_Counted if counting else _Created).model_validate(request)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise invalid(f"{where}: {first['msg'].removeprefix('Value error, ')}") from exc
    if not request["model"].startswith("claude-"):
        raise ApiError(404, "not_found_error", f"model: {request['model']}")
    if not takes_output_config and "output_config" in request:
        raise invalid("output_config: Extra inputs are not permitted")
    blocks, user_text = _read_prompt(request)
    output_format = (request.get("output_config") or {}).get("format")
    schema, tool = _read_schema(request, output_format, schemas)
    contents = [message["content"] for message in request["messages"] if isinstance(message["content"], list)]
    files = [each for content in contents for each in content if each["type"] in FILES]
    return MessagesRequest(
        model=request["model"],
        max_tokens=request.get("max_tokens", 0),
        stream=request.get("stream") is True,
        blocks=blocks,
        schema=schema,
        tool=tool,
        format_bytes=b"" if output_format is None else orjson.dumps(output_format["schema"]),
        user_text=user_text,
        stop_sequences=tuple(request.get("stop_sequences") or ()),
        seen=" ".join(seen(each)[0] for each in files) if files else None,
    )


def estimated_tokens(text: str | bytes) -> int:
    """About four characters to the token; at least one."""
    return max(1, (len(text) + 3) // 4)


def _read_prompt(request: dict[str, Any]) -> tuple[tuple[Block, ...], str]:
    turns = _turns(request["messages"])
    groups = [
        ("tools", b"tool", request.get("tools") or ()),
        ("system", b"system", _parts(request.get("system") or [])),
    ]
    groups += [(f"messages.{number}.content", role.encode(), parts) for number, (role, parts) in enumerate(turns)]
    blocks = [
        _block(each, f"{where}.{number}", role) for where, role, group in groups for number, each in enumerate(group)
    ]
    if request.get("cache_control") is not None:
        blocks[-1] = replace(blocks[-1], ttl_seconds=_ttl(request["cache_control"]))
    lives = [block.ttl_seconds for block in blocks if block.ttl_seconds]
    if len(lives) > MAX_BREAKPOINTS:
        raise invalid(f"A maximum of 4 blocks with cache_control may be provided. Found {len(lives)}.")
    if any(later > earlier for earlier, later in pairwise(lives)):
        raise invalid("a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block")
    said = (each["text"] for role, content in turns if role == "user" for each in content if each["type"] == "text")
    return tuple(blocks), "\n".join(said)


def _turns(messages: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return turns that alternate: neighbours of one role are one turn."""
    turns: list[tuple[str, list[dict[str, Any]]]] = []
    for message in messages:
        role, content = message["role"], _parts(message["content"])
        if turns and turns[-1][0] == role:
            turns[-1] = (role, [*turns[-1][1], *content])
        else:
            turns.append((role, content))
    if not turns:
        raise invalid("messages: at least one message is required")
    if turns[0][0] == "assistant" or all(role != "user" for role, _ in turns):
        raise invalid('messages: first message must use the "user" role')
    if turns[-1][0] == "assistant":
        raise invalid(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    return turns


def _block(block: dict[str, Any], where: str, role: bytes) -> Block:
    ttl = _ttl(block["cache_control"]) if block.get("cache_control") else None
    if block.get("type") == "text":
        return Block(role + b"\0" + block["text"].encode("utf-8", "replace"), estimated_tokens(block["text"]), ttl)
    if block.get("type") in FILES:
        try:
            tokens = seen(block)[1]
        except UnseenError as exc:
            raise invalid(f"{where}.source: {exc}") from exc
        return Block(role + b"\2" + orjson.dumps(block["source"]), tokens, ttl)
    rest = orjson.dumps({name: value for name, value in block.items() if name != "cache_control"})
    return Block(role + b"\1" + rest, estimated_tokens(rest), ttl)


def _ttl(marker: dict[str, Any]) -> float:
    return ONE_HOUR if marker.get("ttl") == "1h" else FIVE_MINUTES


def _read_schema(
    request: dict[str, Any], output_format: dict[str, Any] | None, schemas: SchemaShelf
) -> tuple[OutputSchema | None, str | None]:
    """Return the schema of the answer and the tool that is forced with it.

    It is the tool's, else that of the output format, else the one that the last system block shows between its tags, as
    a model that reads well would find it.
    """
    schema = None
    if output_format is not None:
        schema = _checked(schemas, output_format["schema"], "output_config.format.schema")
    choice = request.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "tool":
        for tool in request.get("tools") or ():
            if tool["name"] == choice.get("name") and isinstance(tool.get("input_schema"), dict):
                return _checked(schemas, tool["input_schema"], "tools.0.input_schema"), tool["name"]
        raise invalid(f"tool_choice.name: Tool {choice.get('name')!r} not found in provided tools")
    system = request.get("system")
    text = system[-1]["text"] if isinstance(system, list) and system else ""
    _, opening, rest = text.rpartition("<schema>")
    if schema is None and opening:
        with suppress(orjson.JSONDecodeError):
            schema = _checked(schemas, orjson.loads(rest.partition("</schema>")[0]), "system")
    return schema, None


def _checked(schemas: SchemaShelf, schema: dict[str, Any], where: str) -> OutputSchema:
    try:
        return schemas.checked(schema)
    except UnsupportedSchemaError as exc:
        raise invalid(f"{where}: {exc}") from exc


_PNG_TEXT = re.compile(rb"tEXt[ -~]{1,79}\0([^\0]*?)(?=.{4}.{4}I(?:DAT|END))", re.DOTALL)
_PDF_TEXT = re.compile(rb"\(([^()]*)\)\s*Tj")


class UnseenError(Exception):
    """A block that the API refuses."""


def seen(block: dict[str, Any]) -> tuple[str, int]:
    """Return the text that a picture or document carries, and its tokens.

    Raises:
        UnseenError: it is none, damaged, or of another type than it says.
    """
    source = block.get("source") or {}
    if source.get("type") == "text":
        text = str(source.get("data"))
        return text, max(1, len(text) // 4)
    try:
        content = b64decode(source.get("data", ""), validate=True)
        file = file_of(content)
    except (NotBase64Error, MediaRefusedError) as exc:
        raise UnseenError("Could not process image") from exc
    if file.mime_type != source.get("media_type"):
        raise UnseenError("The file does not match the provided media type")
    if file.mime_type == "image/png" and b"IEND" not in content:
        raise UnseenError("Could not process image")
    found = _PDF_TEXT.findall(content) if file.mime_type == "application/pdf" else _PNG_TEXT.findall(content)
    return " ".join(each.decode("utf-8", "replace") for each in found), file.tokens
