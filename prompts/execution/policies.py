"""The policies between a prompt task and its model, as wrappers of the `LanguageModel` port."""

import asyncio
import itertools
import re
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any

import orjson

from contracts.conversation import CallRecord, TokenCount
from contracts.errors import ConfigurationError, ModelRequestRejectedError, ModelUnavailableError
from contracts.ports import LanguageModel, ModelRequest, ModelResponse, TextHeard
from observability import attributes as names
from observability.logs import logger
from observability.metrics import BREAKER_OPENED, BREAKER_REFUSED, MODEL_ERRORS
from observability.tracing import Kind, Span, span
from prompts.execution.batching import CAPACITY, BatchStatistics, SingleFlight
from prompts.pricing.budget import Meter

# The provider keeps a prefix for five minutes after its last use.
WARM_FOR = timedelta(minutes=4)
WARMING = timedelta(seconds=1)
MOST_PREFIXES = 1_000


@dataclass(eq=False)
class SharingModel:
    """Policy: `batched` calls without a listener share what they have in common; others pass through.

    Ten prompts are ten requests to a model behind HTTP, so prompts are not batched into one.

    Identical calls of the same moment are one: it is paid once, so the responses of those that joined it are `shared`
    and count no tokens. Calls whose prefix is not in the provider's cache wait until the first of them is answered,
    `warming` at most, and then read what it wrote; behind a warm prefix no call waits. With `capacity` waiting of a
    usage (the request's `schema_name`), a call goes its own way. `monotonic` gives seconds.
    """

    model: LanguageModel
    monotonic: Callable[[], float]
    warming: timedelta = WARMING
    warm_for: timedelta = WARM_FOR
    capacity: int = CAPACITY

    def __post_init__(self) -> None:
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
        return self.model.complete(request, on_text=on_text)

    async def close(self) -> None:
        await self._calls.close()
        await self.model.close()

    async def _shared(self, request: ModelRequest) -> ModelResponse:
        usage = request.schema_name
        statistics = self.statistics.setdefault(usage, BatchStatistics(usage))
        identity = _identity(request)
        if not self._calls.is_under_way(identity):
            result = await self._calls.run(identity, partial(self._ask_with_a_warm_prefix, request, statistics))
            return result.value
        if self._waiting[usage] >= self.capacity:
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
        if prefix is None or self._warm_until.get(prefix, 0.0) > self.monotonic():
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
        if self._waiting[usage] >= self.capacity:
            statistics.note_overflow()
            return await self._ask(request)
        self._waiting[usage] += 1
        warmer.size += 1
        began = self.monotonic()
        try:
            # Half of its own time at most: the other half is for the call.
            await warmer.answered_within(min(self.warming, request.timeout / 2))
        finally:
            self._waiting[usage] -= 1
        statistics.note_wait(self.monotonic() - began)
        return await self._ask(request)

    async def _ask(self, request: ModelRequest) -> ModelResponse:
        response = await self.model.complete(request)
        if (prefix := _prefix(request)) is not None:
            # Cached by now, or the provider has shown that it does not cache it.
            if len(self._warm_until) >= MOST_PREFIXES and prefix not in self._warm_until:
                self._warm_until.clear()
            self._warm_until[prefix] = self.monotonic() + self.warm_for.total_seconds()
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


log = logger(__name__)

# Values of `gen_ai.provider.name` by PROSA_MODEL_PROVIDER. Source: OpenTelemetry's conventions for generative AI.
PROVIDERS = {"anthropic": "anthropic", "vertex": "gcp.vertex_ai", "bedrock": "aws.bedrock"}
# The provider's own word; anything else is not passed on.
STOP_REASON = re.compile(r"[a-z_]{1,40}")


