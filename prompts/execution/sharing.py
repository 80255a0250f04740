"""Sharing: identical calls of one moment are one, and a cold prefix is written to the provider's prompt cache once.

Ten prompts are ten requests to a model behind HTTP, so prompts are not batched into one.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Hashable
from datetime import timedelta
from functools import partial
from typing import Any

import orjson

from contracts.conversation import TokenCount
from contracts.ports import LanguageModel, ModelRequest, ModelResponse, TextHeard
from prompts.execution.batching import CAPACITY, BatchStatistics
from prompts.execution.single_flight import SingleFlight

# The provider keeps a prefix for five minutes after its last use.
WARM_FOR = timedelta(minutes=4)
WARMING = timedelta(seconds=1)
MOST_PREFIXES = 1_000


class SharingModel:
    """Policy: `batched` calls without a listener share what they have in common; others pass through.

    Identical calls of the same moment are one: it is paid once, so the responses of those that joined it are `shared`
    and count no tokens. Calls whose prefix is not in the provider's cache wait until the first of them is answered,
    `warming` at most, and then read what it wrote; behind a warm prefix no call waits. With `capacity` waiting of a
    usage (the request's `schema_name`), a call goes its own way. `monotonic` gives seconds.
    """

    def __init__(
        self,
        model: LanguageModel,
        *,
        monotonic: Callable[[], float],
        warming: timedelta = WARMING,
        warm_for: timedelta = WARM_FOR,
        capacity: int = CAPACITY,
    ) -> None:
        self._model = model
        self._monotonic = monotonic
        self._warming = warming
        self._warm_for = warm_for.total_seconds()
        self._capacity = capacity
        self._calls: SingleFlight[ModelResponse] = SingleFlight()
        self._warmers: dict[Hashable, _CacheWarmer] = {}
        self._warm_until: dict[Hashable, float] = {}
        self._waiting: Counter[str] = Counter()
        self.statistics: dict[str, BatchStatistics] = {}

    def complete(
        self, request: ModelRequest, *, on_text: TextHeard | None = None
    ) -> Coroutine[Any, Any, ModelResponse]:
        if request.context.batched and on_text is None:
            return self._shared(request)
        return self._model.complete(request, on_text=on_text)

    async def close(self) -> None:
        await self._calls.close()
        await self._model.close()

    async def _shared(self, request: ModelRequest) -> ModelResponse:
        usage = request.schema_name
        statistics = self.statistics.setdefault(usage, BatchStatistics(usage))
        identity = _identity(request)
        if not self._calls.is_under_way(identity):
            result = await self._calls.run(identity, partial(self._ask_with_a_warm_prefix, request, statistics))
            return result.value
        if self._waiting[usage] >= self._capacity:
            statistics.note_overflow()
            return await self._ask(request)
        self._waiting[usage] += 1
        try:
            result = await self._calls.run(identity, partial(self._ask, request))
        finally:
            self._waiting[usage] -= 1
        statistics.note_shared()
        return result.value.model_copy(update={"tokens": TokenCount(), "shared": True})

    async def _ask_with_a_warm_prefix(self, request: ModelRequest, statistics: BatchStatistics) -> ModelResponse:
        """Ask at once when the prefix is warm, or warm it, or wait for the call that does."""
        usage, prefix = request.schema_name, _prefix(request)
        if prefix is None or self._warm_until.get(prefix, 0.0) > self._monotonic():
            return await self._ask(request)
        warmer = self._warmers.get(prefix)
        if warmer is None:
            warmer = self._warmers[prefix] = _CacheWarmer()
            try:
                return await self._ask(request)
            finally:
                # Answered or not: the calls behind it do not wait for each other in turn.
                del self._warmers[prefix]
                warmer.answered.set()
                statistics.note_batch(warmer.size)
        if self._waiting[usage] >= self._capacity:
            statistics.note_overflow()
            return await self._ask(request)
        self._waiting[usage] += 1
        warmer.size += 1
        began = self._monotonic()
        try:
            # Half of its own time at most: the other half is for the call.
            await warmer.answered_within(min(self._warming, request.timeout / 2))
        finally:
            self._waiting[usage] -= 1
        statistics.note_wait(self._monotonic() - began)
        return await self._ask(request)

    async def _ask(self, request: ModelRequest) -> ModelResponse:
        response = await self._model.complete(request)
        if (prefix := _prefix(request)) is not None:
            # Cached by now, or the provider has shown that it does not cache it.
            if len(self._warm_until) >= MOST_PREFIXES and prefix not in self._warm_until:
                self._warm_until.clear()
            self._warm_until[prefix] = self._monotonic() + self._warm_for
        return response


class _CacheWarmer:
    """The call that warms a prefix; `size` counts it and those behind it."""

    def __init__(self) -> None:
        self.answered = asyncio.Event()
        self.size = 1

    async def answered_within(self, limit: timedelta) -> bool:
        try:
            async with asyncio.timeout(limit.total_seconds()):
                return await self.answered.wait()
        except TimeoutError:
            return False


def _identity(request: ModelRequest) -> Hashable:
    """Return a key that is equal for requests that are the same to the provider; it does not see their time limits."""
    return (
        request.model,
        tuple((block.text, block.cached) for block in request.system),
        request.user,
        tuple(file.content for file in request.files),
        request.schema_name,
        orjson.dumps(request.output_schema),
        request.max_tokens,
        request.repair_of,
        request.repair_reason,
        request.effort,
    )


def _prefix(request: ModelRequest) -> Hashable | None:
    """Return the key of the provider's cache: all before the last breakpoint, model and schema; None without one."""
    cached = [number for number, block in enumerate(request.system) if block.cached]
    if not cached:
        return None
    return request.model, tuple(block.text for block in request.system[: cached[-1] + 1]), request.schema_name
