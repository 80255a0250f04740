"""The Messages API through the real SDK: answers, streams, errors, and what the API refuses."""

import asyncio
import time
from typing import Any

import anthropic
import httpx
import httpx2
import orjson
import pytest
from sandbox_requests import MODEL, SCHEMAS, request, text_of
from starlette.applications import Starlette

from contracts.decisions import MessageTypeChoice, ResponseDraft, StateDecision
from sandbox.anthropic_api import ModelSandbox
from sandbox.behaviour import ModelBehaviour, ScriptedAnswer
from sandbox.citing import spoken

SDK = anthropic.AsyncAnthropic


def model_of(app: Starlette) -> ModelSandbox:
    model: ModelSandbox = app.state.model
    return model


async def test_each_task_is_answered_in_its_schema(sdk: SDK) -> None:
    decision = StateDecision.model_validate_json(text_of(await sdk.messages.create(**request("state"))))
    assert decision.next_state == "PROCESSING"
    assert decision.intent == "greeting"
    draft = ResponseDraft.model_validate_json(text_of(await sdk.messages.create(**request("response"))))
    assert draft.text
    decided = decision.model_dump(mode="json")
    choice = await sdk.messages.create(**request("message_type", decision=decided))
    assert MessageTypeChoice.model_validate_json(text_of(choice)).type == "LIST"


async def test_the_answer_has_everything_the_real_one_has(sdk: SDK) -> None:
    answer = await sdk.messages.with_raw_response.create(**request())
    message = await answer.parse()
    assert answer.headers["request-id"].startswith("req_")
    assert answer.headers["x-prosa-sandbox"] == "true"
    assert int(answer.headers["anthropic-ratelimit-requests-remaining"]) > 0
    assert message.type == "message"
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0
    assert message.usage.cache_creation is not None
    assert message.usage.service_tier == "standard"


async def test_parse_gives_the_model(sdk: SDK) -> None:
    asked = request()
    del asked["output_config"]
    answer = await sdk.messages.parse(**asked, output_format=StateDecision)
    assert answer.parsed_output is not None
    assert answer.parsed_output.intent == "greeting"


async def test_aiohttp_client(address: str) -> None:
    async with SDK(
        api_key="test", base_url=f"{address}/anthropic", http_client=anthropic.DefaultAioHttpClient(), max_retries=0
    ) as client:
        assert text_of(await client.messages.create(**request()))


async def test_stream_ends_in_the_same_message(sdk: SDK) -> None:
    asked = request("response")
    whole = text_of(await sdk.messages.create(**asked))
    async with sdk.messages.stream(**asked) as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_message()
    assert text_of(final) == whole
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens > 1
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    assert kinds.count("content_block_delta") > 2


async def test_prompt_without_schema_is_answered_in_plain_text(sdk: SDK) -> None:
    message = await sdk.messages.create(
        model=MODEL, max_tokens=300, messages=[{"role": "user", "content": "qual o endereço?"}]
    )
    assert text_of(message)


async def test_unknown_schema_gets_the_least_that_conforms(sdk: SDK) -> None:
    schema = {
        "type": "object",
        "properties": {
            "kind": {"enum": ["a", "b"]},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "when": {"type": "string", "format": "date"},
            "many": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        },
        "required": ["kind", "note", "when", "many"],
        "additionalProperties": False,
    }
    asked = {**request(), "output_config": {"format": {"type": "json_schema", "schema": schema}}}
    answer = orjson.loads(text_of(await sdk.messages.create(**asked)))
    assert answer == {"kind": "a", "note": None, "when": "2026-01-01", "many": [0]}


async def test_max_tokens_cuts_the_text(sdk: SDK) -> None:
    message = await sdk.messages.create(**{**request(), "max_tokens": 8})
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == 8
    assert len(text_of(message)) == 32


async def test_count_tokens_and_models(sdk: SDK) -> None:
    counted = await sdk.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "x" * 400}])
    assert counted.input_tokens == 100
    assert MODEL in [model.id async for model in sdk.models.list()]
    assert (await sdk.models.retrieve(MODEL)).lifecycle == "active"
    with pytest.raises(anthropic.NotFoundError):
        await sdk.models.retrieve("claude-none")


USER = [{"role": "user", "content": "oi"}]
TEXT_SCHEMA = SCHEMAS["response"]


