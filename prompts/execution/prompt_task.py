"""One question to a model, its result, and the hooks around it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Self, TypeVar

from contracts.calls import Deadline, Listener, TurnCost
from contracts.conversation import TaskRecord
from contracts.errors import WorkerError
from contracts.exchanges import Asked
from contracts.ports import ModelRequest, TextHeard
from prompts.caching.questions import Question
from prompts.execution.quality import Scores
from prompts.execution.strategies import Strategy

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

    def asking(self, request: ModelRequest) -> Self:
        return replace(self, request=request)


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
