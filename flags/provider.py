"""OpenFeature provider of the flags; another provider can replace it, the kill switches stay.

Evaluate a flag through a client (`openfeature.api.get_client()`): `get_boolean_value` for on or off,
`get_string_details(...).variant` for the variant, `get_integer_value` and the other typed methods for the variant's
`value`, `get_object_value` for its overrides. Without an answer of the flag the caller's default holds.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent, ProviderEventDetails
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.flag_evaluation import Reason as OpenFeatureReason
from openfeature.hook import Hook
from openfeature.provider import AbstractProvider, FeatureProvider, Metadata
from openfeature.provider.no_op_provider import NoOpProvider
from openfeature.track import TrackingEventDetails

from flags.evaluation import Evaluation, Evaluator, Reason, enabled
from flags.switches import Kills, killed
from observability.metrics import FLAG_EVALUATIONS

# Takes the name of an event, the evaluation context of the person, and the event's details.
Tracker = Callable[[str, EvaluationContext | None, TrackingEventDetails | None], None]
Object = Sequence[FlagValueType] | Mapping[str, FlagValueType]
T = TypeVar("T")

SWITCHED = "SWITCHED"
DRAWN, REVISION, STATUS = "drawn", "revision", "status"

_REASONS: Mapping[Reason, OpenFeatureReason] = {
    Reason.STATIC: OpenFeatureReason.STATIC,
    Reason.TARGETING_MATCH: OpenFeatureReason.TARGETING_MATCH,
    Reason.SPLIT: OpenFeatureReason.SPLIT,
    Reason.NOT_TARGETED: OpenFeatureReason.DEFAULT,
    Reason.DISABLED: OpenFeatureReason.DISABLED,
    Reason.EXPIRED: OpenFeatureReason.DEFAULT,
    Reason.UNKNOWN: OpenFeatureReason.ERROR,
    Reason.NOT_READY: OpenFeatureReason.ERROR,
    Reason.NO_TARGETING_KEY: OpenFeatureReason.ERROR,
}
_ERRORS: Mapping[Reason, ErrorCode] = {
    Reason.UNKNOWN: ErrorCode.FLAG_NOT_FOUND,
    Reason.NOT_READY: ErrorCode.PROVIDER_NOT_READY,
    Reason.NO_TARGETING_KEY: ErrorCode.TARGETING_KEY_MISSING,
}
_NOBODY = EvaluationContext()


class ProsaProvider(AbstractProvider):
    """Provider of the flags in memory; an unknown flag gives the default and a reason, never an exception."""

    def __init__(self, evaluator: Evaluator) -> None:
        super().__init__()
        self._evaluator = evaluator

    def get_metadata(self) -> Metadata:
        return Metadata(name="prosa")

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        answer = self._evaluator.evaluate(flag_key, evaluation_context or _NOBODY)
        return _details(answer, enabled(answer, default_value))

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return self._resolve(flag_key, default_value, evaluation_context, str)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return self._resolve(flag_key, default_value, evaluation_context, int)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        return self._resolve(flag_key, default_value, evaluation_context, float)

    def resolve_object_details(
        self, flag_key: str, default_value: Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Object]:
        answer = self._evaluator.evaluate(flag_key, evaluation_context or _NOBODY)
        config: Object = dict(answer.variant.config) if answer.variant else {}
        return _details(answer, config or default_value)

    def _resolve(
        self, key: str, default: T, context: EvaluationContext | None, wanted: type[T]
    ) -> FlagResolutionDetails[T]:
        answer = self._evaluator.evaluate(key, context or _NOBODY)
        value: Any = answer.variant.value if answer.variant else None
        if value is None:
            return _details(answer, default)
        if wanted is float and type(value) is int:
            value = float(value)
        # In Python a boolean is a number; here it is a type mismatch.
        if type(value) is not wanted:
            return FlagResolutionDetails(
                default,
                error_code=ErrorCode.TYPE_MISMATCH,
                error_message=f"the value of {key} is no {wanted.__name__}",
                reason=OpenFeatureReason.ERROR,
            )
        return _details(answer, value)


def _details(answer: Evaluation, value: T) -> FlagResolutionDetails[T]:
    return FlagResolutionDetails(
        value,
        error_code=_ERRORS.get(answer.reason),
        reason=_REASONS[answer.reason],
        variant=answer.variant.name if answer.variant else None,
        flag_metadata={DRAWN: answer.drawn, REVISION: answer.revision, STATUS: answer.status},
    )


class SwitchedProvider(AbstractProvider):
    """Another provider behind the kill switches, which win over its answers.

    A killed boolean is false, any other type is the caller's default. Tracking goes to `tracker` and to the other
    provider.
    """

    def __init__(self, inner: FeatureProvider, kills: Kills, tracker: Tracker | None = None) -> None:
        super().__init__()
        self._inner = inner
        self._tracker = tracker
        self._kills = kills
        self._count = FLAG_EVALUATIONS.labels(reason="switched")

    def attach(self, on_emit: Callable[[FeatureProvider, ProviderEvent, ProviderEventDetails], None]) -> None:
        """Forward the other provider's events as this provider's own: this one is registered."""
        self._inner.attach(lambda _, event, details: on_emit(self, event, details))

    def detach(self) -> None:
        self._inner.detach()

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        self._inner.initialize(evaluation_context)

    def shutdown(self) -> None:
        self._inner.shutdown()

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        if self._tracker is not None:
            self._tracker(tracking_event_name, evaluation_context, tracking_event_details)
        self._inner.track(tracking_event_name, evaluation_context, tracking_event_details)

    def get_provider_hooks(self) -> list[Hook]:
        return self._inner.get_provider_hooks()

    def get_metadata(self) -> Metadata:
        return self._inner.get_metadata()

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        off = self._off(flag_key, False)
        return off or self._inner.resolve_boolean_details(flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        off = self._off(flag_key, default_value)
        return off or self._inner.resolve_string_details(flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        off = self._off(flag_key, default_value)
        return off or self._inner.resolve_integer_details(flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        off = self._off(flag_key, default_value)
        return off or self._inner.resolve_float_details(flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self, flag_key: str, default_value: Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Object]:
        off = self._off(flag_key, default_value)
        return off or self._inner.resolve_object_details(flag_key, default_value, evaluation_context)

    def _off(self, key: str, default: T) -> FlagResolutionDetails[T] | None:
        if killed(key, self._kills) is None:
            return None
        self._count.inc()
        return FlagResolutionDetails(default, reason=SWITCHED)


@asynccontextmanager
async def provided(provider: FeatureProvider, *, domain: str | None = None) -> AsyncIterator[OpenFeatureClient]:
    """Open a client of this provider for the context; without a domain, the default client of this process."""
    _provide(provider, domain)
    try:
        yield api.get_client(domain)
    finally:
        _provide(NoOpProvider(), domain)


def _provide(provider: FeatureProvider, domain: str | None) -> None:
    if domain is None:
        api.set_provider_and_wait(provider)
    else:
        api.set_provider_and_wait(provider, domain)
