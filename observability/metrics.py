"""Every instrument, in one place. Label sets are closed: nothing a person or a platform sends becomes a label.

The descriptions here are the ones of `/metrics` and of `docs/signals.md` (`make docs`). A label whose values are given
here is closed by them, and each child of such a counter begins at 0: an alert on the increase of a counter that is born
with its first event never sees that event.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from contracts.analysis import AnalysisKind
from contracts.conversation import TaskName, TaskRecord, TransitionRecord
from contracts.delivery import Arrival
from contracts.errors import FAMILIES
from contracts.guardrails import Rule
from contracts.media import ContentKind, MediaFault
from contracts.messages import ChannelName, DeliveryState
from contracts.notices import NoticeEvent, NoticeTarget
from contracts.performance import AnswerSource

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

Labels = Mapping[str, Iterable[str]] | Sequence[str]

# The client library's own metrics of this process: memory, CPU, open files.
ProcessCollector(registry=REGISTRY)


def _counter(name: str, description: str, labels: Labels = ()) -> Counter:
    counter = Counter(name, description, list(labels), registry=REGISTRY)
    values = _closed(name if name.endswith("_total") else f"{name}_total", labels)
    for combination in itertools.product(*values.values()) if values else ():
        counter.labels(*combination)
    if "task" in values:
        _BY_TASK.append((counter, values))
    return counter


def _gauge(name: str, description: str, labels: Labels = ()) -> Gauge:
    _closed(name, labels)
    return Gauge(name, description, list(labels), registry=REGISTRY)


def _histogram(name: str, description: str, labels: Labels = (), buckets: Sequence[float] = ()) -> Histogram:
    _closed(name, labels)
    return Histogram(name, description, list(labels), registry=REGISTRY, buckets=buckets or Histogram.DEFAULT_BUCKETS)


def _closed(name: str, labels: Labels) -> Mapping[str, tuple[str, ...]]:
    """Register the labels of a metric, and those of its exposition; return the closed ones."""
    given = labels if isinstance(labels, Mapping) else {}
    closed = {label: tuple(map(str, values)) for label, values in given.items()}
    aliases = aliases_of(name, labels)
    versioned = TEMPLATE_LABELS if "template" in labels else ()
    LABELS[name] = (*labels, *aliases.values(), *versioned)
    LABEL_VALUES[name] = closed | {alias: closed[label] for label, alias in aliases.items() if label in closed}
    return closed


def aliases_of(name: str, labels: Iterable[str]) -> dict[str, str]:
    """Return the second names of labels that a metric is exposed with."""
    wanted = _ALIASES | _ALIASES_OF.get(name, {}) if name.startswith("prompter_") else {}
    return {label: wanted[label] for label in labels if label in wanted}


TASKS = tuple(TaskName)
CHANNELS = tuple(ChannelName)
CACHE_LEVELS = ("exact", "template", "semantic")

PROMPT_TASKS = _counter(
    "prompter_executions_total",
    "Prompt tasks by how they ended, and the model that was asked",
    {"task": TASKS, "outcome": ("ok", "repaired", "fallback_model", "cached", "failed", "dropped"), "model": ()},
)
PROMPT_TOKENS = _histogram(
    "prompter_token_usage",
    "Tokens of one prompt task, by kind; input excludes what the provider's prompt cache read or wrote",
    {"task": TASKS, "kind": ("input", "output", "cache_read", "cache_write"), "model": ()},
    buckets=(16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144),
)
PROMPT_COST = _histogram(
    "prompter_cost_per_execution_usd",
    "Price of one prompt task, where it is known",
    {"task": TASKS, "model": ()},
    buckets=(1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1),
)
MODEL_SPENT = _counter("prompter_spent_usd_total", "Money spent on models whose price is known", ["model"])
PROMPT_SECONDS = _histogram(
    "prompter_execution_duration_seconds",
    "Time of one prompt task, its repeated calls included",
    {"task": TASKS, "model": ()},
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 12, 20, 40, 60),
)
PROMPT_QUALITY = _histogram(
    "prompter_quality_score",
    "Quality of an answer that a turn was committed with, from 0 to 1",
    {"task": TASKS},
    buckets=(0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1),
)
VALIDATION_FAILURES = _counter(
    "prompter_validation_failures_total",
    "Answers that were no use: refused, cut off, or invalid",
    {"task": TASKS, "reason": ("refusal", "max_tokens", "invalid")},
)
MODEL_ERRORS = _counter(
    "prompter_model_errors_total",
    "Calls that gave no answer: out of time, unavailable (no connection, 429, 5xx), or rejected as such (4xx)",
    {"kind": ("timeout", "unavailable", "rejected")},
)
TEMPLATE_USAGE = _counter("prompter_template_usage", "Prompt tasks by template and version", ["template"])
TEMPLATE_SECONDS = _histogram(
    "prompter_template_render_duration_seconds",
    "Time to build one request from its template",
    {"task": TASKS, "template": ()},
    buckets=(1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1),
)
RETRIES = _counter(
    "prompter_retry_attempts_total",
    "Calls that were made again after the model was unavailable; 5 is the fifth attempt or a later one",
    {"task": TASKS, "attempt": ("2", "3", "4", "5")},
)
FALLBACK_MODEL_USAGE = _counter(
    "prompter_fallback_model_usage_total",
    "Prompt tasks that the fallback model answered",
    {"task": TASKS, "original_model": (), "fallback_model": ()},
)
BREAKER_OPENED = _counter(
    "prompter_breaker_opened_total", "Times that a model's circuit opened, failed probes included"
)
BREAKER_REFUSED = _counter("prompter_breaker_refused_total", "Calls that an open circuit did not let through")
PROMPT_CACHE_MISSED = _counter(
    "prompter_prompt_cache_missed_total",
    "Calls that asked the provider to cache their prefix and were billed for none of it",
    {"task": TASKS},
)
FORMING_SENTENCES = _counter(
    "worker_forming_sentences_total",
    "Sentences of forming replies: shown to watching clients, or withheld by the gate",
    {"outcome": ("told", "withheld")},
)
CACHE_HITS = _counter(
    "prompter_cache_hits_total", "Answers that came from the cache", {"task": TASKS, "level": CACHE_LEVELS}
)
CACHE_MISSES = _counter(
    "prompter_cache_misses_total", "Questions whose answer might have been kept and was not", {"task": TASKS}
)
CACHE_HIT_RATE = _gauge("prompter_cache_hit_rate", "Share of this process's questions that the cache has answered")
CACHE_SIZE = _gauge(
    "prompter_cache_size", "Answers kept by level, in the scopes this process has written to", {"level": CACHE_LEVELS}
)
CACHE_REFUSALS = _counter(
    "prompter_cache_gate_refusals_total",
    "Questions near enough for the semantic level that say something else",
    {"task": TASKS},
)
CACHE_SAMPLES = _counter(
    "prompter_cache_samples_total",
    "Hits that were asked again, and how the new answer compared",
    {"level": CACHE_LEVELS, "outcome": ("same", "alike", "different")},
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
UNPRICED_CALLS = _counter("prompter_unpriced_calls_total", "Calls to a model whose price is not known")
BUDGET_RUNGS = _counter(
    "budget_rungs_total",
    "Calls that a ceiling sent to a smaller model, or refused",
    {"scope": ("turn", "conversation", "day", "first_turns"), "rung": ("economy", "refused")},
)
BUDGET_NOTICES = _counter(
    "budget_notices_total",
    "Times that a share of a day's ceiling was reached; counted by one process",
    {"percent": ("80", "95", "100")},
)
BUDGET_SHARE = _gauge(
    "budget_day_spent_ratio",
    "Share of the day's ceiling that all processes have spent, as this one knows; 0 without a ceiling",
)
BUDGET_ALONE = _counter(
    "budget_exchanges_missed_total", "Times that a process could not learn what the others have spent"
)
LEDGER_LATE = _counter("ledger_flushes_missed_total", "Times that what was booked could not be written yet")
ACK_SECONDS = _histogram(
    "webhook_ack_seconds",
    "Time from a platform's post to our answer, by the class of its status",
    {"channel": CHANNELS, "answer": ("2xx", "4xx", "5xx")},
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
INBOUND = _counter(
    "webhook_messages_total",
    "Inbound messages and what became of them",
    {"channel": CHANNELS, "outcome": tuple(Arrival)},
)
REFUSED = _counter(
    "webhook_refused_total",
    "Requests refused before anything was read",
    {"channel": CHANNELS, "reason": ("handshake", "signature")},
)
ACCESS_REFUSALS = _counter(
    "http_access_refused_total",
    "Requests to closed routes that were refused",
    {"reason": ("no_token", "wrong_token", "role", "other_site")},
)
HTTP_LIMITED = _counter(
    "http_limited_total",
    "Connections that were cut and requests that were refused by a limit of the HTTP server",
    {"reason": ("head_size", "head_time", "pipeline", "unread", "full", "client", "chat")},
)
OTHER_ACCOUNTS = _counter(
    "webhook_other_accounts_total",
    "Messages to an account of the platform that is not ours: recorded, never answered",
    {"channel": CHANNELS},
)
STATUSES = _counter(
    "webhook_statuses_total",
    "Delivery reports by channel and state",
    {"channel": CHANNELS, "state": tuple(DeliveryState)},
)
INBOX_DEPTH = _gauge("inbox_messages_waiting", "Messages that have no reply yet, of all processes: take the maximum")
INBOX_OVERDUE = _gauge(
    "inbox_messages_overdue", "Of those, the ones that came more than a minute ago, of all processes"
)
INBOX_OLDEST = _gauge(
    "inbox_oldest_waiting_seconds", "Age of the oldest message without a reply, of all processes; 0 without any"
)
OUTBOX_DEPTH = _gauge("outbox_replies_waiting", "Committed replies that no platform has taken yet, of all processes")
UNREAD_BACKLOGS = _counter(
    "backlog_reads_missed_total", "Times that inbox or outbox could not be counted: those gauges are then NaN"
)
TURNS = _counter("worker_turns_total", "Turns by outcome", {"outcome": ("replied", "silent", "duplicate", "stale")})
TURN_SECONDS = _histogram("worker_turn_seconds", "Time of a turn from its start to its commit")
ANSWERS = _counter(
    "worker_answers_total",
    "Committed turns by who wrote the reply: the model, the cache, a fixed text, a fallback, or none (nobody)",
    {"source": tuple(AnswerSource)},
)
REPLY_SECONDS = _histogram(
    "worker_reply_seconds",
    "Time from the arrival of a message to the platform's acceptance of its reply",
    {"channel": CHANNELS},
    buckets=(0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 12, 20, 60, 300),
)
TRANSITIONS = _counter(
    "fsm_transitions_total",
    "Committed moves of the state machine; which there are is in docs/fsm.md",
    ["trigger", "source", "dest"],
)
MEDIA_READ = _counter(
    "worker_media_total",
    "Files that people sent, by how they are read and what came of it: read, or why not",
    {"kind": tuple(ContentKind), "outcome": ("read", *MediaFault)},
)
FALLBACKS = _counter(
    "worker_fallbacks_total",
    "What a fixed text or the usual form stood in for, by reason",
    {
        "reason": (
            "model_unavailable",
            "model_output_unusable",
            "budget",
            "gate",
            "file_rejected",
            "canonical_answer",
            "judge_unavailable",
            "message_type",
            "merged",
            "collected_unsaid",
            "collected_unsure",
        )
    },
)
SPECULATIONS = _counter(
    "prompter_speculations_total",
    "Replies begun before the state was decided: kept, or dropped since the decision was another one",
    {"outcome": ("kept", "dropped")},
)
GATE_FINDINGS = _counter("worker_gate_findings_total", "Drafts withheld by the guardrail gate", {"rule": tuple(Rule)})
DRAIN_ERRORS = _counter(
    "worker_drain_errors_total", "Errors while draining and sweeping, by family", {"family": FAMILIES}
)
BACKGROUND_ERRORS = _counter(
    "worker_background_errors_total",
    "Errors of work that no message waits for, by job and family",
    {"job": ("ledger", "budget", "report", "analysis", "notice"), "family": FAMILIES},
)
ROOM_WITHHELD = _gauge(
    "worker_room_withheld_ratio",
    "Share of its room for conversations that this process leaves empty since inbox or store fail; 1 in an outage",
)
OUTAGES = _counter("worker_outages_total", "Times that inbox or store did not answer this process any more")
DRAINS_REFUSED = _counter(
    "worker_drains_refused_total", "Wake-ups that were left to the sweep because of an outage of inbox or store"
)
DEAD_LETTERS = _counter(
    "worker_dead_letters_total", "Messages given up, by reason", {"reason": ("unreadable", "attempts", "permanent")}
)
REMINDERS = _counter(
    "worker_reminders_total",
    "Timers of the documents that became due, by what was said; withheld: nothing may be",
    {"outcome": ("text", "template", "withheld")},
)
THREADS_JOINED = _counter(
    "worker_threads_joined_total",
    "Conversations joined into another one of the same person, by what attested it",
    {"by": ("message", "agent")},
)
TRANSCRIPTIONS = _counter(
    "transcriptions_total",
    "Voice notes given to the recogniser, by what came of them",
    {
        "provider": ("openai", "google", "local"),
        "outcome": ("heard", "no_speech", "too_long", "too_large", "wrong_type", "damaged", "unavailable"),
    },
)
SPOKEN = _counter(
    "spoken_replies_total",
    "Replies to voice notes, by whether they left in speech; failed: the text left in its place",
    {"outcome": ("spoken", "failed")},
)
SENDS = _counter(
    "outbox_sends_total",
    "Attempts to send a reply",
    {
        "channel": CHANNELS,
        "outcome": (
            "sent",
            "postponed",
            "account",
            "unknown",
            "found",
            "resent",
            "refused",
            "in_words",
            "no_channel",
            "paced",
        ),
    },
)
WAKE_UPS_LOST = _counter("queue_wake_ups_lost_total", "Wake-ups that could not be sent; the sweeper finds their work")
WAKE_UPS_REFUSED = _counter("queue_wake_ups_refused_total", "Messages of the broker that are no job and were dropped")
EVENTS_DROPPED = _counter("events_dropped_total", "News for watching clients that could not be passed on")
CACHE_AWAY = _counter("store_cache_away_total", "Reads and writes that went past the cache because it did not answer")
TASK_REQUESTS = _counter(
    "worker_task_requests_total",
    "Requests of the queue and the scheduler by outcome",
    {"outcome": ("done", "cut", "malformed", "unauthenticated", "forbidden", "unavailable")},
)
ANALYSES = _counter(
    "analyses_total",
    "Analyses asked for, found (known), and what became of each attempt",
    {"kind": tuple(AnalysisKind), "outcome": ("known", "asked", "done", "failed", "postponed", "dropped")},
)
ANALYSIS_SECONDS = _histogram(
    "analysis_seconds",
    "Time of one attempt of an analysis",
    {"kind": tuple(AnalysisKind)},
    buckets=(0.5, 1, 2, 5, 10, 20, 40, 60),
)
REPORTS_POSTED = _counter(
    "reports_posted_total",
    "Daily and weekly reports: posted to the team, or not taken",
    {"outcome": ("posted", "failed")},
)
CALLBACKS = _counter(
    "callbacks_total", "Calls to the receiver of ended analyses", {"outcome": ("accepted", "refused", "given_up")}
)
NOTICES = _counter(
    "notices_total",
    "Events sent to the team and to the signed webhook: taken, refused and tried again, or given up",
    {"event": tuple(NoticeEvent), "target": tuple(NoticeTarget), "outcome": ("accepted", "refused", "given_up")},
)
NOTICE_SECONDS = _histogram(
    "notice_seconds",
    "Time from an event's commit until its receiver has taken it for the first time",
    {"target": tuple(NoticeTarget)},
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 1_800, 7_200),
)
HANDOFFS_WAITING = _gauge("handoffs_waiting", "Conversations that wait for an agent, at most 1,000")
HANDOFFS_OLDEST = _gauge("handoffs_oldest_waiting_seconds", "Time that the oldest of them has waited; 0 without any")
FLAG_EVALUATIONS = _counter("flags_evaluations_total", "Questions to a flag by why it answered what it did", ["reason"])
EXPERIMENT_EVENTS = _counter(
    "experiments_events_total",
    "Exposures and metric events by what became of them",
    {"outcome": ("recorded", "dropped", "unusable")},
)
EXPERIMENT_FLUSHES_MISSED = _counter(
    "experiments_flushes_missed_total", "Times that what was observed could not be written yet"
)
EXPERIMENTS_ACTIVE = _gauge("experiments_active", "1 while the experiment is active", ["experiment"])
EXPOSURES = _counter("experiments_exposures_total", "Turns of persons in an arm of the experiment", ["experiment"])
EXPERIMENTS_STOPPED = _counter("experiments_stopped_total", "Experiments that were paused because an arm did harm")
CANARY_STEPS_BACK = _counter("flags_canary_steps_back_total", "Canaries that went back because a guardrail was worse")
FLAG_REFRESHES = _counter(
    "flags_refreshes_total",
    "Looks at the flags in the store by what came of them",
    {"outcome": ("read", "unchanged", "failed", "defect")},
)
SPANS_DROPPED = _counter(
    "tracing_spans_dropped_total", "Spans that did not reach the collector", {"reason": ("full", "lost", "closed")}
)


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
