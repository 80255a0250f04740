"""Models in the place of one that is still being made, and of one that a process does not need."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from contracts.errors import ConfigurationError
from contracts.ports import LanguageModel, ModelRequest, ModelResponse, TextHeard


class DeferredModel:
    """The model that `make` returns, made in a thread; calls that come before it is ready wait.

    Made where an event loop runs.
    """

    def __init__(self, make: Callable[[], LanguageModel]) -> None:
        self._making = asyncio.ensure_future(asyncio.to_thread(make))

    def complete(
        self, request: ModelRequest, *, on_text: TextHeard | None = None
    ) -> Coroutine[Any, Any, ModelResponse]:
        if self._making.done():
            return self._making.result().complete(request, on_text=on_text)
        return self._complete_later(request, on_text)

    async def _complete_later(self, request: ModelRequest, on_text: TextHeard | None) -> ModelResponse:
        # A cancelled caller leaves; the model is made all the same.
        model = await asyncio.shield(self._making)
        return await model.complete(request, on_text=on_text)

    async def ready(self) -> None:
        """Return when calls no longer wait: before that they would spend a turn's time on imports."""
        await asyncio.shield(self._making)

    async def close(self) -> None:
        model = await self._making
        await model.close()


class AbsentModel:
    """Model that refuses every call."""

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        raise ConfigurationError("this command asks no model")

    async def close(self) -> None:
        return
