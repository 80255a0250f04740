"""Writes `anthropic_prices.py`: one provider's part of the price list that the installed `genai-prices` carries.

The whole list knows thousands of models and keeps 105 MB resident; the part is loaded in milliseconds. Made when the
library is updated, with `python -m prompts.price_snapshot`; a test says when it was forgotten.
"""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path

from genai_prices.types import Provider

TARGET = Path(__file__).with_name("anthropic_prices.py")
HEADER = '''"""Anthropic's prices, of genai-prices {release}: written by `prompts/price_snapshot.py`, not by hand."""

import datetime
from decimal import Decimal

from genai_prices.types import (
    ClauseContains,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
)

RELEASE = "{release}"
TAKEN = {taken!r}
PROVIDER = {provider!r}
'''


def anthropic() -> Provider:
    """The provider as the installed library has it, without what reads its answers: the adapter does that."""
    # The import is the expensive part; only this script pays for it.
    from genai_prices.data import providers

    provider = next(one for one in providers if one.id == "anthropic")
    models = [replace(model, description=None, price_comments=None) for model in provider.models]
    return replace(provider, description=None, price_comments=None, extractors=None, models=models)


def source(provider: Provider, *, taken: date) -> str:
    """The module's text; the library's values print as the expressions that make them."""
    return HEADER.format(release=version("genai-prices"), taken=taken, provider=provider)


def main() -> None:
    TARGET.write_text(source(anthropic(), taken=datetime.now(UTC).date()), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", str(TARGET)], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
