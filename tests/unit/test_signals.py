"""`docs/signals.md` names every metric with its labels, and every log event that stands in the code."""

import re
from enum import StrEnum

import pytest

from observability.metrics import LABEL_VALUES, REGISTRY, expect_tasks
from prompts.pricing.budget import NOTICES, Scope
from tests.builders import ROOT
from tools.signals import catalogue, document
from worker.engines.cloud_tasks import WakeUpOutcome
from worker.pipeline import Outcome

SIGNALS = (ROOT / "docs" / "signals.md").read_text(encoding="utf-8")
CODE = [
    path
    for name in ("adapters", "worker", "webhook", "cli", "prompts", "flags")
    for path in (ROOT / name).rglob("*.py")
]


def test_the_table_of_metrics_is_that_of_the_catalogue() -> None:
    """`make docs` writes it."""
    assert document(SIGNALS) == SIGNALS
    assert all(metric.description for metric in catalogue())


def test_a_document_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        document("# Signals")


def test_a_counter_begins_at_nothing() -> None:
    """An alert on its increase must see its first event: closed children are there from the start."""
    exposed = {
        (sample.name, *sorted(sample.labels.items())) for metric in REGISTRY.collect() for sample in metric.samples
    }
    assert ("worker_dead_letters_total", ("reason", "attempts")) in exposed
    expect_tasks({"response": "m"})
    exposed = {
        (sample.name, *sorted(sample.labels.items())) for metric in REGISTRY.collect() for sample in metric.samples
    }
    assert ("prompter_executions_total", ("model", "m"), ("outcome", "failed"), ("task", "response")) in exposed


CLOSED: dict[tuple[str, str], type[StrEnum]] = {
    ("worker_turns_total", "outcome"): Outcome,
    ("worker_task_requests_total", "outcome"): WakeUpOutcome,
    ("budget_rungs_total", "scope"): Scope,
}


@pytest.mark.parametrize(("metric", "label"), CLOSED)
def test_the_closed_values_are_those_of_the_code(metric: str, label: str) -> None:
    """The catalogue lies below the code that counts and cannot import its words."""
    assert set(LABEL_VALUES[metric][label]) == set(CLOSED[metric, label])


def test_notices_of_the_budget_are_those_of_the_code() -> None:
    assert LABEL_VALUES["budget_notices_total"]["percent"] == tuple(map(str, NOTICES))


def test_every_log_event_is_described() -> None:
    used = {
        event
        for path in CODE
        for event in re.findall(r'log\.(?:info|warning|error)\(\s*"([a-z_.]+)"', path.read_text(encoding="utf-8"))
    }
    assert len(used) > 10
    assert {event for event in used if f"`{event}`" not in SIGNALS} == set()
