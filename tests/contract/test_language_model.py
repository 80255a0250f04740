"""The `LanguageModel` port, by every provider and every policy around one: answers, bills, streams, failures."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from adapters.channels.fetching import file_of
from adapters.http.listener import listen
from cli.serving import server_of
from contracts.conversation import TokenCount
from contracts.decisions import StateDecision
from contracts.errors import ModelRequestRejectedError, ModelUnavailableError
from contracts.ports import LanguageModel, ModelRequest, StructuredOutput, SystemBlock
from sandbox.app import SandboxSettings, create_app
from tests.builders import pyloto
from tests.media_files import pdf, png
from tests.models import (
    PROVIDERS,
    WRAPPERS,
    Bed,
    model_before,
    model_of,
    request,
    sandboxed_model,
    schema_of,
    service_account,
)
from tests.scripted import ScriptedModel


@pytest.fixture(autouse=True)
async def _service_account(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """Vertex asks as a service account, whose tokens come from the sandbox."""
    if "vertex" not in request.node.name:
        yield
        return
    app = create_app(SandboxSettings(institution=pyloto()))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        file = service_account(tmp_path, token_uri=f"{url}/vertex/token")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        yield


@pytest.fixture(params=[*PROVIDERS, *WRAPPERS])
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def bed(provider: str) -> AsyncIterator[Bed]:
    async with sandboxed_model(provider) as bed:
        yield bed


@pytest.fixture(params=StructuredOutput)
async def formed(provider: str, request: pytest.FixtureRequest) -> AsyncIterator[Bed]:
    """A model that is asked for JSON in each of the three forms."""
    async with sandboxed_model(provider, request.param) as bed:
        yield bed


@pytest.fixture(params=[*PROVIDERS, *WRAPPERS, "scripted"])
async def any_model(request: pytest.FixtureRequest) -> AsyncIterator[LanguageModel]:
    if request.param == "scripted":
        yield ScriptedModel(lambda _: asyncio.sleep(0, '{"next_state": "PROCESSING", "confidence": 1}'))
        return
    async with sandboxed_model(request.param) as bed:
        yield _Renamed(bed)


class _Renamed:
    """A model that is asked by the name its provider gives it."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed

    async def complete(self, request: ModelRequest, *, on_text: Any = None) -> Any:
        return await self._bed.model.complete(
            request.model_copy(update={"model": self._bed.request().model}), on_text=on_text
        )

    async def close(self) -> None:
        await self._bed.model.close()


async def test_an_answer_names_its_model_its_end_and_its_tokens(any_model: LanguageModel) -> None:
    answer = await any_model.complete(request())
    assert StateDecision.model_validate_json(answer.text)
    assert (answer.stop_reason, answer.model) == ("end_turn", "claude-haiku-5-5")
    assert answer.tokens is not None
    assert answer.tokens.output > 0


async def test_files_are_seen_counted_and_refused_when_damaged(formed: Bed) -> None:
    described = schema_of()
    described["properties"]["description"] = {"type": "string"}
    described["required"] = [*described["required"], "description"]
    files = tuple(map(file_of, (png(600, 500, text="caixa amassada"), pdf(text="nota fiscal"), b"lista")))
    answer, without = await formed.ask(files=files, output_schema=described), await formed.ask()
    assert orjson.loads(answer.text)["description"] == "caixa amassada nota fiscal lista"
    assert answer.tokens is not None
    assert without.tokens is not None
    assert answer.tokens.input - without.tokens.input >= files[0].tokens + files[1].tokens
    with pytest.raises(ModelRequestRejectedError) as refused:
        await formed.ask(files=(file_of(png(whole=False)),))
    assert refused.value.status == 400


async def test_what_is_heard_of_a_stream_is_its_text(any_model: LanguageModel) -> None:
    pieces: list[str] = []

    async def hear(piece: str) -> None:
        pieces.append(piece)

    whole = await any_model.complete(request())
    streamed = await any_model.complete(request(), on_text=hear)
    assert len(pieces) > 1
    assert "".join(pieces) == streamed.text == whole.text
    assert (streamed.stop_reason, streamed.model) == (whole.stop_reason, whole.model)


async def test_a_streamed_answer_is_billed_like_a_whole_one(bed: Bed) -> None:
    whole, streamed = (await bed.ask()).tokens, (await bed.ask(streamed=True)).tokens
    assert whole is not None
    assert streamed is not None
    assert streamed.output == whole.output
    assert streamed.cache_read == whole.cache_read + whole.cache_write


