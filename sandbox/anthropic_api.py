"""Anthropic's Messages API as the `anthropic` SDK sees it, answered from the institution's documents."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from contracts.conversation import TaskName
from contracts.institution import Institution
from sandbox.behaviour import Counters, ModelBehaviour, ModelFault, Script, ScriptedAnswer
from sandbox.brain import Brain
from sandbox.chance import Chance, Dice
from sandbox.citing import spoken
from sandbox.messages_request import (
    MAX_BODY_BYTES,
    ApiError,
    MessagesRequest,
    check_headers,
    estimated_tokens,
    parse_request,
)
from sandbox.model_platforms import PLAIN, Platform
from sandbox.prompt_cache import PromptCache
from sandbox.schema import SchemaShelf
from sandbox.transport import JSON, BodyTooLargeError, Chunked, Cut, behaviour_route, in_pieces, read_body

KEPT_REQUESTS = 500
KEPT_BODIES = 50
RATE_LIMIT_REQUESTS = 4000
MODELS = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5")

SLICES_OF_A_DRIP = 20
_FAILURES = {
    ModelFault.RATE_LIMITED: (429, "rate_limit_error", "This request would exceed your organization's rate limit."),
    ModelFault.OVERLOADED: (529, "overloaded_error", "Overloaded"),
    ModelFault.SERVER_ERROR: (500, "api_error", "Internal server error"),
}
_REFUSAL_TEXT = "I can't help with that."


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of the model to one request, before it is put on the wire."""

    text: str
    stop_reason: str = "end_turn"
    stop_sequence: str | None = None
    stop_details: dict[str, Any] | None = None
    tool: str | None = None

    @property
    def tokens(self) -> int:
        return estimated_tokens(self.text)


