"""What a flag says: its status, whom it is for, and the variants it chooses among."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Annotated, Any, Self, TypeGuard

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from contracts.values import Instant, Kept, Text, without_lone_surrogates

# No colon: a bucket is the hash of `flag:salt:targeting key`, which must not be read in two ways.
FlagKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
Salt = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]
Percentage = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
# Written by hand, and never empty.
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
    AfterValidator(without_lone_surrogates),
]
# Several types side by side are told apart by their own type: 1 stays a number, True a truth value.
Scalar = bool | int | Annotated[float, Field(allow_inf_nan=False)] | Annotated[Text, Field(max_length=2_000)]


class Status(StrEnum):
    """`DISABLED` reaches nobody, `ENABLED` everybody whom a segment takes in, the others a percentage of them.

    `GRADUAL_ROLLOUT` and `CANARY` give those whom they reach a treatment; a canary steps back by itself when one of its
    guardrails is worse. `AB_TEST` splits those whom it reaches among all variants, the control included.
    """

    DISABLED = "disabled"
    ENABLED = "enabled"
    GRADUAL_ROLLOUT = "gradual_rollout"
    AB_TEST = "ab_test"
    CANARY = "canary"


class Hashing(StrEnum):
    """`STABLE`: the same person always gets the same answer. `RANDOM`: drawn anew at each evaluation."""

    STABLE = "stable"
    RANDOM = "random"


class Operator(StrEnum):
    """How an attribute is compared; the last two with numbers."""

    IN = "in"
    NOT_IN = "not_in"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    AT_LEAST = "at_least"
    BELOW = "below"


class Rule(Kept):
    """One condition on an attribute: `channel`, `language`, `business_line`, or any other that the caller names.

    It holds when one of `values` fits. An attribute that is not there fulfils no rule, `not_in` included.
    """

    attribute: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    operator: Operator = Operator.IN
    values: tuple[Scalar, ...] = Field(min_length=1, max_length=1_000)

    @model_validator(mode="after")
    def _numbers_are_compared_with_numbers(self) -> Self:
        numeric = self.operator in (Operator.AT_LEAST, Operator.BELOW)
        if numeric and (len(self.values) != 1 or not is_number(self.values[0])):
            raise ValueError(f"{self.operator} compares with one number")
        return self


class Segment(Kept):
    """People for whom all rules hold; without rules, everybody.

    The first segment that takes a person in decides. Its `percentage`, where it has one, takes the place of the flag's;
    its `variant` is given to all of its people without a draw, who then take no part in an experiment.
    """

    name: Name
    rules: tuple[Rule, ...] = ()
    percentage: Percentage | None = None
    variant: Name | None = None


class Variant(Kept):
    """One of the answers of a flag, drawn with its weight among those that can be drawn.

    `value` is what typed questions get (is it on, which version, which threshold). `config` overrides, by their keys,
    the values of other flags for those who have this variant: so that one experiment can change several things.
    """

    name: Name
    weight: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] = 1
    value: Scalar | None = None
    config: dict[FlagKey, Scalar] = Field(default_factory=dict)


class MetricKind(StrEnum):
    """What a metric says of one person: had it at least one event, the mean of its values, or their sum.

    `RATIO` is of all persons of an arm together: the sum of one event's values over that of another's.
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
    """A question about each person. As a guardrail it may be worse by `margin`, as a share of the control's value.

    `name` is that of the events it is made of; a ratio has a name of its own, and two names of events.
    """

    name: EventName
    kind: MetricKind = MetricKind.PROPORTION
    better: Better = Better.HIGHER
    margin: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0
    numerator: EventName | None = None
    denominator: EventName | None = None

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
    """A day stands for its beginning, in UTC."""
    if isinstance(given, str):
        try:
            given = date.fromisoformat(given)
        except ValueError:
            return given
    if isinstance(given, date) and not isinstance(given, datetime):
        return datetime.combine(given, time(), UTC)
    return given


Day = Annotated[Instant, BeforeValidator(_as_instant)]

ON = Variant(name="on", value=True)
OFF = Variant(name="off", value=False)


class Flag(Kept):
    """One flag. Without variants it is on or off.

    `control` names the variant of those whom the flag does not reach; by default the first one. `owner` is whom to ask,
    and from `expires_at` on the flag answers nothing any more: by then it has left the code. `salt` makes the draw:
    with another one everybody is drawn anew.
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

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if problem := next(self._problems(), None):
            raise ValueError(problem)
        return self

    @property
    def answers(self) -> tuple[Variant, ...]:
        return self.variants or (OFF, ON)

    @property
    def control_variant(self) -> Variant:
        return self.variant(self.control) if self.control else self.answers[0]

    @property
    def drawn(self) -> tuple[Variant, ...]:
        """The variants among which people are drawn."""
        if self.status is Status.AB_TEST:
            return self.answers
        control = self.control_variant
        return tuple(variant for variant in self.answers if variant.name != control.name)

    def variant(self, name: str) -> Variant:
        return next(variant for variant in self.answers if variant.name == name)

    def has_expired(self, at: datetime) -> bool:
        return at >= self.expires_at

    def share_of(self, segment: Segment | None) -> float:
        """The percentage of a segment's people that the flag reaches."""
        if self.status is Status.DISABLED:
            return 0
        if self.status is Status.ENABLED:
            return 100
        own = segment.percentage if segment else None
        share = self.percentage if own is None else own
        return 100 if share is None else share

    def _problems(self) -> Iterator[str]:
        names = [variant.name for variant in self.answers]
        if len(set(names)) < len(names):
            yield "two variants have the same name"
        if len({segment.name for segment in self.segments}) < len(self.segments):
            yield "two segments have the same name"
        if len({metric.name for metric in self.guardrails}) < len(self.guardrails):
            yield "two guardrails have the same name"
        wanted = {segment.variant for segment in self.segments} | {self.control}
        for name in sorted(one for one in wanted if one is not None and one not in names):
            yield f"there is no variant {name}; there are: {', '.join(names)}"
        if self.status in (Status.GRADUAL_ROLLOUT, Status.CANARY) and self.percentage is None:
            yield f"{self.status} needs a percentage"
        if self.control is None or self.control in names:
            yield from self._problems_of_the_draw()

    def _problems_of_the_draw(self) -> Iterator[str]:
        if not any(variant.weight > 0 for variant in self.drawn):
            yield "no variant that can be drawn has a weight above 0"
        if self.status is Status.AB_TEST and len(self.answers) < 2:
            yield "ab_test needs two variants"


def is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def plain(flag: Flag) -> dict[str, Any]:
    """The flag as people write it: what is at its default is left out, a day is a day."""
    content: dict[str, Any] = flag.model_dump(mode="json", exclude_defaults=True)
    if flag.expires_at.astimezone(UTC).time() == time():
        content["expires_at"] = flag.expires_at.astimezone(UTC).date().isoformat()
    return content


def difference(before: Mapping[str, Any], after: Mapping[str, Any], *, within: str = "") -> list[str]:
    """What changed between two definitions as people write them, one line for each change."""
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
    """A list of named parts as a mapping, so that a part that moved is not told as changed."""
    if isinstance(value, list) and value and all(isinstance(one, dict) and "name" in one for one in value):
        return {one["name"]: {key: part for key, part in one.items() if key != "name"} or True for one in value}
    return value


def _said(value: Any) -> str:
    return "(none)" if value is None else str(value)
