"""Analyses of whole conversations, asked in the background."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from contracts.analysis import AnalysisKind, ConversationReview, HandoffSummary, InterviewQuestion
from contracts.calls import Deadline
from prompts.execution.executor import Executor, ModelCalls, PromptTask, TaskResult
from prompts.tasks.registry import ANALYSES
from prompts.tasks.transcript import CALL_TIMEOUT, AnalysisView
from prompts.templating.registry import PromptVersions

Result = HandoffSummary | ConversationReview | InterviewQuestion

BUDGET = timedelta(seconds=60)


class Analyst:
    """Analyses of conversations by one model. Holds no state of a conversation."""

    def __init__(
        self, executor: Executor, versions: PromptVersions, model: str, *, monotonic: Callable[[], float]
    ) -> None:
        self._executor = executor
        self._monotonic = monotonic
        self.model = model
        self._tasks = {task.name: task for task in ANALYSES}
        self._templates = {task.name: versions.for_everybody(task.template) for task in ANALYSES}

    def label(self, kind: AnalysisKind) -> str:
        return self._templates[kind].label

    async def write(self, kind: AnalysisKind, view: AnalysisView) -> TaskResult[Result]:
        """Return the result, or the error after repair and retries within the budget."""
        task, template = self._tasks[kind], self._templates[kind]
        prompt: PromptTask[Any] = PromptTask(
            name=task.name,
            template=template.label,
            request=task.request(view, template, model=self.model, timeout=CALL_TIMEOUT),
            check=lambda answer: task.check(answer, view),
        )
        return await self._executor.run(prompt, ModelCalls(self._monotonic(), Deadline(BUDGET, self._monotonic)))
