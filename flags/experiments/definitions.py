"""Definition of an experiment: hypothesis, metrics, plan, arms and phase."""

import hashlib
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

import orjson
from pydantic import Field, model_validator

from contracts.errors import ChangeRefusedError
from contracts.values import Instant, Kept
from flags.definitions import Flag, FlagKey, Line, Metric, MetricKind, Name, Percentage, Segment, Status, Variant
from flags.experiments.statistics import people_for_mean, people_for_proportion
from flags.switches import Kills, killed

# False alarms: 3 of an experiment's 5 per cent at the planned sample, 1 for ending early, 1 for the guardrails
# (docs/decisions/0014).
FINAL_ALPHA, EARLY_ALPHA, GUARDRAIL_ALPHA = 0.03, 0.01, 0.01
POWER = 0.8
# Time after the planned end at which the flag of an experiment that is never completed expires.
GRACE = timedelta(days=60)
PREFIX = "experiments."


class Phase(StrEnum):
    """Phase of an experiment: a draft can be changed, an active one assigns persons, a paused one assigns none."""

    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"


LEGAL: Mapping[Phase, tuple[Phase, ...]] = {
    Phase.DRAFT: (Phase.ACTIVE,),
    Phase.ACTIVE: (Phase.PAUSED, Phase.COMPLETED),
    Phase.PAUSED: (Phase.ACTIVE, Phase.COMPLETED),
    Phase.COMPLETED: (),
}


class Entry(Kept):
    """One change of the phase, with its author, time and reason."""

    phase: Phase
    author: Line
    reason: Line
    at: Instant


class Plan(Kept):
    """Input of the sample size calculation. `baseline` is the known value of the primary metric in the control.

    `lift` is the smallest relative change worth finding. `deviation` is the standard deviation of a person's value for
    a mean or a total, and of a person's part for a ratio.
    """

    baseline: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    lift: Annotated[float, Field(ge=-0.99, le=100, allow_inf_nan=False)]
    deviation: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    days: Annotated[int, Field(ge=1, le=365)] = 14

    def people(self, kind: MetricKind, *, allocation: float, treatments: int) -> int:
        """Return the control's persons that find the change with 80 % power; the arm has `allocation` times as many."""
        alpha = FINAL_ALPHA / treatments
        if kind is MetricKind.PROPORTION:
            return people_for_proportion(self.baseline, self.lift, allocation=allocation, alpha=alpha, power=POWER)
        assert self.deviation is not None  # noqa: S101 - the experiment was checked for it
        return people_for_mean(
            self.baseline, self.deviation, self.lift, allocation=allocation, alpha=alpha, power=POWER
        )


class ExperimentPlan(Kept):
    """The decisions taken before the start. The first arm is the control.

    The arms' `config` overrides the values of flags: only what an arm overrides can show a difference, and only persons
    exposed to it count.
    """

    key: FlagKey
    hypothesis: Line
    owner: Line
    arms: tuple[Variant, ...] = Field(min_length=2, max_length=10)
    primary: Metric
    guardrails: tuple[Metric, ...] = Field((), max_length=20)
    secondary: tuple[Metric, ...] = Field((), max_length=20)
    plan: Plan
    percentage: Percentage = 100
    segments: tuple[Segment, ...] = ()

    @property
    def flag_key(self) -> str:
        return PREFIX + self.key

    @property
    def control(self) -> str:
        return self.arms[0].name

    @property
    def treatments(self) -> tuple[str, ...]:
        return tuple(arm.name for arm in self.arms[1:])

    @property
    def weights(self) -> dict[str, float]:
        return {arm.name: arm.weight for arm in self.arms}

    @property
    def overrides(self) -> frozenset[str]:
        """The keys of all flags that an arm overrides."""
        return frozenset(key for arm in self.arms for key in arm.config)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (self.primary, *self.guardrails, *self.secondary)

    @property
    def planned(self) -> dict[str, int]:
        """Persons for each arm, in proportion to the weights: enough to distinguish each treatment from the control."""
        sizes = [arm.weight / self.arms[0].weight for arm in self.arms]
        control = max(
            self.plan.people(self.primary.kind, allocation=size, treatments=len(self.treatments)) for size in sizes[1:]
        )
        return {arm.name: math.ceil(control * size) for arm, size in zip(self.arms, sizes, strict=True)}

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError("two arms have the same name")
        if any(arm.weight <= 0 for arm in self.arms):
            raise ValueError("every arm needs a weight above 0")
        if not self.overrides:
            raise ValueError("no arm overrides anything: give one a config, as {prompts.select_state: 2}")
        metrics = [metric.name for metric in self.metrics]
        if len(set(metrics)) < len(metrics):
            raise ValueError("two metrics have the same name")
        if self.primary.kind is MetricKind.PROPORTION:
            if not 0 < self.plan.baseline * (1 + self.plan.lift) < 1 or self.plan.baseline >= 1:
                raise ValueError("baseline, and baseline x (1 + lift), of a proportion are between 0 and 1")
        elif self.plan.deviation is None:
            raise ValueError(f"the plan of a {self.primary.kind} needs a deviation")
        if self.plan.lift == 0:
            raise ValueError("a lift of 0 cannot be found")
        return self