@pytest.mark.parametrize("streamed", [False, True])
async def test_each_form_gives_the_same_answer(formed: Bed, streamed: bool) -> None:
    answer = await formed.ask(streamed=streamed)
    assert StateDecision.model_validate_json(answer.text).intent == "greeting"
    if streamed:
        assert "".join(formed.pieces) == answer.text


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_repair_shows_the_model_what_was_wrong(formed: Bed, streamed: bool) -> None:
    answer = await formed.ask(streamed=streamed, repair_of="   ", repair_reason="next_state: missing")
    assert StateDecision.model_validate_json(answer.text)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("fault", "status", "retry_after"),
    [
        ({"rate_limited": 1.0, "retry_after_seconds": 7}, "429", 7),
        ({"overloaded": 1.0}, "529", None),
        ({"server_error": 1.0}, "500", None),
    ],
)
async def test_what_passes_is_unavailable(
    bed: Bed, fault: dict[str, Any], status: str, retry_after: int | None, streamed: bool
) -> None:
    bed.behave(**fault)
    with pytest.raises(ModelUnavailableError, match=f"{status} to req_") as caught:
        await bed.ask(streamed=streamed)
    assert caught.value.retry_after == (timedelta(seconds=retry_after) if retry_after else None)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("change", [{"system": (SystemBlock(text=" "),)}, {"max_tokens": -1}])
async def test_a_request_that_the_api_refuses_is_refused_for_good(
    bed: Bed, change: dict[str, Any], streamed: bool
) -> None:
    with pytest.raises(ModelRequestRejectedError, match="400") as caught:
        await bed.ask(streamed=streamed, **change)
    assert "bom dia" not in str(caught.value)
    assert caught.value.__suppress_context__, "the provider's text may quote the prompt"


async def test_an_unknown_model_is_refused_for_good(bed: Bed) -> None:
    with pytest.raises(ModelRequestRejectedError, match="404"):
        await bed.ask(model="gpt-7")


@pytest.mark.parametrize("provider", ["anthropic", "bedrock"])
async def test_a_wrong_key_is_refused_for_good(provider: str, bed: Bed) -> None:
    model = model_of(provider, f"{bed.url}/{provider}", key="invalid")
    with pytest.raises(ModelRequestRejectedError, match="401"):
        await model.complete(bed.request())
    await model.close()


async def test_a_date_to_come_back_at_is_measured_by_the_servers_clock(provider: str) -> None:
    moments = {"date": "Sat, 21 Nov 2026 10:00:00 GMT", "retry-after": "Sat, 21 Nov 2026 10:00:09 GMT"}
    async with model_before(JSONResponse({}, 503, headers=moments), provider) as bed:
        with pytest.raises(ModelUnavailableError) as caught:
            await bed.ask()
    assert caught.value.retry_after == timedelta(seconds=9)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("behaviour", [{"latency": {"median_ms": 5_000}}, {"slow_drip": 1.0, "slow_drip_ms": 5_000}])
async def test_a_slow_model_is_unavailable_after_the_time_out(
    bed: Bed, behaviour: dict[str, Any], streamed: bool
) -> None:
    bed.behave(**behaviour)
    with pytest.raises(ModelUnavailableError, match=r"Timeout|within its time"):
        await bed.ask(streamed=streamed, timeout=timedelta(milliseconds=300))


@pytest.mark.parametrize("fault", ["cut_before_headers", "cut_after_headers"])
async def test_a_cut_connection_is_unavailable(bed: Bed, fault: str) -> None:
    bed.behave(**{fault: 1.0})
    with pytest.raises(ModelUnavailableError):
        await bed.ask()


@pytest.mark.parametrize("fault", ["cut_before_headers", "cut_after_headers", "stream_error"])
async def test_a_stream_that_breaks_off_is_unavailable_and_the_next_one_is_whole(bed: Bed, fault: str) -> None:
    bed.behave(**{fault: 1.0})
    with pytest.raises(ModelUnavailableError):
        await bed.ask(streamed=True)
    bed.behave()
    assert (await bed.ask(streamed=True)).stop_reason == "end_turn"


