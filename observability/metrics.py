"""Every instrument, in one place. Label sets are closed: nothing a person or a platform sends becomes a label."""

from functools import cache, partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from contracts.conversation import TaskName, TaskRecord

REGISTRY = CollectorRegistry()
_counter = partial(Counter, registry=REGISTRY)
_gauge = partial(Gauge, registry=REGISTRY)
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
PROMPT_SECONDS = _histogram(
    "prompter_execution_duration_seconds",
    "Time of one prompt task, its repeated calls included",
    ["task"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 12, 20, 40, 60),
)
PROMPT_QUALITY = _histogram(
    "prompter_quality_score",
    "Quality of an answer that a turn was committed with, from 0 to 1",
    ["task"],
    buckets=(0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1),
)
VALIDATION_FAILURES = _counter(
    "prompter_validation_failures_total", "Answers that were no use: refused, cut off, or invalid", ["task", "reason"]
)
TEMPLATE_USAGE = _counter("prompter_template_usage", "Prompt tasks by template and version", ["template"])
TEMPLATE_SECONDS = _histogram(
    "prompter_template_render_duration_seconds",
    "Time to build one request from its template",
    ["task"],
    buckets=(1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1),
)
RETRIES = _counter(
    "prompter_retry_attempts_total", "Calls that were made again after the model was unavailable", ["task"]
)
FALLBACK_MODEL_USAGE = _counter(
    "prompter_fallback_model_usage_total", "Prompt tasks that the fallback model answered", ["task"]
)
BREAKER_OPENED = _counter(
    "prompter_breaker_opened_total", "Times that a model's circuit opened, failed probes included"
)
BREAKER_REFUSED = _counter("prompter_breaker_refused_total", "Calls that an open circuit did not let through")
PROMPT_CACHE_MISSED = _counter(
    "prompter_prompt_cache_missed_total",
    "Calls that asked the provider to cache their prefix and were billed for none of it",
    ["task"],
)
FORMING_SENTENCES = _counter(
    "worker_forming_sentences_total", "Sentences of forming replies: told to watching clients, or withheld", ["outcome"]
)
UNPRICED_CALLS = _counter("prompter_unpriced_calls_total", "Calls to a model whose price is not known")
CACHE_HITS = _counter("prompter_cache_hits_total", "Answers that came from the cache", ["task", "level"])
CACHE_MISSES = _counter(
    "prompter_cache_misses_total", "Questions whose answer might have been kept and was not", ["task"]
)
CACHE_HIT_RATE = _gauge("prompter_cache_hit_rate", "Share of this process's questions that the cache has answered")
CACHE_SIZE = _gauge(
    "prompter_cache_size", "Answers kept by level, in the scopes this process has written to", ["level"]
)
CACHE_REFUSALS = _counter(
    "prompter_cache_gate_refusals_total",
    "Questions near enough for the semantic level that say something else",
    ["task"],
)
CACHE_SAMPLES = _counter(
    "prompter_cache_samples_total", "Hits that were asked again, and how the new answer compared", ["level", "outcome"]
)
ANSWERS_AWAY = _counter(
    "prompter_cache_away_total", "Questions to the shared cache that this process's own memory answered instead"
)
BATCH_SIZE = _histogram(
    "prompter_batch_size", "Requests that were done together, by usage", ["usage"], buckets=(1, 2, 3, 4, 5, 6, 8, 10)
)
BATCH_WAIT = _histogram(
    "prompter_batch_wait_time_ms",
    "How long a request waited for others, in milliseconds",
    ["usage"],
    buckets=(0.1, 1, 5, 10, 25, 50, 100, 250, 500, 1_000),
)
BATCH_OVERFLOW = _counter("prompter_batch_overflow_total", "Requests that ran alone since too many waited", ["usage"])
SHARED_CALLS = _counter(
    "prompter_shared_calls_total", "Requests that were answered by an identical one of the same moment", ["usage"]
)
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
SPANS_DROPPED = _counter("tracing_spans_dropped_total", "Spans that did not reach the collector", ["reason"])


def note_prompt_task(record: TaskRecord) -> None:
    """Count a prompt task with its tokens and its price."""
    task = record.task.value
    _child(PROMPT_TASKS, task=task, outcome=record.outcome).inc()
    _child(PROMPT_SECONDS, task=task).observe((record.ended_ms - record.started_ms) / 1000)
    _child(TEMPLATE_USAGE, template=record.template.partition("@")[0]).inc()
    if record.attempts > record.calls:
        _child(RETRIES, task=task).inc(record.attempts - record.calls)
    if record.outcome == "fallback_model":
        _child(FALLBACK_MODEL_USAGE, task=task).inc()
    if not record.calls:
        return
    tokens = record.tokens
    for kind in ("input", "output", "cache_read", "cache_write"):
        _child(PROMPT_TOKENS, task=task, kind=kind).observe(getattr(tokens, kind))
    if record.cost_usd is not None:
        _child(PROMPT_COST, task=task).observe(float(record.cost_usd))


def note_quality(record: TaskRecord) -> None:
    """Count how good the answer was; one that nobody scored is not counted."""
    if record.quality is not None:
        _child(PROMPT_QUALITY, task=record.task.value).observe(record.quality)


def note_validation_failure(task: TaskName, stop_reason: str) -> None:
    """Count an answer that was no use. `stop_reason` is the provider's word, of which two are told apart."""
    reason = stop_reason if stop_reason in ("refusal", "max_tokens") else "invalid"
    _child(VALIDATION_FAILURES, task=task.value, reason=reason).inc()


def note_render(task: TaskName, seconds: float) -> None:
    _child(TEMPLATE_SECONDS, task=task.value).observe(seconds)


def note_cache_hit(task: str, level: str) -> None:
    _child(CACHE_HITS, task=task, level=level).inc()


def note_cache_miss(task: str) -> None:
    _child(CACHE_MISSES, task=task).inc()


def note_cache_size(level: str, entries: int) -> None:
    _child(CACHE_SIZE, level=level).set(entries)


def note_cache_refusal(task: str) -> None:
    _child(CACHE_REFUSALS, task=task).inc()


def note_cache_sample(level: str, outcome: str) -> None:
    _child(CACHE_SAMPLES, level=level, outcome=outcome).inc()


def note_batch(usage: str, size: int) -> None:
    _child(BATCH_SIZE, usage=usage).observe(size)


def note_batch_wait(usage: str, milliseconds: float) -> None:
    _child(BATCH_WAIT, usage=usage).observe(milliseconds)


def note_batch_overflow(usage: str) -> None:
    _child(BATCH_OVERFLOW, usage=usage).inc()


def note_shared_call(usage: str) -> None:
    _child(SHARED_CALLS, usage=usage).inc()


def note_spans_dropped(reason: str, count: int) -> None:
    """Count them by reason: full (too many waited), lost (refused or not answered), closed (the process has ended)."""
    if count:
        _child(SPANS_DROPPED, reason=reason).inc(count)


@cache
def _child(metric: Any, **labels: str) -> Any:
    """Looking labels up takes as long as the rest of an observation; there are few, so each child is kept."""
    return metric.labels(**labels)