def with_property(schema: dict[str, Any]) -> dict[str, Any]:
    properties = {"text": schema}
    return {
        "output_config": {
            "format": {
                "type": "json_schema",
                "schema": {"type": "object", "properties": properties, "additionalProperties": False},
            }
        }
    }


def breakpoints(count: int) -> list[dict[str, Any]]:
    return [{"type": "text", "text": f"{n}", "cache_control": {"type": "ephemeral"}} for n in range(count)]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown parameter": ({"frequency_penalty": 1}, "frequency_penalty"),
    "temperature": ({"temperature": 0}, "temperature"),
    "top_p": ({"top_p": 0.9}, "top_p"),
    "top_k": ({"top_k": 5}, "top_k"),
    "no messages": ({"messages": []}, "at least one message"),
    "prefill": ({"messages": [*USER, {"role": "assistant", "content": "{"}]}, "prefill"),
    "first from assistant": ({"messages": [{"role": "assistant", "content": "a"}, *USER]}, "first message"),
    "unknown role": ({"messages": [{"role": "tool", "content": "a"}]}, "role"),
    "empty text": ({"messages": [{"role": "user", "content": ""}]}, "non-empty"),
    "empty system block": ({"system": [{"type": "text", "text": ""}]}, "non-empty"),
    "blank text": ({"messages": [{"role": "user", "content": "  \n"}]}, "non-whitespace"),
    "five breakpoints": ({"system": breakpoints(5)}, "maximum of 4"),
    "1h after 5m": (
        {
            "system": [
                *breakpoints(1),
                {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            ]
        },
        "ttl",
    ),
    "unknown ttl": (
        {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "9h"}}]},
        "ttl",
    ),
    "max_tokens text": ({"max_tokens": "many"}, "max_tokens"),
    "negative max_tokens": ({"max_tokens": -1}, "max_tokens"),
    "unknown effort": ({"output_config": {"effort": "huge"}}, "effort"),
    "old output_format": ({"output_format": {"type": "json_schema"}}, "output_format"),
    "minimum": (with_property({"type": "integer", "minimum": 1}), "minimum"),
    "maxLength": (with_property({"type": "string", "maxLength": 5}), "maxLength"),
    "pattern": (with_property({"type": "string", "pattern": "a"}), "pattern"),
    "minItems 2": (with_property({"type": "array", "items": {"type": "string"}, "minItems": 2}), "minItems"),
    "maxItems": (with_property({"type": "array", "items": {"type": "string"}, "maxItems": 2}), "maxItems"),
    "oneOf": (with_property({"oneOf": [{"type": "string"}]}), "oneOf"),
    "open object": (with_property({"type": "object", "properties": {}}), "additionalProperties"),
    "no type": (with_property({"title": "x"}), "type"),
    "unknown format": (with_property({"type": "string", "format": "phone"}), "format"),
    "dangling reference": (with_property({"$ref": "#/$defs/None"}), "$ref"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_the_api_refuses(direct: httpx.AsyncClient, name: str) -> None:
    change, named = REFUSED[name]
    body = {"model": MODEL, "max_tokens": 100, "messages": USER, **change}
    answer = await direct.post("/anthropic/v1/messages", json=body)
    assert answer.status_code == 400
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert named in answer.json()["error"]["message"]
    assert answer.json()["request_id"] == answer.headers["request-id"]


@pytest.mark.parametrize("missing", ["model", "max_tokens", "messages"])
async def test_missing_parameter_is_named(http: httpx.AsyncClient, missing: str) -> None:
    body = {"model": MODEL, "max_tokens": 100, "messages": USER}
    del body[missing]
    headers = {"x-api-key": "k", "anthropic-version": "2026-10-21"}
    answer = await http.post("/anthropic/v1/messages", json=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, f"{missing}: Field required")


async def test_headers_are_required(http: httpx.AsyncClient) -> None:
    body = {"model": MODEL, "max_tokens": 100, "messages": USER}
    no_key = await http.post("/anthropic/v1/messages", json=body, headers={"anthropic-version": "2026-10-21"})
    assert (no_key.status_code, no_key.json()["error"]["type"]) == (401, "authentication_error")
    no_version = await http.post("/anthropic/v1/messages", json=body, headers={"x-api-key": "k"})
    assert no_version.status_code == 400
    assert "anthropic-version" in no_version.json()["error"]["message"]


async def test_broken_json_is_refused(http: httpx.AsyncClient) -> None:
    headers = {"x-api-key": "k", "anthropic-version": "2026-10-21"}
    answer = await http.post("/anthropic/v1/messages", content=b"{", headers=headers)
    assert answer.status_code == 400


async def test_invalid_key_unknown_model_and_a_body_that_is_too_large(sdk: SDK, address: str) -> None:
    async with SDK(api_key="invalid", base_url=f"{address}/anthropic", max_retries=0) as other:
        with pytest.raises(anthropic.AuthenticationError):
            await other.messages.create(**request())
    with pytest.raises(anthropic.NotFoundError) as not_found:
        await sdk.messages.create(**{**request(), "model": "gpt-9"})
    assert not_found.value.type == "not_found_error"
    with pytest.raises(anthropic.APIStatusError) as too_large:
        await sdk.messages.create(**{**request(), "system": "x" * (33 * 1024 * 1024)})
    assert (too_large.value.status_code, too_large.value.type) == (413, "request_too_large")


async def test_neighbours_of_one_role_are_one_turn(sdk: SDK) -> None:
    message = await sdk.messages.create(model=MODEL, max_tokens=200, messages=[*USER, *USER])  # type: ignore[list-item]
    assert message.stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("rate_limited", anthropic.RateLimitError),
        ("overloaded", anthropic.APIStatusError),
        ("server_error", anthropic.InternalServerError),
        ("cut_before_headers", anthropic.APIConnectionError),
        ("cut_after_headers", (anthropic.APIConnectionError, httpx2.RemoteProtocolError)),
    ],
)
async def test_faults_reach_the_sdk(app: Starlette, sdk: SDK, fault: str, expected: Any) -> None:
    model_of(app).behave(ModelBehaviour.model_validate({fault: 1.0, "retry_after_seconds": 3}))
    with pytest.raises(expected) as raised:
        await sdk.messages.create(**request())
    if fault == "rate_limited":
        assert raised.value.response.headers["retry-after"] == "3"
    if fault == "overloaded":
        assert (raised.value.status_code, raised.value.type) == (529, "overloaded_error")


