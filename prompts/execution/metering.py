"""Budget, bill and span of each call."""

from contracts.ports import LanguageModel, ModelRequest, ModelResponse, TextHeard
from prompts.execution.spans import call_span, describe_call
from prompts.pricing.budget import Meter


class MeteredModel:
    """Policy: no call without a reservation; each answer is settled at its price, billed and traced.

    The budget may choose a smaller model for the call. `provider` is a value of `spans.PROVIDERS`.
    """

    def __init__(self, model: LanguageModel, meter: Meter, *, provider: str) -> None:
        self._model = model
        self._meter = meter
        self._provider = provider

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        """
        Raises:
            BudgetSpentError: a ceiling leaves too little for the call.
        """
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
