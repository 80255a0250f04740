"""Groups of commands, and commands of their own, each loaded when it is named: all of them together take a second."""

import asyncio
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from inspect import iscoroutinefunction
from typing import Any, TypeVar

import typer
from typer.core import TyperGroup

GROUPS = {
    "conversations": "cli.conversations",
    "dead-letters": "cli.dead_letters",
    "context": "cli.context",
    "channels": "cli.channels",
    "templates": "cli.templates",
    "prompts": "cli.prompts",
    "flags": "cli.flags",
    "experiments": "cli.experiments",
    "load": "cli.load",
    "report": "cli.report",
    "cache": "cli.cache",
    "eval": "cli.evaluation",
    "release": "cli.release",
    "shadow": "cli.shadow",
}


F = TypeVar("F", bound=Callable[..., Any])


class CommandApp(typer.Typer):
    """Commands of which the async ones run in an event loop of their own; Typer knows only plain functions."""

    def command(self, *args: Any, **options: Any) -> Callable[[F], F]:
        register = super().command(*args, **options)

        def add(function: F) -> F:
            @wraps(function)
            def run(*given: Any, **named: Any) -> Any:
                return asyncio.run(function(*given, **named))

            register(run if iscoroutinefunction(function) else function)
            return function

        return add


class Commands(TyperGroup):
    """The commands of the app, and after them the groups."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return [*super().list_commands(ctx), *GROUPS]

    def get_command(self, ctx: typer.Context, name: str):  # type: ignore[no-untyped-def, override]  # click has no types
        if name not in GROUPS:
            return super().get_command(ctx, name)
        group = typer.main.get_command(import_module(GROUPS[name]).app)
        group.name = name
        return group
