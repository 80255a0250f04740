"""Every flag that the engine asks for, on and off, in a turn through the pipeline: each state shows in what is done."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from openfeature.provider import FeatureProvider

from adapters.memory.cache import MemoryCache
from adapters.memory.events import MemoryEvents
from cli.settings import read_settings
from contracts.conversation import TaskName, TaskRecord, TurnRecord
from contracts.ports import ModelRequest
from flags.provider import ProsaProvider
from flags.runtime import open_flags
from flags.store import FlagStore
from prompts.caching.answers import AnswerCache
from prompts.execution.executor import Strategy
from prompts.prompter import TURN_TEMPLATES
from prompts.templating.registry import versions_for
from tests.builders import (
    SteppingClock,
    conversation_id,
    decision,
    engine_bed,
    inbound,
    memory_inbox,
    memory_store,
    message_type,
    meter,
    pyloto,
    registry,
    response,
    turn_answer,
    verdict,
)
from tests.flags.making import evaluator, flag
from tests.prompts_cache.hashed_embedder import HashedEmbedder
from tests.scripted import ScriptedModel
from worker.bootstrap import make_executor, make_prompter
from worker.drain import drain
from worker.variants import ENGINE_FLAGS, TURN_TASKS, FlagVariantAssigner

INTENT = "delivery_how"
ASKED = "Como funciona a entrega de documentos?"
SONNET, HAIKU, OPUS = "claude-sonnet-5-5", "claude-haiku-5-5", "claude-opus-5"
SETTINGS = {
    "ANTHROPIC_API_KEY": "none",
    "PROMPTER_USE_CACHE": "true",
    "PROSA_MODEL_RESPONSE": HAIKU,
    "PROSA_MODEL_STATE": HAIKU,
    "PROSA_MODEL_MESSAGE_TYPE": HAIKU,
    "PROSA_MODEL_ECONOMY": SONNET,
    "PROSA_MODEL_QUALITY": OPUS,
}


@dataclass(frozen=True)
class Seen:
    """What was done for the last of those who asked."""

    turn: TurnRecord
    requests: Sequence[ModelRequest]
    has_grouped: bool

    def task(self, name: TaskName) -> TaskRecord:
        return next(task for task in self.turn.tasks if task.task == name)


async def answer(request: ModelRequest) -> str:
    intent = pyloto().intent(INTENT)
    assert intent
    await asyncio.sleep(0)  # as any call, so that others can begin
    return {
        "state_decision": decision(intent=INTENT, business_line="delivery"),
        "response_draft": response(intent.answer),
        "message_type_choice": message_type(),
        "judge_verdict": verdict(),
        "turn_answer": turn_answer(state=decision(intent=INTENT, business_line="delivery")),
    }[request.schema_name]


async def judged(request: ModelRequest) -> str:
    return response(NEW_WORDS) if request.schema_name == "response_draft" else await answer(request)


async def played(
    key: str,
    value: bool | int | float | str | None,
    asks: Sequence[str] = (ASKED,),
    *,
    provider: FeatureProvider | None = None,
    **environment: str,
) -> Seen:
    """As many people as there are texts ask, one after the other, all with this value; None: there is no such flag."""
    store, events, clock = memory_store(), MemoryEvents(), SteppingClock()
    if value is not None:
        if type(value) is bool:
            given = flag(key, status="enabled" if value else "disabled")
        else:
            given = flag(key, variants=[{"name": "before", "weight": 0}, {"name": "asked", "value": value}])
        await FlagStore(store.records, events, clock).put(given, author="ana", reason="to see", expected=0)
    model = ScriptedModel(judged if "judge" in key else answer)
    settings = read_settings(SETTINGS | environment, env_file=None)
    cache = AnswerCache(
        MemoryCache(monotonic=time.monotonic), now=clock.now, chance=lambda: 1.0, embedder=HashedEmbedder()
    )
    prompter = make_prompter(
        settings,
        make_executor(settings, model, meter(clock), cache),
        versions_for(registry(), choice=True, structured=False),
    )
    async with open_flags(
        store.records, events, clock, writer="worker", salt="salt", said={}, provider=provider
    ) as flags:
        variants = FlagVariantAssigner(prompter, flags.recorder, flags.resolver, "pt-BR")
        bed = engine_bed(memory_inbox(), store, model=model, clock=clock, variants=variants, prompter=prompter)
        for number, text in enumerate(asks):
            model.requests.clear()
            who = conversation_id(f"p{number}")
            await bed.inbox.append([inbound(text, conversation=f"p{number}", at=clock.now())])
            await drain(who, bed.engine.drain)
        (turn,) = await store.conversations.turns(who)
    await cache.close()
    return Seen(turn, list(model.requests), has_grouped=any(request.context.batched for request in model.requests))


# Asked before and again: in the same words; with a word of courtesy; with a slip of the finger.
AGAIN, COURTEOUS, SLIPPED = (
    (ASKED, ASKED),
    (ASKED, f"Oi, bom dia! {ASKED}"),
    (ASKED, ASKED.replace("documentos", "documentoss")),
)


@dataclass(frozen=True)
class States:
    """What shows the value of a flag, and what that is in each state; None: without the flag. `setting` is of the level
    of the cache that can be turned off.
    """

    shows: Callable[[Seen], object]
    of: Mapping[bool | int | float | str | None, object]
    asks: Sequence[str] = (ASKED,)
    setting: Mapping[str, str] = field(default_factory=dict)


def level(seen: Seen) -> str | None:
    return seen.task(TaskName.RESPONSE).cache


def version(task: TaskName) -> Callable[[Seen], object]:
    return lambda seen: seen.task(task).template.partition("@")[0].rpartition("_")[2]


def asked_of(task: TaskName) -> Callable[[Seen], object]:
    return lambda seen: seen.task(task).model


def models_and_effort(seen: Seen) -> object:
    """Of Task 2."""
    (request,) = (request for request in seen.requests if request.schema_name == "response_draft")
    return request.model, request.effort


def began_with(seen: Seen) -> list[str]:
    """Tasks that waited for no other one."""
    ends = min(task.ended_ms for task in seen.turn.tasks)
    return sorted(task.task for task in seen.turn.tasks if task.started_ms < ends)


# Known to no document, so that the judge reads it.
NEW_WORDS = "Claro, com prazer conto tudo sobre isso para você."

STATES: Mapping[str, States] = {
    **{
        f"prompts.{name}": States(version(task), {None: "v1", 1: "v1", 2: "v1" if task == TaskName.JUDGE else "v2"})
        for name, task in zip(TURN_TEMPLATES, TURN_TASKS, strict=True)
    },
    **{f"models.{task}": States(asked_of(task), {None: HAIKU, SONNET: SONNET}) for task in TURN_TASKS},
    # Without a flag the judge is the economy model.
    "models.judge": States(asked_of(TaskName.JUDGE), {None: SONNET, HAIKU: HAIKU}),
    "strategy": States(
        models_and_effort,
        {
            None: (HAIKU, None),
            "balanced": (HAIKU, None),
            "speed": (HAIKU, None),
            "cost": (SONNET, "low"),
            "quality": (OPUS, "high"),
        },
    ),
    "architecture": States(
        began_with,
        {
            None: ["state"],
            "three_tasks": ["state"],
            "merged": ["merged"],
            "speculative": ["message_type", "response", "state"],
        },
    ),
    "cache": States(level, {None: "exact", True: "exact", False: None}, AGAIN),
    "cache.semantic": States(
        level, {None: "semantic", True: "semantic", False: None}, SLIPPED, {"PROSA_CACHE_SEMANTIC": "response"}
    ),
    "cache.template": States(
        level, {None: "template", True: "template", False: None}, COURTEOUS, {"PROSA_CACHE_TEMPLATE": "true"}
    ),
    "batching": States(lambda seen: seen.has_grouped, {None: False, True: True, False: False}),
    "confidence.ask_below": States(lambda seen: seen.turn.reason, {None: "decided", 0.95: "unclear", 0.2: "decided"}),
}


@pytest.mark.parametrize(
    ("key", "value"), [pytest.param(key, value, id=f"{key}={value}") for key, of in STATES.items() for value in of.of]
)
async def test_a_state_shows(key: str, value: bool | int | float | str | None) -> None:
    states = STATES[key]
    assert states.shows(await played(key, value, states.asks, **states.setting)) == states.of[value]


def test_every_flag_is_run_in_both_of_its_states() -> None:
    """A new flag of the catalogue belongs into `STATES`, with each of its values and what shows it."""
    assert set(STATES) == set(ENGINE_FLAGS)
    for key, wanted in ENGINE_FLAGS.items():
        values = [value for value in STATES[key].of if value is not None]
        assert {type(value) for value in values} == {wanted}
        assert wanted is not bool or set(values) == {True, False}
        is_alone = key == "prompts.judge"  # a template with one version
        assert is_alone or len(set(map(str, STATES[key].of.values()))) >= 2, f"{key} shows nothing"
    assert set(STATES["strategy"].of) - {None} == set(Strategy)


async def test_the_engine_asks_for_the_flags_of_the_catalogue_and_for_no_others() -> None:
    asked: set[str] = set()

    class Listening(ProsaProvider):
        def _resolve(self, key: str, *rest: Any) -> Any:
            asked.add(key)
            return super()._resolve(key, *rest)

        def resolve_boolean_details(self, flag_key: str, *rest: Any) -> Any:
            asked.add(flag_key)
            return super().resolve_boolean_details(flag_key, *rest)

    await played("strategy", None, provider=Listening(evaluator()))
    assert asked == set(ENGINE_FLAGS)
