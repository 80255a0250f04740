"""Evaluation of flags for one person: no I/O, no exceptions, a few microseconds."""

import hashlib
import random
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

from openfeature.evaluation_context import EvaluationContext

from contracts.values import Scalar
from flags.definitions import Flag, Hashing, Operator, Rule, Segment, Status, Variant, is_number
from observability.logs import logger
from observability.metrics import FLAG_EVALUATIONS

log = logger(__name__)

# The hash is frozen: another one would move every person to another variant.
SCALE = 2**64


class Draw(NamedTuple):
    """Two numbers in [0, 2^64), independent of each other: `reach` for the percentage, `choice` for the variant.

    As they are independent, no person changes variant when the percentage grows.
    """

    reach: int
    choice: int


def draw(flag: str, salt: str, targeting_key: str) -> Draw:
    """Return the person's constant draw: the first and the second 8 bytes of SHA-256(`flag:salt:targeting_key`).

    The bucket in [0, 1) is `reach / 2^64`. The text is hashed as UTF-8, with lone surrogates passed through.
    """
    digest = hashlib.sha256(f"{flag}:{salt}:{targeting_key}".encode("utf-8", "surrogatepass")).digest()
    return Draw(int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big"))


def threshold(percentage: float) -> int:
    """Return the number below which a draw reaches a person; it grows with the percentage, to 2^64 at 100."""
    return round(percentage / 100 * SCALE)


class Reason(StrEnum):
    """Reason of an evaluation; with the last four the caller's default holds."""

    STATIC = "static"
    TARGETING_MATCH = "targeting_match"
    SPLIT = "split"
    NOT_TARGETED = "not_targeted"
    DISABLED = "disabled"
    SWITCHED = "switched"
    UNKNOWN = "unknown"
    NOT_READY = "not_ready"
    EXPIRED = "expired"
    NO_TARGETING_KEY = "no_targeting_key"


_COUNTED = {reason: FLAG_EVALUATIONS.labels(reason=reason.value) for reason in Reason}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Result of an evaluation. Without a `variant` the caller's default holds; `treated` means other than the control.

    `drawn` means decided by chance: only then can the person take part in an experiment.
    """

    key: str
    reason: Reason
    variant: Variant | None = None
    treated: bool = False
    drawn: bool = False
    revision: int = 0
    status: str = ""


class CompiledFlag:
    """A flag prepared for many evaluations."""

    def __init__(self, flag: Flag, revision: int = 0) -> None:
        self.flag = flag
        self.revision = revision
        self.expires_at = flag.expires_at
        self.has_warned = False
        self._control = flag.control_variant.name
        self._reaches = [_Reach(flag, segment) for segment in flag.segments] or [_Reach(flag, None)]
        self._is_random = flag.hashing is Hashing.RANDOM
        self._is_test = flag.status is Status.AB_TEST
        drawn = [variant for variant in flag.drawn if variant.weight > 0]
        self._variants = drawn
        self._keyless = Evaluation(flag.key, Reason.NO_TARGETING_KEY, revision=revision)
        # Cumulative, as whole numbers: the last bound is the scale itself, so that every draw finds a variant.
        total = sum(variant.weight for variant in drawn)
        self._bounds = [round(part / total * SCALE) for part in accumulate(variant.weight for variant in drawn)][:-1]
        self._answers = {
            variant.name: _Answers(flag, variant, revision, treated=variant.name != self._control)
            for variant in flag.answers
        }

    def evaluate(self, context: EvaluationContext, chance: Callable[[], Draw]) -> Evaluation:
        control = self._answers[self._control]
        if self.flag.status is Status.DISABLED:
            return control.disabled
        attributes = context.attributes
        reach = next((reach for reach in self._reaches if reach.takes(attributes)), None)
        if reach is None:
            return control.not_targeted
        if reach.variant is not None:
            return self._answers[reach.variant].matched
        if reach.reaches_all and len(self._variants) == 1:
            only = self._answers[self._variants[0].name]
            return only.matched if reach.has_rules else only.static
        if self._is_random:
            drawn = chance()
        elif context.targeting_key:
            drawn = draw(self.flag.key, self.flag.salt, context.targeting_key)
        else:
            return self._keyless
        if drawn.reach >= reach.threshold:
            # Outside an A/B test; in a rollout, part of the control group.
            return control.not_targeted if self._is_test else control.split
        return self._answers[self._variants[bisect_right(self._bounds, drawn.choice)].name].split


class _Answers:
    """The possible evaluations of one variant, built once."""

    def __init__(self, flag: Flag, variant: Variant, revision: int, *, treated: bool) -> None:
        def answer(reason: Reason, *, drawn: bool = False) -> Evaluation:
            return Evaluation(flag.key, reason, variant, treated, drawn, revision, flag.status.value)

        self.static = answer(Reason.STATIC)
        self.matched = answer(Reason.TARGETING_MATCH)
        self.split = answer(Reason.SPLIT, drawn=True)
        self.not_targeted = answer(Reason.NOT_TARGETED)
        self.disabled = answer(Reason.DISABLED)


class _Reach:
    """A segment and the share of it that the flag reaches."""

    def __init__(self, flag: Flag, segment: Segment | None) -> None:
        self._tests = tuple(_test(rule) for rule in segment.rules) if segment else ()
        self.has_rules = bool(self._tests)
        self.variant = segment.variant if segment else None
        share = flag.share_of(segment)
        self.threshold = threshold(share)
        self.reaches_all = share == 100

    def takes(self, attributes: Mapping[str, Any]) -> bool:
        return all(test(attributes) for test in self._tests)


def _test(rule: Rule) -> Callable[[Mapping[str, Any]], bool]:
    """Return the rule as a predicate that takes attributes of any type and raises nothing."""
    name = rule.attribute
    if rule.operator in (Operator.AT_LEAST, Operator.BELOW):
        limit = float(rule.values[0])
        wants_more = rule.operator is Operator.AT_LEAST

        def compared(attributes: Mapping[str, Any]) -> bool:
            value = attributes.get(name)
            return is_number(value) and (value >= limit if wants_more else value < limit)

        return compared
    texts = tuple(_text(value) for value in rule.values)
    if rule.operator in (Operator.STARTS_WITH, Operator.ENDS_WITH):
        at_start = rule.operator is Operator.STARTS_WITH

        def bordered(attributes: Mapping[str, Any]) -> bool:
            value = attributes.get(name)
            return isinstance(value, str) and (value.startswith(texts) if at_start else value.endswith(texts))

        return bordered
    among, wants_in = frozenset(texts), rule.operator is Operator.IN

    def listed(attributes: Mapping[str, Any]) -> bool:
        value = attributes.get(name)
        if isinstance(value, list | tuple | set | frozenset):
            return any(_text(one) in among for one in value) is wants_in
        return value is not None and (_text(value) in among) is wants_in

    return listed


def _text(value: Any) -> str:
    if isinstance(value, str):
        # A member of an enumeration is compared by its text.
        return str.__str__(value)
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def random_draw() -> Draw:
    return Draw(random.getrandbits(64), random.getrandbits(64))


class Flags(Protocol):
    """The flags as last read."""

    def get(self, key: str) -> CompiledFlag | None: ...

    @property
    def is_ready(self) -> bool:
        """Whether flags were read at least once."""


class Evaluator:
    """Evaluation of the flags in memory; neither waits nor raises."""

    def __init__(self, flags: Flags, *, now: Callable[[], datetime], chance: Callable[[], Draw] = random_draw) -> None:
        self._flags = flags
        self._now = now
        self._chance = chance

    def evaluate(self, key: str, context: EvaluationContext) -> Evaluation:
        compiled = self._flags.get(key)
        if compiled is None:
            answer = Evaluation(key, Reason.UNKNOWN if self._flags.is_ready else Reason.NOT_READY)
        elif self._now() < compiled.expires_at:
            answer = compiled.evaluate(context, self._chance)
        else:
            if not compiled.has_warned:
                compiled.has_warned = True
                log.warning("flag.expired", flag=key)
            answer = Evaluation(key, Reason.EXPIRED, revision=compiled.revision)
        _COUNTED[answer.reason].inc()
        return answer


def enabled(answer: Evaluation, default: bool) -> bool:
    """Return whether the flag is on: its value if that is a boolean, else whether it differs from the control."""
    if answer.variant is None:
        return default
    value: Scalar | None = answer.variant.value
    return value if isinstance(value, bool) else answer.treated