class ModelSandbox:
    """The model's API. `clock` counts seconds for the prompt cache; a test may bring its own."""

    def __init__(
        self,
        institution: Institution,
        *,
        behaviour: ModelBehaviour | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._brain = Brain(institution)
        self._initial = behaviour or ModelBehaviour()
        self._seed = seed
        self._schemas = SchemaShelf()
        self._clock = clock
        self.prompt_cache = PromptCache(clock)
        self.counters = Counters()
        self.requests: deque[dict[str, Any]] = deque(maxlen=KEPT_REQUESTS)
        self._bodies: deque[tuple[str, bytes]] = deque(maxlen=KEPT_BODIES)
        self.behave(self._initial)

    def behave(self, behaviour: ModelBehaviour) -> None:
        """From now on do this; the chance starts over, so that a run can be repeated."""
        self.behaviour = behaviour
        self._script: Script[ScriptedAnswer] = Script(behaviour.script)
        self._chance = Chance(self._seed if behaviour.seed is None else behaviour.seed)

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/messages", self.create, methods=["POST"]),
            Route("/v1/messages/count_tokens", self.count_tokens, methods=["POST"]),
            Route("/v1/models", self._show_models, methods=["GET"]),
            Route("/v1/models/{model}", self._show_models, methods=["GET"]),
            behaviour_route(self, self._initial, lambda: {"script_left": len(self._script)}),
            Route("/sandbox/requests", self._show_requests, methods=["GET", "DELETE"]),
        ]

    async def create(self, request: Request) -> Response:
        """One call of the model: its answer, or the failure that the behaviour asks for."""
        return await self.answered(request, PLAIN)

    async def answered(self, request: Request, platform: Platform) -> Response:
        """One call of the model over a platform that wraps the Messages API in a form of its own."""
        started = time.perf_counter()
        self.counters.add("requests")
        try:
            body = platform.read(request, await read_body(request, MAX_BODY_BYTES))
            takes_config = not self.behaviour.without_output_config
            asked = parse_request(body, self._schemas, takes_output_config=takes_config)
        except BodyTooLargeError:
            return self._error(413, "request_too_large", "Request exceeds the maximum size")
        except ApiError as exc:
            return self._error(exc.status, exc.kind, exc.message)

        asked_at = self._clock()
        dice, times = self._chance.dice(body)
        request_id = f"req_{int(dice.draw('id') * 2**52):013x}{times:04x}"
        scripted = self._script.take(lambda entry: entry.matches(asked.task, asked.user_text))
        fault = scripted.fault if scripted else self._fault(asked, dice)
        latency = self.behaviour.latency_of(asked.task)
        waited_ms = dice.lognormal("latency", latency.median_ms, latency.sigma)
        if waited_ms > 0:
            await asyncio.sleep(waited_ms / 1000)

        entry: dict[str, Any] = {
            "request_id": request_id,
            "at": datetime.now(UTC).isoformat(),
            "task": asked.task,
            "model": asked.model,
            "stream": asked.stream,
            "fault": fault,
            "latency_ms": round(waited_ms, 3),
        }
        if fault is ModelFault.CUT_BEFORE_HEADERS:
            self._note(entry, body, started, status=0)
            return Cut()
        if fault in _FAILURES:
            status, kind, reason = _FAILURES[fault]
            self._note(entry, body, started, status=status)
            return self._error(status, kind, reason, request_id)

        answer = self._answer(asked, dice, times, scripted, fault)
        # As the input of the tool that is forced, or as a chat model writes JSON when asked in words.
        if asked.tool is not None and answer.stop_reason == "end_turn" and not self.behaviour.without_forced_tools:
            answer = replace(answer, stop_reason="tool_use", tool=asked.tool)
        elif self.behaviour.fenced and not asked.format_bytes and answer.text.startswith("{"):
            answer = replace(answer, text=f"Here it is:\n```json\n{answer.text}\n```\n")
        usage = self._usage(asked, asked_at, answer)
        self._note(entry, body, started, status=200, answer=answer, usage=usage)
        message = _message(asked, answer, usage, request_id)
        if self.behaviour.without_usage:
            del message["usage"]
        headers = self._headers(request_id, dice)
        if asked.stream:
            cut_at_end = fault is ModelFault.CUT_AFTER_HEADERS
            events = platform.frame(self._events(message, answer, fault, entry))
            return Chunked(events, media_type=platform.stream_type, headers=headers, cut_at_end=cut_at_end)
        content = orjson.dumps(message)
        if fault is ModelFault.SLOW_DRIP:
            pause, size = self.behaviour.slow_drip_ms / 1000 / SLICES_OF_A_DRIP, len(content) // SLICES_OF_A_DRIP
            slices = in_pieces(content, size=max(1, size), pause=pause)
            return Chunked(slices, media_type="application/json", headers=headers)
        if fault is ModelFault.CUT_AFTER_HEADERS:
            half, length = in_pieces(content[: len(content) // 2]), len(content)
            return Chunked(half, media_type="application/json", headers=headers, cut_at_end=True, length=length)
        return JSON(content, headers=headers)

    def _fault(self, asked: MessagesRequest, dice: Dice) -> ModelFault | None:
        only = self.behaviour.fault_tasks
        if only is not None and asked.task not in only:
            return None
        for fault in ModelFault:
            if fault is ModelFault.STREAM_ERROR and not asked.stream:
                continue
            if fault is ModelFault.ILLEGAL_STATE and asked.task not in (TaskName.STATE, TaskName.MERGED):
                continue
            if dice.happens(fault.value, self.behaviour.rate_of(fault)):
                return fault
        return None

    def _answer(
        self, asked: MessagesRequest, dice: Dice, times: int, scripted: ScriptedAnswer | None, fault: ModelFault | None
    ) -> Answer:
        if fault is ModelFault.REFUSAL:
            details = {"type": "refusal", "category": None, "explanation": "Refused on purpose by the sandbox."}
            return Answer(_REFUSAL_TEXT, "refusal", stop_details=details)
        if fault is ModelFault.EMPTY_TEXT or asked.max_tokens == 0:
            return Answer("", "end_turn" if asked.max_tokens else "max_tokens")
        text = self._text(asked, dice, times, scripted, fault)
        for stop in asked.stop_sequences:
            if stop in text:
                return Answer(text.partition(stop)[0], "stop_sequence", stop_sequence=stop)
        if fault is ModelFault.MAX_TOKENS:
            return Answer(text[: len(text) // 2], "max_tokens")
        if estimated_tokens(text) > asked.max_tokens:
            return Answer(text[: asked.max_tokens * 4], "max_tokens")
        return Answer(text)

    def _text(
        self, asked: MessagesRequest, dice: Dice, times: int, scripted: ScriptedAnswer | None, fault: ModelFault | None
    ) -> str:
        if scripted is not None and scripted.answer is not None:
            given = scripted.answer
            if isinstance(given, dict) and asked.task is TaskName.RESPONSE and given.keys() == {"text"}:
                given = {"parts": self._brain.citer.relying_on_all(given["text"])}
            return given if isinstance(given, str) else orjson.dumps(given).decode()
        if self.behaviour.mode == "cheating" and asked.task is TaskName.RESPONSE:
            first = dice_start(asked.user_text, self.behaviour.seed or self._seed)
            reply = self._brain.cheat(asked.user_text, first + times, self.behaviour.cheats)
        elif asked.task is TaskName.JUDGE:
            if self.behaviour.judge == "empty":
                return "{}"
            errs = dice.happens("judge errs", self.behaviour.judge_errs)
            reply = self._brain.verdict(asked.user_text, self.behaviour.cheats, self.behaviour.judge, errs=errs)
        else:
            reply = self._brain.answer(asked.task, asked.user_text, asked.seen)
        if asked.schema is None:
            return spoken(reply.get("parts", []))
        answer: dict[str, Any] = asked.schema.fitted(reply)
        if scripted is not None and scripted.update:
            return orjson.dumps({**answer, **scripted.update}).decode()
        if not asked.schema.conforms(answer):
            raise AssertionError("the sandbox was about to send an answer that its schema does not allow")
        if fault is ModelFault.ILLEGAL_STATE:
            is_merged = asked.task is TaskName.MERGED
            state = {**(answer["state"] if is_merged else answer), "next_state": "INIT"}
            answer = {**answer, "state": state} if is_merged else state
        if fault is ModelFault.WRONG_SCHEMA:
            answer = {"unexpected": True} | dict(list(answer.items())[1:])
        text = orjson.dumps(answer).decode()
        if fault is ModelFault.INVALID_JSON:
            return text[: 2 * len(text) // 3]
        return text

    def _usage(self, asked: MessagesRequest, asked_at: float, answer: Answer) -> dict[str, Any]:
        scope = asked.model.encode()
        if self.behaviour.cache_follows_format:
            scope += b"\0" + asked.format_bytes
        use = self.prompt_cache.use(scope, asked.blocks, asked_at=asked_at)
        lives = {"ephemeral_5m_input_tokens": use.written_5m, "ephemeral_1h_input_tokens": use.written_1h}
        return {
            "input_tokens": use.uncached,
            "output_tokens": answer.tokens if answer.text else 0,
            "cache_creation_input_tokens": use.written,
            "cache_read_input_tokens": use.read,
            "cache_creation": lives,
            "service_tier": "standard",
        }

    def _headers(self, request_id: str, dice: Dice) -> dict[str, str]:
        left = RATE_LIMIT_REQUESTS - 1 - dice.pick("requests left", 100)
        return {
            "request-id": request_id,
            "anthropic-organization-id": "00000000-0000-4000-8000-000000000000",
            "anthropic-ratelimit-requests-limit": str(RATE_LIMIT_REQUESTS),
            "anthropic-ratelimit-requests-remaining": str(left),
            "anthropic-ratelimit-requests-reset": (datetime.now(UTC) + timedelta(minutes=1)).strftime(
                "%Y-%m-%dT%H:%M:%SZ"
            ),
        }

    def _error(self, status: int, kind: str, message: str, request_id: str | None = None) -> Response:
        request_id = request_id or f"req_{time.time_ns():016x}"
        self.counters.add(f"status_{status}")
        headers = {"request-id": request_id}
        if status == 429:
            headers["retry-after"] = f"{self.behaviour.retry_after_seconds:g}"
            headers["anthropic-ratelimit-requests-remaining"] = "0"
        body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
        return JSON(body, status_code=status, headers=headers)

    def _note(
        self,
        entry: dict[str, Any],
        body: bytes,
        started: float,
        *,
        status: int,
        answer: Answer | None = None,
        usage: dict[str, Any] | None = None,
    ) -> None:
        entry["status"] = status
        entry["took_ms"] = round((time.perf_counter() - started) * 1000, 3)
        if answer is not None and usage is not None:
            entry["stop_reason"] = answer.stop_reason
            entry["answer"] = answer.text
            entry["usage"] = usage
            self.counters.add("status_200")
            for name in ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"):
                self.counters.add(name, usage[name])
        self.counters.add(f"task_{entry['task'] or 'other'}")
        if entry["fault"]:
            self.counters.add(f"fault_{entry['fault']}")
        self.requests.append(entry)
        self._bodies.append((entry["request_id"], body))

    async def _events(
        self, message: dict[str, Any], answer: Answer, fault: ModelFault | None, entry: dict[str, Any]
    ) -> AsyncIterator[bytes]:
        """The events of a stream; a fault ends them in the middle. The log learns when its text began."""
        opening = {**message, "content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None}
        if "usage" in message:
            opening["usage"] = {**message["usage"], "output_tokens": 1}
        yield _event("message_start", message=opening)
        block: dict[str, Any] = {"type": "text", "text": ""}
        if answer.tool is not None:
            block = {"type": "tool_use", "id": message["content"][0]["id"], "name": answer.tool, "input": {}}
        yield _event("content_block_start", index=0, content_block=block)
        yield _event("ping")
        size = self.behaviour.stream_chunk_characters
        pieces = [answer.text[start : start + size] for start in range(0, len(answer.text), size)]
        interrupted = fault in (ModelFault.CUT_AFTER_HEADERS, ModelFault.STREAM_ERROR)
        pause = self.behaviour.stream_interval_ms / 1000
        if fault is ModelFault.SLOW_DRIP:
            pause = self.behaviour.slow_drip_ms / 1000 / max(len(pieces), 1)
        for piece in pieces[: len(pieces) // 2] if interrupted else pieces:
            if pause > 0:
                await asyncio.sleep(pause)
            entry.setdefault("first_text_at", time.time())
            delta = {"type": "text_delta", "text": piece}
            if answer.tool is not None:
                delta = {"type": "input_json_delta", "partial_json": piece}
            yield _event("content_block_delta", index=0, delta=delta)
        if fault is ModelFault.STREAM_ERROR:
            yield _event("error", error={"type": "overloaded_error", "message": "Overloaded"})
        if interrupted:
            return
        yield _event("content_block_stop", index=0)
        ending = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
        counted = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        usage = {name: message["usage"][name] for name in counted if "usage" in message}
        yield _event("message_delta", delta=ending, usage=usage)
        yield _event("message_stop")

    async def count_tokens(self, request: Request) -> Response:
        return await self.counted(request, PLAIN)

    async def counted(self, request: Request, platform: Platform) -> Response:
        try:
            body = platform.read(request, await read_body(request, MAX_BODY_BYTES))
            asked = parse_request(body, self._schemas, counting=True)
        except BodyTooLargeError:
            return self._error(413, "request_too_large", "Request exceeds the maximum size")
        except ApiError as exc:
            return self._error(exc.status, exc.kind, exc.message)
        return JSON({"input_tokens": sum(block.tokens for block in asked.blocks)})

    async def _show_models(self, request: Request) -> Response:
        try:
            check_headers(request.headers)
        except ApiError as exc:
            return self._error(exc.status, exc.kind, exc.message)
        name = request.path_params.get("model")
        if name is None:
            models = [_model(each) for each in MODELS]
            return JSON({"data": models, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]})
        if name not in MODELS:
            return self._error(404, "not_found_error", f"model: {name}")
        return JSON(_model(name))

    async def _show_requests(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.requests.clear()
            self._bodies.clear()
            self.counters.clear()
        task = request.query_params.get("task")
        shown = [entry for entry in self.requests if task is None or entry["task"] == task]
        limit = request.query_params.get("limit", "")
        shown = shown[-int(limit) :] if limit.isdigit() and int(limit) else shown
        if request.query_params.get("bodies"):
            bodies = {request_id: orjson.Fragment(body) for request_id, body in self._bodies}
            shown = [{**entry, "body": bodies.get(entry["request_id"])} for entry in shown]
        return JSON({"counters": self.counters.all(), "requests": shown})


def dice_start(text: str, seed: int) -> int:
    """Return the place where the list of cheats is entered for this request: other conversations start elsewhere."""
    return Dice(seed.to_bytes(8, signed=True)).pick(text, 1 << 20)


def _message(asked: MessagesRequest, answer: Answer, usage: dict[str, Any], request_id: str) -> dict[str, Any]:
    id = request_id.removeprefix("req_")
    block: dict[str, Any] = {"type": "text", "text": answer.text}
    if answer.tool is not None:
        try:
            given = orjson.loads(answer.text)
        except orjson.JSONDecodeError:
            # What a tool is called with is always an object; a broken one arrives as an empty one.
            given = {}
        caller = {"type": "direct"}
        block = {"type": "tool_use", "id": f"toolu_{id}", "name": answer.tool, "input": given, "caller": caller}
    return {
        "id": f"msg_{id}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": [block] if asked.max_tokens else [],
        "stop_reason": answer.stop_reason,
        "stop_sequence": answer.stop_sequence,
        "stop_details": answer.stop_details,
        "usage": usage,
    }


def _event(kind: str, **content: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps({"type": kind, **content}) + b"\n\n"


def _model(name: str) -> dict[str, Any]:
    return {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }
