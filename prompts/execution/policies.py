"""The policies between a prompt task and its model, as wrappers of the `LanguageModel` port."""

import asyncio
from collections.abc import Awaitable, Callable

from contracts.ports import LanguageModel
from prompts.execution.breaker import Breakers, CircuitModel
from prompts.execution.metering import MeteredModel
from prompts.execution.retry import RetryingModel
from prompts.execution.sharing import SharingModel
from prompts.execution.spans import PROVIDERS
from prompts.pricing.budget import Meter


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
