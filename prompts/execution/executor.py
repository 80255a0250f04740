"""Asks a model, whatever it is about: hooks before, cache, call, check, hooks after.

A call is retried within the turn's budget, an invalid answer is repaired once, the last attempt asks another model;
what remains after that is an error with its bill.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar

from pydantic import ValidationError

from contracts.backoff import Backoff
from contracts.conversation import CallRecord, TaskRecord, TokenCount
from contracts.errors import (
    ModelRequestRejectedError,
    ModelUnavailableError,
    UnusableModelOutputError,
    WorkerError,
)
from contracts.ports import LanguageModel, ModelRequest, ModelResponse
from observability import attributes as names
from observability.metrics import MODEL_ERRORS, note_validation_failure
from observability.tracing import span
from prompts.caching.answers import AnswerCache, Hit
from prompts.caching.questions import Question
from prompts.execution.breaker import Breakers
from prompts.execution.prompt_task import After, Before, Deadline, PromptTask, TaskResult, TurnClock
from prompts.execution.quality import scored
from prompts.execution.spans import PROVIDERS, call_span, describe_call, describe_task, task_span
from prompts.pricing.budget import Meter
from prompts.pricing.prices import total_cost

T = TypeVar("T")

ATTEMPTS = 4
BACKOFF = Backoff(timedelta(milliseconds=200), timedelta(seconds=2), jitter=1.0)
# The level of an answer that somebody else was being given in the same moment.
SHARED = "shared"


class Executor:
    """Runs tasks against a model. `monotonic` gives seconds, `chance` a number in [0, 1) for the jitter."""

    def __init__(
        self,
        model: LanguageModel,
        *,
        fallback_model: str | None,
        meter: Meter,
        monotonic: Callable[[], float],
        chance: Callable[[], float],
        grouped: LanguageModel | None = None,
        breakers: Breakers | None = None,
        cache: AnswerCache | None = None,
        before: Sequence[Before] = (),
        after: Sequence[After] = (),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        provider: str = PROVIDERS["anthropic"],
    ) -> None:
        self._model = model
        self._grouped = grouped
        self._fallback_model = fallback_model
        self._meter = meter
        self._monotonic = monotonic
        self._chance = chance
        self._breakers = breakers or Breakers(monotonic=monotonic)
        self._cache = cache
        self._before = tuple(before)
        self._after = tuple(after)
        self._sleep = sleep
        self._provider = provider

    async def run(self, task: PromptTask[T], clock: TurnClock) -> TaskResult[T]:
        """Return the checked answer, or the error after repair, retries and fallback model are used up.

        Usage is booked on the clock's tab for every call that came back, also for one whose answer was no use.
        """
        with task_span(task) as executed:
            run = _Run(self, task, clock)
            try:
                result = await run.asked(self._prepared(task))
            except WorkerError as exc:
                executed.fail(exc)
                result = TaskResult(None, run.record("failed"), exc)
            describe_task(executed, result.record)
            with span("post_hooks"):
                for hook in self._after:
                    hook(run.task, result.record)
            if not run.task.gated:
                await self.keep(result)
        return result

    async def keep(self, result: TaskResult[Any]) -> None:
        """Let the answer be given again to who asks the same; words to a person, once the gate has let them pass."""
        if self._cache is not None and result.fresh is not None:
            with span("cache.store"):
                await self._cache.keep(*result.fresh)

    def _prepared(self, task: PromptTask[T]) -> PromptTask[T]:
        with span("pre_hooks"):
            for hook in self._before:
                task = hook(task)
        return task

    async def _call(self, request: ModelRequest, deadline: Deadline, task: PromptTask[Any]) -> ModelResponse:
        timeout = min(request.timeout, deadline.remaining)
        if timeout <= timedelta(0):
            raise ModelUnavailableError("the turn's time is used up")
        with self._breakers.of(request.model).call() as verdict:
            try:
                # The adapter's own time-out is for each read: a model that drips one byte a second never meets it.
                async with asyncio.timeout(timeout.total_seconds()):
                    return await self._heard(request.model_copy(update={"timeout": timeout}), task)
            except (ModelUnavailableError, ModelRequestRejectedError) as exc:
                kind = "unavailable" if isinstance(exc, ModelUnavailableError) else "rejected"
                MODEL_ERRORS.labels(kind=kind).inc()
                raise
            except TimeoutError as exc:
                MODEL_ERRORS.labels(kind="timeout").inc()
                # Cut short by what was left of the turn: that says nothing of the model.
                verdict.is_void = timeout < request.timeout
                raise ModelUnavailableError("no answer within its time") from exc

    async def _heard(self, request: ModelRequest, task: PromptTask[Any]) -> ModelResponse:
        model = self._grouped if task.batched and self._grouped is not None else self._model
        listener = task.listener
        if listener is None:
            return await model.complete(request)
        listener.begin()
        response = await model.complete(request, on_text=listener.on_token)
        await listener.end()
        return response

    async def _pause(self, attempt: int, error: ModelUnavailableError, deadline: Deadline) -> None:
        """Full jitter; the provider's own `retry-after` is kept when there is time for it."""
        wanted = max(error.retry_after or timedelta(0), BACKOFF.pause(attempt + 1, self._chance))
        if wanted >= deadline.remaining:
            raise error
        await self._sleep(wanted.total_seconds())


