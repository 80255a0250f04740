"""No model: for commands that move conversations and make no call."""

from contracts.errors import ConfigurationError
from contracts.ports import ModelRequest, ModelResponse, TextHeard


class AbsentModel:
    """Model that refuses every call."""

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        raise ConfigurationError("this command asks no model")

    async def close(self) -> None:
        return
