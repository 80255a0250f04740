"""The part of JSON Schema that structured outputs know: what is refused, what conforms, and the least that conforms."""

from collections import OrderedDict
from types import NoneType
from typing import Any, TypeAlias

import orjson

Schema: TypeAlias = dict[str, Any]

FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_PYTHON: dict[str, Any] = {"object": dict, "array": list, "string": str, "integer": int, "number": int | float}
_PYTHON |= {"boolean": bool, "null": NoneType}
TYPES = frozenset(_PYTHON)
MAX_OPTIONAL = 24
MAX_UNIONS = 16
_MISSING = object()

_ANYWHERE = frozenset(
    {"type", "enum", "const", "anyOf", "allOf", "$ref", "$defs", "definitions", "title", "description", "default"}
)
_BY_TYPE = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems"}),
    "string": frozenset({"format"}),
}
_SAMPLES = {
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "date": "2026-01-01",
    "duration": "PT0S",
    "email": "someone@example.com",
    "hostname": "example.com",
    "uri": "https://example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


class UnsupportedSchemaError(Exception):
    """The API would answer 400 to this schema; the text says why, in its words."""


class OutputSchema:
    """A schema that has been checked: every answer is held against it before it leaves."""

    def __init__(self, schema: Schema) -> None:
        self.root = schema
        self._definitions = {
            f"#/{place}/{name}": definition
            for place in ("$defs", "definitions")
            for name, definition in (schema.get(place) or {}).items()
        }
        self._optional = 0
        self._unions = 0
        self._check(schema, ())
        if self._optional > MAX_OPTIONAL:
            raise UnsupportedSchemaError(f"Schemas contain too many optional parameters ({self._optional}, at most 24)")
        if self._unions > MAX_UNIONS:
            raise UnsupportedSchemaError(f"Schemas contain too many union types ({self._unions}, at most 16)")
        self.properties: frozenset[str] = frozenset(self._resolved(schema).get("properties", ()))

    def _resolved(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self._definitions[schema["$ref"]]
        return schema

    def _check(self, schema: object, inside: tuple[str, ...]) -> None:
        if not isinstance(schema, dict):
            raise UnsupportedSchemaError("a schema must be an object")
        if "$ref" in schema:
            reference = schema["$ref"]
            if reference not in self._definitions:
                raise UnsupportedSchemaError(f"$ref {reference!r} does not point into $defs")
            if reference in inside:
                raise UnsupportedSchemaError(f"recursive schemas are not supported ({reference})")
            self._check(self._definitions[reference], (*inside, reference))
            return
        types = schema.get("type", [])
        types = types if isinstance(types, list) else [types]
        if not TYPES.issuperset(types):
            raise UnsupportedSchemaError(f"type {schema['type']!r} is not supported")
        known = _ANYWHERE.union(*(_BY_TYPE.get(each, frozenset()) for each in types))
        if unknown := sorted(schema.keys() - known):
            raise UnsupportedSchemaError(
                f"For '{'|'.join(types) or 'untyped'}' type, properties {', '.join(unknown)} are not supported"
            )
        if not types and not schema.keys() & {"enum", "const", "anyOf", "allOf"}:
            raise UnsupportedSchemaError("a schema must have a type, an enum, a const, anyOf or allOf")
        if "enum" in schema and (not schema["enum"] or any(isinstance(each, dict | list) for each in schema["enum"])):
            raise UnsupportedSchemaError("enum must be a non-empty list of strings, numbers, booleans or null")
        self._unions += "anyOf" in schema or len(types) > 1
        for variant in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
            self._check(variant, inside)
        if "object" in types:
            self._check_object(schema, inside)
        if "array" in types:
            if schema.get("minItems", 0) not in (0, 1):
                raise UnsupportedSchemaError("For 'array' type, 'minItems' values other than 0 or 1 are not supported")
            if "items" in schema:
                self._check(schema["items"], inside)
        if "format" in schema and schema["format"] not in FORMATS:
            raise UnsupportedSchemaError(f"For 'string' type, format {schema['format']!r} is not supported")

    def _check_object(self, schema: Schema, inside: tuple[str, ...]) -> None:
        if schema.get("additionalProperties") is not False:
            raise UnsupportedSchemaError("For 'object' type, 'additionalProperties' must be explicitly set to false")
        properties = schema.get("properties", {})
        required = schema.get("required", ())
        if missing := [name for name in required if name not in properties]:
            raise UnsupportedSchemaError(f"required names a property that does not exist: {', '.join(missing)}")
        self._optional += len(properties) - len(required)
        for each in properties.values():
            self._check(each, inside)

    def conforms(self, value: object) -> bool:
        return self._conforms(value, self.root)

    def _conforms(self, value: object, schema: Schema) -> bool:
        schema = self._resolved(schema)
        if "const" in schema:
            return _same(value, schema["const"])
        if "enum" in schema:
            return any(_same(value, each) for each in schema["enum"])
        if "anyOf" in schema:
            return any(self._conforms(value, variant) for variant in schema["anyOf"])
        if "allOf" in schema:
            return all(self._conforms(value, variant) for variant in schema["allOf"])
        types = schema["type"]
        return any(self._is(value, each, schema) for each in (types if isinstance(types, list) else (types,)))

    def _is(self, value: object, kind: str, schema: Schema) -> bool:
        if not isinstance(value, _PYTHON[kind]) or (isinstance(value, bool) and kind in ("integer", "number")):
            return False
        if isinstance(value, dict):
            properties = schema.get("properties", {})
            return value.keys() >= set(schema.get("required", ())) and all(
                name in properties and self._conforms(each, properties[name]) for name, each in value.items()
            )
        if isinstance(value, list):
            return len(value) >= schema.get("minItems", 0) and (
                "items" not in schema or all(self._conforms(each, schema["items"]) for each in value)
            )
        return True

    def fitted(self, value: object) -> Any:
        """`value` with as little changed as makes it conform; what is missing or wrong becomes the least that does."""
        return self._fitted(value, self.root)

    def _fitted(self, value: object, schema: Schema) -> Any:
        schema = self._resolved(schema)
        if isinstance(value, dict) and "properties" in schema:
            required = schema.get("required", ())
            return {
                name: self._fitted(value.get(name, _MISSING), each)
                for name, each in schema["properties"].items()
                if name in value or name in required
            }
        if isinstance(value, list) and "items" in schema:
            kept = [each for each in value if self._conforms(each, schema["items"])]
            return kept if len(kept) >= schema.get("minItems", 0) else self._least(schema)
        if value is not _MISSING and self._conforms(value, schema):
            return value
        return self._least(schema)

    def _least(self, schema: Schema) -> Any:
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return None if None in schema["enum"] else schema["enum"][0]
        if "anyOf" in schema:
            if self._conforms(None, schema):
                return None
            return self._least(schema["anyOf"][0])
        if "allOf" in schema:
            return self._least(schema["allOf"][0])
        types = schema["type"]
        kinds = types if isinstance(types, list) else [types]
        match "null" if "null" in kinds else kinds[0]:
            case "object":
                return {name: self._least(schema["properties"][name]) for name in schema.get("required", ())}
            case "array":
                return [self._least(schema.get("items", {"type": "null"}))] * schema.get("minItems", 0)
            case "string":
                return _SAMPLES.get(schema.get("format", ""), "")
            case kind:
                return {"boolean": False, "null": None}.get(kind, 0)


KEPT_SCHEMAS = 256


class SchemaShelf:
    """Checked schemas by their bytes: a process sends the same handful over and over."""

    def __init__(self) -> None:
        self._checked: OrderedDict[bytes, OutputSchema] = OrderedDict()

    def checked(self, schema: Schema) -> OutputSchema:
        """Raises UnsupportedSchemaError when the API would refuse it."""
        key = orjson.dumps(schema)
        found = self._checked.get(key)
        if found is None:
            found = self._checked[key] = OutputSchema(schema)
            if len(self._checked) > KEPT_SCHEMAS:
                self._checked.popitem(last=False)
        else:
            self._checked.move_to_end(key)
        return found


def _same(one: object, other: object) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)
