"""What `prosa doctor` says of a model, and where `prosa prompts` takes its tokens from."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from adapters.http.listener import listen
from cli.model_doctor import examine_model
from cli.prompts import TokensBy, count_tokens
from cli.serving import server_of
from cli.settings import read_settings
from contracts.findings import Finding, Health
from contracts.settings import Settings
from prompts.pricing.prices import estimated_tokens
from tests.models import sandboxed_model


def settings_of(url: str, **environ: str) -> Settings:
    given = {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": url} | environ
    return read_settings(given, env_file=None)


async def examined(behaviour: dict[str, Any], **environ: str) -> Finding:
    async with sandboxed_model() as bed:
        bed.behave(**behaviour)
        return await examine_model(settings_of(f"{bed.url}/anthropic", **environ))


async def test_a_model_that_can_do_everything() -> None:
    found = await examined({})
    assert found.health is Health.OK
    assert found.detail.endswith("output_config yes, tool yes, prompt yes")


@pytest.mark.parametrize(
    ("behaviour", "form", "health", "step"),
    [
        ({"without_output_config": True}, "output_config", Health.FAILED, "set PROSA_STRUCTURED_OUTPUT=tool"),
        ({"without_output_config": True}, "prompt", Health.OK, ""),
        ({"without_output_config": True, "wrong_schema": 1.0}, "tool", Health.FAILED, "in any form"),
    ],
)
async def test_the_form_to_set_is_named(behaviour: dict[str, Any], form: str, health: Health, step: str) -> None:
    found = await examined(behaviour, PROSA_STRUCTURED_OUTPUT=form)
    assert found.health is health
    assert step in found.next_step
    assert "output_config refused" in found.detail


@pytest.mark.parametrize(
    ("environ", "behaviour", "step"),
    [
        ({"ANTHROPIC_API_KEY": "invalid"}, {}, "check ANTHROPIC_API_KEY"),
        ({"PROSA_MODEL_STATE": "gpt-7"}, {}, "PROSA_MODEL_STATE names no model"),
        ({"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}, {}, "check ANTHROPIC_BASE_URL"),
        ({"PROSA_MODEL_TIMEOUT_S": "0.2"}, {"latency": 2_000}, "PROSA_MODEL_TIMEOUT_S=0.2"),
        ({}, {"overloaded": 1.0}, "try again later"),
    ],
)
async def test_each_failure_has_its_next_step(environ: dict[str, str], behaviour: dict[str, Any], step: str) -> None:
    found = await examined(behaviour, **environ)
    assert found.health is Health.FAILED
    assert step in found.next_step


async def test_the_providers_count_is_taken_where_it_can_be_asked() -> None:
    async with sandboxed_model() as bed:
        asked = await _in_thread(lambda: count_tokens(settings_of(f"{bed.url}/anthropic"), ["12345678", "Oi"]))
    assert (asked.tokens, asked.by) == ((2, 1), TokensBy.PROVIDER)


@pytest.mark.parametrize(
    "answer",
    [
        *(JSONResponse({}, 404), JSONResponse({"error": {"message": "no"}}), JSONResponse({"input_tokens": "many"})),
        *(PlainTextResponse("<html>"), PlainTextResponse("<html>", media_type="application/json")),
    ],
)
async def test_what_cannot_be_asked_is_estimated_and_says_so(answer: Response) -> None:
    text = "Quanto custa uma entrega?"
    async with server_of(answer).running(listen("127.0.0.1", 0)) as url:
        for settings in (read_settings({}, env_file=None), settings_of(url)):
            counts = await _in_thread(lambda settings=settings: count_tokens(settings, [text]))
            assert (counts.tokens, counts.by) == ((estimated_tokens(text),), TokensBy.ESTIMATE)
            assert "estimate" in counts.note


async def _in_thread(work: Callable[[], Any]) -> Any:
    """The command has an event loop of its own."""
    return await asyncio.to_thread(work)
