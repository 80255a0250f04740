"""The Anthropic adapter against the sandbox's Messages API, and beside the SDK: answers, bills and every error."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import anthropic
import orjson
import pytest
from anthropic import transform_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from adapters.models.anthropic import AnthropicModel
from cli.serving import server_of
from contracts.conversation import State, TokenCount
from contracts.decisions import StateDecision
from contracts.errors import ConfigurationError, ModelRequestRejectedError, ModelUnavailableError
from contracts.messages import MessageType
from contracts.ports import Effort, ModelRequest, ModelResponse, SystemBlock
from prompts.schemas import (
    message_type_schema,
    question_schema,
    response_schema,
    review_schema,
    state_schema,
    summary_schema,
)
from sandbox.app import SandboxSettings, create_app
from sandbox.behaviour import ModelBehaviour
from sandbox.transport import listen
from tests.builders import pyloto

CONVERSATION = (
    '<conversation>{"state":"UNDERSTANDING_INTENT","allowed_states":["PROCESSING","ESCALATING"],'
    '"waiting_for":"anything","person_name":null,"fields":{},"business_line":null,"intent":null,'
    '"first_conversation":true,"returning":false,"history":[],"askable_fields":[],'
    '"messages":[{"kind":"text","text":"Oi, bom dia","choice":null}]}</conversation>'
)


def request(**changes: Any) -> ModelRequest:
    base: dict[str, Any] = {
        "model": "claude-haiku-5-5",
        "system": (SystemBlock(text=pyloto().prompt_core, cached=True), SystemBlock(text="Decide.", cached=True)),
        "user": CONVERSATION,
        "schema_name": "state_decision",
        "output_schema": _schema(),
        "max_tokens": 1024,
        "timeout": timedelta(seconds=5),
    }
    return ModelRequest(**(base | changes))


def _schema() -> dict[str, Any]:
    return state_schema(
        states=[State.PROCESSING, State.ESCALATING],
        lines=[line.id for line in pyloto().lines],
        intents=[intent.id for intent in pyloto().intents],
        fields=["name"],
        askable=[],
    )


class Bed:
    def __init__(self, model: AnthropicModel, url: str, app: Any) -> None:
        self.model, self.url, self.app = model, url, app

    def behave(self, **behaviour: Any) -> None:
        self.app.state.model.behave(ModelBehaviour(**behaviour))


@pytest.fixture
async def bed() -> AsyncIterator[Bed]:
    app = create_app(SandboxSettings(institution=pyloto()))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        model = AnthropicModel(api_key="sandbox", base_url=f"{url}/anthropic")
        try:
            yield Bed(model, url, app)
        finally:
            await model.close()


async def test_an_answer_obeys_the_schema_and_has_a_bill(bed: Bed) -> None:
    answer = await bed.model.complete(request())
    decision = StateDecision.model_validate_json(answer.text)
    assert decision.intent == "greeting"
    assert (answer.stop_reason, answer.model) == ("end_turn", "claude-haiku-5-5")
    assert answer.tokens.output > 0


async def test_the_second_call_reads_the_prefix_from_the_cache(bed: Bed) -> None:
    first = await bed.model.complete(request())
    second = await bed.model.complete(request(user=CONVERSATION.replace("bom dia", "boa tarde")))
    assert first.tokens.cache_write > 1_024
    assert first.tokens.cache_read == 0
    assert second.tokens.cache_read == first.tokens.cache_write
    assert second.tokens.cache_write == 0
    assert second.tokens.input < 500


@pytest.mark.parametrize(
    ("fault", "retry_after"),
    [({"rate_limited": 1.0, "retry_after_seconds": 7}, 7), ({"overloaded": 1.0}, None), ({"server_error": 1.0}, None)],
)
async def test_what_passes_is_unavailable(bed: Bed, fault: dict[str, Any], retry_after: int | None) -> None:
    bed.behave(**fault)
    with pytest.raises(ModelUnavailableError) as caught:
        await bed.model.complete(request())
    if retry_after is not None:
        assert caught.value.retry_after == timedelta(seconds=retry_after)


async def test_a_cut_connection_is_unavailable(bed: Bed) -> None:
    bed.behave(cut_before_headers=1.0)
    with pytest.raises(ModelUnavailableError):
        await bed.model.complete(request())


async def test_a_slow_model_is_unavailable_after_the_time_out(bed: Bed) -> None:
    bed.behave(latency={"median_ms": 5_000})
    with pytest.raises(ModelUnavailableError, match="Timeout"):
        await bed.model.complete(request(timeout=timedelta(milliseconds=100)))


USAGE = {"input_tokens": 1, "output_tokens": 1}
MESSAGE = {"model": "m", "stop_reason": "end_turn", "content": [{"type": "text", "text": "{}"}], "usage": USAGE}


@pytest.mark.parametrize(
    "answer",
    [
        *(PlainTextResponse("<html>"), PlainTextResponse("{", media_type="application/json"), Response()),
        *(PlainTextResponse(b"\xff", media_type="application/json"),),
        *(JSONResponse(content) for content in (None, [], {}, "message", 7)),
        *(JSONResponse({name: MESSAGE[name] for name in MESSAGE if name != missing}) for missing in MESSAGE),
        *(JSONResponse(MESSAGE | {"content": content}) for content in (None, ["text"], [{"type": "text"}])),
        JSONResponse(MESSAGE | {"usage": USAGE | {"input_tokens": "many"}}),
        JSONResponse(MESSAGE | {"usage": USAGE | {"cache_creation": []} | {"output_tokens": None}}),
    ],
)
async def test_what_is_no_message_is_unavailable(answer: Response) -> None:
    async with server_of(answer).running(listen("127.0.0.1", 0)) as url:
        model = AnthropicModel(api_key="x", base_url=url)
        with pytest.raises(ModelUnavailableError, match="not"):
            await model.complete(request())
        await model.close()


async def test_a_message_without_counts_of_the_cache_has_a_bill() -> None:
    usage = USAGE | {"cache_read_input_tokens": None, "cache_creation": None}
    async with server_of(JSONResponse(MESSAGE | {"usage": usage})).running(listen("127.0.0.1", 0)) as url:
        model = AnthropicModel(api_key="x", base_url=url)
        answer = await model.complete(request())
        await model.close()
    assert (answer.text, answer.tokens) == ("{}", TokenCount(input=1, output=1))


class Recorder:
    """Answers every request with one message and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        content = orjson.loads(await request.body())
        self.asked.append((request.method, request.url.path, dict(request.headers), content))
        await JSONResponse(MESSAGE | {"id": "msg_1", "type": "message", "role": "assistant"})(scope, receive, send)


