"""Decorator that runs a function only while a flag is on."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])


def behind(
    key: str, *, default: Any, context: Callable[..., EvaluationContext], client: OpenFeatureClient | None = None
) -> Callable[[F], F]:
    """Run the function, plain or async, when the flag is on for `context(*its arguments)`; else return `default`.

    A flag that cannot be evaluated is off. Without a client, the process's own is used.
    """
    asked = client or api.get_client()

    def gate(function: F) -> F:
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def waiting(*args: Any, **kwargs: Any) -> Any:
                if asked.get_boolean_value(key, False, context(*args, **kwargs)):
                    return await function(*args, **kwargs)
                return default

            return waiting  # type: ignore[return-value]

        @wraps(function)
        def plain(*args: Any, **kwargs: Any) -> Any:
            return (
                function(*args, **kwargs) if asked.get_boolean_value(key, False, context(*args, **kwargs)) else default
            )

        return plain  # type: ignore[return-value]

    return gate
