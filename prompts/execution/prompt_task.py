"""One question to a model: what is asked and how its answer is taken, by when, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Generic, Protocol, Self, TypeVar

from contracts.conversation import TaskName, TaskRecord
from contracts.errors import WorkerError
from contracts.ports import ModelRequest
from prompts.caching.questions import Question
from prompts.execution.quality import Scores
from prompts.execution.strategies import Strategy
from prompts.pricing.budget import Tab

T = TypeVar("T")


class Deadline:
    """A moment on the monotonic clock by which a turn must have its answers."""

    def __init__(self, budget: timedelta, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._ends = monotonic() + budget.total_seconds()

    @property
    def remaining(self) -> timedelta:
        return timedelta(seconds=max(0.0, self._ends - self._monotonic()))


@dataclass(frozen=True)
class TurnClock:
    """When the turn began, in monotonic seconds, by when its answers are due, and what they cost."""

    started: float
    deadline: Deadline
    tab: Tab = field(default_factory=Tab)


class Listener(Protocol):
    """Hears an answer while it forms. A repeated call begins it again: what was heard before is void."""

    def begin(self) -> None: ...

    async def on_token(self, piece: str) -> None: ...

    async def end(self) -> None:
        """The answer is whole."""
        ...


def unjudged(_: object) -> Scores:
    return {}


def unanswered(_: str) -> None:
    return None


@dataclass(frozen=True)
class PromptTask(Generic[T]):
    """What is asked, and how its answer is taken.

    `check` turns the model's text into the value and raises ValidationError or UnusableModelOutputError, `judge` scores
    the value, `listener` hears it form. `question` is what is asked of that model in the cache's terms, None where its
    answer may neither come from there nor go there; one that is `gated` is kept by who has seen it pass the gate. A
    `batched` one shares identical calls and cold prefixes with others of its moment.
    """

    name: TaskName
    template: str
    request: ModelRequest
    check: Callable[[str], T]
    judge: Callable[[T], Scores] = unjudged
    strategy: Strategy = Strategy.BALANCED
    listener: Listener | None = None
    question: Callable[[str], Question | None] = unanswered
    gated: bool = False
    batched: bool = False

    def asking(self, request: ModelRequest) -> Self:
        return replace(self, request=request)


@dataclass(frozen=True)
class TaskResult(Generic[T]):
    """What a task gave. `value` is None when it failed for good; then `error` says why, and `record` what it cost.

    `fresh` is the answer as the model gave it, with what was asked, when it may be given again.
    """

    value: T | None
    record: TaskRecord
    error: WorkerError | None = None
    fresh: tuple[Question, str] | None = None


Before = Callable[[PromptTask[Any]], PromptTask[Any]]
"""A hook before the call: it returns the task as it is to be asked. An error of the `WorkerError` family fails it."""
After = Callable[[PromptTask[Any], TaskRecord], None]
"""A hook after the answer, or after the failure: it looks and changes nothing."""