class Experiment(ExperimentPlan):
    """A plan, its phase and history. Its flag is `experiments.` and its key.

    `assignment` is the hash of the assignment at the start, `result` the analysis at the end, when the persons' rows
    are deleted. `shipped` is the arm that everybody in its segments gets since, until its flag expires or is deleted.
    `learned` makes it an archived one.
    """

    phase: Phase = Phase.DRAFT
    started_at: Instant | None = None
    ended_at: Instant | None = None
    assignment: str | None = None
    life: tuple[Entry, ...] = ()
    result: dict[str, Any] | None = None
    shipped: Name | None = Field(None, exclude_if=lambda arm: arm is None)
    learned: Line | None = Field(None, exclude_if=lambda text: text is None)

    def moved(self, phase: Phase, *, author: str, reason: str, at: datetime) -> Self:
        """Return the experiment in another phase.

        Raises:
            ChangeRefusedError: the current phase does not lead to that one.
        """
        if phase not in LEGAL[self.phase]:
            steps = " or ".join(LEGAL[self.phase]) or "nothing: plan a new one"
            raise ChangeRefusedError(f"{self.key} is {self.phase}; from there it can become {steps}")
        changes: dict[str, Any] = {
            "phase": phase,
            "life": (*self.life, Entry(phase=phase, author=author, reason=reason, at=at)),
        }
        if self.phase is Phase.DRAFT:
            changes |= {"started_at": at, "assignment": assignment_of(self.flag(at))}
        if phase is Phase.COMPLETED:
            changes["ended_at"] = at
        return self.model_copy(update=changes)

    def flag(self, at: datetime, *, ship: str | None = None) -> Flag:
        """Return the flag that assigns persons: a split while the experiment is active, else without reach.

        With `ship` every person in the experiment's segments gets that arm.
        """
        shipped = tuple(arm for arm in self.arms if ship is None or arm.name in (self.control, ship))
        status = Status.AB_TEST if self.phase is Phase.ACTIVE else Status.DISABLED
        started = self.started_at or at
        return Flag(
            key=self.flag_key,
            description=self.hypothesis,
            owner=self.owner,
            expires_at=max(started + timedelta(days=self.plan.days), at) + GRACE,
            status=Status.ENABLED if ship and ship != self.control else status,
            percentage=None if ship and ship != self.control else self.percentage,
            segments=self.segments,
            variants=shipped,
            control=self.control,
            metadata={"experiment": self.key},
        )


def silenced_by(experiment: Experiment, kills: Kills) -> dict[str, list[str]]:
    """Return the switches that keep arms of the experiment from having an effect, with the keys that they turn off."""
    found: dict[str, list[str]] = {}
    for key in sorted(experiment.overrides):
        if switch := killed(key, kills):
            found.setdefault(switch, []).append(key)
    return found


def assignment_of(flag: Flag) -> str:
    """Return a hash of what decides a person's arm and its content; the percentage is no part of it."""
    parts = {
        "salt": flag.salt,
        "control": flag.control_variant.name,
        "variants": [variant.model_dump(mode="json") for variant in flag.answers],
        "segments": [segment.model_dump(mode="json", exclude={"percentage"}) for segment in flag.segments],
        "hashing": flag.hashing,
    }
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
