"""Tokens to US dollars. A model without a known price costs "unknown" (None), never nothing."""

from collections.abc import Iterable
from decimal import Decimal

from contracts.conversation import TokenCount


class PriceBook:
    """The public price list that the locked release of `genai-prices` carries; nothing is fetched at run time."""

    def __init__(self, provider: str = "anthropic") -> None:
        self._provider = provider

    def cost(self, model: str, tokens: TokenCount) -> str | None:
        """The price of one call in USD, as decimal text, or None when the list does not know the model."""
        # The list of all providers' models is large: a process that never asks for a price does not load it.
        from genai_prices import Usage, calc_price

        usage = Usage(
            # The list counts cached tokens as part of the input; the provider's bill counts them apart.
            input_tokens=tokens.input + tokens.cache_read + tokens.cache_write,
            cache_read_tokens=tokens.cache_read,
            cache_write_tokens=tokens.cache_write,
            output_tokens=tokens.output,
        )
        try:
            price = calc_price(usage, model_ref=model, provider_id=self._provider)
        except LookupError:
            return None
        return format(price.total_price.normalize(), "f")


def total_cost(costs: Iterable[str | None]) -> str | None:
    """The sum, or None as soon as one part is unknown."""
    total = Decimal(0)
    for cost in costs:
        if cost is None:
            return None
        total += Decimal(cost)
    return format(total, "f")
