"""The policies between a prompt task and its model, as wrappers of the `LanguageModel` port."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from contracts.errors import ModelRequestRejectedError, ModelUnavailableError
from contracts.ports import LanguageModel, ModelRequest, ModelResponse, TextHeard
from prompts.execution.breaker import Breakers, CircuitModel
from prompts.execution.sharing import SharingModel
from prompts.execution.spans import PROVIDERS, call_span, describe_call
from prompts.pricing.budget import Meter

ATTEMPTS = 4
BASE_PAUSE = timedelta(milliseconds=200)
MAX_PAUSE = timedelta(seconds=2)


class RetryingModel:
    """Policy: up to four attempts at a call, within the deadline of its context.

    The last attempt goes to the fallback model; so does an earlier one while the model's circuit is open, or after the
    model refused the request. `chance` gives numbers in [0, 1) for the jitter.
    """

    def __init__(
        self,
        model: LanguageModel,
        *,
        fallback_model: str | None,
        breakers: Breakers,
        chance: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._model = model
        self._fallback_model = fallback_model
        self._breakers = breakers
        self._chance = chance
        self._sleep = sleep

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        asked, fallback, breaker = request.model, self._fallback_model, self._breakers.of
        for attempt in range(ATTEMPTS):
            is_last = attempt + 1 == ATTEMPTS
            # The circuit of the model is open, and that of the fallback model is not.
            is_shut_out = fallback and not breaker(request.model).admits and breaker(fallback).admits
            if is_last or is_shut_out:
                request = self._to_fallback(request)
            request.context.begin_attempt()
            try:
                response = await self._model.complete(request, on_text=on_text)
            except ModelUnavailableError as exc:
                if is_last:
                    raise
                # Full jitter, or the provider's own `retry-after`, where there is time for it.
                ceiling = min(MAX_PAUSE, BASE_PAUSE * 2**attempt)
                wanted = max(exc.retry_after or timedelta(0), ceiling * self._chance())
                if wanted >= request.context.remaining:
                    raise
                await self._sleep(wanted.total_seconds())
            except ModelRequestRejectedError:
                # Another model may accept what this one refuses; the same one will not.
                if fallback in (None, request.model):
                    raise
                request = self._to_fallback(request)
            else:
                return response if request.model == asked else response.model_copy(update={"by_fallback": True})
        raise ModelUnavailableError("every attempt was refused")

    async def close(self) -> None:
        await self._model.close()

    def _to_fallback(self, request: ModelRequest) -> ModelRequest:
        if self._fallback_model in (None, request.model):
            return request
        return request.model_copy(update={"model": self._fallback_model, "effort": None})


class MeteredModel:
    """Policy: no call without a reservation; each answer is settled at its price, billed and traced.

    The budget may choose a smaller model for the call. `provider` is a value of `spans.PROVIDERS`.
    """

    def __init__(self, model: LanguageModel, meter: Meter, *, provider: str) -> None:
        self._model = model
        self._meter = meter
        self._provider = provider

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        """Raises BudgetSpentError: a ceiling leaves too little for the call."""
        context = request.context
        with self._meter.hold(request) as hold:
            with call_span(hold.request, provider=self._provider) as called:
                response = await self._model.complete(hold.request, on_text=on_text)
                call = hold.settle(response)
                describe_call(called, response, call)
            context.bill.append(call)
            return response

    async def close(self) -> None:
        await self._model.close()


def compose(
    model: LanguageModel,
    *,
    meter: Meter,
    breakers: Breakers,
    fallback_model: str | None,
    monotonic: Callable[[], float],
    chance: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    provider: str = PROVIDERS["anthropic"],
) -> LanguageModel:
    """Return the model with its policies; read from the outside in, a call meets them from the last line up.

    `monotonic` gives seconds, `chance` numbers in [0, 1) for the jitter of retries.
    """
    # Next to the provider: a caller that joins an identical call has its own budget, circuit and deadline.
    shared = SharingModel(model, monotonic=monotonic)
    guarded = CircuitModel(shared, breakers)
    # Each attempt is reserved and billed by itself.
    metered = MeteredModel(guarded, meter, provider=provider)
    return RetryingModel(metered, fallback_model=fallback_model, breakers=breakers, chance=chance, sleep=sleep)
