"""Flags through OpenFeature: our provider, the switches in front of any, and the decorator."""

import io
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from uuid import uuid4

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from openfeature.provider import FeatureProvider
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from adapters.clock import SystemClock
from cli.settings import read_settings
from flags.definitions import Status
from flags.gating import behind
from flags.provider import ProsaProvider, SwitchedProvider, provided
from flags.switches import GOVERNS, kills_of
from observability.logs import configure_logs
from tests.flags.making import Known, evaluator, flag, person, variants

MODELS = [
    {"name": "as configured"},
    {"name": "haiku", "value": "claude-haiku-5-5", "weight": 1, "config": {"prompts.select_state": 2}},
]


def client_of(provider: FeatureProvider) -> AbstractAsyncContextManager[OpenFeatureClient]:
    return provided(provider, domain=uuid4().hex)


@pytest.fixture
async def client() -> AsyncIterator[OpenFeatureClient]:
    found = evaluator(
        flag("on"),
        flag("off", status="disabled"),
        flag("model", variants=MODELS),
        flag("model-off", variants=MODELS, status="disabled"),
        flag("number", variants=[{"name": "a", "value": 1}, {"name": "b", "value": 3}]),
        flag("share", variants=[{"name": "a", "value": 0.5}, {"name": "b", "value": 1}]),
        flag("test", status="ab_test", variants=variants(control=1, v2=1)),
    )
    async with client_of(ProsaProvider(found)) as client:
        yield client


async def test_typed_questions_get_the_variant_s_value(client: OpenFeatureClient) -> None:
    assert client.get_boolean_value("on", False, person())
    assert not client.get_boolean_value("off", True, person())
    assert client.get_string_value("model", "sonnet", person()) == "claude-haiku-5-5"
    assert client.get_integer_value("number", 0, person()) == 3
    assert client.get_float_value("share", 0.0, person()) == 1.0
    assert client.get_object_value("model", {}, person()) == {"prompts.select_state": 2}
    test = client.get_boolean_details("test", False, person())
    assert (test.reason, test.variant in {"control", "v2"}, test.flag_metadata) == (
        Reason.SPLIT,
        True,
        {"drawn": True, "revision": 7, "status": "ab_test"},
    )
    assert test.value is (test.variant == "v2")
    assert (await client.get_boolean_details_async("test", False, person())).value is test.value


async def test_what_a_variant_does_not_say_is_the_caller_s_default(client: OpenFeatureClient) -> None:
    assert client.get_string_value("model-off", "sonnet", person()) == "sonnet"
    assert client.get_string_details("model-off", "sonnet", person()).variant == "as configured"
    assert client.get_object_value("model-off", {"prompts.select_state": 1}, person()) == {"prompts.select_state": 1}


@pytest.mark.parametrize(
    ("key", "error"),
    [("unknown", ErrorCode.FLAG_NOT_FOUND), ("model", ErrorCode.TYPE_MISMATCH), ("on", ErrorCode.TYPE_MISMATCH)],
)
async def test_what_cannot_be_answered_is_the_default_with_a_reason_and_no_noise(
    client: OpenFeatureClient, key: str, error: ErrorCode
) -> None:
    logs = io.StringIO()
    configure_logs(level="DEBUG", stream=logs)
    for _ in range(100):
        answer = client.get_integer_details(key, 42, person())
        assert (answer.value, answer.reason, answer.error_code) == (42, Reason.ERROR, error)
    assert client.get_boolean_details("test", True).error_code is ErrorCode.TARGETING_KEY_MISSING
    assert logs.getvalue() == ""


async def test_before_the_first_reading_everything_is_the_default() -> None:
    async with client_of(ProsaProvider(evaluator())) as client:
        assert client.get_boolean_value("x", True, person())
    unread = ProsaProvider(type(evaluator())(Known(is_ready=False), now=SystemClock().now))
    async with client_of(unread) as client:
        assert client.get_boolean_details("x", True, person()).error_code is ErrorCode.PROVIDER_NOT_READY


# Switches


@pytest.mark.parametrize("name", GOVERNS)
async def test_a_kill_wins_over_every_status_and_any_provider(name: str) -> None:
    key = GOVERNS[name]
    ours = [
        ProsaProvider(evaluator(flag(key, status=status, percentage=50, variants=variants(control=1, v2=1))))
        for status in Status
    ]
    elsewhere = InMemoryProvider({key: InMemoryFlag("on", {"on": True, "off": False})})
    for provider in (*ours, ProsaProvider(evaluator()), elsewhere):
        async with client_of(SwitchedProvider(provider, kills_of({name: False}))) as client:
            assert {client.get_boolean_value(key, True, person(n)) for n in range(50)} == {False}
            assert client.get_boolean_details(key, True, person()).reason == "SWITCHED"


async def test_a_switch_that_is_off_turns_off_what_is_under_it_and_nothing_else() -> None:
    number = [{"name": "a", "value": 1}, {"name": "b", "value": 2, "config": {"x": 1}}]
    ours = ProsaProvider(evaluator(flag("cache.semantic"), flag("cached"), flag("cache.size", variants=number)))
    async with client_of(SwitchedProvider(ours, kills_of({"PROMPTER_USE_CACHE": False}))) as client:
        assert not client.get_boolean_value("cache.semantic", True, person())
        assert client.get_integer_value("cache.size", 9, person()) == 9
        assert client.get_object_value("cache.size", {}, person()) == {}
        assert client.get_string_value("cache.size", "default", person()) == "default"
        assert client.get_float_value("cache.size", 0.5, person()) == 0.5
        assert client.get_boolean_value("cached", False, person())
    async with client_of(SwitchedProvider(ours, kills_of({"PROMPTER_USE_CACHE": True}))) as client:
        assert client.get_integer_value("cache.size", 9, person()) == 2
        assert client.get_float_value("cache.size", 9, person()) == 2
        assert client.get_boolean_value("cache.semantic", False, person())


def test_only_switches_that_were_said_speak() -> None:
    assert read_settings({}, env_file=None).prompter_switches == {}
    said = read_settings({"PROMPTER_USE_TEMPLATES": "false"}, env_file=None).prompter_switches
    assert kills_of(said) == {"prompts": "PROMPTER_USE_TEMPLATES"}
    assert kills_of({"PROMPTER_USE_TEMPLATES": True}) == {}, "true is a default, which flags override"


# The decorator


async def test_a_function_behind_a_flag_runs_for_those_who_have_it() -> None:
    pinned = {"name": "s", "rules": [{"attribute": "channel", "values": ["web"]}]}
    async with client_of(ProsaProvider(evaluator(flag(segments=[pinned])))) as client:

        def asked_about(name: str, channel: str) -> EvaluationContext:
            return EvaluationContext(name, {"channel": channel})

        @behind("x", default="as before", context=asked_about, client=client)
        def greeting(name: str, channel: str) -> str:
            """Greets."""
            return f"hello {name}"

        @behind("x", default="as before", context=asked_about, client=client)
        async def slow_greeting(name: str, channel: str) -> str:
            return f"hello {name}"

        assert (greeting("ana", "web"), greeting("ana", channel="slack")) == ("hello ana", "as before")
        assert (await slow_greeting("ana", "web"), await slow_greeting("ana", "slack")) == ("hello ana", "as before")
        assert (greeting.__name__, greeting.__doc__) == ("greeting", "Greets.")

    @behind("unknown", default=None, context=asked_about)
    def never(name: str, channel: str) -> str:
        raise AssertionError

    assert never("ana", "web") is None
    assert api.get_provider_metadata().name == "No-op Provider"
