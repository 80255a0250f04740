"""Flags and experiments in the engine: what was chosen is what is sent, it stays, and what became of it is counted."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from adapters.channels.web import web_conversation_id
from cli.runtime import Runtime, open_runtime
from cli.settings import read_settings
from contracts.conversation import TurnRecord
from contracts.errors import ConfigurationError
from flags.experiments.store import ExperimentStore
from flags.personal import force, set_attributes
from prompts.templating.registry import PromptRegistry
from reports.cost import By, Span, cost_report
from tests.builders import SteppingClock
from tests.engine.test_cached_answers import behave
from tests.flags.test_experiments import SIGNED, draft
from tests.flags.test_recommendation import EXACT
from tests.playing import play, play_all
from worker.people.privacy import erase

SAYS = ["Oi, bom dia", "Como funciona a entrega de documentos?"]
REGISTRY = PromptRegistry.read()
OWNED = {"owner": "team", "expires_at": "2099-01-01", "status": "enabled"}


def flips(value: object) -> dict[str, Any]:
    """Everybody gets the value."""
    return {"variants": [{"name": "as before", "weight": 0}, {"name": "changed", "value": value}]}


Open = Callable[..., AbstractAsyncContextManager[Runtime]]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    @asynccontextmanager
    async def open_with(flags: dict[str, Any] | None = None, **environment: str) -> AsyncIterator[Runtime]:
        base = {"PROSA_DATA_DIR": str(tmp_path), "PORT": "0"}
        if flags is not None:
            (tmp_path / "flags.yaml").write_text(yaml.safe_dump({"flags": flags}))
            base["PROSA_FLAGS_FILE"] = str(tmp_path / "flags.yaml")
        async with open_runtime(read_settings(base | environment, env_file=None)) as runtime:
            yield runtime

    return open_with


async def sent(runtime: Runtime) -> list[dict[str, Any]]:
    """The bodies of the model's calls, as the model got them."""
    async with httpx.AsyncClient() as client:
        seen = (await client.get(f"{runtime.sandbox_url}/anthropic/sandbox/requests?bodies=1")).json()
    return [one["body"] for one in seen["requests"] if one["body"]]


def labels(turns: list[TurnRecord]) -> set[str]:
    return {task.template.partition("@")[0] for turn in turns for task in turn.tasks}


async def test_the_bytes_that_are_sent_are_those_of_the_arm(opened: Open) -> None:
    versions = [{"name": "prose"}, {"name": "structured", "value": 2}]
    half = OWNED | {"status": "ab_test", "percentage": 100, "variants": versions}
    async with opened({"prompts.generate_response": half}) as runtime:
        said = {1: REGISTRY.get("generate_response", 1).system, 2: REGISTRY.get("generate_response", 2).system}
        met: dict[int, int] = {1: 0, 2: 0}
        for number in range(12):
            turns = await play(runtime, f"p{number}", SAYS)
            kept = await runtime.backend.store.conversations.load(turns[0].conversation_id)
            assert kept is not None
            version = kept.prompt_versions["generate_response"]
            assert f"generate_response_v{version}" in labels(turns)
            bodies = [
                body
                for body in await sent(runtime)
                if body["output_config"]["format"]["schema"]["properties"].get("text")
            ]
            assert all(body["system"][1]["text"] == said[version] for body in bodies[-2:])
            met[version] += 1
    assert all(met.values()), "chance gave everybody the same"


async def test_models_strategy_and_thresholds_are_flags(opened: Open) -> None:
    flags = {
        "models.response": OWNED | flips("claude-sonnet-5-5"),
        "strategy": OWNED | flips("quality"),
        "confidence.ask_below": OWNED | flips(1.0),
    }
    async with opened(flags) as runtime:
        await behave(runtime, script=[{"task": "state", "update": {"confidence": 0.9}}])
        (asked,) = await play(runtime, "ana", SAYS[1:])
        assert asked.reason == "unclear", "0.9 is below the flag's threshold"
        await behave(runtime, script=[{"task": "state", "update": {"confidence": 1.0}}])
        (decided,) = await play(runtime, "bia", SAYS[1:])
        bodies = await sent(runtime)
    assert {task.task: task.model for task in decided.tasks}["response"] == "claude-sonnet-5-5"
    assert bodies[-1]["model"] in ("claude-sonnet-5-5", "claude-haiku-5-5")
    assert [body["output_config"].get("effort") for body in bodies if "sonnet" in body["model"]] == ["high"]


async def test_a_running_conversation_keeps_what_it_began_with(opened: Open, tmp_path: Path) -> None:
    sonnet = {"models.response": OWNED | flips("claude-sonnet-5-5")}
    async with opened(sonnet) as runtime:
        await play(runtime, "ana", SAYS[:1])
    async with opened({}) as runtime:
        message = (await play_all(runtime, [SAYS[:1]], prefix="bia"))[0]
        continued = await play(runtime, "ana", ["x", SAYS[1]][1:])
        head = await runtime.backend.store.conversations.load(continued[0].conversation_id)
    assert {task.model for task in message.tasks} == {"claude-haiku-5-5"}
    assert head is not None
    assert head.tuning.models == {"response": "claude-sonnet-5-5"}


async def test_a_switch_wins_over_a_flag(opened: Open) -> None:
    flags = {
        "cache": OWNED,
        "prompts.generate_response": OWNED | flips(2),
    }
    async with opened(flags) as runtime:
        turns = await play_all(runtime, [SAYS[1:]] * 1, prefix="a") + await play_all(runtime, [SAYS[1:]], prefix="b")
        assert "generate_response_v2" in labels(turns)
        assert {task.outcome for task in turns[-1].tasks} == {"ok", "cached"}
    async with opened(flags, PROMPTER_USE_TEMPLATES="false", PROMPTER_USE_CACHE="false") as runtime:
        turns = await play_all(runtime, [SAYS[1:]] * 2, prefix="c")
        assert "generate_response_v1" in labels(turns)
        assert {task.outcome for turn in turns for task in turn.tasks} == {"ok"}


