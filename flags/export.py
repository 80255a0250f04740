"""Export of flags in the formats of other tools, so that there is no lock-in."""

from collections.abc import Iterable
from typing import Any

import yaml

from flags.definitions import Flag, Operator, Rule, Segment, Status, plain

FLAGD_SCHEMA = "https://flagd.dev/schema/v0/flags.json"


def as_yaml(flags: Iterable[Flag]) -> str:
    """Return the format of `PROSA_FLAGS_FILE` and of `prosa flags set --file`."""
    content = {flag.key: {name: part for name, part in plain(flag).items() if name != "key"} for flag in flags}
    return yaml.safe_dump({"flags": content}, sort_keys=True, allow_unicode=True)


def as_flagd(flags: Iterable[Flag]) -> dict[str, Any]:
    """Return flagd's format. flagd hashes differently, so persons get other variants there.

    Flags with a random draw become stable, as flagd has no other kind.
    """
    return {"$schema": FLAGD_SCHEMA, "flags": {flag.key: _flagd(flag) for flag in flags}}


def _flagd(flag: Flag) -> dict[str, Any]:
    # Each variant's value, if every one has one, else its overrides: flagd requires one type.
    has_values = all(one.value is not None for one in flag.answers)
    overrides = {
        one.name: {**one.config, **({} if one.value is None else {"value": one.value})} for one in flag.answers
    }
    content: dict[str, Any] = {
        "state": "DISABLED" if flag.status is Status.DISABLED else "ENABLED",
        "variants": {one.name: one.value for one in flag.answers} if has_values else overrides,
        "defaultVariant": flag.control_variant.name,
        "metadata": dict(flag.metadata)
        | {"owner": flag.owner, "expiresAt": flag.expires_at.isoformat(), "description": flag.description},
    }
    if flag.status is not Status.DISABLED:
        # The segments as nested conditions, the first one outermost.
        found: Any = flag.control_variant.name if flag.segments else _split(flag, None)
        for segment in reversed(flag.segments):
            answer = segment.variant or _split(flag, segment)
            rules = {"and": [_rule(rule) for rule in segment.rules]}
            found = {"if": [rules, answer, found]} if segment.rules else answer
        content["targeting"] = found
    return content


def _rule(rule: Rule) -> Any:
    variable = {"var": rule.attribute}
    match rule.operator:
        case Operator.IN:
            return {"in": [variable, list(rule.values)]}
        case Operator.NOT_IN:
            return {"and": [{"!!": [variable]}, {"!": [{"in": [variable, list(rule.values)]}]}]}
        case Operator.AT_LEAST:
            return {">=": [variable, rule.values[0]]}
        case Operator.BELOW:
            return {"<": [variable, rule.values[0]]}
        case _:
            return {"or": [{rule.operator.value: [variable, str(value)]} for value in rule.values]}


def _split(flag: Flag, segment: Segment | None) -> Any:
    """Return the draw in flagd's integer weights: shares of all persons in hundred-thousandths."""
    drawn = [variant for variant in flag.drawn if variant.weight > 0]
    share, total = flag.share_of(segment), sum(variant.weight for variant in drawn)
    counts = [(variant.name, round(share * 1_000 * variant.weight / total)) for variant in drawn]
    parts: list[list[object]] = [list(one) for one in counts]
    rest = 100_000 - sum(share for _, share in counts)
    if rest > 0:
        parts.append([flag.control_variant.name, rest])
    if len(parts) == 1:
        return parts[0][0]
    seed = {"cat": [flag.key, ":", flag.salt, ":", {"var": "targetingKey"}]}
    return {"fractional": [seed, *parts]}