@pytest.mark.parametrize("repair", [{}, {"repair_of": "{", "repair_reason": "cut"}])
async def test_the_request_is_the_one_that_the_sdk_sends(repair: dict[str, str]) -> None:
    recorder, asked = Recorder(), request(**repair)
    async with server_of(recorder).running(listen("127.0.0.1", 0)) as url:
        model = AnthropicModel(api_key="key", base_url=url)
        await model.complete(asked)
        await model.close()
        async with anthropic.AsyncAnthropic(api_key="key", auth_token=None, base_url=url, max_retries=0) as sdk:
            await sdk.messages.create(**recorder.asked[0][3])
    ours, theirs = recorder.asked
    assert ours[:2] == theirs[:2] == ("POST", "/v1/messages")
    assert ours[3] == theirs[3]
    for name in ("authorization", "anthropic-version", "content-type", "accept"):
        assert ours[2][name] == theirs[2][name]


@pytest.mark.parametrize(
    "schema",
    [
        _schema(),
        response_schema(),
        message_type_schema(types=list(MessageType), assets=["map"]),
        message_type_schema(types=[MessageType.TEXT], assets=[]),
        question_schema(askable=["name"]),
        summary_schema(fields=["name"]),
        review_schema(),
    ],
)
def test_a_schema_is_as_the_sdk_would_send_it(schema: dict[str, Any]) -> None:
    assert orjson.dumps(transform_schema(schema)) == orjson.dumps(schema)


async def test_a_request_that_failed_can_be_named_to_the_provider() -> None:
    for request_id, text in (("req_01aB-c", "answered 529 to req_01aB-c$"), ("req\t1", "answered 529$")):
        answer = JSONResponse({}, 529, headers={"request-id": request_id})
        async with server_of(answer).running(listen("127.0.0.1", 0)) as url:
            model = AnthropicModel(api_key="x", base_url=url)
            with pytest.raises(ModelUnavailableError, match=text):
                await model.complete(request())
            await model.close()


async def test_a_date_to_come_back_at_is_measured_by_the_servers_clock() -> None:
    moments = {"date": "Sat, 21 Nov 2026 10:00:00 GMT", "retry-after": "Sat, 21 Nov 2026 10:00:09 GMT"}
    async with server_of(JSONResponse({}, 503, headers=moments)).running(listen("127.0.0.1", 0)) as url:
        model = AnthropicModel(api_key="x", base_url=url)
        with pytest.raises(ModelUnavailableError) as caught:
            await model.complete(request())
        await model.close()
    assert caught.value.retry_after == timedelta(seconds=9)


async def test_nobody_is_followed_elsewhere() -> None:
    """The key would go along."""
    recorder = Recorder()
    async with (
        server_of(recorder).running(listen("127.0.0.1", 0)) as elsewhere,
        server_of(RedirectResponse(elsewhere)).running(listen("127.0.0.1", 0)) as url,
    ):
        model = AnthropicModel(api_key="x", base_url=url)
        with pytest.raises(ModelRequestRejectedError, match="307"):
            await model.complete(request())
        await model.close()
    assert not recorder.asked


async def test_the_environments_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    async with server_of(recorder).running(listen("127.0.0.1", 0)) as url:
        monkeypatch.setenv("http_proxy", url)
        model = AnthropicModel(api_key="x", base_url="http://anthropic.test")
        await model.complete(request())
        await model.close()
    assert recorder.asked[0][2]["host"] == "anthropic.test"