async def test_faults_in_the_answer(app: Starlette, sdk: SDK) -> None:
    model = model_of(app)
    model.behave(ModelBehaviour(refusal=1))
    refused = await sdk.messages.create(**request())
    assert refused.stop_reason == "refusal"
    assert refused.stop_details is not None
    model.behave(ModelBehaviour(max_tokens=1))
    assert (await sdk.messages.create(**request())).stop_reason == "max_tokens"
    model.behave(ModelBehaviour(empty_text=1))
    assert text_of(await sdk.messages.create(**request())) == ""
    model.behave(ModelBehaviour(invalid_json=1))
    with pytest.raises(ValueError):
        orjson.loads(text_of(await sdk.messages.create(**request())))
    model.behave(ModelBehaviour(wrong_schema=1))
    with pytest.raises(ValueError):
        StateDecision.model_validate_json(text_of(await sdk.messages.create(**request())))
    model.behave(ModelBehaviour(illegal_state=1))
    illegal = StateDecision.model_validate_json(text_of(await sdk.messages.create(**request())))
    assert illegal.next_state == "INIT"
    model.behave(ModelBehaviour(overloaded=1, fault_tasks=("response",)))  # type: ignore[arg-type]
    assert text_of(await sdk.messages.create(**request()))


async def test_stream_that_breaks(app: Starlette, sdk: SDK) -> None:
    for fault, expected in (
        ("stream_error", anthropic.APIStatusError),
        ("cut_after_headers", (anthropic.APIConnectionError, httpx2.RemoteProtocolError)),
    ):
        model_of(app).behave(ModelBehaviour.model_validate({fault: 1.0, "stream_chunk_characters": 4}))
        deltas = 0
        try:
            async with sdk.messages.stream(**request("response")) as stream:
                async for event in stream:
                    deltas += event.type == "content_block_delta"
        except expected:
            assert deltas > 0
        else:
            pytest.fail(f"{fault}: the stream ended as if nothing had happened")


async def test_latency_and_slow_drip(app: Starlette, sdk: SDK) -> None:
    behaviour = {"latency": 1, "task_latency": {"state": {"median_ms": 150}}}
    model_of(app).behave(ModelBehaviour.model_validate(behaviour))
    started = time.perf_counter()
    await sdk.messages.create(**request("state"))
    assert time.perf_counter() - started > 0.15
    model_of(app).behave(ModelBehaviour(slow_drip=1, slow_drip_ms=200))
    started = time.perf_counter()
    assert text_of(await sdk.messages.create(**request("state")))
    assert time.perf_counter() - started > 0.19


