"""Differences between the turns of two versions on the same messages, by kind, and the verdict on the newer one."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Any, NamedTuple

from cli.output import console, print_table
from contracts.conversation import State
from contracts.errors import ConfigurationError
from contracts.language import likely_language
from contracts.turn import TurnReason
from contracts.values import Value
from fsm.table import MOVES

Turn = Mapping[str, Any]
"""A turn as `contracts.views.turn_view` returns it."""


# Kinds of difference. Of TOKENS and COST the limit is a share more in all, of the others a share of turns.
Kind = StrEnum(
    "Kind",
    "MISSING ORDER ESCALATION SPAM OPT_OUT GATE LANGUAGE ASKS_TWICE LINE STATE INTENT WAITS_FOR FALLBACK FORM TOKENS "
    "COST TEXT",
)
# A text that is only worded differently is no reason; an answer to which people react differently shows in the others.
LIMITS: Mapping[Kind, float] = dict.fromkeys(Kind, 0.0) | {Kind.TOKENS: 0.25, Kind.COST: 0.25, Kind.TEXT: 1.0}

SHOWN = 20

_LEGAL = {(move.source, move.dest) for move in MOVES}
_QUESTION = re.compile(r"[^.!?\n]*\?")


class Difference(NamedTuple):
    """One difference in a turn; `message` is the id of the turn's first message."""

    kind: Kind
    conversation: str
    message: str
    before: Any
    after: Any


class Verdict(Value):
    """Counts and shares by kind, the limits, the kinds beyond theirs, and every difference but of the wording."""

    turns: int
    counts: dict[Kind, int]
    shares: dict[Kind, float | None]
    limits: dict[Kind, float]
    blocked: tuple[Kind, ...]
    differences: tuple[Difference, ...]


def verdict(before: Iterable[Turn], after: Iterable[Turn], limits: Mapping[Kind, float] = LIMITS) -> Verdict:
    """Compare the turns by conversation and first message.

    A share is None where it is not known: no turns, or the price of a model. What is not known blocks nothing.
    """
    earlier, later = _seen(before), _seen(after)
    found = [one for key in {**earlier, **later} for one in _differences(key, earlier.get(key), later.get(key))]
    counts = Counter(one.kind for one in found)
    shares: dict[Kind, float | None] = {kind: counts[kind] / len(earlier) if earlier else None for kind in Kind}
    shares |= {
        Kind.TOKENS: _growth(earlier, later, lambda turn: sum(turn["tokens"].values())),
        Kind.COST: _growth(earlier, later, lambda turn: turn["cost_usd"]),
    }
    return Verdict(
        turns=len(earlier),
        counts={kind: counts[kind] for kind in Kind},
        shares=shares,
        limits=dict(limits),
        blocked=tuple(kind for kind, share in shares.items() if share is not None and share > limits[kind]),
        differences=tuple(one for one in found if one.kind is not Kind.TEXT),
    )


def limits(given: Iterable[str]) -> dict[Kind, float]:
    """Return the limits, those that `KIND=SHARE` gives among them.

    Raises:
        ConfigurationError: there is no such kind, or its share is no number.
    """
    try:
        return {**LIMITS, **{Kind(kind): float(share) for kind, _, share in (one.partition("=") for one in given)}}
    except ValueError as exc:
        raise ConfigurationError(f"--allow takes KIND=SHARE, of {', '.join(Kind)}: {exc}") from exc


def report(found: Verdict) -> None:
    """Print the verdict, without what people or the assistant wrote."""
    rows = [
        (
            kind,
            found.counts[kind] or "",
            "unknown" if share is None else f"{share:.1%}",
            f"{found.limits[kind]:.1%}",
            "BLOCKED" if kind in found.blocked else "",
        )
        for kind, share in found.shares.items()
    ]
    print_table(("kind", "turns", "share", "limit", ""), rows)
    for one in [one for one in found.differences if one.kind in found.blocked][:SHOWN]:
        console.print(f"{one.conversation} {one.message}: {one.kind} {one.before} -> {one.after}")
    console.print(f"{found.turns} turns: {'blocked by ' + ', '.join(found.blocked) if found.blocked else 'passed'}")


class _Seen(NamedTuple):
    """A turn, and whether its reply asks a question that an earlier one of the conversation has asked."""

    turn: Turn
    asks_twice: bool


def _seen(turns: Iterable[Turn]) -> dict[tuple[str, str], _Seen]:
    asked: defaultdict[str, set[str]] = defaultdict(set)
    found = {}
    for turn in turns:
        reply = turn["reply"] or {"text": ""}
        questions = {" ".join(one.casefold().split()) for one in _QUESTION.findall(reply["text"])}
        before = asked[turn["conversation"]]
        found[turn["conversation"], turn["message_ids"][0]] = _Seen(turn, bool(questions & before))
        before |= questions
    return found


def _differences(key: tuple[str, str], before: _Seen | None, after: _Seen | None) -> list[Difference]:
    if before is None or after is None:
        return [Difference(Kind.MISSING, *key, before is not None, after is not None)]
    old, new = _facets(before), _facets(after)
    # Of a language both must be certain; of the others only more is worse.
    old[Kind.LANGUAGE], new[Kind.LANGUAGE] = (
        old[Kind.LANGUAGE] or new[Kind.LANGUAGE],
        new[Kind.LANGUAGE] or old[Kind.LANGUAGE],
    )
    new |= {kind: max(old[kind], new[kind]) for kind in (Kind.ORDER, Kind.GATE, Kind.ASKS_TWICE, Kind.FALLBACK)}
    return [Difference(kind, *key, old[kind], new[kind]) for kind in old if old[kind] != new[kind]]


def _facets(seen: _Seen) -> dict[Kind, Any]:
    turn, reply = seen.turn, seen.turn["reply"] or {"type": None, "text": ""}
    path: Sequence[str] = turn["path"]
    return {
        Kind.ORDER: sum((State(one), State(other)) not in _LEGAL for one, other in pairwise(path)),
        Kind.ESCALATION: turn["state"] == State.ESCALATING,
        Kind.SPAM: turn["state"] == State.SPAM,
        Kind.OPT_OUT: turn["reason"] == TurnReason.OPTED_OUT,
        Kind.GATE: len(turn["violations"]),
        Kind.LANGUAGE: likely_language(reply["text"]),
        Kind.ASKS_TWICE: seen.asks_twice,
        Kind.LINE: turn["business_line"],
        Kind.STATE: turn["state"],
        Kind.INTENT: turn["intent"],
        Kind.WAITS_FOR: turn["waiting_for"],
        Kind.FALLBACK: turn["fallback"],
        Kind.FORM: [reply["type"], len(reply.get("buttons", reply.get("rows", ())))],
        Kind.TEXT: reply["text"],
    }


def _growth(before: Mapping[Any, _Seen], after: Mapping[Any, _Seen], of: Any) -> float | None:
    values = [[of(seen.turn) for seen in seens.values()] for seens in (before, after)]
    if any(value is None for each in values for value in each):
        return None
    old, new = (sum(map(Decimal, each), Decimal(0)) for each in values)
    return float(new / old - 1) if old else None
