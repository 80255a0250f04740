"""Model of given answers: for unit tests of the engine, without HTTP."""

from collections.abc import Awaitable, Callable

from contracts.conversation import TokenCount
from contracts.ports import ModelRequest, ModelResponse, TextHeard

# Shorter than a word or an escape sequence: a listener must put the pieces together.
PIECE = 3


class ScriptedModel:
    """Model whose `answer` gets each request and returns the text, or raises."""

    def __init__(self, answer: Callable[[ModelRequest], Awaitable[str]]) -> None:
        self._answer = answer
        self.requests: list[ModelRequest] = []

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        self.requests.append(request)
        text = await self._answer(request)
        if on_text is not None:
            for start in range(0, len(text), PIECE):
                await on_text(text[start : start + PIECE])
        tokens = TokenCount(input=len(request.user) // 4, output=len(text) // 4)
        return ModelResponse(text=text, stop_reason="end_turn", model=request.model, tokens=tokens)

    async def close(self) -> None:
        return
