"""JSON from outside: size is the caller's business, depth, numbers and broken text are settled here."""

import json
from typing import Any, NoReturn

import orjson

from contracts.errors import MalformedMessageError
from contracts.values import without_lone_surrogates

MAX_DEPTH = 64


def parse_json(body: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Parse strict JSON (no NaN, no infinities); lone surrogates become U+FFFD.

    Raises:
        MalformedMessageError: it is not JSON, or nested deeper than `max_depth`.
    """
    if _is_deeper_than(body, max_depth):
        raise MalformedMessageError(f"JSON nested deeper than {max_depth}")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _parse_tolerating_surrogates(body)


def _parse_tolerating_surrogates(body: bytes) -> Any:
    """orjson refuses a lone surrogate; the standard parser passes it on, for us to replace."""
    try:
        value = json.loads(body.decode("utf-8", "strict"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise MalformedMessageError("the body is not JSON") from exc
    return _cleaned(value)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return without_lone_surrogates(value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {without_lone_surrogates(key): _cleaned(item) for key, item in value.items()}
    return value


def _is_deeper_than(body: bytes, limit: int) -> bool:
    """Whether brackets nest deeper, without parsing; few bodies have enough brackets to need the closer look."""
    if body.count(b"{") + body.count(b"[") <= limit:
        return False
    depth, in_string, escaped = 0, False, False
    for byte in body:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in (0x7B, 0x5B):
            depth += 1
            if depth > limit:
                return True
        elif byte in (0x7D, 0x5D):
            depth -= 1
    return False
