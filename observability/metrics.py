"""Every instrument. `metrics.yaml` has their descriptions, labels and buckets.

Each child of a counter whose labels are all closed begins at 0: an alert on the increase of a counter that is born with
its first event never sees that event.
"""

import itertools
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from pydantic import Field

from contracts.analysis import AnalysisKind
from contracts.conversation import TaskName, TaskRecord, TransitionRecord
from contracts.delivery import Arrival
from contracts.errors import FAMILIES
from contracts.guardrails import Rule
from contracts.media import ContentKind, MediaFault
from contracts.messages import ChannelName, DeliveryState
from contracts.notices import NoticeEvent, NoticeTarget
from contracts.performance import AnswerSource
from contracts.values import Value
from contracts.yaml_file import read_yaml

REGISTRY = CollectorRegistry()
LABELS: dict[str, tuple[str, ...]] = {}
"""The labels of each metric, by the name under which it is exposed."""
LABEL_VALUES: dict[str, Mapping[str, tuple[str, ...]]] = {}
"""The closed ones among them, with their values."""

# Labels of `prompter_*` that are exposed a second time, under the names that the product's dashboards use.
_ALIASES = {"task": "usage_type", "usage": "usage_type", "level": "cache_level"}
_ALIASES_OF = {
    "prompter_executions_total": {"outcome": "status"},
    "prompter_token_usage": {"kind": "token_type"},
    "prompter_validation_failures_total": {"reason": "validation_type"},
}
# Exposed as its name and its version.
TEMPLATE_LABELS = ("template_name", "version")

_BY_TASK: list[tuple[Counter, Mapping[str, tuple[str, ...]]]] = []

# The client library's own metrics of this process: memory, CPU, open files.
ProcessCollector(registry=REGISTRY)


class Instrument(Value):
    """The entry of a metric. `labels` have their closed values, or none."""

    says: str
    labels: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    buckets: tuple[float, ...] = Histogram.DEFAULT_BUCKETS


class Catalogue(Value):
    metrics: dict[str, Instrument]


CATALOGUE = read_yaml(Path(__file__).with_name("metrics.yaml"), Catalogue).value.metrics
_LISTS: Mapping[str, Iterable[str]] = {"FAMILIES": FAMILIES} | {
    one.__name__: one
    for one in (
        *(AnalysisKind, AnswerSource, Arrival, ChannelName, ContentKind, DeliveryState),
        *(MediaFault, NoticeEvent, NoticeTarget, Rule, TaskName),
    )
}


def _counter(name: str) -> Counter:
    counter, values = Counter(name, *_declared(name), registry=REGISTRY), LABEL_VALUES[name]
    closed = CATALOGUE[name].labels
    for combination in itertools.product(*(values[label] for label in closed)) if closed else ():
        counter.labels(*combination)
    if "task" in closed:
        _BY_TASK.append((counter, {label: values[label] for label in closed}))
    return counter


def _gauge(name: str) -> Gauge:
    return Gauge(name, *_declared(name), registry=REGISTRY)


def _histogram(name: str) -> Histogram:
    return Histogram(name, *_declared(name), registry=REGISTRY, buckets=CATALOGUE[name].buckets)


def _declared(name: str) -> tuple[str, list[str]]:
    """Register the labels of a metric, and those of its exposition; return its description and its own labels."""
    found = CATALOGUE[name]
    values = {
        label: tuple(
            str(one) for entry in ([given] if isinstance(given, str) else given) for one in _LISTS.get(entry, (entry,))
        )
        for label, given in found.labels.items()
    }
    aliases = aliases_of(name, values)
    LABELS[name] = (*values, *aliases.values(), *(TEMPLATE_LABELS if "template" in values else ()))
    LABEL_VALUES[name] = values | {alias: values[label] for label, alias in aliases.items()}
    return found.says, list(values)


def aliases_of(name: str, labels: Iterable[str]) -> dict[str, str]:
    """Return the second names of labels that a metric is exposed with."""
    wanted = _ALIASES | _ALIASES_OF.get(name, {}) if name.startswith("prompter_") else {}
    return {label: wanted[label] for label in labels if label in wanted}


