"""What a call costs, to the last digit; the list of prices is the library's, taken along and never fetched."""

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices.data import providers
from hypothesis import given
from hypothesis import strategies as st

from contracts.conversation import TokenCount
from observability.metrics import REGISTRY
from prompts.pricing.prices import SELLERS, PriceBook, total_cost, usd_text
from tests.builders import ROOT, START

PROVIDER = next(one for one in providers if one.id == "anthropic")
USED = TokenCount(input=200, cache_read=5_000, cache_write=1_000, output=300)
FOR_AN_HOUR = USED.model_copy(update={"cache_write_1h": 1_000})

# USD for a million tokens, from the provider's published list: input, read, write for 5 min, write for 1 h, output.
PUBLISHED = {
    "claude-haiku-5-5": ("0.1", "0.01", "0.125", "0.2", "0.5"),
    "claude-haiku-4-5": ("1", "0.1", "1.25", "2", "5"),
    "claude-sonnet-5-5": ("2", "0.1", "2.5", "4", "10"),
    "claude-opus-5-5": ("4", "0.2", "5", "8", "20"),
    "claude-opus-4-5": ("5", "0.5", "6.25", "10", "25"),
}
# 200 x input + 5,000 x read + 1,000 x write + 300 x output, in millionths of a USD, added up by hand.
BY_HAND = {
    "claude-haiku-5-5": (20 + 50 + 125 + 150, 20 + 50 + 200 + 150),
    "claude-haiku-4-5": (200 + 500 + 1250 + 1500, 200 + 500 + 2000 + 1500),
    "claude-sonnet-5-5": (400 + 500 + 2500 + 3000, 400 + 500 + 4000 + 3000),
    "claude-opus-5-5": (800 + 1000 + 5000 + 6000, 800 + 1000 + 8000 + 6000),
    "claude-opus-4-5": (1000 + 2500 + 6250 + 7500, 1000 + 2500 + 10000 + 7500),
}


def cost(model: str, tokens: TokenCount, **options: bool) -> Decimal | None:
    return PriceBook().cost(model, tokens, at=START, **options)


@pytest.mark.parametrize("model", PUBLISHED)
def test_a_call_costs_what_the_published_prices_say(model: str) -> None:
    short, long = BY_HAND[model]
    assert cost(model, USED) == Decimal(short) / 1_000_000
    assert cost(model, FOR_AN_HOUR) == Decimal(long) / 1_000_000
    known = next(one for one in PriceBook().known(at=START) if one.id == model)
    rates = known.rates
    kinds = (rates.input, rates.cache_read, rates.cache_write, rates.cache_write_1h, rates.output)
    assert tuple(usd_text(rate.usd) for rate in kinds) == PUBLISHED[model]


@pytest.mark.parametrize("model", PUBLISHED)
def test_a_batch_costs_half(model: str) -> None:
    ordinary = cost(model, USED)
    assert ordinary is not None
    assert cost(model, USED, batch=True) == ordinary / 2


def test_a_prompt_beyond_the_tier_pays_its_price_for_all_of_it() -> None:
    """Haiku 5.5: five times the price from more than 100,000 tokens of prompt on, cached ones included."""
    assert cost("claude-haiku-5-5", TokenCount(input=100_000)) == Decimal("0.01")
    assert cost("claude-haiku-5-5", TokenCount(input=100_001)) == Decimal("0.0500005")
    assert cost("claude-haiku-5-5", TokenCount(input=1, cache_read=100_000)) == Decimal("0.0050005")


def test_a_price_holds_from_its_day_on() -> None:
    """Opus 4.6 took twice the price beyond 200,000 tokens until 2026-03-13."""
    prompt = TokenCount(input=300_000)
    price = PriceBook().cost
    assert price("claude-opus-4-6", prompt, at=datetime(2026, 3, 12, 23, 59, tzinfo=UTC)) == 3
    assert price("claude-opus-4-6", prompt, at=datetime(2026, 3, 13, tzinfo=UTC)) == Decimal("1.5")


counts = st.integers(0, 400_000)


@given(st.sampled_from([model.id for model in PROVIDER.models]), counts, counts, counts, counts, counts, st.booleans())
def test_the_sums_are_those_of_the_library(
    model: str, plain: int, read: int, write: int, of_an_hour: int, output: int, batch: bool
) -> None:
    from genai_prices import Usage

    hour = min(write, of_an_hour)
    mine = PriceBook().cost(
        model,
        TokenCount(input=plain, cache_read=read, cache_write=write, cache_write_1h=hour, output=output),
        at=START,
        batch=batch,
    )
    given = Usage(
        input_tokens=plain + read + write,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=hour,
        output_tokens=output,
    )
    listed = next(one for one in PROVIDER.models if one.id == model)
    theirs = listed.calc_price(
        given,
        PROVIDER,
        genai_request_timestamp=START,
        price_context={"processing": "batch"} if batch else None,
    )
    assert mine == theirs.total_price


def test_a_dated_name_is_the_same_model() -> None:
    assert cost("claude-haiku-5-5-20261001", USED) == cost("claude-haiku-5-5", USED)


@pytest.mark.parametrize(
    ("provider", "name", "premium"),
    [
        ("vertex", "claude-haiku-5-5@20261001", "1"),
        ("bedrock", "us.anthropic.claude-haiku-5-5-v1:0", "1.1"),
        ("bedrock", "global.anthropic.claude-haiku-5-5-v1:0", "1"),
        ("bedrock", "claude-haiku-5-5", "1.1"),
    ],
)
def test_a_platform_sells_at_its_own_price(provider: str, name: str, premium: str) -> None:
    book = PriceBook(SELLERS[provider])
    here = cost("claude-haiku-5-5", USED)
    assert here is not None
    assert book.cost(name, USED, at=START) == here * Decimal(premium)
    assert all("claude" in model.id for model in book.known(at=START))


def test_a_call_without_token_counts_has_no_price_and_is_counted() -> None:
    before = REGISTRY.get_sample_value("prompter_unpriced_calls_total") or 0
    assert PriceBook().booked("claude-haiku-5-5", None, at=START) is None
    assert REGISTRY.get_sample_value("prompter_unpriced_calls_total") == before + 1


def test_an_unknown_model_has_no_price_and_never_costs_nothing() -> None:
    assert cost("claude-of-the-future", TokenCount(input=1)) is None
    assert total_cost(["0.1", None]) is None
    assert total_cost(["0.1", "0.02"]) == "0.12"
    dearest = PriceBook().dearest(USED, at=START)
    assert all(dearest >= (cost(model.id, USED) or 0) for model in PROVIDER.models)
    assert dearest in [cost(model.id, USED) for model in PROVIDER.models]


PRICING_ONLY = """
import socket, sys

def refuse(*args, **kwargs):
    raise AssertionError("a price asked for the network")

socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from datetime import UTC, datetime
from contracts.conversation import TokenCount
from prompts.pricing.prices import PriceBook

assert "genai_prices" not in sys.modules, "the library is loaded before a price is asked for"
assert PriceBook().cost("claude-haiku-5-5", TokenCount(input=10**6), at=datetime(2026, 11, 20, tzinfo=UTC))
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_prices_need_no_network_and_little_memory() -> None:
    """The library with its list of all providers, compiled, takes 40 MB, the process about 60."""
    done = subprocess.run([sys.executable, "-c", PRICING_ONLY], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 80_000
