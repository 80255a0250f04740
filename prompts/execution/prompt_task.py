"""One question to a model, its strategy, its result, and the hooks around it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Generic, Self, TypeVar

from contracts.calls import Deadline, Listener, TurnCost
from contracts.conversation import TaskName, TaskRecord
from contracts.errors import WorkerError
from contracts.exchanges import Asked
from contracts.ports import Effort, ModelRequest, TextHeard
from observability.logs import logger
from observability.metrics import PROMPT_CACHE_MISSED
from prompts.caching.questions import Question
from prompts.execution.quality import Scores


class Strategy(StrEnum):
    """Priority of a call.

    `balanced` takes what the settings say; `cost` the economy model at low effort; `speed` the task's own model at low
    effort; `quality` the quality model at high effort, for the tasks whose words a person reads or that decide.
    """

    COST = "cost"
    QUALITY = "quality"
    SPEED = "speed"
    BALANCED = "balanced"


T = TypeVar("T")


@dataclass
class ModelCalls:
    """Model calls of one turn or analysis: their start in monotonic seconds, their deadline and their cost.

    `asked` has every request with its answer, `dropped` the tasks that were ended under way.
    """

    started: float
    deadline: Deadline
    cost: TurnCost = field(default_factory=TurnCost)
    asked: list[Asked] = field(default_factory=list)
    dropped: list[TaskRecord] = field(default_factory=list)


def unjudged(_: object) -> Scores:
    return {}


def unanswered(_: str) -> None:
    return None


@dataclass(frozen=True)
class PromptTask(Generic[T]):
    """One request with the check and the scores of its answer.

    `check` turns the model's text into the value and raises ValidationError or UnusableModelOutputError, `judge` scores
    the value, `listener` receives it while it forms. `question` is the request to that model in the cache's terms, None
    where the cache may neither give nor keep the answer; a `gated` answer is kept by the caller once it passed the
    gate. A `batched` task shares identical calls and cold prefixes with others of its moment. Without `repairs` an
    unusable answer fails the task at once.
    """

    name: str
    template: str
    request: ModelRequest
    check: Callable[[str], T]
    judge: Callable[[T], Scores] = unjudged
    strategy: Strategy = Strategy.BALANCED
    listener: Listener | None = None
    question: Callable[[str], Question | None] = unanswered
    gated: bool = False
    batched: bool = False
    repairs: bool = True

    @property
    def on_text(self) -> TextHeard | None:
        """Receiver of the answer's text while it forms, where there is a listener."""
        return None if self.listener is None else self.listener.on_token

    def asking(self, **changes: Any) -> Self:
        """Return the task with these fields of its request changed."""
        return replace(self, request=self.request.model_copy(update=changes))


@dataclass(frozen=True)
class TaskResult(Generic[T]):
    """Outcome of a task: a value, or None with the `error` that ended it; `record` has the cost of both.

    `fresh` is the question and the model's own answer, when the cache may keep it.
    """

    value: T | None
    record: TaskRecord
    error: WorkerError | None = None
    fresh: tuple[Question, str] | None = None


Before = Callable[[PromptTask[Any]], PromptTask[Any]]
"""A hook before the call: returns the task as it is to be asked. A `WorkerError` fails the task."""
After = Callable[[PromptTask[Any], TaskRecord], None]
"""A hook after the answer or the failure: observes and changes nothing."""


log = logger(__name__)


# The form of a reply is a small choice: a dearer model does not make a better one.
FORM_TASKS = frozenset({TaskName.MESSAGE_TYPE})
# Families that take `output_config.effort`; the API answers 400 for others, so it is sent to known families alone.
# Source: platform.claude.com, "Effort"; `capabilities.effort` of GET /v1/models/{model}.
FAMILIES_WITH_EFFORT: Mapping[str, bool] = {"opus": True, "sonnet": True, "haiku": False}


def takes_effort(model: str) -> bool:
    return any(takes for family, takes in FAMILIES_WITH_EFFORT.items() if f"-{family}-" in f"{model}-")


@dataclass(frozen=True)
class Strategies:
    """Hook before a task: it asks the model and effort of its strategy. A model that is not set leaves the own one."""

    economy_model: str | None = None
    quality_model: str | None = None

    def __call__(self, task: PromptTask[Any]) -> PromptTask[Any]:
        match task.strategy:
            case Strategy.BALANCED:
                return task
            case Strategy.COST:
                chosen, effort = self.economy_model, Effort.LOW
            case Strategy.SPEED:
                chosen, effort = None, Effort.LOW
            case Strategy.QUALITY:
                chosen, effort = None if task.name in FORM_TASKS else self.quality_model, Effort.HIGH
        model = chosen or task.request.model
        return task.asking(model=model, effort=effort if takes_effort(model) else None)


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
