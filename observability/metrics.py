"""Every instrument, in one place. Label sets are closed: nothing a person or a platform sends becomes a label."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Histogram

REGISTRY = CollectorRegistry()
_counter = partial(Counter, registry=REGISTRY)
_histogram = partial(Histogram, registry=REGISTRY)

PROMPT_TASKS = _counter("prompter_executions_total", "Prompt tasks by how they ended", ["task", "outcome"])
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
