"""Baseline of cost, latency, error rate and quality before a switch changes, and the comparison with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.errors import ConfigurationError
from contracts.performance import Times
from contracts.ports import Store
from contracts.settings import Settings
from reports.cost import By, Span, cost_report
from reports.performance import failure_rate, performance_report, quality

FORMAT = 1
# Fewer turns say little: the report says so next to the figure.
ENOUGH = 100


class Figure(BaseModel):
    """A value and the number of turns, replies or answers it is measured on; None where there are none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float | None
    behind: int


class Baseline(BaseModel):
    """A stored baseline. `switches` are the settings PROMPTER_USE_* at that time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    collected_at: datetime
    first: str
    last: str
    switches: dict[str, bool]
    figures: dict[str, Figure]

    def save(self, path: Path) -> None:
        """Raises ConfigurationError: the file cannot be written."""
        try:
            path.write_bytes(orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_INDENT_2))
        except OSError as exc:
            raise ConfigurationError(f"{path} cannot be written ({exc.strerror})") from exc

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises ConfigurationError: there is no such file, or it is not one that `save` has written."""
        try:
            found = cls.model_validate_json(path.read_bytes())
        except OSError as exc:
            raise ConfigurationError(f"{path} cannot be read ({exc.strerror})") from exc
        except ValidationError as exc:
            raise ConfigurationError(f"{path} is no baseline: prosa report baseline --save FILE writes one") from exc
        if found.format != FORMAT:
            raise ConfigurationError(f"{path} is of format {found.format}, this release reads {FORMAT}")
        return found


@dataclass(frozen=True)
class Difference:
    """One figure then and now; `change` is relative to then, None where there is nothing to compare."""

    name: str
    then: Figure
    now: Figure

    @property
    def change(self) -> float | None:
        if self.then.value is None or self.now.value is None or not self.then.value:
            return None
        return round(self.now.value / self.then.value - 1, 4)

    @property
    def is_thin(self) -> bool:
        return min(self.then.behind, self.now.behind) < ENOUGH

    def view(self) -> dict[str, Any]:
        figures = {"then": self.then.model_dump(), "now": self.now.model_dump()}
        return {"figure": self.name, **figures, "change": self.change, "is_thin": self.is_thin}


async def collect(store: Store, span: Span, switches: Mapping[str, bool], *, at: datetime) -> Baseline:
    """Return the figures of a span of days."""
    cost = await cost_report(store, span, By.MODEL, at=at)
    page = (await performance_report(store.records, span, at=at)).total
    reply, turn, engine = (page.time(name) for name in (Times.REPLY, Times.TURN, Times.ENGINE))
    tokens = cost.total.input + cost.total.output + cost.total.cache_read + cost.total.cache_write

    def per_turn(amount: float) -> Figure:
        return Figure(value=amount / cost.turns if cost.turns else None, behind=cost.turns)

    figures = {
        "cost_per_turn_usd": per_turn(float(cost.total.usd)),
        "tokens_per_turn": per_turn(tokens),
        "reply_p50_ms": Figure(value=reply.quantile(0.5), behind=reply.count),
        "reply_p95_ms": Figure(value=reply.quantile(0.95), behind=reply.count),
        "reply_p99_ms": Figure(value=reply.quantile(0.99), behind=reply.count),
        "turn_p95_ms": Figure(value=turn.quantile(0.95), behind=turn.count),
        "engine_p95_ms": Figure(value=engine.quantile(0.95), behind=engine.count),
        "failure_rate": Figure(value=failure_rate(page), behind=page.turns),
        "quality": Figure(value=quality(page), behind=getattr(page.quality.get("response"), "count", 0)),
    }
    return Baseline(
        collected_at=at,
        first=span.first.isoformat(),
        last=span.last.isoformat(),
        switches=dict(switches),
        figures={
            name: figure if figure.value is None else figure.model_copy(update={"value": round(figure.value, 6)})
            for name, figure in figures.items()
        },
    )


def compare(then: Baseline, now: Baseline) -> list[Difference]:
    return [Difference(name, then.figures[name], now.figures[name]) for name in now.figures if name in then.figures]


def switches_of(settings: Settings) -> dict[str, bool]:
    """Return the settings PROMPTER_USE_*."""
    names = {str(field.validation_alias): name for name, field in Settings.model_fields.items()}
    return {alias: getattr(settings, name) for alias, name in names.items() if alias.startswith("PROMPTER_USE_")}