@pytest.mark.parametrize("key", ["a\nb", "a\0b", "chave-é"])
async def test_a_key_that_cannot_be_written_stops_the_start(key: str) -> None:
    with pytest.raises(ConfigurationError, match="ANTHROPIC_API_KEY"):
        AnthropicModel(api_key=key)


async def test_nobody_there_is_unavailable() -> None:
    model = AnthropicModel(api_key="x", base_url="http://127.0.0.1:9")
    with pytest.raises(ModelUnavailableError):
        await model.complete(request())
    await model.close()


async def test_a_wrong_key_is_refused_for_good(bed: Bed) -> None:
    model = AnthropicModel(api_key="invalid", base_url=f"{bed.url}/anthropic")
    with pytest.raises(ModelRequestRejectedError, match="401"):
        await model.complete(request())
    await model.close()


@pytest.mark.parametrize("change", [{"model": "gpt-7"}, {"system": (SystemBlock(text=" "),)}])
async def test_a_request_that_the_api_refuses_is_refused_for_good(bed: Bed, change: dict[str, Any]) -> None:
    with pytest.raises(ModelRequestRejectedError) as caught:
        await bed.model.complete(request(**change))
    assert "bom dia" not in str(caught.value)


async def test_a_cut_answer_says_so_and_is_billed(bed: Bed) -> None:
    answer = await bed.model.complete(request(max_tokens=5))
    assert answer.stop_reason == "max_tokens"
    assert answer.tokens.output == 5


async def test_a_refusal_says_so(bed: Bed) -> None:
    bed.behave(refusal=1.0)
    assert (await bed.model.complete(request())).stop_reason == "refusal"


async def test_a_repair_shows_the_model_what_was_wrong(bed: Bed) -> None:
    answer = await bed.model.complete(request(repair_of="   ", repair_reason="next_state: missing"))
    assert StateDecision.model_validate_json(answer.text)


async def test_every_schema_we_send_is_one_the_api_takes(bed: Bed) -> None:
    answer = await bed.model.complete(request(output_schema=response_schema(), schema_name="response_draft"))
    assert '"text"' in answer.text


async def heard(bed: Bed, asked: ModelRequest) -> tuple[ModelResponse, list[str]]:
    pieces: list[str] = []

    async def hear(piece: str) -> None:
        pieces.append(piece)

    return await bed.model.complete(asked, on_text=hear), pieces


async def test_a_streamed_answer_is_the_same_as_a_whole_one(bed: Bed) -> None:
    whole = await bed.model.complete(request())
    streamed, pieces = await heard(bed, request())
    assert len(pieces) > 3
    assert "".join(pieces) == streamed.text == whole.text
    assert (streamed.stop_reason, streamed.model) == (whole.stop_reason, whole.model)
    assert streamed.tokens.output == whole.tokens.output
    assert streamed.tokens.cache_read == whole.tokens.cache_read + whole.tokens.cache_write


@pytest.mark.parametrize(
    "fault", ["cut_before_headers", "cut_after_headers", "stream_error", "overloaded", "rate_limited", "server_error"]
)
async def test_a_stream_that_breaks_off_is_unavailable(bed: Bed, fault: str) -> None:
    bed.behave(**{fault: 1.0})
    with pytest.raises(ModelUnavailableError):
        await heard(bed, request())
    bed.behave()
    assert (await heard(bed, request()))[0].stop_reason == "end_turn"


async def test_a_stream_of_a_refusal_says_so(bed: Bed) -> None:
    bed.behave(refusal=1.0)
    assert (await heard(bed, request()))[0].stop_reason == "refusal"


@pytest.mark.parametrize(
    "events",
    [
        b"",
        b"event: message_start\ndata: {}\n\n",
        b'event: message_start\ndata: {"type": "message_start"}\n\n',
        b'event: message_stop\ndata: {"type": "message_stop"}\n\n',
        b"event: message_start\ndata: nonsense\n\n",
        b'event: content_block_delta\ndata: {"type": "content_block_delta", "delta": []}\n\n',
        b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}\n\n',
    ],
)
async def test_what_is_no_stream_of_a_message_is_unavailable(events: bytes) -> None:
    answer = Response(events, media_type="text/event-stream")
    async with server_of(answer).running(listen("127.0.0.1", 0)) as url:
        model = AnthropicModel(api_key="x", base_url=url)
        with pytest.raises(ModelUnavailableError):
            await heard(Bed(model, url, None), request())
        await model.close()


@pytest.mark.parametrize("effort", [None, Effort.LOW])
async def test_effort_is_sent_where_it_is_asked_for(bed: Bed, effort: Effort | None) -> None:
    await bed.model.complete(request(model="claude-sonnet-5-5", effort=effort))
    body = orjson.loads(bed.app.state.model._bodies[-1][1])
    assert body["output_config"].get("effort") == effort