class Circuit(StrEnum):
    """State of a circuit: closed admits every call, open none, half-open one, whose outcome decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True)
class BreakerLimits:
    """Limits at which a circuit opens, and its time open.

    It opens when `failures` of the last `window` ended calls failed, or as large a share of those and of the calls
    that began before the last failed one and still run.

    While one call in eight fails, retries are enough and an open circuit does harm: the chance of fifteen failures in
    twenty is 2e-10, of ten 5e-5 (binomial), which is once a day. Even at one in two, four attempts answer nineteen
    turns of twenty. Both figures take the ended calls for a fair sample, which they are not: an error comes back at
    once and an answer after seconds, so of a hundred calls that begin together the failed ones end first. Therefore a
    running call that is older than a failed one counts as not failed. The first pause is short, since most outages are;
    each failed probe doubles it up to the longest.
    """

    window: int = 20
    failures: int = 15
    first_pause: timedelta = timedelta(seconds=1)
    longest_pause: timedelta = timedelta(seconds=30)


class Breaker:
    """The circuit of one model. `monotonic` gives seconds.

    Source: Nygard, Release It!, 2nd edition, 2018, "Circuit Breaker".
    """

    def __init__(self, model: str, *, monotonic: Callable[[], float], limits: BreakerLimits = BreakerLimits()) -> None:
        self._model = model
        self._monotonic = monotonic
        self._limits = limits
        self._outcomes: deque[tuple[int, bool]] = deque(maxlen=limits.window)
        self._begun = itertools.count()
        # In the order in which they began.
        self._running: dict[int, None] = {}
        self._pause = limits.first_pause
        self._opens_again: float | None = None
        self._probing = False

    @property
    def circuit(self) -> Circuit:
        if self._opens_again is None:
            return Circuit.CLOSED
        return Circuit.OPEN if self._monotonic() < self._opens_again else Circuit.HALF_OPEN

    @property
    def admits(self) -> bool:
        """Whether a call would be let through now."""
        match self.circuit:
            case Circuit.CLOSED:
                return True
            case Circuit.OPEN:
                return False
            case Circuit.HALF_OPEN:
                return not self._probing

    @contextmanager
    def call(self) -> Iterator["Verdict"]:
        """Let one call through. It counts as failed when it raises `ModelUnavailableError` and its verdict is not void.

        Raises:
            ModelUnavailableError: the circuit is open; `retry_after` is the time until it may close.
        """
        if not self.admits:
            BREAKER_REFUSED.inc()
            # Until the next probe; during a probe, whose end is not known, the shortest pause.
            left = timedelta(seconds=(self._opens_again or 0.0) - self._monotonic())
            pause = left if left > timedelta(0) else self._limits.first_pause
            raise ModelUnavailableError("its circuit is open", retry_after=pause)
        probe = self._probing = self.circuit is Circuit.HALF_OPEN
        verdict, number = Verdict(), next(self._begun)
        self._running[number] = None
        failed: bool | None = None
        try:
            yield verdict
            failed = False
        except ModelUnavailableError:
            failed = True
            raise
        finally:
            del self._running[number]
            if probe:
                self._probing = False
            if failed is not None and not verdict.is_void:
                if probe and failed:
                    self._pause = min(self._limits.longest_pause, self._pause * 2)
                    self._open()
                elif probe:
                    self._outcomes.clear()
                    self._pause = self._limits.first_pause
                    self._opens_again = None
                    log.info("breaker.closed", model=self._model)
                elif self.circuit is Circuit.CLOSED:
                    self._outcomes.append((number, failed))
                    if self._is_failing():
                        self._open()

    def _is_failing(self) -> bool:
        failures = [number for number, failed in self._outcomes if failed]
        if len(failures) < self._limits.failures:
            return False
        last = max(failures)
        undecided = sum(1 for _ in itertools.takewhile(lambda number: number < last, self._running))
        share = self._limits.failures / self._limits.window
        return len(failures) >= share * (len(self._outcomes) + undecided)

    def _open(self) -> None:
        if self._opens_again is None:
            log.warning("breaker.opened", model=self._model)
        BREAKER_OPENED.inc()
        self._opens_again = self._monotonic() + self._pause.total_seconds()


@dataclass
class Verdict:
    """Whether the outcome of a call counts; it `is_void` when the call ended for a reason of ours."""

    is_void: bool = False


class Breakers:
    """The circuit of each model; there are as many models as the settings name."""

    def __init__(self, *, monotonic: Callable[[], float], limits: BreakerLimits = BreakerLimits()) -> None:
        self._monotonic = monotonic
        self._limits = limits
        self._breakers: dict[str, Breaker] = {}

    def of(self, model: str) -> Breaker:
        if model not in self._breakers:
            self._breakers[model] = Breaker(model, monotonic=self._monotonic, limits=self._limits)
        return self._breakers[model]


@dataclass(eq=False)
class CircuitModel:
    """Policy: circuit breaker, and the time limit of each call: its own, or what is left until the deadline."""

    model: LanguageModel
    breakers: Breakers

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        timeout = min(request.timeout, request.context.remaining)
        if timeout <= timedelta(0):
            raise ModelUnavailableError("the turn's time is used up")
        with self.breakers.of(request.model).call() as verdict:
            try:
                # The adapter's own time-out is for each read: a model that drips one byte a second never meets it.
                async with asyncio.timeout(timeout.total_seconds()):
                    return await self.model.complete(request.model_copy(update={"timeout": timeout}), on_text=on_text)
            except (ModelUnavailableError, ModelRequestRejectedError) as exc:
                kind = "unavailable" if isinstance(exc, ModelUnavailableError) else "rejected"
                MODEL_ERRORS.labels(kind=kind).inc()
                raise
            except TimeoutError as exc:
                MODEL_ERRORS.labels(kind="timeout").inc()
                # A call that the turn's deadline cut short is no evidence against the model.
                verdict.is_void = timeout < request.timeout
                raise ModelUnavailableError("no answer within its time") from exc

    async def close(self) -> None:
        await self.model.close()


ATTEMPTS = 4
BASE_PAUSE = timedelta(milliseconds=200)
MAX_PAUSE = timedelta(seconds=2)


@dataclass(eq=False)
class RetryingModel:
    """Policy: up to four attempts at a call, within the deadline of its context.

    The last attempt goes to the fallback model; so does an earlier one while the model's circuit is open, or after the
    model refused the request. `chance` gives numbers in [0, 1) for the jitter.
    """

    model: LanguageModel
    fallback_model: str | None
    breakers: Breakers
    chance: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        asked, fallback, breaker = request.model, self.fallback_model, self.breakers.of
        for attempt in range(ATTEMPTS):
            is_last = attempt + 1 == ATTEMPTS
            # The circuit of the model is open, and that of the fallback model is not.
            is_shut_out = fallback and not breaker(request.model).admits and breaker(fallback).admits
            if is_last or is_shut_out:
                request = self._to_fallback(request)
            request.context.begin_attempt()
            try:
                response = await self.model.complete(request, on_text=on_text)
            except ModelUnavailableError as exc:
                if is_last:
                    raise
                # Full jitter, or the provider's own `retry-after`, where there is time for it.
                ceiling = min(MAX_PAUSE, BASE_PAUSE * 2**attempt)
                wanted = max(exc.retry_after or timedelta(0), ceiling * self.chance())
                if wanted >= request.context.remaining:
                    raise
                await self.sleep(wanted.total_seconds())
            except ModelRequestRejectedError:
                # Another model may accept what this one refuses; the same one will not.
                if fallback in (None, request.model):
                    raise
                request = self._to_fallback(request)
            else:
                return response if request.model == asked else response.model_copy(update={"by_fallback": True})
        raise ModelUnavailableError("every attempt was refused")

    async def close(self) -> None:
        await self.model.close()

    def _to_fallback(self, request: ModelRequest) -> ModelRequest:
        if self.fallback_model in (None, request.model):
            return request
        return request.model_copy(update={"model": self.fallback_model, "effort": None})


@dataclass(eq=False)
class MeteredModel:
    """Policy: no call without a reservation; each answer is settled at its price, billed and traced.

    The budget may choose a smaller model for the call. `provider` is a value of PROVIDERS.
    """

    model: LanguageModel
    meter: Meter
    provider: str

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        """Raises BudgetSpentError: a ceiling leaves too little for the call."""
        context = request.context
        with self.meter.hold(request) as hold:
            described = {
                names.OPERATION: "chat",
                names.PROVIDER: self.provider,
                names.REQUEST_MODEL: hold.request.model,
                names.USAGE: context.task,
                names.TEMPLATE: context.template,
            }
            with span("ai.execute", described, kind=Kind.CLIENT) as called:
                called.set(names.RESENT, context.attempts - 1 if context.attempts > 1 else None)
                response = await self.model.complete(hold.request, on_text=on_text)
                call = hold.settle(response)
                if called.sampled:
                    _describe(called, response, call)
            context.bill.append(call)
            return response

    async def close(self) -> None:
        await self.model.close()


def _describe(called: Span, response: ModelResponse, call: CallRecord) -> None:
    tokens = call.tokens
    called.update(
        {
            names.RESPONSE_MODEL: response.model,
            names.INPUT_TOKENS: tokens.input + tokens.cache_read + tokens.cache_write,
            names.OUTPUT_TOKENS: tokens.output,
            names.CACHE_READ_TOKENS: tokens.cache_read,
            names.CACHE_WRITE_TOKENS: tokens.cache_write,
        }
    )
    called.set(names.COST, None if call.cost_usd is None else float(call.cost_usd))
    if STOP_REASON.fullmatch(response.stop_reason):
        called.set(names.FINISH_REASONS, (response.stop_reason,))


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


class DeferredModel:
    """The model that `make` returns, made in a thread; calls that come before it is ready wait.

    Made where an event loop runs.
    """

    def __init__(self, make: Callable[[], LanguageModel]) -> None:
        self._making = asyncio.ensure_future(asyncio.to_thread(make))

    def complete(
        self, request: ModelRequest, *, on_text: TextHeard | None = None
    ) -> Coroutine[Any, Any, ModelResponse]:
        if self._making.done():
            return self._making.result().complete(request, on_text=on_text)
        return self._complete_later(request, on_text)

    async def _complete_later(self, request: ModelRequest, on_text: TextHeard | None) -> ModelResponse:
        # A cancelled caller leaves; the model is made all the same.
        model = await asyncio.shield(self._making)
        return await model.complete(request, on_text=on_text)

    async def ready(self) -> None:
        """Return when calls no longer wait: before that they would spend a turn's time on imports."""
        await asyncio.shield(self._making)

    async def close(self) -> None:
        model = await self._making
        await model.close()


class AbsentModel:
    """Model that refuses every call."""

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        raise ConfigurationError("this command asks no model")

    async def close(self) -> None:
        return
