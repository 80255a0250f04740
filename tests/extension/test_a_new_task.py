"""A new prompt task: one file with its template. Here the test is the file, and its folder has the template."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.ports import LanguageModel
from contracts.values import Value
from prompts.prompter import Prompter
from prompts.request import TurnView, turn_input
from prompts.tasks.registry import TASKS
from prompts.tasks.task import Task, enum, object_of, require, text
from prompts.templating.registry import TEMPLATES_FOLDER, PromptRegistry, PromptVersions
from tests.builders import executor, scripted
from tests.models import sandboxed_model, turn_view

LEVELS = ("low", "normal", "high")


class Urgency(Value):
    level: str
    reason: str


def check(answer: str, _view: TurnView) -> Urgency:
    urgency = Urgency.model_validate_json(answer)
    require(urgency.level in LEVELS, f"level must be one of {', '.join(LEVELS)}")
    return urgency


URGENCY = Task(
    name="urgency",
    template="rate_urgency",
    answer=Urgency,
    schema_name="urgency",
    model_setting="model_state",
    input=turn_input,
    schema=lambda _: object_of({"level": enum(LEVELS), "reason": text()}),
    check=check,
)
# What a line in `prompts/tasks/registry.py` does for a task of the product.
REGISTRY = PromptRegistry.read(TEMPLATES_FOLDER, Path(__file__).parent / "templates", tasks=(*TASKS, URGENCY))


def prompter(model: LanguageModel) -> Prompter:
    return Prompter(
        executor(model),
        PromptVersions(REGISTRY),
        {task.name: "claude-haiku-5-5" for task in (*TASKS, URGENCY)},
        call_timeout=timedelta(seconds=6),
        turn_budget=timedelta(seconds=12),
        monotonic=time.monotonic,
    )


@pytest.fixture
async def sandbox() -> AsyncIterator[LanguageModel]:
    async with sandboxed_model() as bed:
        yield bed.model


async def test_it_is_asked_over_http_in_the_words_of_its_template(sandbox: LanguageModel) -> None:
    asker = prompter(sandbox)
    result = await asker.ask(URGENCY, turn_view(), asker.begin_calls())
    assert result.value is not None
    assert result.value.level in LEVELS
    record = result.record
    assert (record.task, record.template.partition("@")[0], record.calls) == ("urgency", "rate_urgency_v1", 1)
    assert record.cost_usd is not None


async def test_its_own_check_decides_what_is_repaired() -> None:
    answers: Any = ['{"level": "now", "reason": "r"}', '{"level": "high", "reason": "r"}']
    model = scripted(urgency=answers)
    asker = prompter(model)
    result = await asker.ask(URGENCY, turn_view(), asker.begin_calls())
    assert result.value == Urgency(level="high", reason="r")
    assert result.record.outcome == "repaired"
    assert model.requests[1].repair_reason == "level must be one of low, normal, high"


async def test_what_an_episode_has_chosen_holds_for_it_too() -> None:
    model, view = scripted(urgency='{"level": "low", "reason": "r"}'), turn_view()
    tuned = view.conversation.model_copy(
        update={"tuning": view.conversation.tuning.model_copy(update={"models": {"urgency": "claude-sonnet-5-5"}})}
    )
    asker = prompter(model)
    await asker.ask(URGENCY, replace(view, conversation=tuned), asker.begin_calls())
    assert [request.model for request in model.requests] == ["claude-sonnet-5-5"]
