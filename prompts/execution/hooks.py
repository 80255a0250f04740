"""Hooks before and after every prompt task: strategy, metrics, the watch over the provider's prompt cache."""

from typing import Any

from contracts.conversation import TaskRecord
from observability.logs import logger
from observability.metrics import PROMPT_CACHE_MISSED, note_prompt_task
from prompts.execution.prompt_task import Before, PromptTask
from prompts.execution.strategies import Strategies

log = logger(__name__)


def strategy_hook(strategies: Strategies) -> Before:
    """Return the hook that asks the model, and the effort, of the task's strategy."""

    def apply(task: PromptTask[Any]) -> PromptTask[Any]:
        request = strategies.apply_strategy(task.request, task.name, task.strategy)
        return task if request is task.request else task.asking(request)

    return apply


def count(_: PromptTask[Any], record: TaskRecord) -> None:
    """Count the metrics of the task."""
    note_prompt_task(record)


class PromptCacheWatch:
    """Hook after a task: warns once of a template whose prefix the provider does not cache although it was asked to.

    The provider ignores a prefix below the model's minimum, or one that changes with every call, in silence.
    """

    def __init__(self) -> None:
        self._warned: set[tuple[str, str]] = set()

    def __call__(self, task: PromptTask[Any], record: TaskRecord) -> None:
        if not any(block.cached for block in task.request.system):
            return
        for call in record.bill:
            # A call that was shared with another task has no tokens of its own.
            if call.tokens.input and not call.tokens.cache_read and not call.tokens.cache_write:
                PROMPT_CACHE_MISSED.labels(task=task.name).inc()
                if (call.model, task.template) not in self._warned:
                    self._warned.add((call.model, task.template))
                    log.warning("prompt_cache.missed", model=call.model, template=task.template)