async def test_an_address_without_a_server_is_unavailable(provider: str) -> None:
    model = model_of(provider, "http://127.0.0.1:9")
    with pytest.raises(ModelUnavailableError):
        await model.complete(request())
    await model.close()


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_refusal_and_a_cut_answer_say_so(bed: Bed, streamed: bool) -> None:
    cut = await bed.ask(streamed=streamed, max_tokens=5)
    assert (cut.stop_reason, cut.tokens and cut.tokens.output) == ("max_tokens", 5)
    bed.behave(refusal=1.0)
    assert (await bed.ask(streamed=streamed)).stop_reason == "refusal"


async def test_the_second_call_reads_the_prefix_from_the_cache(bed: Bed) -> None:
    first, second = (await bed.ask()).tokens, (await bed.ask(user=request().user.replace("dia", "tarde"))).tokens
    assert first is not None
    assert second is not None
    assert first.cache_write > 1_024
    assert (first.cache_read, second.cache_read, second.cache_write) == (0, first.cache_write, 0)
    assert second.input < 500


async def test_every_schema_we_send_is_one_the_api_takes(formed: Bed) -> None:
    answer = await formed.ask(output_schema=schema_of("generate_response"), schema_name="response_draft")
    assert '"text"' in answer.text


USAGE = {"input_tokens": 1, "output_tokens": 1}
MESSAGE = {"model": "m", "stop_reason": "end_turn", "content": [{"type": "text", "text": "{}"}], "usage": USAGE}


@pytest.mark.parametrize(
    "answer",
    [
        *(PlainTextResponse("<html>"), PlainTextResponse("{", media_type="application/json"), Response()),
        *(PlainTextResponse(b"\xff", media_type="application/json"),),
        *(JSONResponse(content) for content in (None, [], {}, "message", 7)),
        *(JSONResponse({key: MESSAGE[key] for key in MESSAGE if key != gone}) for gone in MESSAGE if gone != "usage"),
        *(JSONResponse(MESSAGE | {"content": content}) for content in (None, ["text"], [{"type": "text"}])),
        JSONResponse(MESSAGE | {"usage": USAGE | {"input_tokens": "many"}}),
    ],
)
async def test_what_is_no_message_is_unavailable(provider: str, answer: Response) -> None:
    async with model_before(answer, provider) as bed:
        with pytest.raises(ModelUnavailableError, match="not"):
            await bed.ask()


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (USAGE | {"cache_read_input_tokens": None, "cache_creation": None}, TokenCount(input=1, output=1)),
        (None, None),
        ({}, None),
        (USAGE | {"output_tokens": None}, None),
    ],
)
async def test_tokens_that_are_not_counted_are_unknown(provider: str, usage: Any, tokens: TokenCount | None) -> None:
    async with model_before(JSONResponse(MESSAGE | {"usage": usage}), provider) as bed:
        answer = await bed.ask()
    assert (answer.text, answer.tokens) == ("{}", tokens)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_server_that_counts_nothing_is_used(bed: Bed, streamed: bool) -> None:
    bed.behave(without_usage=True)
    answer = await bed.ask(streamed=streamed)
    assert StateDecision.model_validate_json(answer.text)
    assert answer.tokens is None


@pytest.mark.parametrize("streamed", [False, True])
async def test_json_in_a_code_block_is_read(provider: str, streamed: bool) -> None:
    async with sandboxed_model(provider, StructuredOutput.PROMPT) as bed:
        bed.behave(fenced=True)
        assert StateDecision.model_validate_json((await bed.ask(streamed=streamed)).text).intent == "greeting"


@pytest.mark.parametrize("streamed", [False, True])
async def test_words_are_read_where_the_forced_tool_is_not_called(provider: str, streamed: bool) -> None:
    async with sandboxed_model(provider, StructuredOutput.TOOL) as bed:
        bed.behave(without_forced_tools=True, fenced=True)
        assert StateDecision.model_validate_json((await bed.ask(streamed=streamed)).text).intent == "greeting"


async def test_a_server_without_structured_output_is_asked_in_the_other_forms(provider: str) -> None:
    for form in StructuredOutput:
        async with sandboxed_model(provider, form) as bed:
            bed.behave(without_output_config=True)
            if form is StructuredOutput.OUTPUT_CONFIG:
                with pytest.raises(ModelRequestRejectedError, match="400"):
                    await bed.ask()
            else:
                assert StateDecision.model_validate_json((await bed.ask()).text)
