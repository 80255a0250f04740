"""Definition of a flag: status, segments, variants and guardrail metrics."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Annotated, Any, Self, TypeGuard

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from contracts.values import Instant, Kept, Scalar, Text, without_lone_surrogates

# No colon: a bucket is the hash of `flag:salt:targeting key`, which must be unambiguous.
FlagKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
Salt = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]
AttributeName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Percentage = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
# One line of text, written by hand and never empty.
Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), AfterValidator(without_lone_surrogates)
]


class Status(StrEnum):
    """Rollout status: `DISABLED` reaches no person, `ENABLED` all persons of its segments, the others a percentage.

    `GRADUAL_ROLLOUT` and `CANARY` give the persons they reach a treatment; a canary steps back by itself when one of
    its guardrails is worse. `AB_TEST` splits the persons it reaches among all variants, the control included.
    """

    DISABLED = "disabled"
    ENABLED = "enabled"
    GRADUAL_ROLLOUT = "gradual_rollout"
    AB_TEST = "ab_test"
    CANARY = "canary"


class Hashing(StrEnum):
    """Kind of draw. `STABLE`: one person always gets the same variant. `RANDOM`: each evaluation draws again."""

    STABLE = "stable"
    RANDOM = "random"


class Operator(StrEnum):
    """Comparison of an attribute with the values of a rule; the last two compare numbers."""

    IN = "in"
    NOT_IN = "not_in"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    AT_LEAST = "at_least"
    BELOW = "below"


class Rule(Kept):
    """One condition on an attribute: `channel`, `language`, `business_line`, or any other that the caller names.

    It holds when one of `values` matches. A missing attribute fulfils no rule, `not_in` included.
    """

    attribute: AttributeName
    operator: Operator = Operator.IN
    values: tuple[Scalar, ...] = Field(min_length=1, max_length=1_000)

    @model_validator(mode="after")
    def _numbers_are_compared_with_numbers(self) -> Self:
        numeric = self.operator in (Operator.AT_LEAST, Operator.BELOW)
        if numeric and (len(self.values) != 1 or not is_number(self.values[0])):
            raise ValueError(f"{self.operator} compares with one number")
        return self


class Segment(Kept):
    """Persons for whom all rules hold; without rules, every person.

    The first segment that matches a person decides. Its `percentage`, if set, replaces the flag's; its `variant` is
    given to all of its persons without a draw, so that they take no part in an experiment.
    """

    name: Name
    rules: tuple[Rule, ...] = ()
    percentage: Percentage | None = None
    variant: Name | None = None


class Variant(Kept):
    """One of the answers of a flag, drawn with its weight among the variants that can be drawn.

    `value` answers typed evaluations (boolean, version, threshold). `config` overrides, by key, the values of other
    flags for persons with this variant, so that one experiment can change several things.
    """

    name: Name
    weight: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] = 1
    value: Scalar | None = None
    config: dict[FlagKey, Scalar] = Field(default_factory=dict)


class MetricKind(StrEnum):
    """Aggregation of a metric's events per person: at least one event, the mean of the values, or their sum.

    `RATIO` is of all persons of an arm together: the sum of one event's values over the sum of another's.
    """

    PROPORTION = "proportion"
    MEAN = "mean"
    TOTAL = "total"
    RATIO = "ratio"


class Better(StrEnum):
    HIGHER = "higher"
    LOWER = "lower"


EVENT_NAME = r"^[a-z][a-z0-9_]{0,63}$"
EventName = Annotated[str, StringConstraints(pattern=EVENT_NAME)]


class Metric(Kept):
    """A measure of each person. As a guardrail it may be worse by `margin`, a share of the control's value.

    `name` is the name of its events; a ratio has a name of its own, and the names of two events. `metadata` is for
    people and other tools.
    """

    name: EventName
    kind: MetricKind = MetricKind.PROPORTION
    better: Better = Better.HIGHER
    margin: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0
    numerator: EventName | None = None
    denominator: EventName | None = None
    metadata: dict[Annotated[str, Field(max_length=100)], Scalar] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_the_parts_of_its_kind(self) -> Self:
        parts = (self.numerator, self.denominator)
        if self.kind is MetricKind.RATIO:
            if None in parts:
                raise ValueError("a ratio needs a numerator and a denominator: the names of two events")
            if self.numerator == self.denominator:
                raise ValueError("a ratio of an event to itself is always 1")
        elif parts != (None, None):
            raise ValueError(f"a {self.kind} has no numerator and no denominator: its events have its own name")
        return self


def _as_instant(given: object) -> object:
    """Turn a day into its first instant, in UTC."""
    if isinstance(given, str):
        try:
            given = date.fromisoformat(given)
        except ValueError:
            return given
    if isinstance(given, date) and not isinstance(given, datetime):
        return datetime.combine(given, time(), UTC)
    return given


Day = Annotated[Instant, BeforeValidator(_as_instant)]

IGNORED_PERCENTAGE = "enabled reaches all its people; with a percentage it is a gradual_rollout"
ON = Variant(name="on", value=True)
OFF = Variant(name="off", value=False)


class Flag(Kept):
    """One flag. Without variants it is on or off.

    `control` names the variant of persons whom the flag does not reach; by default the first one. `owner` is the person
    to ask. From `expires_at` on the flag no longer answers: by then it has left the code. `salt` seeds the draw:
    another salt draws every person again.
    """

    key: FlagKey
    description: Annotated[Text, Field(max_length=2_000)] = ""
    owner: Line
    expires_at: Day
    status: Status = Status.DISABLED
    percentage: Percentage | None = None
    segments: tuple[Segment, ...] = Field((), max_length=100)
    variants: tuple[Variant, ...] = Field((), max_length=50)
    control: Name | None = None
    hashing: Hashing = Hashing.STABLE
    salt: Salt = "1"
    guardrails: tuple[Metric, ...] = Field((), max_length=20)
    metadata: dict[Annotated[str, Field(max_length=100)], Scalar] = Field(default_factory=dict)

    @property
    def answers(self) -> tuple[Variant, ...]:
        return self.variants or (OFF, ON)

    @property
    def control_variant(self) -> Variant:
        return self.variant(self.control) if self.control else self.answers[0]

    @property
    def drawn(self) -> tuple[Variant, ...]:
        """The variants that can be drawn."""
        if self.status is Status.AB_TEST:
            return self.answers
        control = self.control_variant
        return tuple(variant for variant in self.answers if variant.name != control.name)

    def variant(self, name: str) -> Variant:
        return next(variant for variant in self.answers if variant.name == name)

    def has_expired(self, at: datetime) -> bool:
        return at >= self.expires_at

    @property
    def ignores_percentage(self) -> bool:
        """Whether it is written to reach a share and reaches all: refused where a flag is written."""
        return self.status is Status.ENABLED and self.percentage not in (None, 100)

    def share_of(self, segment: Segment | None) -> float:
        """Return the percentage of a segment's persons that the flag reaches."""
        if self.status is Status.DISABLED:
            return 0
        if self.status is Status.ENABLED:
            return 100
        own = segment.percentage if segment else None
        share = self.percentage if own is None else own
        return 100 if share is None else share

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        names = [variant.name for variant in self.answers]
        if len(set(names)) < len(names):
            raise ValueError("two variants have the same name")
        if len({segment.name for segment in self.segments}) < len(self.segments):
            raise ValueError("two segments have the same name")
        if len({metric.name for metric in self.guardrails}) < len(self.guardrails):
            raise ValueError("two guardrails have the same name")
        wanted = {segment.variant for segment in self.segments} | {self.control}
        for name in sorted(one for one in wanted if one is not None and one not in names):
            raise ValueError(f"there is no variant {name}; there are: {', '.join(names)}")
        if self.status in (Status.GRADUAL_ROLLOUT, Status.CANARY) and self.percentage is None:
            raise ValueError(f"{self.status} needs a percentage")
        if self.control is None or self.control in names:
            if not any(variant.weight > 0 for variant in self.drawn):
                raise ValueError("no variant that can be drawn has a weight above 0")
            if self.status is Status.AB_TEST and len(self.answers) < 2:
                raise ValueError("ab_test needs two variants")
        return self


