"""Tokens of texts: the provider's count where it can be asked, else an estimate, and which of the two."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from contracts.errors import ModelRequestRejectedError, ModelUnavailableError
from contracts.settings import Settings
from prompts.pricing.tokens import estimated_tokens
from worker.bootstrap import make_model

PATIENCE = timedelta(seconds=10)


class TokensBy(StrEnum):
    """Source of a number of tokens."""

    PROVIDER = "provider"
    ESTIMATE = "estimate"


@dataclass(frozen=True)
class TokenCounts:
    """Tokens of each text, in order. The provider's include the few with which it frames a message."""

    tokens: tuple[int, ...]
    by: TokensBy

    @property
    def note(self) -> str:
        """The source of the numbers, for a person."""
        if self.by is TokensBy.PROVIDER:
            return "tokens are the provider's count"
        return "tokens are an estimate (prompts/pricing/tokens.py); with ANTHROPIC_API_KEY the provider is asked"


def count_tokens(settings: Settings, texts: Sequence[str]) -> TokenCounts:
    """Ask the provider when there is a key for it; estimate without one, or when it does not answer."""
    if settings.uses_sandbox_model or settings.model_provider == "bedrock":
        return _estimated(texts)
    try:
        return TokenCounts(asyncio.run(_asked(settings, texts)), TokensBy.PROVIDER)
    except (ModelUnavailableError, ModelRequestRejectedError):
        return _estimated(texts)


def _estimated(texts: Sequence[str]) -> TokenCounts:
    return TokenCounts(tuple(estimated_tokens(text) for text in texts), TokensBy.ESTIMATE)


async def _asked(settings: Settings, texts: Sequence[str]) -> tuple[int, ...]:
    model = make_model(settings)
    try:
        counted = (model.count_tokens(text, model=settings.model_state, within=PATIENCE) for text in texts)
        return tuple(await asyncio.gather(*counted))
    finally:
        await model.close()
