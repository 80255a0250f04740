"""Registry of the prompt tasks. A new task is a file of this folder, its template, and a line here."""

from typing import Any

from contracts.errors import PromptNotFoundError
from prompts.tasks import (
    conversation_review,
    handoff_summary,
    interview_question,
    judge,
    merged,
    message_type,
    response,
    state,
)
from prompts.tasks.task import Task
from prompts.tasks.transcript import AnalysisView

TURN_TASKS = (state.TASK, response.TASK, message_type.TASK, judge.TASK)
ANALYSES: tuple[Task[AnalysisView, Any], ...] = (
    handoff_summary.TASK,
    conversation_review.TASK,
    interview_question.TASK,
)
TASKS: tuple[Task[Any, Any], ...] = (*TURN_TASKS, merged.TASK, *ANALYSES)


def task_of(template: str) -> Task[Any, Any]:
    """Return the task that a template belongs to.

    Raises:
        PromptNotFoundError: there is none; the text lists the templates of all tasks.
    """
    found = next((task for task in TASKS if task.template == template), None)
    if found is None:
        known = ", ".join(task.template for task in TASKS)
        raise PromptNotFoundError(f"no task has a template '{template}'; there are: {known}")
    return found
