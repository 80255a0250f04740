"""One request to the Messages API: refused as the API refuses it, or read into what the stand-in needs."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import orjson

from contracts.conversation import TaskName
from sandbox.prompt_cache import FIVE_MINUTES, ONE_HOUR, Block
from sandbox.schema import OutputSchema, SchemaShelf, UnsupportedSchemaError
from sandbox.seeing import UnseenError, seen

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_BREAKPOINTS = 4
MAX_OUTPUT_TOKENS = 128_000
FILES = ("image", "document")
SAMPLING_PARAMETERS = ("temperature", "top_p", "top_k")

_COUNTED = frozenset(
    {"model", "messages", "cache_control", "output_config", "speed", "system", "thinking", "tool_choice", "tools"}
)
_CREATED = _COUNTED | {
    "max_tokens",
    "container",
    "diagnostics",
    "inference_geo",
    "metadata",
    "service_tier",
    "stop_sequences",
    "stream",
}
_EFFORTS = (None, "low", "medium", "high", "xhigh", "max")
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}")
_TASKS = {
    "next_state": TaskName.STATE,
    "parts": TaskName.RESPONSE,
    "type": TaskName.MESSAGE_TYPE,
    "findings": TaskName.JUDGE,
    "wants": TaskName.HANDOFF_SUMMARY,
    "assessment": TaskName.CONVERSATION_REVIEW,
    "question": TaskName.INTERVIEW_QUESTION,
}


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
    """What the answer depends on. `user_text` is what all user turns say, `blocks` the prompt as the cache sees it.

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
        """Told by the properties of the schema."""
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
    _check_parameters(request, counting=counting)
    if not takes_output_config and "output_config" in request:
        raise invalid("output_config: Extra inputs are not permitted")
    blocks, user_text = _read_prompt(request)
    schema, format_bytes = _read_format(request, schemas)
    tool = _forced_tool(request)
    if tool is not None:
        schema = _checked(schemas, tool["input_schema"], "tools.0.input_schema")
    elif schema is None:
        schema = _schema_in_words(request, schemas)
    return MessagesRequest(
        model=request["model"],
        max_tokens=request.get("max_tokens", 0),
        stream=request.get("stream") is True,
        blocks=blocks,
        schema=schema,
        tool=None if tool is None else tool["name"],
        format_bytes=format_bytes,
        user_text=user_text,
        stop_sequences=tuple(request.get("stop_sequences") or ()),
        seen=_seen(request["messages"]),
    )


