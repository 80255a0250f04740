"""Parser of untrusted JSON: limits depth, and repairs numbers and text; the caller limits the size."""

import json
import math
import re
from contextlib import suppress
from typing import Any

import orjson

from contracts.errors import MalformedMessageError
from contracts.values import without_lone_surrogates

MAX_DEPTH = 64

# A whole string, so that brackets in it do not count, or one bracket. Possessive: it never backtracks over the body.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[{}\[\]]', re.DOTALL)
_INTEGERS = range(-(2**63), 2**64)


def parse_json(body: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Parse strict JSON (no NaN, no infinities); lone surrogates become U+FFFD, integers beyond 64 bits floats.

    Raises:
        MalformedMessageError: it is not JSON, or nested deeper than `max_depth`.
    """
    if _is_deeper_than(body, max_depth):
        raise MalformedMessageError(f"JSON nested deeper than {max_depth}")
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(body)
    # The standard library accepts lone surrogates, unlike orjson.
    try:
        value = json.loads(
            body.decode("utf-8", "strict"), parse_constant=_finite, parse_float=_finite, parse_int=_integer
        )
    except (ValueError, RecursionError) as exc:
        raise MalformedMessageError("the body is not JSON") from exc
    return _cleaned(value)


def _finite(digits: str) -> float:
    """Return the number; `NaN` and the infinities are not JSON."""
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("the number is too large")
    return number


def _integer(digits: str) -> int | float:
    """Return the number as orjson reads it, so that the parsed value can be serialised again."""
    number = int(digits)
    return number if number in _INTEGERS else _finite(digits)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return without_lone_surrogates(value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {without_lone_surrogates(key): _cleaned(item) for key, item in value.items()}
    return value


def _is_deeper_than(body: bytes, limit: int) -> bool:
    """Return whether brackets nest deeper, without parsing; few bodies have enough brackets to need the full scan."""
    if body.count(b"{") + body.count(b"[") <= limit:
        return False
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(body):
        bracket = token[0]
        if bracket in (b"{", b"["):
            depth += 1
            if depth > limit:
                return True
        elif bracket in (b"}", b"]"):
            depth -= 1
    return False
