"""Every instrument, in one place. Label sets are closed: nothing a person or a platform sends becomes a label."""

from functools import cache, partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram

from contracts.conversation import TaskRecord

REGISTRY = CollectorRegistry()
_counter = partial(Counter, registry=REGISTRY)
_histogram = partial(Histogram, registry=REGISTRY)

PROMPT_TASKS = _counter("prompter_executions_total", "Prompt tasks by how they ended", ["task", "outcome"])
PROMPT_TOKENS = _histogram(
    "prompter_token_usage",
    "Tokens of one prompt task, by kind",
    ["task", "kind"],
    buckets=(16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144),
)
PROMPT_COST = _histogram(
    "prompter_cost_per_execution_usd",
    "Price of one prompt task, where it is known",
    ["task"],
    buckets=(1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1),
)
UNPRICED_CALLS = _counter("prompter_unpriced_calls_total", "Calls to a model whose price is not known")
BUDGET_RUNGS = _counter(
    "budget_rungs_total", "Calls that a ceiling sent to a smaller model, or refused", ["scope", "rung"]
)
BUDGET_NOTICES = _counter("budget_notices_total", "Times that a share of a day's ceiling was reached", ["percent"])
BUDGET_ALONE = _counter(
    "budget_exchanges_missed_total", "Times that a process could not learn what the others have spent"
)
LEDGER_LATE = _counter("ledger_flushes_missed_total", "Times that what was booked could not be written yet")
INBOUND = _counter("webhook_messages_total", "Inbound messages and what became of them", ["channel", "outcome"])
REFUSED = _counter("webhook_refused_total", "Requests refused before anything was read", ["channel", "reason"])
STATUSES = _counter("webhook_statuses_total", "Delivery reports by channel and state", ["channel", "state"])
TURNS = _counter("worker_turns_total", "Turns by outcome", ["outcome"])
TURN_SECONDS = _histogram("worker_turn_seconds", "Time of a turn from its start to its commit")
FALLBACKS = _counter("worker_fallbacks_total", "Replies that no model wrote, by reason", ["reason"])
GATE_FINDINGS = _counter("worker_gate_findings_total", "Drafts withheld by the guardrail gate", ["rule"])
DRAIN_ERRORS = _counter("worker_drain_errors_total", "Errors while draining, by family", ["family"])
DEAD_LETTERS = _counter("worker_dead_letters_total", "Messages given up, by reason", ["reason"])
SENDS = _counter("outbox_sends_total", "Attempts to send a reply", ["channel", "outcome"])
WAKE_UPS_LOST = _counter("queue_wake_ups_lost_total", "Wake-ups that could not be sent; the sweeper finds their work")
EVENTS_DROPPED = _counter("events_dropped_total", "News for watching clients that could not be passed on")
CACHE_AWAY = _counter("store_cache_away_total", "Reads and writes that went past the cache because it did not answer")
TASK_REQUESTS = _counter(
    "worker_task_requests_total", "Requests of the queue and the scheduler by outcome", ["outcome"]
)
ANALYSES = _counter("analyses_total", "Analyses asked for, and what became of each attempt", ["kind", "outcome"])
ANALYSIS_SECONDS = _histogram(
    "analysis_seconds", "Time of one attempt of an analysis", ["kind"], buckets=(0.5, 1, 2, 5, 10, 20, 40, 60)
)
CALLBACKS = _counter("callbacks_total", "Calls to the receiver that is told when an analysis has ended", ["outcome"])

FLAG_EVALUATIONS = _counter("flags_evaluations_total", "Questions to a flag by why it answered what it did", ["reason"])
EXPERIMENT_EVENTS = _counter(
    "experiments_events_total", "Exposures and metric events by what became of them", ["outcome"]
)
EXPERIMENT_FLUSHES_MISSED = _counter(
    "experiments_flushes_missed_total", "Times that what was observed could not be written yet"
)
CANARY_STEPS_BACK = _counter("flags_canary_steps_back_total", "Canaries that went back because a guardrail was worse")
FLAG_REFRESHES = _counter("flags_refreshes_total", "Looks at the flags in the store by what came of them", ["outcome"])


def note_prompt_task(record: TaskRecord) -> None:
    """Count a prompt task with its tokens and its price."""
    task = record.task.value
    _child(PROMPT_TASKS, task=task, outcome=record.outcome).inc()
    if not record.calls:
        return
    tokens = record.tokens
    for kind in ("input", "output", "cache_read", "cache_write"):
        _child(PROMPT_TOKENS, task=task, kind=kind).observe(getattr(tokens, kind))
    if record.cost_usd is not None:
        _child(PROMPT_COST, task=task).observe(float(record.cost_usd))


@cache
def _child(metric: Any, **labels: str) -> Any:
    """Looking labels up takes as long as the rest of an observation; there are few, so each child is kept."""
    return metric.labels(**labels)