def estimated_tokens(text: str | bytes) -> int:
    """About four characters to the token; at least one."""
    return max(1, (len(text) + 3) // 4)


def _check_parameters(request: dict[str, Any], *, counting: bool) -> None:
    for name in SAMPLING_PARAMETERS:
        if name in request:
            raise invalid(f"{name}: sampling parameters are not supported by this version of the API")
    known = _COUNTED if counting else _CREATED
    for name in request:
        if name not in known:
            raise invalid(f"{name}: Extra inputs are not permitted")
    for name in ("model", "messages") if counting else ("model", "max_tokens", "messages"):
        if name not in request:
            raise invalid(f"{name}: Field required")
    model = request["model"]
    if not isinstance(model, str) or not model:
        raise invalid("model: Input should be a valid string")
    if not model.startswith("claude-"):
        raise ApiError(404, "not_found_error", f"model: {model}")
    if not counting:
        _check_max_tokens(request["max_tokens"])
    if not isinstance(request.get("stream", False), bool):
        raise invalid("stream: Input should be a valid boolean")
    if request.get("service_tier", "auto") not in ("auto", "standard_only"):
        raise invalid("service_tier: Input should be 'auto' or 'standard_only'")
    stops = request.get("stop_sequences") or []
    if not isinstance(stops, list) or not all(isinstance(stop, str) and stop.strip() for stop in stops):
        raise invalid("stop_sequences: each stop sequence must contain non-whitespace")
    metadata = request.get("metadata") or {}
    if not isinstance(metadata, dict) or metadata.keys() - {"user_id"}:
        raise invalid("metadata: Extra inputs are not permitted")
    _check_thinking(request)


def _check_max_tokens(value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid("max_tokens: Input should be a valid integer")
    if value < 0:
        raise invalid("max_tokens: Input should be greater than or equal to 0")
    if value > MAX_OUTPUT_TOKENS:
        raise invalid(f"max_tokens: {value} > {MAX_OUTPUT_TOKENS}, which is the maximum for this model")


def _check_thinking(request: dict[str, Any]) -> None:
    thinking = request.get("thinking")
    if thinking is None:
        return
    if not isinstance(thinking, dict) or thinking.get("type") not in ("adaptive", "enabled", "disabled"):
        raise invalid("thinking: Input tag must be one of 'adaptive', 'enabled', 'disabled'")
    if thinking["type"] == "enabled":
        budget = thinking.get("budget_tokens", 0)
        if not isinstance(budget, int) or budget < 1024:
            raise invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if budget >= request.get("max_tokens", MAX_OUTPUT_TOKENS):
            raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`")


def _read_prompt(request: dict[str, Any]) -> tuple[tuple[Block, ...], str]:
    blocks = [*_tools(request.get("tools")), *_system(request.get("system"))]
    turns = _turns(request["messages"])
    for number, (role, content) in enumerate(turns):
        blocks.extend(_content(content, f"messages.{number}.content", role))
    if request.get("cache_control") is not None:
        last = blocks[-1]
        blocks[-1] = Block(last.content, last.tokens, _ttl(request["cache_control"], "cache_control"))
    _check_breakpoints(blocks)
    said = (each["text"] for role, content in turns if role == "user" for each in content if each["type"] == "text")
    return tuple(blocks), "\n".join(said)


def _turns(messages: object) -> list[tuple[str, list[dict[str, Any]]]]:
    """Turns that alternate: neighbours of one role are one turn."""
    if not isinstance(messages, list):
        raise invalid("messages: Input should be a valid list")
    if not messages:
        raise invalid("messages: at least one message is required")
    turns: list[tuple[str, list[dict[str, Any]]]] = []
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or "content" not in message:
            raise invalid(f"messages.{number}.content: Field required")
        if extra := message.keys() - {"role", "content"}:
            raise invalid(f"messages.{number}.{min(extra)}: Extra inputs are not permitted")
        role, content = message.get("role"), message["content"]
        if role not in ("user", "assistant", "system"):
            raise invalid(f"messages.{number}.role: Input should be 'user', 'assistant' or 'system'")
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        if not isinstance(content, list) or not all(isinstance(each, dict) for each in content):
            raise invalid(f"messages.{number}.content: Input should be a valid string or list of blocks")
        if not content:
            raise invalid(f"messages.{number}: all messages must have non-empty content")
        if turns and turns[-1][0] == role:
            turns[-1] = (role, [*turns[-1][1], *content])
        else:
            turns.append((role, content))
    if turns[0][0] == "assistant" or all(role != "user" for role, _ in turns):
        raise invalid('messages: first message must use the "user" role')
    if turns[-1][0] == "assistant":
        raise invalid(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    return turns


def _seen(messages: list[dict[str, Any]]) -> str | None:
    contents = [message["content"] for message in messages if isinstance(message["content"], list)]
    files = [each for content in contents for each in content if each["type"] in FILES]
    return " ".join(seen(each)[0] for each in files) if files else None


def _tools(tools: object) -> Iterator[Block]:
    if tools is None:
        return
    if not isinstance(tools, list):
        raise invalid("tools: Input should be a valid list")
    for number, tool in enumerate(tools):
        if not isinstance(tool, dict) or "name" not in tool:
            raise invalid(f"tools.{number}.name: Field required")
        yield _block(tool, f"tools.{number}", b"tool")


def _system(system: object) -> Iterator[Block]:
    if system is None:
        return
    if isinstance(system, str):
        system = [{"type": "text", "text": system}] if system else []
    if not isinstance(system, list):
        raise invalid("system: Input should be a valid string or list of text blocks")
    for number, each in enumerate(system):
        if not isinstance(each, dict) or each.get("type") != "text":
            raise invalid(f"system.{number}.type: Input should be 'text'")
        yield _block(each, f"system.{number}", b"system")


def _content(content: list[dict[str, Any]], where: str, role: str) -> Iterator[Block]:
    for number, each in enumerate(content):
        if not isinstance(each.get("type"), str):
            raise invalid(f"{where}.{number}.type: Field required")
        yield _block(each, f"{where}.{number}", role.encode())


def _block(block: dict[str, Any], where: str, role: bytes) -> Block:
    marker = block.get("cache_control")
    ttl = None if marker is None else _ttl(marker, f"{where}.cache_control")
    if block.get("type") == "text":
        text = block.get("text")
        if not isinstance(text, str):
            raise invalid(f"{where}.text: Field required")
        if not text:
            raise invalid(f"{where}: text content blocks must be non-empty")
        if not text.strip():
            raise invalid(f"{where}: text content blocks must contain non-whitespace text")
        return Block(role + b"\0" + text.encode("utf-8", "replace"), estimated_tokens(text), ttl)
    if block.get("type") in FILES:
        try:
            tokens = seen(block)[1]
        except UnseenError as exc:
            raise invalid(f"{where}.source: {exc}") from exc
        return Block(role + b"\2" + orjson.dumps(block["source"]), tokens, ttl)
    rest = orjson.dumps({name: value for name, value in block.items() if name != "cache_control"})
    return Block(role + b"\1" + rest, estimated_tokens(rest), ttl)


def _ttl(marker: object, where: str) -> float:
    if not isinstance(marker, dict) or marker.get("type") != "ephemeral":
        raise invalid(f"{where}.type: Input should be 'ephemeral'")
    match marker.get("ttl", "5m"):
        case "5m":
            return FIVE_MINUTES
        case "1h":
            return ONE_HOUR
    raise invalid(f"{where}.ephemeral.ttl: Input should be '5m' or '1h'")


def _check_breakpoints(blocks: list[Block]) -> None:
    lives = [block.ttl_seconds for block in blocks if block.ttl_seconds]
    if len(lives) > MAX_BREAKPOINTS:
        raise invalid(f"A maximum of 4 blocks with cache_control may be provided. Found {len(lives)}.")
    if any(later > earlier for earlier, later in pairwise(lives)):
        raise invalid("a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block")


def _read_format(request: dict[str, Any], schemas: SchemaShelf) -> tuple[OutputSchema | None, bytes]:
    config = request.get("output_config")
    if config is None:
        return None, b""
    if not isinstance(config, dict):
        raise invalid("output_config: Input should be a valid dictionary")
    if extra := config.keys() - {"effort", "format"}:
        raise invalid(f"output_config.{min(extra)}: Extra inputs are not permitted")
    if config.get("effort") not in _EFFORTS:
        raise invalid("output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")
    output_format = config.get("format")
    if output_format is None:
        return None, b""
    if not isinstance(output_format, dict) or output_format.get("type") != "json_schema":
        raise invalid("output_config.format.type: Input should be 'json_schema'")
    if extra := output_format.keys() - {"type", "schema"}:
        raise invalid(f"output_config.format.{min(extra)}: Extra inputs are not permitted")
    schema = output_format.get("schema")
    if not isinstance(schema, dict):
        raise invalid("output_config.format.schema: Field required")
    return _checked(schemas, schema, "output_config.format.schema"), orjson.dumps(schema)


def _checked(schemas: SchemaShelf, schema: dict[str, Any], where: str) -> OutputSchema:
    try:
        return schemas.checked(schema)
    except UnsupportedSchemaError as exc:
        raise invalid(f"{where}: {exc}") from exc


def _forced_tool(request: dict[str, Any]) -> dict[str, Any] | None:
    choice = request.get("tool_choice")
    if not isinstance(choice, dict) or choice.get("type") != "tool":
        return None
    for tool in request.get("tools") or ():
        if tool["name"] == choice.get("name") and isinstance(tool.get("input_schema"), dict):
            return dict(tool)
    raise invalid(f"tool_choice.name: Tool {choice.get('name')!r} not found in provided tools")


def _schema_in_words(request: dict[str, Any], schemas: SchemaShelf) -> OutputSchema | None:
    """The schema that the last system block shows between its tags, as a model that reads well would find it."""
    system = request.get("system")
    text = system[-1]["text"] if isinstance(system, list) and system else ""
    _, opening, rest = text.rpartition("<schema>")
    if not opening:
        return None
    try:
        return _checked(schemas, orjson.loads(rest.partition("</schema>")[0]), "system")
    except orjson.JSONDecodeError:
        return None
