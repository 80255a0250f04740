"""Phrases of reports in the institution's language."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from contracts.ledger import Amounts
from prompts.pricing.prices import usd_text

LOCALES = Path(__file__).parent / "locales"


@cache
def phrases(language: str) -> Mapping[str, str]:
    """Return the phrases of a locale, `pt` or `en`, by their names."""
    read: dict[str, str] = yaml.safe_load((LOCALES / f"{language}.yaml").read_text(encoding="utf-8"))
    return read


@dataclass(frozen=True)
class Wording:
    """The phrases and the number formats of one language."""

    language: str

    @property
    def _is_portuguese(self) -> bool:
        return self.language.lower().startswith("pt")

    def say(self, name: str, *given: object) -> str:
        """The phrase of that name; a name that is none of ours, such as a model's, is said as it is."""
        return phrases("pt" if self._is_portuguese else "en").get(name, name).format(*given)

    def number(self, value: float | None, digits: int = 0) -> str:
        if value is None:
            return "–"
        text = f"{value:,.{digits}f}"
        return text.translate(str.maketrans(",.", ".,")) if self._is_portuguese else text

    def percent(self, share: float | None) -> str:
        return "–" if share is None else f"{self.number(share * 100, 1)}\u00a0%"

    def usd(self, value: float | None) -> str:
        """Format USD: large amounts in cents, small ones with as many digits as they need."""
        if value is None:
            return "–"
        digits = 2 if value >= 1 or value == 0 else 4 if value >= 0.01 else 6
        return self.number(value, digits)

    def amounts(self, amounts: Amounts) -> str:
        """Format costs; a call without a known price is called unknown, never free."""
        if not amounts.is_known:
            return "?"
        return self.usd(float(usd_text(amounts.usd)))

    def time(self, milliseconds: float | None) -> str:
        if milliseconds is None:
            return "–"
        if milliseconds == 0:
            return "0"
        if milliseconds < 1_000:
            return f"{self.number(milliseconds, 0 if milliseconds >= 10 else 1)} ms"
        if milliseconds < 120_000:
            return f"{self.number(milliseconds / 1_000, 2)} s"
        return f"{self.number(milliseconds / 60_000, 1)} min"
