"""Execution of a prompt task: hooks, cache, call, check, one repair, scores, hooks.

Retries, circuit, budget and sharing are policies of the model (`policies.py`).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from contracts.calls import CallContext
from contracts.conversation import TaskRecord, TokenCount
from contracts.errors import UnusableModelOutputError, WorkerError
from contracts.exchanges import Asked
from contracts.ports import LanguageModel, ModelRequest, ModelResponse
from observability import attributes as names
from observability.metrics import note_prompt_task, note_validation_failure
from observability.tracing import Span, span
from prompts.caching.answers import AnswerCache, Hit
from prompts.execution.prompt_task import After, Before, ModelCalls, PromptTask, TaskResult
from prompts.execution.quality import scored
from prompts.pricing.prices import total_cost

T = TypeVar("T")

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