def is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def plain(flag: Flag) -> dict[str, Any]:
    """Return the flag as people write it: without defaults, and with days rather than instants."""
    content: dict[str, Any] = flag.model_dump(mode="json", exclude_defaults=True)
    if flag.expires_at.astimezone(UTC).time() == time():
        content["expires_at"] = flag.expires_at.astimezone(UTC).date().isoformat()
    return content


def difference(before: Mapping[str, Any], after: Mapping[str, Any], *, within: str = "") -> list[str]:
    """List the changes between two definitions as people write them, one line for each."""
    lines = []
    for key in sorted(before.keys() | after.keys()):
        where, old, new = f"{within}{key}", before.get(key), after.get(key)
        if old == new:
            continue
        old, new = _by_name(old), _by_name(new)
        if isinstance(old, dict) or isinstance(new, dict):
            lines += difference(
                old if isinstance(old, dict) else {}, new if isinstance(new, dict) else {}, within=f"{where}."
            )
        else:
            lines.append(f"{where}: {_said(old)} -> {_said(new)}")
    return lines


def _by_name(value: Any) -> Any:
    """Return a list of named parts as a mapping, so that a part that only moved is no change."""
    if isinstance(value, list) and value and all(isinstance(one, dict) and "name" in one for one in value):
        return {one["name"]: {key: part for key, part in one.items() if key != "name"} or True for one in value}
    return value


def _said(value: Any) -> str:
    return "(none)" if value is None else str(value)
