"""`docs/signals.md` names every metric with its labels, and every log event that stands in the code."""

import re

from observability.metrics import REGISTRY
from tests.builders import ROOT

SIGNALS = (ROOT / "docs" / "signals.md").read_text(encoding="utf-8")
CODE = [
    path
    for name in ("adapters", "worker", "webhook", "cli", "prompts", "flags")
    for path in (ROOT / name).rglob("*.py")
]


def test_every_metric_is_described() -> None:
    described = dict(re.findall(r"^\| `([a-z_]+)` \| ([a-z, ]*) ?\|", SIGNALS.split("## Metrics")[1], re.M))
    registered = {}
    for collector in REGISTRY._collector_to_names:
        metric = collector.describe()[0]  # type: ignore[attr-defined]
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        registered[name] = ", ".join(collector._labelnames)  # type: ignore[attr-defined]
    assert {name: labels.strip() for name, labels in described.items()} == registered


def test_every_log_event_is_described() -> None:
    used = {
        event
        for path in CODE
        for event in re.findall(r'log\.(?:info|warning|error)\(\s*"([a-z_.]+)"', path.read_text(encoding="utf-8"))
    }
    assert len(used) > 10
    assert {event for event in used if f"`{event}`" not in SIGNALS} == set()