class _Run:
    """The state of one task while it is worked on."""

    def __init__(self, executor: Executor, task: PromptTask[Any], clock: TurnClock) -> None:
        self._executor = executor
        self.task = task
        self._clock = clock
        self._started = executor._monotonic()
        self._attempts = 0
        self._bill: list[CallRecord] = []
        self._outcome = "ok"
        self._level: str | None = None
        self._text = ""

    async def asked(self, task: PromptTask[T]) -> TaskResult[T]:
        self.task = task
        cache, question = self._executor._cache, task.question(task.request.model)
        if cache is None or question is None:
            return self._result(await self._answer(task), task)
        with span("cache.check") as check:
            hit = await cache.find(question)
            check.set(names.CACHE_LEVEL, hit.level.value if hit else "none")
        if hit is not None and not hit.sampled and (kept := self._served(hit, task)) is not None:
            return kept
        answer = await self._answer(task, partial(self._asked_once, cache, question, task))
        if hit is not None:
            # One hit in so many is asked for all the same: nothing else says how often the cache is wrong.
            cache.compare(hit, task.name, self._text)
        result = self._result(answer, task)
        return replace(result, fresh=(question, self._text)) if self._is_the_models_own(task) else result

    def _result(self, value: T, task: PromptTask[T]) -> TaskResult[T]:
        schema = {"schema": 0.5 if self._outcome == "repaired" else 1.0}
        return TaskResult(value, scored(self.record(self._outcome), {**schema, **task.judge(value)}))

    def _served(self, hit: Hit, task: PromptTask[T]) -> TaskResult[T] | None:
        """The answer out of the cache; None when this release would not take it."""
        try:
            value = task.check(hit.text)
        except (ValidationError, UnusableModelOutputError):
            return None
        self._outcome = "cached"
        self._level = hit.level.value
        return self._result(value, task)

    async def _asked_once(self, cache: AnswerCache, question: Question, task: PromptTask[T]) -> ModelResponse:
        """Ask, or wait for who asks the same in this moment; an answer that is heard forming is nobody else's."""
        if task.listener is not None:
            return await self._respond(task.request)
        landed = await cache.once(question, partial(self._respond, task.request), text_of=attrgetter("text"))
        if landed.shared:
            self._outcome = "cached"
            self._level = SHARED
        response: ModelResponse = landed.value
        return response

    def _is_the_models_own(self, task: PromptTask[T]) -> bool:
        """Whether the model that was asked has said it itself, at once: no other's answer, no repair."""
        return self._outcome == "ok" and self._bill[-1].model.startswith(task.request.model)

    async def _answer(self, task: PromptTask[T], ask: Callable[[], Awaitable[ModelResponse]] | None = None) -> T:
        response = await (ask or partial(self._respond, task.request))()
        self._text = response.text
        try:
            return _checked(response, task.check)
        except (ValidationError, UnusableModelOutputError) as exc:
            note_validation_failure(task.name, response.stop_reason)
            repair = task.request.model_copy(update={"repair_of": response.text, "repair_reason": _reason(exc)})
        repaired = await self._respond(repair)
        self._outcome = "repaired"
        try:
            return _checked(repaired, task.check)
        except (ValidationError, UnusableModelOutputError) as exc:
            note_validation_failure(task.name, repaired.stop_reason)
            raise UnusableModelOutputError(_reason(exc)) from exc

    async def _respond(self, request: ModelRequest) -> ModelResponse:
        for attempt in range(ATTEMPTS):
            request = self._request_for(attempt, request)
            try:
                return await self._billed(request)
            except ModelUnavailableError as exc:
                if attempt + 1 == ATTEMPTS:
                    raise
                await self._executor._pause(attempt, exc, self._clock.deadline)
            except ModelRequestRejectedError:
                # Another model may take what this one refuses; the same one will not.
                if self._executor._fallback_model in (None, request.model):
                    raise
                request = self._to_fallback(request)
        raise ModelUnavailableError("every attempt was refused")

    async def _billed(self, request: ModelRequest) -> ModelResponse:
        """One call under the budget, which may choose a smaller model for it."""
        executor, task, clock = self._executor, self.task, self._clock
        self._attempts += 1
        with executor._meter.hold(task.name, task.template, request, clock.tab) as hold:
            with call_span(task, hold.request, attempt=self._attempts, provider=executor._provider) as called:
                response = await executor._call(hold.request, clock.deadline, task)
                call = hold.settle(response)
                describe_call(called, response, call)
            self._bill.append(call)
            return response

    def _request_for(self, attempt: int, request: ModelRequest) -> ModelRequest:
        """The last attempt goes to the fallback model, and an earlier one does when the model's circuit is open."""
        fallback, breakers = self._executor._fallback_model, self._executor._breakers
        if fallback is None or fallback == request.model:
            return request
        is_shut_out = not breakers.of(request.model).admits and breakers.of(fallback).admits
        return self._to_fallback(request) if is_shut_out or attempt + 1 == ATTEMPTS else request

    def _to_fallback(self, request: ModelRequest) -> ModelRequest:
        self._outcome = "fallback_model"
        return request.model_copy(update={"model": self._executor._fallback_model, "effort": None})

    def record(self, outcome: str) -> TaskRecord:
        started, clock = self._clock.started, self._executor._monotonic
        return TaskRecord(
            task=self.task.name,
            model=self.task.request.model,
            template=self.task.template,
            started_ms=_milliseconds(self._started - started),
            ended_ms=_milliseconds(clock() - started),
            calls=len(self._bill),
            attempts=self._attempts,
            tokens=sum((call.tokens for call in self._bill), TokenCount()),
            cost_usd=total_cost(call.cost_usd for call in self._bill),
            bill=tuple(self._bill),
            outcome=outcome,
            cache=self._level,
        )


def _checked(response: ModelResponse, check: Callable[[str], T]) -> T:
    with span("validation"):
        if response.stop_reason == "refusal":
            raise UnusableModelOutputError("the model refused")
        if response.stop_reason == "max_tokens":
            raise UnusableModelOutputError("the answer was cut off: be shorter")
        return check(response.text)


def _reason(error: ValidationError | UnusableModelOutputError) -> str:
    """What was wrong, in words for the model; never its text, which may repeat the person's."""
    if isinstance(error, ValidationError):
        details = error.errors(include_input=False, include_url=False)
        return "; ".join(f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in details[:5])
    return str(error)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
