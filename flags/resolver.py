"""Resolution of a key for a person: an experiment's override, else the flag's value, else the caller's default."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason

from flags.definitions import Status
from flags.experiments.definitions import Experiment
from flags.provider import DRAWN, REVISION, STATUS
from flags.switches import Kills, killed

V = TypeVar("V", bool, int, float, str)

# No rule can name it: attributes of rules have no dot.
FORCED = "prosa.forced"
# An arm without a draw: a segment's own, or the one that an experiment shipped.
_GIVEN = (Reason.TARGETING_MATCH, Reason.STATIC)


@dataclass(frozen=True, slots=True)
class Assignment:
    """The arm of an experiment, or the side of a canary, that chance gave to a person.

    `subject` is the experiment's key, or the result of `canary_subject`.
    """

    subject: str
    variant: str

    def __str__(self) -> str:
        return f"{self.subject}={self.variant}"


def assignments_of(arms: Iterable[str]) -> list[Assignment]:
    """Return the assignments that the head of a conversation has as texts."""
    return [Assignment(*arm.split("=", 1)) for arm in arms]


@dataclass(frozen=True, slots=True)
class Choice(Generic[V]):
    """A value, and the assignments that could have changed it: using it exposes the person to them."""

    value: V
    assignments: tuple[Assignment, ...] = ()


class Active(Protocol):
    """The active experiments as last read."""

    @property
    def known(self) -> Mapping[str, Experiment]: ...


class Resolver:
    """Resolver in the order kill switches, forced values, experiments, flags; never waits, falls back to the default.

    `has_flag` returns whether a flag of that key exists, where that is known: an episode resolves a dozen keys. The
    attribute `FORCED` of a context holds a person's forced values; such a person takes no part in an experiment on one
    of their keys.
    """

    def __init__(
        self,
        client: OpenFeatureClient,
        experiments: Active,
        kills: Kills | None = None,
        *,
        has_flag: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._client = client
        self._has_flag = has_flag
        self._kills = kills or {}
        self._experiments = experiments
        self._asking: Mapping[type, Callable[..., FlagEvaluationDetails[Any]]] = {
            bool: client.get_boolean_details,
            int: client.get_integer_details,
            float: client.get_float_details,
            str: client.get_string_details,
        }

    def value(self, key: str, default: V, context: EvaluationContext) -> Choice[V]:
        """Return the value of `key` for this person, of the type of `default`."""
        if killed(key, self._kills):
            return self._asked(key, default, context)
        forced: Any = context.attributes.get(FORCED) or {}
        if type(forced.get(key)) is type(default):
            return Choice(forced[key])
        experiment: Experiment
        for experiment in self._experiments.known.values():
            if key not in experiment.overrides or forced.keys() & {experiment.flag_key, *experiment.overrides}:
                continue
            details, assignment = self._drawn(experiment, context)
            if assignment is None and details.reason not in _GIVEN:
                continue
            own: tuple[Assignment, ...] = (assignment,) if assignment else ()
            found = details.value.get(key) if isinstance(details.value, Mapping) else None
            if type(found) is type(default):
                return Choice(found, own)
            # An arm without an override gets the value outside the experiment, and is compared all the same.
            without: Choice[V] = self._of_flag(key, default, context)
            return Choice(without.value, (*own, *without.assignments))
        return self._of_flag(key, default, context)

    def arms(self, context: EvaluationContext) -> tuple[Assignment, ...]:
        """Return the person's arms in all active experiments, exposed or not."""
        drawn = [self._drawn(experiment, context)[1] for experiment in self._experiments.known.values()]
        return tuple(assignment for assignment in drawn if assignment is not None)

    def _drawn(
        self, experiment: Experiment, context: EvaluationContext
    ) -> tuple[FlagEvaluationDetails[Any], Assignment | None]:
        """Return the evaluation and the drawn arm: none outside the experiment, or where a segment sets the variant."""
        details = self._client.get_object_details(experiment.flag_key, {}, context)
        if details.reason not in (Reason.SPLIT, Reason.TARGETING_MATCH) or details.variant not in experiment.weights:
            return details, None
        # Other providers lack this metadata; there, a targeting match is a draw as well.
        is_drawn = details.flag_metadata.get(DRAWN, True)
        return details, Assignment(experiment.key, details.variant) if is_drawn else None

    def _of_flag(self, key: str, default: V, context: EvaluationContext) -> Choice[V]:
        return self._asked(key, default, context) if self._has_flag(key) else Choice(default)

    def _asked(self, key: str, default: V, context: EvaluationContext) -> Choice[V]:
        details = self._asking[type(default)](key, default, context)
        # Another provider may answer with any type.
        value = details.value if type(details.value) is type(default) else default
        metadata = details.flag_metadata
        if details.variant and metadata.get(DRAWN) and metadata.get(STATUS) == Status.CANARY:
            subject = canary_subject(key, metadata.get(REVISION))
            return Choice(value, (Assignment(subject, details.variant),))
        return Choice(value)


def canary_subject(key: str, revision: object) -> str:
    """Return the subject under which one revision of a canary is observed; no experiment's key has an @."""
    return f"{key}@{revision}"


PROMPTS = "prompts."
