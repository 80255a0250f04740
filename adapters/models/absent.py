"""No model at all: for commands that move conversations but never ask anything."""

from contracts.errors import ConfigurationError
from contracts.ports import ModelRequest, ModelResponse, TextHeard


class AbsentModel:
    """Satisfies the `LanguageModel` port by having nothing to say."""

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        raise ConfigurationError("this command asks no model")

    async def close(self) -> None:
        return
