"""Event loop of a command."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def asynchronous(command: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    """Run an async command in an event loop of its own; Typer knows only plain functions."""

    @wraps(command)
    def run(*args: P.args, **named: P.kwargs) -> R:
        return asyncio.run(command(*args, **named))

    return run