async def test_script_decides_the_next_answers(app: Starlette, sdk: SDK) -> None:
    script = (
        ScriptedAnswer(task="state", update={"next_state": "ESCALATING"}, times=2),  # type: ignore[arg-type]
        ScriptedAnswer(task="response", answer={"parts": []}),  # type: ignore[arg-type]
        ScriptedAnswer(contains="boom", fault="overloaded"),  # type: ignore[arg-type]
    )
    model_of(app).behave(ModelBehaviour(script=script))
    assert orjson.loads(text_of(await sdk.messages.create(**request("response"))))["parts"] == []
    for expected in ("ESCALATING", "ESCALATING", "PROCESSING"):
        assert orjson.loads(text_of(await sdk.messages.create(**request())))["next_state"] == expected
    with pytest.raises(anthropic.APIStatusError):
        await sdk.messages.create(**request("response", "boom"))
    assert orjson.loads(text_of(await sdk.messages.create(**request("response"))))["parts"] != []


async def test_behaviour_over_http(http: httpx.AsyncClient, sdk: SDK) -> None:
    assert (await http.put("/anthropic/sandbox/behaviour", json={"overloaded": 1})).json()["overloaded"] == 1
    with pytest.raises(anthropic.APIStatusError):
        await sdk.messages.create(**request())
    assert (await http.put("/anthropic/sandbox/behaviour", json={"overloaded": 7})).status_code == 422
    assert (await http.put("/anthropic/sandbox/behaviour", json={"no_such_fault": 1})).status_code == 422
    assert "overloaded" not in (await http.delete("/anthropic/sandbox/behaviour")).json()
    await sdk.messages.create(**request())
    seen = (await http.get("/anthropic/sandbox/requests?bodies=1")).json()
    assert [entry["status"] for entry in seen["requests"]] == [529, 200]
    assert seen["requests"][1]["task"] == "state"
    assert seen["requests"][1]["body"]["model"] == MODEL
    assert seen["counters"]["fault_overloaded"] == 1


async def test_same_seed_same_results_whatever_the_order(app: Starlette, sdk: SDK) -> None:
    """What happens to a request hangs on its content, so neither order nor concurrency changes it."""
    behaviour = ModelBehaviour(overloaded=0.3, refusal=0.3, invalid_json=0.3, seed=11)

    async def outcome(number: int) -> str:
        try:
            message = await sdk.messages.create(**request("response", f"mensagem {number}"))
        except anthropic.APIStatusError as exc:
            return str(exc.status_code)
        return f"{message.stop_reason} {text_of(message)}"

    model_of(app).behave(behaviour)
    one_by_one = {number: await outcome(number) for number in range(40)}
    model_of(app).behave(behaviour)
    numbers = list(reversed(range(40)))
    together = dict(zip(numbers, await asyncio.gather(*map(outcome, numbers)), strict=True))
    assert together == one_by_one
    assert len({each.split()[0] for each in together.values()}) > 2
    model_of(app).behave(behaviour.model_copy(update={"seed": 12}))
    assert {number: await outcome(number) for number in range(40)} != one_by_one


async def test_cheating_tries_everything(app: Starlette, sdk: SDK) -> None:
    model_of(app).behave(ModelBehaviour(mode="cheating"))
    replies = [
        orjson.loads(text_of(await sdk.messages.create(**request("response", "quanto custa?")))) for _ in range(60)
    ]
    texts = {spoken(reply["parts"]) for reply in replies}
    assert len(texts) > 40
    assert any("R$" in text for text in texts)
    assert any("£" in text for text in texts)
    model_of(app).behave(ModelBehaviour(mode="cheating", cheats=("one", "two")))
    replies = [orjson.loads(text_of(await sdk.messages.create(**request("response")))) for _ in range(4)]
    assert sorted(spoken(reply["parts"]) for reply in replies) == ["one", "one", "two", "two"]
    assert orjson.loads(text_of(await sdk.messages.create(**request("state"))))["next_state"] == "PROCESSING"


async def test_repair_is_answered_from_the_conversation_before_it(sdk: SDK) -> None:
    asked = request("state", "qual o endereço?")
    asked["messages"] += [
        {"role": "assistant", "content": "{"},
        {"role": "user", "content": "That answer is invalid: not JSON. Answer again."},
    ]
    answer = StateDecision.model_validate_json(text_of(await sdk.messages.create(**asked)))
    assert answer.intent == "address"