async def test_an_experiment_counts_persons_and_an_erased_one_leaves(opened: Open) -> None:
    async with opened() as runtime:
        laboratory = ExperimentStore(runtime.backend.store.records, runtime.backend.events, SteppingClock())
        await laboratory.plan(
            draft(),
        )
        await laboratory.start("prompt-v2", **SIGNED)
    async with opened() as runtime:
        turns = await play_all(runtime, [[*SAYS, "obrigado, era só isso"]] * 20)
        arms = {turn.conversation_id: turn.arms for turn in turns}
        assert all(len(one) == 1 for one in arms.values())
        assert {one[0] for one in arms.values()} == {"prompt-v2=v1", "prompt-v2=v2"}
        for turn in turns:
            version = 2 if turn.arms == ("prompt-v2=v2",) else 1
            assert f"select_state_v{version}" in labels([turn])
        await runtime.engine.turn.ledger.flush()
        today = turns[0].at.date()
        costs = await cost_report(runtime.backend.store, Span(today, today, UTC), By.ARM, at=turns[0].at)
        assert {line.name for line in costs.lines} == {one[0] for one in arms.values()}
        assert costs.total.calls == sum(task.calls for turn in turns for task in turn.tasks)
        await runtime.engine.turn.variants.recorder.flush()  # type: ignore[attr-defined]
        laboratory = ExperimentStore(runtime.backend.store.records, runtime.backend.events, SteppingClock())
        found = await laboratory.report("prompt-v2", EXACT)
        assert sum(arm["people"] for arm in found["arms"]) == 20
        await erase(turns[0].conversation_id, runtime.engine.operators)
        found = await laboratory.report("prompt-v2", EXACT)
        assert sum(arm["people"] for arm in found["arms"]) == 19


async def test_a_flags_file_with_a_mistake_stops_the_start(opened: Open) -> None:
    with pytest.raises(ConfigurationError, match=r"flags.yaml:\d+: .*no variant"):
        async with opened({"strategy": OWNED | {"variants": [{"name": "alone", "value": "cost"}]}}):
            raise AssertionError("it came up")


async def test_an_experiment_wins_over_the_switch_that_is_on_and_not_over_one_that_is_off(opened: Open) -> None:
    switch = "PROMPTER_USE_STRUCTURED_TEMPLATES"
    async with opened() as runtime:
        laboratory = ExperimentStore(runtime.backend.store.records, runtime.backend.events, SteppingClock())
        prose = {"name": "v1", "config": {"prompts.select_state": 1}}
        await laboratory.plan(draft(arms=[prose, {"name": "v2", "config": {"prompts.select_state": 2}}]))
        await laboratory.start("prompt-v2", **SIGNED)
    async with opened(**{switch: "true"}) as runtime:
        turns = await play_all(runtime, [SAYS[1:]] * 12, prefix="a")
        for turn in turns:
            assert f"select_state_{turn.arms[0].rpartition('=')[2]}" in labels([turn])
            assert "generate_response_v2" in labels([turn]), "what no arm overrides is the switch's"
        assert {turn.arms for turn in turns} == {("prompt-v2=v1",), ("prompt-v2=v2",)}
    async with opened(**{switch: "false"}) as runtime:
        turns = await play_all(runtime, [SAYS[1:]] * 6, prefix="b")
        assert ({turn.arms for turn in turns}, labels(turns) & {"select_state_v2"}) == ({()}, set())


async def test_a_version_is_forced_for_one_person_in_the_middle_of_a_conversation(opened: Open) -> None:
    async with opened({"cache": OWNED}) as runtime:
        conversations = runtime.backend.store.conversations
        (before,) = await play(runtime, "ana", SAYS[:1])
        await force(before.conversation_id, {"prompts.generate_response": 2}, conversations)
        after = (await play(runtime, "ana", SAYS))[-1]
        other = (await play(runtime, "bia", SAYS[1:]))[-1]
        await force(before.conversation_id, None, conversations)
        again = (await play(runtime, "ana", [*SAYS, "E quanto custa a entrega?"]))[-1]
    assert "generate_response_v2" in labels([after])
    assert "generate_response_v1" in labels([other])
    assert "generate_response_v1" in labels([again])


async def test_segments_see_the_attributes_that_an_integrator_set(opened: Open) -> None:
    gold = {"name": "gold", "rules": [{"attribute": "plan", "values": ["gold"]}]}
    flags = {"prompts.generate_response": OWNED | flips(2) | {"segments": [gold]}}
    async with opened(flags) as runtime:
        conversations = runtime.backend.store.conversations
        await set_attributes(web_conversation_id("ana"), {"plan": "gold", "age": 41}, conversations)
        await set_attributes(web_conversation_id("ana"), {"age": None}, conversations)
        ana, bia = [(await play(runtime, name, SAYS[1:]))[0] for name in ("ana", "bia")]
        head = await conversations.load(ana.conversation_id)
        await erase(ana.conversation_id, runtime.engine.operators)
        erased = await conversations.load(ana.conversation_id)
    assert "generate_response_v2" in labels([ana])
    assert "generate_response_v1" in labels([bia])
    assert head is not None
    assert head.attributes == {"plan": "gold"}
    assert erased is not None
    assert erased.attributes == {}
