"""What is done before and after every prompt task."""

from typing import Any

from contracts.conversation import TaskRecord
from observability.logs import logger
from observability.metrics import PROMPT_CACHE_MISSED, note_prompt_task
from prompts.execution.prompt_task import Before, PromptTask
from prompts.execution.strategies import Strategies

log = logger(__name__)


def bending(strategies: Strategies) -> Before:
    """Before: ask the model, and the effort, that the task's strategy chooses."""

    def bend(task: PromptTask[Any]) -> PromptTask[Any]:
        request = strategies.bend(task.request, task.name, task.strategy)
        return task if request is task.request else task.asking(request)

    return bend


def count(_: PromptTask[Any], record: TaskRecord) -> None:
    """After: the metrics of the task."""
    note_prompt_task(record)


class PromptCacheWatch:
    """After: a template that asks the provider to cache its prefix and gets none of it cached is told once.

    A prefix below the model's minimum, or one that changes with every call, is ignored by the provider in silence.
    """

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()

    def __call__(self, task: PromptTask[Any], record: TaskRecord) -> None:
        if not any(block.cached for block in task.request.system):
            return
        for call in record.bill:
            # A call that was shared with another task has no tokens of its own.
            if call.tokens.input and not call.tokens.cache_read and not call.tokens.cache_write:
                PROMPT_CACHE_MISSED.labels(task=task.name.value).inc()
                self._tell(call.model, task.template)

    def _tell(self, model: str, template: str) -> None:
        if (model, template) not in self._told:
            self._told.add((model, template))
            log.warning("prompt_cache.missed", model=model, template=template)
