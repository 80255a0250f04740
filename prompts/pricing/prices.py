"""Prices in US dollars. The cost of a model without a known price is None, never zero."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache, lru_cache
from importlib.metadata import version
from math import ceil
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
# Provider of the price list, by PROSA_MODEL_PROVIDER: Bedrock's regional prices are a tenth above Anthropic's.
SELLERS = {"anthropic": "anthropic", "vertex": "google", "bedrock": "aws"}


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
    """Prices of one model."""

    input: Rate
    cache_read: Rate
    cache_write: Rate
    cache_write_1h: Rate
    output: Rate

    def cost(self, tokens: TokenCount) -> Decimal:
        """Return the USD of one call, exact."""
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
    """Line of the price list: the ordinary rates, and those of a batch where there are any."""

    id: str
    name: str
    rates: Rates
    batch: Rates | None


class PriceBook:
    """Prices of Anthropic's models as the installed `genai-prices` carries them; nothing is fetched at run time.

    `seller` is the provider's id in that list, one of SELLERS.

    The sums are our own, as the library's `calc_price` takes thirty times as long. A test compares the two.
    """

    def __init__(self, seller: str = "anthropic") -> None:
        self._seller = seller
        self._unpriced: set[str] = set()

    def cost(self, model: str, tokens: TokenCount, *, at: datetime, batch: bool = False) -> Decimal | None:
        """Return the USD of one call, or None when the list does not have the model."""
        rates = _rates(self._seller, model, _day(at), batch)
        return None if rates is None else rates.cost(tokens)

    def booked(self, model: str, tokens: TokenCount | None, *, at: datetime) -> Decimal | None:
        """Return the USD of a call that was made; an unknown price is counted, and logged once for each model."""
        cost = None if tokens is None else self.cost(model, tokens, at=at)
        if cost is None:
            UNPRICED_CALLS.inc()
            if model not in self._unpriced:
                self._unpriced.add(model)
                log.warning("price.unknown", model=model, reason="no token counts" if tokens is None else "not listed")
        return cost

    def dearest(self, tokens: TokenCount, *, at: datetime) -> Decimal:
        """Return the USD at the most expensive model of the list: the bound for a model that is not on it."""
        return max(rates.cost(tokens) for rates in _all_rates(self._seller, _day(at)))

    def known(self, *, at: datetime) -> Iterator[KnownModel]:
        """Return the list, in its own order."""
        for model in _models(self._seller):
            rates, batch = _rates_of(model, _day(at), batch=False), _rates_of(model, _day(at), batch=True)
            yield KnownModel(model.id, model.name or model.id, rates, None if batch == rates else batch)

    @property
    def release(self) -> str:
        """Installed release of `genai-prices`."""
        return version("genai-prices")


def total_cost(costs: Iterable[str | None]) -> str | None:
    """Return the sum, or None when one part is unknown."""
    total = ZERO
    for cost in costs:
        if cost is None:
            return None
        total += Decimal(cost)
    return usd_text(total)


def usd_text(amount: Decimal) -> str:
    """Return the amount as decimal text, all its digits and no more."""
    return format(amount.normalize(), "f")


@cache
def _provider(seller: str) -> "Provider":
    # The library takes half a second to import: only a process that needs a price imports it.
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot().find_provider(None, seller, None)


def _models(seller: str) -> "list[ModelInfo]":
    return [model for model in _provider(seller).models if "claude" in model.id]


def load_prices(seller: str = "anthropic") -> None:
    """Import the list now, for instance in a thread, instead of with the first price."""
    _provider(seller)


def _day(at: datetime) -> date:
    """Return the day in UTC: prices begin on such days."""
    return at.astimezone(UTC).date()


@lru_cache(maxsize=256)
def _rates(seller: str, model: str, day: date, batch: bool) -> Rates | None:
    found = _provider(seller).find_model(model)
    return None if found is None else _rates_of(found, day, batch)


@lru_cache(maxsize=4)
def _all_rates(seller: str, day: date) -> tuple[Rates, ...]:
    return tuple(_rates_of(model, day, batch=False) for model in _models(seller))


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


_LETTERS = r"[^\W\d_]"
_PIECES = re.compile(
    rf"'(?:[sdmt]|ll|ve|re)\b|(?:[^\w\r\n]|_)?{_LETTERS}+|\d{{1,3}}| ?(?:[^\w\s]|_)+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_WORD, _CAPITALS, _BYTES = 8, 5, 4


def estimated_tokens(text: str) -> int:
    """Return the likely number of tokens of a text, for the comparison of texts where the provider cannot be asked.

    The provider has no offline tokenizer; `count_tokens` of its API is exact, and `cli/prompts.py` asks it where there
    is a key. The estimate cuts a text as public byte-pair encodings do before they merge: a word takes the space or
    sign before it along, numbers go in threes, signs with the line end after them. Then it counts how many tokens a
    piece is likely to become: a lower-case English word of up to eight letters is one, capitals, accents and other
    scripts break into shorter ones. How far this is from the provider's count has not been measured; in the ratio of
    two texts of one kind its error is in both.

    Source of the pattern: `cl100k_base` in github.com/openai/tiktoken.
    """
    tokens = 0
    for piece in _PIECES.findall(text):
        word = piece if piece[:1].isalpha() else piece[1:]
        if not word.isalpha():
            tokens += 1
        elif not word.isascii():
            tokens += ceil(len(word.encode()) / _BYTES)
        else:
            tokens += ceil(len(word) / (_CAPITALS if word.isupper() else _WORD))
    return tokens