PROMPT_TASKS = _counter("prompter_executions_total")
PROMPT_TOKENS = _histogram("prompter_token_usage")
PROMPT_COST = _histogram("prompter_cost_per_execution_usd")
MODEL_SPENT = _counter("prompter_spent_usd_total")
PROMPT_SECONDS = _histogram("prompter_execution_duration_seconds")
PROMPT_QUALITY = _histogram("prompter_quality_score")
VALIDATION_FAILURES = _counter("prompter_validation_failures_total")
MODEL_ERRORS = _counter("prompter_model_errors_total")
TEMPLATE_USAGE = _counter("prompter_template_usage_total")
TEMPLATE_SECONDS = _histogram("prompter_template_render_duration_seconds")
RETRIES = _counter("prompter_retry_attempts_total")
FALLBACK_MODEL_USAGE = _counter("prompter_fallback_model_usage_total")
BREAKER_OPENED = _counter("prompter_breaker_opened_total")
BREAKER_REFUSED = _counter("prompter_breaker_refused_total")
PROMPT_CACHE_MISSED = _counter("prompter_prompt_cache_missed_total")
FORMING_SENTENCES = _counter("worker_forming_sentences_total")
CACHE_HITS = _counter("prompter_cache_hits_total")
CACHE_MISSES = _counter("prompter_cache_misses_total")
CACHE_HIT_RATE = _gauge("prompter_cache_hit_rate")
CACHE_SIZE = _gauge("prompter_cache_size")
CACHE_REFUSALS = _counter("prompter_cache_gate_refusals_total")
CACHE_SAMPLES = _counter("prompter_cache_samples_total")
ANSWERS_AWAY = _counter("prompter_cache_away_total")
BATCH_SIZE = _histogram("prompter_batch_size")
BATCH_WAIT = _histogram("prompter_batch_wait_time_ms")
BATCH_OVERFLOW = _counter("prompter_batch_overflow_total")
SHARED_CALLS = _counter("prompter_shared_calls_total")
UNPRICED_CALLS = _counter("prompter_unpriced_calls_total")
BUDGET_RUNGS = _counter("budget_rungs_total")
BUDGET_NOTICES = _counter("budget_notices_total")
BUDGET_SHARE = _gauge("budget_day_spent_ratio")
BUDGET_ALONE = _counter("budget_exchanges_missed_total")
LEDGER_LATE = _counter("ledger_flushes_missed_total")
ACK_SECONDS = _histogram("webhook_ack_seconds")
INBOUND = _counter("webhook_messages_total")
REFUSED = _counter("webhook_refused_total")
ACCESS_REFUSALS = _counter("http_access_refused_total")
HTTP_LIMITED = _counter("http_limited_total")
OTHER_ACCOUNTS = _counter("webhook_other_accounts_total")
STATUSES = _counter("webhook_statuses_total")
INBOX_DEPTH = _gauge("inbox_messages_waiting")
INBOX_OVERDUE = _gauge("inbox_messages_overdue")
INBOX_OLDEST = _gauge("inbox_oldest_waiting_seconds")
OUTBOX_DEPTH = _gauge("outbox_replies_waiting")
UNREAD_BACKLOGS = _counter("backlog_reads_missed_total")
TURNS = _counter("worker_turns_total")
TURN_SECONDS = _histogram("worker_turn_seconds")
ANSWERS = _counter("worker_answers_total")
REPLY_SECONDS = _histogram("worker_reply_seconds")
TRANSITIONS = _counter("fsm_transitions_total")
MEDIA_READ = _counter("worker_media_total")
FALLBACKS = _counter("worker_fallbacks_total")
SPECULATIONS = _counter("prompter_speculations_total")
GATE_FINDINGS = _counter("worker_gate_findings_total")
DRAIN_ERRORS = _counter("worker_drain_errors_total")
BACKGROUND_ERRORS = _counter("worker_background_errors_total")
ROOM_WITHHELD = _gauge("worker_room_withheld_ratio")
OUTAGES = _counter("worker_outages_total")
DRAINS_REFUSED = _counter("worker_drains_refused_total")
DEAD_LETTERS = _counter("worker_dead_letters_total")
REMINDERS = _counter("worker_reminders_total")
THREADS_JOINED = _counter("worker_threads_joined_total")
TRANSCRIPTIONS = _counter("transcriptions_total")
SPOKEN = _counter("spoken_replies_total")
SENDS = _counter("outbox_sends_total")
SHADOW_TURNS = _counter("worker_shadow_turns_total")
SHADOW_DIFFERENCES = _counter("worker_shadow_differences_total")
WAKE_UPS_LOST = _counter("queue_wake_ups_lost_total")
WAKE_UPS_REFUSED = _counter("queue_wake_ups_refused_total")
EVENTS_DROPPED = _counter("events_dropped_total")
CACHE_AWAY = _counter("store_cache_away_total")
TASK_REQUESTS = _counter("worker_task_requests_total")
ANALYSES = _counter("analyses_total")
ANALYSIS_SECONDS = _histogram("analysis_seconds")
REPORTS_POSTED = _counter("reports_posted_total")
CALLBACKS = _counter("callbacks_total")
NOTICES = _counter("notices_total")
NOTICE_SECONDS = _histogram("notice_seconds")
HANDOFFS_WAITING = _gauge("handoffs_waiting")
HANDOFFS_OLDEST = _gauge("handoffs_oldest_waiting_seconds")
FLAG_EVALUATIONS = _counter("flags_evaluations_total")
EXPERIMENT_EVENTS = _counter("experiments_events_total")
EXPERIMENT_FLUSHES_MISSED = _counter("experiments_flushes_missed_total")
EXPERIMENTS_ACTIVE = _gauge("experiments_active")
EXPOSURES = _counter("experiments_exposures_total")
EXPERIMENTS_STOPPED = _counter("experiments_stopped_total")
CANARY_STEPS_BACK = _counter("flags_canary_steps_back_total")
FLAG_REFRESHES = _counter("flags_refreshes_total")
SPANS_DROPPED = _counter("tracing_spans_dropped_total")


