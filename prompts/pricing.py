"""Tokens to US dollars. A model without a known price costs "unknown" (None), never nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from contracts.conversation import TokenCount
from observability.logs import logger
from observability.metrics import UNPRICED_CALLS

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

log = logger(__name__)

ZERO = Decimal(0)
MILLION = Decimal(1_000_000)
BATCH = {"processing": "batch"}


@dataclass(frozen=True)
class Rate:
    """USD for a million tokens of one kind. A prompt longer than a tier's start pays the tier's price for all of it.

    `tiers` are (tokens of the prompt, USD), the longest first.
    """

    usd: Decimal
    tiers: tuple[tuple[int, Decimal], ...] = ()

    def at(self, prompt_tokens: int) -> Decimal:
        return next((usd for start, usd in self.tiers if prompt_tokens > start), self.usd)


@dataclass(frozen=True)
class Rates:
    """What one model costs."""

    input: Rate
    cache_read: Rate
    cache_write: Rate
    cache_write_1h: Rate
    output: Rate

    def cost(self, tokens: TokenCount) -> Decimal:
        """USD of one call, exact."""
        prompt = tokens.input + tokens.cache_read + tokens.cache_write
        millionths = (
            self.input.at(prompt) * tokens.input
            + self.cache_read.at(prompt) * tokens.cache_read
            + self.cache_write.at(prompt) * (tokens.cache_write - tokens.cache_write_1h)
            + self.cache_write_1h.at(prompt) * tokens.cache_write_1h
            + self.output.at(prompt) * tokens.output
        )
        return millionths / MILLION


@dataclass(frozen=True)
class KnownModel:
    """A line of the price list: the ordinary rates, and those of a batch where there are any."""

    id: str
    name: str
    rates: Rates
    batch: Rates | None


class PriceBook:
    """Anthropic's prices of the day when the snapshot was taken; nothing is fetched at run time.

    The list is the one of `genai-prices`; the sums are our own, as its `calc_price` takes thirty times as long. A test
    holds the two against each other.
    """

    def __init__(self) -> None:
        self._unpriced: set[str] = set()

    def cost(self, model: str, tokens: TokenCount, *, at: datetime, batch: bool = False) -> Decimal | None:
        """The price of one call in USD, or None when the list does not know the model."""
        rates = _rates(model, _day(at), batch)
        return None if rates is None else rates.cost(tokens)

    def booked(self, model: str, tokens: TokenCount, *, at: datetime) -> Decimal | None:
        """The price of a call that was made: when it is unknown, that is counted, and said once."""
        cost = self.cost(model, tokens, at=at)
        if cost is None:
            UNPRICED_CALLS.inc()
            if model not in self._unpriced:
                self._unpriced.add(model)
                log.warning("price.unknown", model=model)
        return cost

    def dearest(self, tokens: TokenCount, *, at: datetime) -> Decimal:
        """What the tokens would cost at the most expensive model of the list: the bound for one that is not on it."""
        return max(rates.cost(tokens) for rates in _all_rates(_day(at)))

    def known(self, *, at: datetime) -> Iterator[KnownModel]:
        """The list, in its own order."""
        for model in _provider().models:
            rates, batch = _rates(model.id, _day(at), False), _rates(model.id, _day(at), True)
            if rates is not None:
                yield KnownModel(model.id, model.name or model.id, rates, None if batch == rates else batch)

    @property
    def taken(self) -> date:
        """The day of the snapshot."""
        from prompts.anthropic_prices import TAKEN

        return TAKEN

    @property
    def release(self) -> str:
        """The release of `genai-prices` that it was taken from."""
        from prompts.anthropic_prices import RELEASE

        return RELEASE


def total_cost(costs: Iterable[str | None]) -> str | None:
    """The sum, or None as soon as one part is unknown."""
    total = ZERO
    for cost in costs:
        if cost is None:
            return None
        total += Decimal(cost)
    return usd_text(total)


def usd_text(amount: Decimal) -> str:
    """The amount as decimal text, all its digits and no more."""
    return format(amount.normalize(), "f")


def _provider() -> "Provider":
    # The library takes a third of a second to import: a process that never asks for a price does not pay for it.
    from prompts.anthropic_prices import PROVIDER

    return PROVIDER


def _day(at: datetime) -> date:
    """Prices begin on days of UTC."""
    return at.astimezone(UTC).date()


@lru_cache(maxsize=256)
def _rates(model: str, day: date, batch: bool) -> Rates | None:
    found = _provider().find_model(model)
    return None if found is None else _rates_of(found, day, batch)


@lru_cache(maxsize=4)
def _all_rates(day: date) -> tuple[Rates, ...]:
    return tuple(_rates_of(model, day, batch=False) for model in _provider().models)


def _rates_of(model: "ModelInfo", day: date, batch: bool) -> Rates:
    # A price that begins on a day holds for all of it.
    prices: ModelPrice = model.get_prices(datetime.combine(day, time.max, UTC), BATCH if batch else None)
    # A kind of token without a price of its own is billed as the kind it is part of.
    return Rates(
        input=_first(prices.input_mtok),
        cache_read=_first(prices.cache_read_mtok, prices.input_mtok),
        cache_write=_first(prices.cache_write_5m_mtok, prices.cache_write_mtok, prices.input_mtok),
        cache_write_1h=_first(prices.cache_write_1h_mtok, prices.cache_write_mtok, prices.input_mtok),
        output=_first(prices.output_mtok),
    )


def _first(*prices: "Decimal | TieredPrices | None") -> Rate:
    price = next((one for one in prices if one is not None), ZERO)
    if isinstance(price, Decimal):
        return Rate(price)
    return Rate(price.base, tuple((tier.start, tier.price) for tier in reversed(price.tiers)))
