"""The registry of the prompt tasks: each has its template, its model and its counters."""

import pytest

from cli.settings import read_settings
from contracts.analysis import AnalysisKind
from contracts.conversation import TaskName
from contracts.errors import PromptNotFoundError
from contracts.settings import DEFAULT_MODEL
from observability.metrics import PROMPT_TASKS, expect_tasks
from prompts.tasks.registry import ANALYSES, TASKS, task_of
from tests.builders import registry
from tests.models import schema_of


def test_names_that_the_rest_of_the_product_uses_are_those_of_the_registry() -> None:
    assert {task.name for task in TASKS} == set(TaskName)
    assert {task.name for task in ANALYSES} == set(AnalysisKind)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_task_has_its_template_a_setting_of_its_model_and_a_schema_of_its_answer(task) -> None:  # type: ignore[no-untyped-def]
    assert registry().get(task.template).output is task.answer
    assert getattr(read_settings({}, env_file=None), task.model_setting) == DEFAULT_MODEL
    # A description is asked for where there is a file.
    fields = [name for name in task.answer.model_fields if name != "description"]
    assert list(schema_of(task.template)["properties"]) == fields


def test_a_template_without_a_task_is_named() -> None:
    with pytest.raises(PromptNotFoundError, match="select_state"):
        task_of("greet")


def test_the_counters_of_a_new_task_begin_at_0() -> None:
    expect_tasks({"urgency": "m"})
    labels = [sample.labels for metric in PROMPT_TASKS.collect() for sample in metric.samples]
    assert {"task": "urgency", "outcome": "ok", "model": "m"} in labels
