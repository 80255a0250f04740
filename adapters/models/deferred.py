"""A model whose libraries are still being imported while the process opens the rest."""

import asyncio
from collections.abc import Callable

from contracts.ports import LanguageModel, ModelRequest, ModelResponse, TextHeard


class DeferredModel:
    """Satisfies the `LanguageModel` port with the model that `make` returns, made in a thread; the first call waits.

    Made where an event loop runs.
    """

    def __init__(self, make: Callable[[], LanguageModel]) -> None:
        self._making = asyncio.ensure_future(asyncio.to_thread(make))

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        # A caller whose time is up goes away; the model is made all the same.
        model = await asyncio.shield(self._making)
        return await model.complete(request, on_text=on_text)

    async def ready(self) -> None:
        """Return when calls no longer wait: what comes before would spend a turn's time on imports."""
        await asyncio.shield(self._making)

    async def close(self) -> None:
        model = await self._making
        await model.close()
