"""One prompt task: call, check, repair once, retry within a budget, then another model, then an error with its bill."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from pydantic import ValidationError

from contracts.conversation import CallRecord, TaskName, TaskRecord, TokenCount
from contracts.errors import (
    ModelRequestRejectedError,
    ModelUnavailableError,
    UnusableModelOutputError,
    WorkerError,
)
from contracts.ports import LanguageModel, ModelRequest, ModelResponse
from observability.metrics import note_prompt_task
from prompts.budget import Meter, Tab
from prompts.pricing import total_cost

T = TypeVar("T")

ATTEMPTS = 3
BASE_PAUSE = timedelta(milliseconds=200)
MAX_PAUSE = timedelta(seconds=2)


class Deadline:
    """A moment on the monotonic clock by which a turn must have its answers."""

    def __init__(self, budget: timedelta, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._ends = monotonic() + budget.total_seconds()

    @property
    def remaining(self) -> timedelta:
        return timedelta(seconds=max(0.0, self._ends - self._monotonic()))


@dataclass(frozen=True)
class TaskResult(Generic[T]):
    """What a task gave. `value` is None when it failed for good; then `error` says why, and `record` what it cost."""

    value: T | None
    record: TaskRecord
    error: WorkerError | None = None


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
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._model = model
        self._fallback_model = fallback_model
        self._meter = meter
        self._monotonic = monotonic
        self._chance = chance
        self._sleep = sleep

    async def run(
        self,
        task: TaskName,
        request: ModelRequest,
        *,
        template: str,
        check: Callable[[str], T],
        deadline: Deadline,
        turn_started: float,
        tab: Tab | None = None,
    ) -> TaskResult[T]:
        """Return the checked answer, or the error after repair, retries and fallback model are used up.

        `check` turns the model's text into the value and raises ValidationError or UnusableModelOutputError.
        Usage is booked for every call that came back, also for one whose answer was no use; `tab` is the turn's.
        """
        run = _Run(self, task, request, template, deadline, turn_started, tab or Tab())
        try:
            value = await run.answer(check)
        except WorkerError as exc:
            return TaskResult(None, run.record("failed"), exc)
        return TaskResult(value, run.record(run.outcome))

    async def _call(self, request: ModelRequest, deadline: Deadline) -> ModelResponse:
        timeout = min(request.timeout, deadline.remaining)
        if timeout <= timedelta(0):
            raise ModelUnavailableError("the turn's time is used up")
        try:
            # The adapter's own time-out is for each read: a model that drips one byte a second would never meet it.
            async with asyncio.timeout(timeout.total_seconds()):
                return await self._model.complete(request.model_copy(update={"timeout": timeout}))
        except TimeoutError as exc:
            raise ModelUnavailableError("no answer within its time") from exc

    async def _pause(self, attempt: int, error: ModelUnavailableError, deadline: Deadline) -> None:
        """Full jitter; the provider's own `retry-after` is kept when there is time for it."""
        ceiling = min(MAX_PAUSE, BASE_PAUSE * 2**attempt)
        wanted = max(error.retry_after or timedelta(0), ceiling * self._chance())
        if wanted >= deadline.remaining:
            raise error
        await self._sleep(wanted.total_seconds())


class _Run:
    """The state of one task while it is worked on."""

    def __init__(
        self,
        executor: Executor,
        task: TaskName,
        request: ModelRequest,
        template: str,
        deadline: Deadline,
        turn_started: float,
        tab: Tab,
    ) -> None:
        self._executor = executor
        self._task = task
        self._request = request
        self._template = template
        self._deadline = deadline
        self._turn_started = turn_started
        self._tab = tab
        self._started = executor._monotonic()
        self._bill: list[CallRecord] = []
        self.outcome = "ok"

    async def answer(self, check: Callable[[str], T]) -> T:
        response = await self._respond(self._request)
        try:
            return _checked(response, check)
        except (ValidationError, UnusableModelOutputError) as exc:
            repair = self._request.model_copy(update={"repair_of": response.text, "repair_reason": _reason(exc)})
        repaired = await self._respond(repair)
        self.outcome = "repaired"
        try:
            return _checked(repaired, check)
        except ValidationError as exc:
            raise UnusableModelOutputError(_reason(exc)) from exc

    async def _respond(self, request: ModelRequest) -> ModelResponse:
        for attempt in range(ATTEMPTS):
            request = self._request_for(attempt, request)
            try:
                return await self._billed(request)
            except ModelUnavailableError as exc:
                if attempt + 1 == ATTEMPTS:
                    raise
                await self._executor._pause(attempt, exc, self._deadline)
            except ModelRequestRejectedError:
                # Another model may take what this one refuses; the same one will not.
                if self._executor._fallback_model in (None, request.model):
                    raise
                request = request.model_copy(update={"model": self._executor._fallback_model})
        raise ModelUnavailableError("every attempt was refused")

    async def _billed(self, request: ModelRequest) -> ModelResponse:
        """One call under the budget, which may choose a smaller model for it."""
        with self._executor._meter.hold(self._task, self._template, request, self._tab) as hold:
            response = await self._executor._call(hold.request, self._deadline)
            self._bill.append(hold.settle(response))
            return response

    def _request_for(self, attempt: int, request: ModelRequest) -> ModelRequest:
        fallback = self._executor._fallback_model
        if attempt + 1 == ATTEMPTS and fallback is not None and fallback != request.model:
            self.outcome = "fallback_model"
            return request.model_copy(update={"model": fallback})
        return request

    def record(self, outcome: str) -> TaskRecord:
        record = TaskRecord(
            task=self._task,
            model=self._request.model,
            template=self._template,
            started_ms=_milliseconds(self._started - self._turn_started),
            ended_ms=_milliseconds(self._executor._monotonic() - self._turn_started),
            calls=len(self._bill),
            tokens=sum((call.tokens for call in self._bill), TokenCount()),
            cost_usd=total_cost(call.cost_usd for call in self._bill),
            bill=tuple(self._bill),
            outcome=outcome,
        )
        note_prompt_task(record)
        return record


def _checked(response: ModelResponse, check: Callable[[str], T]) -> T:
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
