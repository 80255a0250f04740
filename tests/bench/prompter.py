"""Tokens and price of a turn before and after each measure: `python -m tests.bench.prompter`, or `make bench`.

The sandbox counts tokens by an estimate and keeps the provider's prompt cache by its documented rules, so the figures
compare measures and are no bill. The same conversations are played under each measure.
"""

import asyncio
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from cli.demo import read_samples
from cli.runtime import open_runtime
from cli.settings import read_settings
from contracts.conversation import CallRecord, TokenCount, TurnRecord
from observability.logs import configure_logs
from prompts.pricing.prices import PriceBook
from tests.playing import play_all

ROUNDS = 3
CONVERSATIONS_A_ROUND = 30

MEASURES: dict[str, dict[str, str]] = {
    "prose (v1)": {},
    "structured (v2)": {"PROMPTER_USE_STRUCTURED_TEMPLATES": "true"},
    "v1, batching": {"PROMPTER_USE_BATCHING": "true", "PROSA_STREAMING": "false"},
    "v1, exact cache": {"PROMPTER_USE_CACHE": "true"},
    "v1, exact and template cache": {"PROMPTER_USE_CACHE": "true", "PROSA_CACHE_TEMPLATE": "true"},
    "v2, exact and template cache, batching": {
        "PROMPTER_USE_STRUCTURED_TEMPLATES": "true",
        "PROMPTER_USE_CACHE": "true",
        "PROSA_CACHE_TEMPLATE": "true",
        "PROMPTER_USE_BATCHING": "true",
    },
}
PRICES = PriceBook()
NOW = datetime.now(UTC)
console = Console(highlight=False)


@dataclass(frozen=True)
class Cost:
    """Of one turn, on average. `uncached_usd`: the same tokens if the provider cached nothing."""

    turns: int
    calls: float
    tokens: TokenCount
    usd: Decimal
    uncached_usd: Decimal


async def measured(environment: dict[str, str]) -> Cost:
    """Play the samples again and again; a round finds what the one before left in the caches."""
    samples = [sample.says for sample in read_samples("pt-BR") if len(sample.says) > 1]
    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings({"PROSA_DATA_DIR": folder, "PORT": "0", **environment}, env_file=None)
        async with open_runtime(settings) as runtime:
            turns: list[TurnRecord] = []
            for number in range(ROUNDS):
                said = [samples[index % len(samples)] for index in range(CONVERSATIONS_A_ROUND)]
                turns += await play_all(runtime, said, prefix=f"r{number}-")
    return _cost([turn for turn in turns if turn.tasks])


def _cost(turns: list[TurnRecord]) -> Cost:
    bills = [call for turn in turns for task in turn.tasks for call in task.bill]
    return Cost(
        turns=len(turns),
        calls=len(bills) / len(turns),
        tokens=sum((call.tokens for call in bills), TokenCount()),
        usd=sum((_price(call.model, call.tokens) for call in bills), Decimal(0)) / len(turns),
        uncached_usd=sum((_price(call.model, _uncached(call)) for call in bills), Decimal(0)) / len(turns),
    )


def _uncached(call: CallRecord) -> TokenCount:
    tokens = call.tokens
    return TokenCount(input=tokens.input + tokens.cache_read + tokens.cache_write, output=tokens.output)


def _price(model: str, tokens: TokenCount) -> Decimal:
    price = PRICES.cost(model, tokens, at=NOW)
    assert price is not None, f"{model} has no price"
    return price


def table(costs: dict[str, Cost]) -> Table:
    first = next(iter(costs.values()))
    shown = Table(title=f"One turn, mean over {first.turns} turns of the recorded conversations")
    for column in (
        "measure",
        "calls",
        "input",
        "cache read",
        "cache write",
        "output",
        "USD",
        "without prompt cache",
        "of the first",
    ):
        shown.add_column(column, justify="left" if column == "measure" else "right")
    for name, cost in costs.items():
        tokens = cost.tokens
        kinds = (tokens.input, tokens.cache_read, tokens.cache_write, tokens.output)
        shown.add_row(
            name,
            f"{cost.calls:.2f}",
            *(f"{kind / cost.turns:,.0f}" for kind in kinds),
            f"{cost.usd:.6f}",
            f"{cost.uncached_usd:.6f}",
            f"{cost.usd / first.uncached_usd:.0%}",
        )
    return shown


async def main() -> None:
    configure_logs(level="ERROR", stream=Path("/dev/null").open("w"))  # noqa: ASYNC230, SIM115
    costs = {}
    for name in track(MEASURES, description="Playing", console=console, disable=not sys.stderr.isatty()):
        costs[name] = await measured(MEASURES[name])
    console.print(table(costs))


if __name__ == "__main__":
    asyncio.run(main())
