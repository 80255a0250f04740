"""A prompt task, its strategy and its execution: hooks, cache, call, check, one repair, scores, hooks.

Retries, circuit, budget and sharing are policies of the model (`policies.py`).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from operator import attrgetter
from typing import Any, Generic, Self, TypeVar

from pydantic import ValidationError

from contracts.calls import CallContext, Deadline, Listener, TurnCost
from contracts.conversation import TaskName, TaskRecord, TokenCount
from contracts.errors import UnusableModelOutputError, WorkerError
from contracts.ports import Effort, LanguageModel, ModelRequest, ModelResponse, TextHeard
from contracts.turn import Asked
from observability import attributes as names
from observability.logs import logger
from observability.metrics import PROMPT_CACHE_MISSED, note_prompt_task, note_validation_failure
from observability.tracing import Span, span
from prompts.caching.answers import AnswerCache, Hit
from prompts.caching.questions import Question
from prompts.execution.quality import Scores, scored
from prompts.pricing.prices import total_cost

log = logger(__name__)

T = TypeVar("T")


class Strategy(StrEnum):
    """Priority of a call.

    `balanced` takes what the settings say; `cost` the economy model at low effort; `speed` the task's own model at low
    effort; `quality` the quality model at high effort, for the tasks whose words a person reads or that decide.
    """

    COST = "cost"
    QUALITY = "quality"
    SPEED = "speed"
    BALANCED = "balanced"


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


# Cache level of an answer that another caller was given at the same time.
SHARED = "shared"


@dataclass(frozen=True)
class _Answer(Generic[T]):
    """A checked answer: its text, how it came about, the cache level that served it, the model that gave it."""

    value: T
    text: str
    outcome: str
    level: str | None = None
    model: str = ""


@dataclass(eq=False)
class Executor:
    """Prompt tasks against a model with its policies. `monotonic` gives seconds."""

    model: LanguageModel
    monotonic: Callable[[], float]
    cache: AnswerCache | None = None
    before: Sequence[Before] = ()
    after: Sequence[After] = ()

    async def run(self, task: PromptTask[T], calls: ModelCalls) -> TaskResult[T]:
        """Return the checked answer, or the error after repair, retries and fallback model are used up.

        Every call that came back is booked on their cost, also one whose answer was no use. A task that is
        cancelled leaves its record, with the calls that it ended, in the calls' `dropped`.
        """
        started = self.monotonic()
        context = CallContext(task.name, task.template, calls.deadline, calls.cost, task.listener, task.batched)
        with span("prompter.execute", {names.USAGE: task.name, names.TEMPLATE: task.template}) as executed:
            result: TaskResult[T]
            try:
                with span("pre_hooks"):
                    for before in self.before:
                        task = before(task)
                question = task.question(task.request.model)
                hit: Hit | None = None
                if self.cache is not None and question is not None:
                    with span("cache.check") as check:
                        hit = await self.cache.find(question)
                        check.set(names.CACHE_LEVEL, hit.level.value if hit else "none")
                answer, fresh, is_joined = _served(hit, task), None, False
                request = task.request.model_copy(update={"context": context})
                asked = Asked(task.name, task.template, request)
                calls.asked.append(asked)
                if answer is not None:
                    asked.answer, asked.cache = answer.text, answer.level
                else:
                    ask = partial(self.model.complete, request, on_text=task.on_text)
                    # A reply that a person sees forming is shared with no other call.
                    if self.cache is None or question is None or task.listener is not None:
                        response = await ask()
                    else:
                        flight = await self.cache.once(question, ask, text_of=attrgetter("text"))
                        response, is_joined = flight.value, flight.shared
                    asked.answer, asked.model, asked.cache = (
                        response.text,
                        response.model,
                        SHARED if is_joined else None,
                    )
                    answer = await self._accept(response, request, task, calls, is_joined=is_joined)
                    if self.cache is not None and hit is not None and hit.sampled:
                        # The only measure of how often the cache is wrong.
                        self.cache.compare(hit, task.name, answer.text)
                    # Only what the model that was asked has answered itself, at once: no other one's, no repair.
                    is_own = answer.outcome == "ok" and answer.model.startswith(request.model)
                    if question is not None and is_own:
                        fresh = question, answer.text
                result = TaskResult(answer.value, self._record(task, context, calls, started, answer), fresh=fresh)
            except WorkerError as exc:
                executed.fail(exc)
                result = TaskResult(None, self._record(task, context, calls, started, None), exc)
            except asyncio.CancelledError:
                dropped = self._record(task, context, calls, started, None).model_copy(update={"outcome": "dropped"})
                calls.dropped.append(dropped)
                self._finish(executed, task, dropped)
                raise
            self._finish(executed, task, result.record)
            if not task.gated:
                await self.keep(result)
        return result

    def _finish(self, executed: Span, task: PromptTask[Any], record: TaskRecord) -> None:
        note_prompt_task(record)
        if executed.sampled:
            tokens = record.tokens
            executed.update(
                {
                    names.REQUEST_MODEL: record.model,
                    names.OUTCOME: record.outcome,
                    names.ATTEMPTS: record.attempts,
                    names.INPUT_TOKENS: tokens.input + tokens.cache_read + tokens.cache_write,
                    names.OUTPUT_TOKENS: tokens.output,
                }
            )
            executed.set(names.COST, None if record.cost_usd is None else float(record.cost_usd))
            executed.set(names.QUALITY, record.quality)
            executed.set(names.CACHE_LEVEL, record.cache)
        with span("post_hooks"):
            for after in self.after:
                after(task, record)

    async def keep(self, result: TaskResult[Any]) -> None:
        """Keep a fresh answer in the cache; words to a person, once the gate has let them pass."""
        if self.cache is not None and result.fresh is not None:
            with span("cache.store"):
                await self.cache.keep(*result.fresh)

    async def _accept(
        self, response: ModelResponse, request: ModelRequest, task: PromptTask[T], calls: ModelCalls, *, is_joined: bool
    ) -> _Answer[T]:
        """Check the answer, and ask once more with the reason when it is invalid and the task repairs.

        Raises:
            UnusableModelOutputError: the last answer is invalid.
        """
        level = SHARED if is_joined else None
        try:
            value = await _checked(response, task)
        except (ValidationError, UnusableModelOutputError) as exc:
            if not task.repairs:
                raise UnusableModelOutputError(_reason(exc)) from exc
            repair = request.model_copy(update={"repair_of": response.text, "repair_reason": _reason(exc)})
        else:
            outcome = "cached" if is_joined else "fallback_model" if response.by_fallback else "ok"
            return _Answer(value, response.text, outcome, level, response.model)
        asked = Asked(task.name, task.template, repair)
        calls.asked.append(asked)
        repaired = await self.model.complete(repair, on_text=task.on_text)
        asked.answer, asked.model = repaired.text, repaired.model
        try:
            return _Answer(await _checked(repaired, task), repaired.text, "repaired", level, repaired.model)
        except (ValidationError, UnusableModelOutputError) as exc:
            raise UnusableModelOutputError(_reason(exc)) from exc

    def _record(
        self, task: PromptTask[T], context: CallContext, calls: ModelCalls, started: float, answer: _Answer[T] | None
    ) -> TaskRecord:
        record = TaskRecord(
            task=task.name,
            model=task.request.model,
            template=task.template,
            started_ms=round((started - calls.started) * 1000, 2),
            ended_ms=round((self.monotonic() - calls.started) * 1000, 2),
            calls=len(context.bill),
            attempts=context.attempts,
            tokens=sum((call.tokens for call in context.bill), TokenCount()),
            cost_usd=total_cost(call.cost_usd for call in context.bill),
            bill=tuple(context.bill),
            outcome="failed" if answer is None else answer.outcome,
            cache=answer.level if answer else None,
        )
        if answer is None:
            return record
        return scored(record, {"schema": 0.5 if answer.outcome == "repaired" else 1.0, **task.judge(answer.value)})


def _served(hit: Hit | None, task: PromptTask[T]) -> _Answer[T] | None:
    """Return the answer out of the cache; None when this release would not accept it, or when it is sampled.

    One hit in so many is asked all the same, and compared with the model's answer.
    """
    if hit is None or hit.sampled:
        return None
    try:
        return _Answer(task.check(hit.text), hit.text, "cached", hit.level.value)
    except (ValidationError, UnusableModelOutputError):
        return None


async def _checked(response: ModelResponse, task: PromptTask[T]) -> T:
    if task.listener is not None:
        await task.listener.end()
    try:
        with span("validation"):
            if response.stop_reason == "refusal":
                raise UnusableModelOutputError("the model refused")
            if response.stop_reason == "max_tokens":
                raise UnusableModelOutputError("the answer was cut off: be shorter")
            return task.check(response.text)
    except (ValidationError, UnusableModelOutputError):
        note_validation_failure(task.name, response.stop_reason)
        raise


def _reason(error: ValidationError | UnusableModelOutputError) -> str:
    """Return the defect in words for the model; never the answer's text, which may repeat the person's."""
    if isinstance(error, ValidationError):
        details = error.errors(include_input=False, include_url=False)
        return "; ".join(f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in details[:5])
    return str(error)
