"""What the SDK's client is made to do and not to do: the wire beside the SDK's own types, proxies, credentials."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import orjson
import pytest
from anthropic import transform_schema
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from adapters.http.listener import listen
from adapters.models.anthropic import AnthropicModel, request_body
from cli.serving import server_of
from cli.settings import read_settings
from contracts.errors import ConfigurationError, ModelRequestRejectedError, ModelUnavailableError
from contracts.messages import MessageType
from contracts.ports import ChannelLimits, Effort, StructuredOutput
from observability.tracing import span
from prompts.execution.policies import DeferredModel
from prompts.tasks.registry import TASKS
from tests.builders import ROOT, pyloto
from tests.models import Bed, model_before, model_of, request, sandboxed_model, schema_of
from tests.scripted import ScriptedModel
from worker.bootstrap import check_model

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "stop_reason": "end_turn",
    "content": [{"type": "text", "text": "{}"}],
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


@pytest.fixture
async def bed() -> AsyncIterator[Bed]:
    async with sandboxed_model() as bed:
        yield bed


class Recorder:
    """Answers every request with one message and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        content = orjson.loads(await request.body())
        self.asked.append((request.method, request.url.path, dict(request.headers), content))
        await JSONResponse(MESSAGE)(scope, receive, send)


@pytest.mark.parametrize("repair", [{}, {"repair_of": "{", "repair_reason": "cut"}])
async def test_the_request_is_the_one_that_the_sdks_method_sends(repair: dict[str, str]) -> None:
    recorder, asked = Recorder(), request(**repair)
    async with model_before(recorder, key="key") as bed:
        await bed.model.complete(asked)
        async with anthropic.AsyncAnthropic(api_key="key", base_url=bed.url, max_retries=0) as sdk:
            await sdk.messages.create(**recorder.asked[0][3])
    ours, theirs = recorder.asked
    assert ours[:2] == theirs[:2] == ("POST", "/v1/messages")
    assert ours[3] == theirs[3]
    for name in ("authorization", "anthropic-version", "content-type", "accept"):
        assert ours[2][name] == theirs[2][name]


@pytest.mark.parametrize("form", StructuredOutput)
@pytest.mark.parametrize("changes", [{}, {"repair_of": "{", "repair_reason": "cut"}, {"effort": Effort.LOW}])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_request_is_one_of_the_sdks_types(form: StructuredOutput, changes: dict[str, Any], streamed: bool) -> None:
    """What the types do not know would be missing from what they give back."""
    body = request_body(request(**changes), form, stream=streamed)
    params: TypeAdapter[Any] = TypeAdapter(
        MessageCreateParamsStreaming if streamed else MessageCreateParamsNonStreaming
    )
    assert params.dump_python(params.validate_python(body), mode="json") == body


@pytest.mark.parametrize("form", StructuredOutput)
async def test_an_answer_of_the_sandbox_is_one_of_the_sdks_types(bed: Bed, form: StructuredOutput) -> None:
    body = request_body(request(), form)
    async with anthropic.AsyncAnthropic(api_key="k", base_url=f"{bed.url}/anthropic", max_retries=0) as sdk:
        answer = orjson.loads((await sdk.messages.with_raw_response.create(**body)).http_response.content)
        message = Message.model_validate_json(orjson.dumps(answer), strict=True)
        assert not message.model_extra
        assert message.to_dict(exclude_unset=True) == answer
        raw = await sdk.messages.with_raw_response.create(**body, stream=True)
        events: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
        kinds = []
        async for event in await raw.parse(to=anthropic.AsyncStream[object]):
            parsed = events.validate_json(orjson.dumps(event), strict=True)
            assert not parsed.model_extra
            kinds.append(parsed.type)
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    assert "content_block_delta" in kinds


@pytest.mark.parametrize(
    "sent",
    [
        *(schema_of(task.template) for task in TASKS),
        schema_of("select_message_type", limits=ChannelLimits(types=frozenset({MessageType.TEXT}), text=1)),
        schema_of("interview_question", asked_fields=tuple(field.id for field in pyloto().fields)),
    ],
)
def test_a_schema_is_as_the_sdk_would_send_it(sent: dict[str, Any]) -> None:
    assert orjson.dumps(transform_schema(sent)) == orjson.dumps(sent)


async def test_a_request_that_failed_can_be_named_to_the_provider() -> None:
    for request_id, text in (("req_01aB-c", "answered 529 to req_01aB-c$"), ("req\t1", "answered 529$")):
        async with model_before(JSONResponse({}, 529, headers={"request-id": request_id})) as bed:
            with pytest.raises(ModelUnavailableError, match=text):
                await bed.ask()


async def test_a_redirect_is_not_followed() -> None:
    """The key would go along."""
    recorder = Recorder()
    async with (
        server_of(recorder).running(listen("127.0.0.1", 0)) as elsewhere,
        model_before(RedirectResponse(elsewhere)) as bed,
    ):
        with pytest.raises(ModelRequestRejectedError, match="307"):
            await bed.ask()
    assert not recorder.asked


async def test_the_environments_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    async with server_of(recorder).running(listen("127.0.0.1", 0)) as url:
        monkeypatch.setenv("http_proxy", url)
        model = AnthropicModel(api_key="x", base_url="http://anthropic.test")
        await model.complete(request())
        await model.close()
    assert recorder.asked[0][2]["host"] == "anthropic.test"


