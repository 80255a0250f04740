"""JSON Schema of answers, as the provider's SDK sends it (its `transform_schema` changes nothing; a test checks)."""

from collections.abc import Iterable
from typing import Any

Schema = dict[str, Any]


def object_of(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False, "required": list(properties)}


def enum(values: Iterable[str]) -> Schema:
    return {"enum": list(values)}


def enum_or_null(values: Iterable[str]) -> Schema:
    listed = list(values)
    if not listed:
        return {"type": "null"}
    return {"anyOf": [enum(listed), {"type": "null"}]}


def text(description: str | None = None) -> Schema:
    return {"type": "string"} if description is None else {"type": "string", "description": description}


def list_of(items: Schema) -> Schema:
    return {"type": "array", "items": items}
