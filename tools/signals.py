"""Writes the table of metrics into `docs/signals.md`, in the words of the catalogue."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Metric as Family
from prometheus_client import ProcessCollector

from observability.metrics import LABEL_VALUES, LABELS, REGISTRY

DOCUMENT = Path(__file__).parents[1] / "docs" / "signals.md"
BEGIN, END = "<!-- metrics: make docs -->\n", "<!-- end of metrics -->"
# More values than a reader wants in a cell: states, rules; and the tasks, which stand in every second one.
MANY_VALUES = 6


@dataclass(frozen=True)
class Metric:
    """One instrument, by the name under which Prometheus shows it; `samples` are the names that a query may use."""

    name: str
    kind: str
    labels: tuple[str, ...]
    description: str
    samples: tuple[str, ...]


def catalogue() -> list[Metric]:
    """Every instrument of ours, in the order of the catalogue."""
    return [metric for family in REGISTRY.collect() if (metric := _metric(family)).name in LABELS]


def process_samples() -> frozenset[str]:
    """What is counted of the process beside them."""
    found = ProcessCollector(registry=None).collect()
    return frozenset(sample.name for metric in found for sample in metric.samples)


def table() -> str:
    rows = (f"| `{one.name}` | {one.kind} | {', '.join(_labels(one))} | {one.description} |" for one in catalogue())
    return "\n".join(("| metric | kind | labels | says |", "|---|---|---|---|", *rows)) + "\n"


def document(text: str) -> str:
    """The document with the table of now.

    Raises:
        ValueError: the marks that it belongs between are not there.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{DOCUMENT.name} has no place for the metrics: {BEGIN.strip()} ... {END}")
    return f"{before}{BEGIN}{table()}{END}{after}"


def _metric(family: Family) -> Metric:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    suffixes = {"counter": (name,), "histogram": tuple(f"{name}_{part}" for part in ("bucket", "count", "sum"))}
    samples = suffixes.get(family.type, (name,))
    return Metric(name, family.type, LABELS.get(name, ()), family.documentation, samples)


def _labels(metric: Metric) -> Iterator[str]:
    values = LABEL_VALUES.get(metric.name, {})
    for label in metric.labels:
        few = values.get(label, ())
        yield f"{label} ({', '.join(few)})" if 0 < len(few) <= MANY_VALUES and label != "task" else label


def main(arguments: Sequence[str]) -> None:
    """Write the table, or with `--check` only compare it."""
    text = DOCUMENT.read_text(encoding="utf-8")
    current = document(text)
    if "--check" in arguments:
        if current != text:
            raise SystemExit("docs/signals.md is out of date (make docs)")
        return
    DOCUMENT.write_text(current, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