async def test_the_trace_ends_here() -> None:
    """The executor's span is the one of a call; a provider learns nothing of our traces."""
    recorder = Recorder()
    async with model_before(recorder) as bed:
        with span("ai.execute"):
            await bed.ask()
    assert "traceparent" not in recorder.asked[0][2]
    assert bed.model._client.open_telemetry["traces"]["enabled"] is False


async def test_one_request_at_a_time_is_sent_once() -> None:
    """Retries are the executor's, which knows the turn's budget."""
    asked: list[str] = []

    async def overloaded(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await JSONResponse({}, 529)(scope, receive, send)

    async with model_before(overloaded) as bed:
        with pytest.raises(ModelUnavailableError):
            await bed.ask()
    assert asked == ["/v1/messages"]


@pytest.mark.parametrize(
    "events",
    [
        b"",
        b"event: message_start\ndata: {}\n\n",
        b'event: message_start\ndata: {"type": "message_start"}\n\n',
        b'event: message_stop\ndata: {"type": "message_stop"}\n\n',
        b"event: message_start\ndata: nonsense\n\n",
        b"event: message_start\ndata: \xff\n\n",
        b'event: content_block_delta\ndata: {"type": "content_block_delta", "delta": []}\n\n',
        b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}\n\n',
    ],
)
async def test_what_is_no_stream_of_a_message_is_unavailable(events: bytes) -> None:
    async with model_before(Response(events, media_type="text/event-stream")) as bed:
        with pytest.raises(ModelUnavailableError):
            await bed.ask(streamed=True)


async def test_what_is_no_stream_of_bedrock_is_unavailable() -> None:
    frames = Response(b"\0\0\0\x10" * 8, media_type="application/vnd.amazon.eventstream")
    async with model_before(frames, "bedrock") as bed:
        with pytest.raises(ModelUnavailableError):
            await bed.ask(streamed=True)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('Sure.\n```\n{"a": 1}\n```\nAnything else?', '{"a": 1}'),
        ('{"a": "```json\\n{}\\n```"}', '{"a": "```json\\n{}\\n```"}'),
        ("```json\n{}\n```\nor\n```json\n[]\n```", "```json\n{}\n```\nor\n```json\n[]\n```"),
        ('```json\n{"a": ', '```json\n{"a": '),
    ],
)
async def test_json_is_read_out_of_the_one_code_block(said: str, read: str) -> None:
    async with model_before(JSONResponse(MESSAGE | {"content": [{"type": "text", "text": said}]})) as bed:
        assert (await bed.ask()).text == read


@pytest.mark.parametrize("effort", [None, Effort.LOW])
def test_effort_is_sent_where_it_is_asked_for(effort: Effort | None) -> None:
    body = request_body(request(effort=effort), StructuredOutput.OUTPUT_CONFIG)
    assert body["output_config"].get("effort") == effort
    assert "output_config" not in request_body(request(effort=effort), StructuredOutput.TOOL)


async def test_tokens_are_counted_by_the_provider(bed: Bed) -> None:
    asked = request(system=(), user="Quanto custa uma entrega?")
    counted = await bed.model.count_tokens(asked.user, model=asked.model, within=asked.timeout)
    answer = await bed.model.complete(asked)
    assert answer.tokens is not None
    assert counted == answer.tokens.input


async def test_a_platform_that_cannot_count_says_so() -> None:
    async with sandboxed_model("bedrock") as bed:
        with pytest.raises(ModelRequestRejectedError, match="does not count"):
            await bed.model.count_tokens("Oi", model=bed.request().model, within=bed.request().timeout)


async def test_bedrock_is_asked_with_a_signature_where_there_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    recorder = Recorder()
    async with model_before(recorder, "bedrock", key=None) as bed:
        await bed.ask()
    method, path, headers, content = recorder.asked[0]
    assert (method, path) == ("POST", f"/model/{bed.request().model}/invoke")
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "model" not in content


async def test_vertex_without_credentials_is_unavailable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    model = model_of("vertex", "http://127.0.0.1:9")
    with pytest.raises(ModelUnavailableError, match="DefaultCredentialsError"):
        await model.complete(request())
    await model.close()


@pytest.mark.parametrize(
    ("provider", "library", "environ"),
    [
        ("vertex", "google.auth", {"GOOGLE_CLOUD_PROJECT": "p", "CLOUD_ML_REGION": "r"}),
        (
            "bedrock",
            "boto3",
            {"AWS_REGION": "r"}
            | {f"PROSA_MODEL_{task}": "x" for task in ("STATE", "RESPONSE")}
            | {"PROSA_MODEL_MESSAGE_TYPE": "x", "PROSA_MODEL_ANALYSIS": "x"},
        ),
    ],
)
def test_a_missing_extra_is_named(
    provider: str, library: str, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_settings(environ | {"PROSA_MODEL_PROVIDER": provider}, env_file=None)
    check_model(settings)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigurationError, match=rf"{library}.*uv sync --extra {provider}"):
        check_model(settings)


async def test_a_deferred_model_answers_when_it_is_made() -> None:
    made = ScriptedModel(lambda _: asyncio.sleep(0, "{}"))
    model = DeferredModel(lambda: made)
    assert (await model.complete(request())).text == "{}"
    assert made.requests
    await model.close()


HEAVY = """
import sys
{imports}
print([name for name in ("anthropic", "httpx2", "genai_prices", "boto3", "google.auth") if name in sys.modules])
"""


@pytest.mark.parametrize(
    "imports",
    ["import cli.main", "import worker.bootstrap, worker.service, cli.runtime", "import cli.webhook_role, webhook.app"],
)
def test_a_process_starts_without_the_sdk(imports: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HEAVY.format(imports=imports)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