def expect_tasks(models: Mapping[str, str], fallback: str | None = None) -> None:
    """Let the counters of these prompt tasks begin at 0; `models` are by the task's name."""
    for counter, values in _BY_TASK:
        for task, model in models.items():
            own = {
                "task": (task,),
                "model": (model,),
                "original_model": (model,),
                "fallback_model": (fallback or "none",),
            }
            for combination in itertools.product(*(own.get(label, each) for label, each in values.items())):
                counter.labels(*combination)


def note_prompt_task(record: TaskRecord) -> None:
    """Count a prompt task with its tokens and its price."""
    task = record.task
    model = record.model
    _child(PROMPT_TASKS, task=task, outcome=record.outcome, model=model).inc()
    _child(PROMPT_SECONDS, task=task, model=model).observe((record.ended_ms - record.started_ms) / 1000)
    _child(TEMPLATE_USAGE, template=record.template.partition("@")[0]).inc()
    for attempt in range(2, record.attempts - record.calls + 2):
        _child(RETRIES, task=task, attempt=str(min(attempt, 5))).inc()
    if record.outcome == "fallback_model":
        # Only models of the price list have a price: an arbitrary model name does not become a label.
        priced = [call.model for call in record.bill if call.cost_usd is not None] or ["other"]
        _child(FALLBACK_MODEL_USAGE, task=task, original_model=model, fallback_model=priced[-1]).inc()
    if not record.calls:
        return
    tokens = record.tokens
    for kind in ("input", "output", "cache_read", "cache_write"):
        _child(PROMPT_TOKENS, task=task, kind=kind, model=model).observe(getattr(tokens, kind))
    if record.cost_usd is not None:
        _child(PROMPT_COST, task=task, model=model).observe(float(record.cost_usd))
    for call in record.bill:
        if call.cost_usd is not None:
            _child(MODEL_SPENT, model=call.model).inc(float(call.cost_usd))


def note_quality(record: TaskRecord) -> None:
    """Record the quality of an answer, if it was scored."""
    if record.quality is not None:
        _child(PROMPT_QUALITY, task=record.task).observe(record.quality)


def note_validation_failure(task: str, stop_reason: str) -> None:
    """Count an answer that was no use. `stop_reason` is the provider's word, of which two are kept apart."""
    reason = stop_reason if stop_reason in ("refusal", "max_tokens") else "invalid"
    _child(VALIDATION_FAILURES, task=task, reason=reason).inc()


def note_transitions(records: Iterable[TransitionRecord]) -> None:
    """Count the transitions of one commit."""
    for record in records:
        _child(TRANSITIONS, trigger=record.trigger.value, source=record.source.value, dest=record.dest.value).inc()


def expect_channel(channel: ChannelName) -> None:
    """Let the counters of a channel begin at 0, also where its name is not in the catalogue."""
    for name, counter in {
        "webhook_messages_total": INBOUND,
        "webhook_refused_total": REFUSED,
        "webhook_statuses_total": STATUSES,
        "outbox_sends_total": SENDS,
    }.items():
        for values in itertools.product(*({**LABEL_VALUES[name], "channel": (channel.value,)}).values()):
            counter.labels(*values)


def expect_acknowledgements(channel: str) -> None:
    """Let the channel's figures begin at 0: silence of a platform must differ from a process that does not count."""
    for answer in LABEL_VALUES["webhook_ack_seconds"]["answer"]:
        _child(ACK_SECONDS, channel=channel, answer=answer)


def note_acknowledgement(channel: str, status: int, seconds: float) -> None:
    """Count a platform's request with its response."""
    _child(ACK_SECONDS, channel=channel, answer=f"{status // 100}xx").observe(seconds)


def note_spans_dropped(reason: str, count: int) -> None:
    """Count dropped spans by reason: full (queue limit), lost (refused or no response), closed (process ended)."""
    if count:
        _child(SPANS_DROPPED, reason=reason).inc(count)


@cache
def _child(metric: Any, **labels: str) -> Any:
    """Return the cached child; a lookup of labels takes as long as the rest of an observation, and there are few."""
    return metric.labels(**labels)
