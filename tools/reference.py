"""Writes the reference pages of settings, events and the API out of the product: `docs/reference/`."""

import ast
import asyncio
import inspect
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from starlette.testclient import TestClient

from adapters.channels.registry import settings_classes
from cli.runtime import open_runtime
from cli.settings import read_settings
from contracts import notices
from contracts.settings import Settings

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference"
SETTING = re.compile(r"#([A-Z0-9_]+)=(.*)")
# A comment that reaches this far goes on in the next line.
WRAPPED = 100
NOTE = "<!-- make docs writes this page -->\n\n"


def settings_page() -> str:
    """The settings as `.env.example` groups and explains them, with the values that the product takes."""
    fields = {
        str(field.validation_alias): field
        for kind in (Settings, *settings_classes())
        for field in kind.model_fields.values()
    }
    parts = [
        "# Settings\n\nVariables of the environment; in development also a file `.env`. Each process reads "
        "them once, at its start, and names every mistake at once. *Secret* values are never logged.\n"
    ]
    for block in (ROOT / ".env.example").read_text(encoding="utf-8").split("\n\n"):
        lines = list(_joined(block.splitlines()))
        heading, *rest = lines if not SETTING.match(lines[0]) else ["", *lines]
        rows, said = [], ""
        for line in rest:
            if found := SETTING.match(line):
                name, default = found[1], found[2]
                rows.append(f"| `{name}` | {f'`{default}`' if default else ''} | {_values(fields[name])} | {said} |")
                said = ""
            else:
                said = _linked(line)
        if rows:
            parts.append(
                f"\n{_linked(heading)}\n\n| variable | default | values | |\n|---|---|---|---|\n"
                + "\n".join(rows)
                + "\n"
            )
    return NOTE + "".join(parts)


def _joined(lines: Sequence[str]) -> Iterator[str]:
    """Yield settings as they are, and each comment as one line without its mark."""
    said = ""
    for line in lines:
        if SETTING.match(line):
            yield from [said] if said else []
            said = ""
            yield line
            continue
        said += line.removeprefix("#").strip()
        if len(line) < WRAPPED:
            yield said
            said = ""
        else:
            said += " "


def _linked(text: str) -> str:
    text = text.replace("<", "&lt;").replace("|", "\\|").removeprefix("or ")
    return re.sub(r"docs/(\w+)\.md", r"[\1](../\1.md)", text)


def _values(field: FieldInfo) -> str:
    """Say what a setting may be: its choices, its bounds, or its kind."""
    kinds = [_plain(one) for one in _members(field.annotation)]
    if choices := [str(choice) for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]:
        return ", ".join(choices)
    if SecretStr in kinds:
        return "secret"
    limits = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [
        f"{sign} {getattr(one, name)}" for one in field.metadata for name, sign in limits.items() if hasattr(one, name)
    ]
    names = {bool: "true, false", int: "whole number", float: "number", Path: "path", str: ""}
    return " ".join([names.get(kinds[0], ""), *bounds]).strip()


def _members(annotation: Any) -> Sequence[Any]:
    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return [one for one in members if one is not type(None)]


def _plain(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def events_page() -> str:
    """The events of the signed webhook, by the docstrings of their members."""
    members: Any = ast.parse(inspect.getsource(notices.NoticeEvent)).body[0]
    rows = [
        f"| `{member.value.value}` | {' '.join(said.value.value.split()).replace(' Fields: ', ' | ')} |"
        for member, said in pairwise(members.body)
        if isinstance(member, ast.Assign) and isinstance(said, ast.Expr)
    ]
    return (
        f"{NOTE}# Events\n\nPosted as JSON to `PROSA_NOTIFY_URL`, those that `PROSA_NOTIFY_EVENTS` names, signed as "
        "[Standard Webhooks](../analyses.md) are with `PROSA_NOTIFY_SECRET`. The same `id` is the same event, sent "
        "once more. Each has `id`, `event`, `at`, `conversation`, `channel`, `owner`, `agent`, `url` and `number`; "
        "`owner` and `agent` are those at the time of sending.\n\n"
        "| event | when | fields besides |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )


async def api_page() -> str:
    """The requests of `/api/v1` with their parameters, from the OpenAPI description that a process serves."""
    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings({"PROSA_DATA_DIR": folder, "PORT": "0"}, env_file=None)
        async with open_runtime(settings, sweeping=False) as runtime:
            described = (
                TestClient(runtime.webhook, base_url="http://127.0.0.1", client=("127.0.0.1", 1))
                .get("/openapi.json")
                .json()
            )
    rows = [
        f"| `{method.upper()} {path}` | {operation.get('summary', '')} | {_parameters(operation, described)} |"
        for path, operations in described["paths"].items()
        if path.startswith("/api/v1")
        for method, operation in operations.items()
    ]
    return (
        f"{NOTE}# Requests of the API\n\nThe schemas of bodies and answers are in `/openapi.json` of a running "
        "process, as a page at `/docs`; keys, roles, pages and errors in [API](../api.md).\n\n"
        "| request | | takes |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def _parameters(operation: dict[str, Any], described: dict[str, Any]) -> str:
    given = [f"`{one['name']}`" for one in operation.get("parameters", ()) if one["in"] != "path"]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = content["schema"]
        schema = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        given += [f"body `{name}`" for name in schema.get("properties", ())]
    return ", ".join(given)


def pages() -> dict[Path, str]:
    return {
        FOLDER / "settings.md": settings_page(),
        FOLDER / "events.md": events_page(),
        FOLDER / "api.md": asyncio.run(api_page()),
    }


def main(arguments: Sequence[str]) -> None:
    """Write the pages, or with `--check` only compare them."""
    for path, text in pages().items():
        if "--check" in arguments:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                raise SystemExit(f"{path.relative_to(ROOT)} is out of date (make docs)")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
