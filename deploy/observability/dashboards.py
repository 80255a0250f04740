"""Writes Grafana's dashboards: what is on each is said here, once, and the JSON follows.

    python deploy/observability/dashboards.py

They name their data source by a fixed id and carry no inputs, so that Grafana takes them from the folder as they are.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FOLDER = HERE / "grafana" / "dashboards"
SOURCE = {"type": "prometheus", "uid": "prosa-prometheus"}
COLUMNS, HEIGHT = 24, 8
COMMITTED = '{outcome=~"replied|silent"}'


@dataclass(frozen=True)
class Panel:
    """One question and the queries that answer it: legend and expression. `alert_at` draws the line of the alert."""

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    stacked: bool = False
    alert_at: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Dashboard:
    uid: str
    title: str
    panels: Sequence[Panel]
    tags: Sequence[str] = field(default=("prosa",))


def rate(metric: str, by: str = "", where: str = "") -> str:
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{where}[$__rate_interval]))"


def increase(metric: str, by: str = "", where: str = "", over: str = "$__range") -> str:
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (increase({metric}{where}[{over}]))"


def percentile(share: float, histogram: str, by: str = "", where: str = "") -> str:
    grouped = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({grouped}) (rate({histogram}_bucket{where}[$__rate_interval])))"


def mean(histogram: str, by: str = "") -> str:
    return f"{rate(f'{histogram}_sum', by)} / {rate(f'{histogram}_count', by)}"


def percentiles(histogram: str, where: str = "") -> list[tuple[str, str]]:
    return [(f"p{share * 100:g}", percentile(share, histogram, where=where)) for share in (0.5, 0.95, 0.99)]


FIRST_FIVE = [
    Panel(
        "Unanswered for more than a minute",
        [("messages", "max(inbox_messages_overdue)")],
        kind="stat",
        width=4,
        alert_at=1,
    ),
    Panel(
        "Message to reply, p95",
        [("p95", percentile(0.95, "worker_reply_seconds"))],
        unit="s",
        kind="stat",
        width=5,
        alert_at=5,
    ),
    Panel(
        "Turns that failed",
        [
            (
                "share",
                'sum(rate(worker_fallbacks_total{reason=~"model_unavailable|model_output_unusable|budget|gate|canonical_answer"}'
                f"[$__rate_interval])) / {rate('worker_turns_total', where=COMMITTED)}",
            )
        ],
        unit="percentunit",
        kind="stat",
        width=5,
        alert_at=0.05,
    ),
    Panel(
        "Today's money against its ceiling",
        [("share", "max(budget_day_spent_ratio)")],
        unit="percentunit",
        kind="gauge",
        width=5,
        alert_at=0.8,
        note="0 without PROSA_BUDGET_DAY_USD.",
    ),
    Panel(
        "Who answered",
        [("{{source}}", increase("worker_answers_total", "source"))],
        kind="piechart",
        width=5,
    ),
]

FAILURES = '{reason=~"model_unavailable|model_output_unusable|budget|gate|canonical_answer"}'
FAILED_30D = (
    f"sum(increase(worker_fallbacks_total{FAILURES}[30d]))"
    ' + sum(increase(worker_dead_letters_total{reason=~"attempts|permanent"}[30d]))'
    ' + sum(increase(webhook_ack_seconds_count{answer="5xx"}[30d]))'
)
COUNTED_30D = f"sum(increase(worker_turns_total{COMMITTED}[30d])) + sum(increase(webhook_ack_seconds_count[30d]))"

OVERVIEW = Dashboard(
    "prosa-overview",
    "Prosa: overview",
    [
        *FIRST_FIVE,
        Panel(
            "Error budget of 30 days that is left",
            [("left", f"1 - ({FAILED_30D}) / ({COUNTED_30D}) / 0.0005")],
            unit="percentunit",
            kind="stat",
            note="The objective is 99.95 % of turns and posts (docs/observability.md). Below 0 it is missed.",
        ),
        Panel(
            "Messages in, turns out",
            [
                ("{{channel}} in", rate("webhook_messages_total", "channel", '{outcome="accepted"}')),
                ("turns", rate("worker_turns_total", where=COMMITTED)),
            ],
            unit="reqps",
        ),
        Panel(
            "Waiting",
            [
                ("messages", "max(inbox_messages_waiting)"),
                ("replies", "max(outbox_replies_waiting)"),
            ],
        ),
        Panel(
            "Conversations that wait for an agent",
            [("waiting", "max(handoffs_waiting)"), ("oldest (minutes)", "max(handoffs_oldest_waiting_seconds) / 60")],
            alert_at=30,
        ),
        Panel(
            "Team told",
            [("{{target}} {{outcome}}", increase("notices_total", "target, outcome", over="$__rate_interval"))],
        ),
        Panel("Age of the oldest unanswered message", [("age", "max(inbox_oldest_waiting_seconds)")], "s", alert_at=60),
        Panel(
            "Failures by cause",
            [
                ("{{reason}}", rate("worker_fallbacks_total", "reason", '{reason!="message_type"}')),
                ("given up: {{reason}}", rate("worker_dead_letters_total", "reason")),
            ],
            unit="reqps",
            stacked=True,
        ),
        Panel(
            "Errors while working, by family",
            [
                ("{{family}}", rate("worker_drain_errors_total", "family")),
                ("{{job}}: {{family}}", rate("worker_background_errors_total", "job, family")),
            ],
            unit="reqps",
            stacked=True,
        ),
        Panel(
            "Room left empty since inbox or store fail",
            [("{{instance}}", "max by (instance) (worker_room_withheld_ratio)")],
            "percentunit",
        ),
        Panel(
            "Where conversations go",
            [
                (
                    "{{dest}}",
                    increase(
                        "fsm_transitions_total",
                        "dest",
                        '{dest=~"AWAITING_USER|ESCALATING|COMPLETED|FAILED|SPAM"}',
                        "5m",
                    ),
                )
            ],
            stacked=True,
        ),
        Panel(
            "Sends by outcome",
            [("{{channel}} {{outcome}}", rate("outbox_sends_total", "channel, outcome"))],
            unit="reqps",
        ),
        Panel(
            "Statuses",
            [("{{channel}} {{state}}", rate("webhook_statuses_total", "channel, state"))],
            unit="reqps",
        ),
        Panel(
            "Posts of platforms by answer",
            [("{{channel}} {{answer}}", rate("webhook_ack_seconds_count", "channel, answer"))],
            unit="reqps",
        ),
    ],
)

COST = Dashboard(
    "prosa-cost",
    "Prosa: model cost",
    [
        Panel("Spent in this time", [("USD", increase("prompter_spent_usd_total"))], "currencyUSD", "stat", 6),
        Panel(
            "For each turn",
            [("USD", f"{increase('prompter_spent_usd_total')} / {increase('worker_turns_total', where=COMMITTED)}")],
            "currencyUSD",
            "stat",
            6,
        ),
        Panel(
            "Today against the ceiling",
            [("share", "max(budget_day_spent_ratio)")],
            "percentunit",
            "gauge",
            6,
            alert_at=0.8,
        ),
        Panel(
            "Calls without a price",
            [("calls", increase("prompter_unpriced_calls_total"))],
            "short",
            "stat",
            6,
            alert_at=1,
        ),
        Panel(
            "USD for an hour, by model",
            [("{{model}}", f"3600 * {rate('prompter_spent_usd_total', 'model')}")],
            "currencyUSD",
            width=12,
            stacked=True,
        ),
        Panel(
            "USD for an hour, by task",
            [("{{task}}", f"3600 * {rate('prompter_cost_per_execution_usd_sum', 'task')}")],
            "currencyUSD",
            width=12,
            stacked=True,
        ),
        Panel("Price of a task", [("{{task}}", mean("prompter_cost_per_execution_usd", "task"))], "currencyUSD"),
        Panel("Tokens by kind", [("{{kind}}", rate("prompter_token_usage_sum", "kind"))], "short", stacked=True),
        Panel(
            "Input read from the provider's cache",
            [
                (
                    "share",
                    'sum(rate(prompter_token_usage_sum{kind="cache_read"}[$__rate_interval])) / '
                    'sum(rate(prompter_token_usage_sum{kind=~"input|cache_read|cache_write"}[$__rate_interval]))',
                )
            ],
            "percentunit",
        ),
        Panel(
            "What ceilings did",
            [("{{scope}}: {{rung}}", increase("budget_rungs_total", "scope, rung", over="5m"))],
            stacked=True,
        ),
        Panel(
            "Paid and thrown away",
            [
                ("{{task}}: {{reason}}", rate("prompter_validation_failures_total", "task, reason")),
                ("withheld: {{rule}}", rate("worker_gate_findings_total", "rule")),
            ],
            "reqps",
        ),
        Panel(
            "Prefixes that were not cached", [("{{task}}", rate("prompter_prompt_cache_missed_total", "task"))], "reqps"
        ),
    ],
)

PERFORMANCE = Dashboard(
    "prosa-performance",
    "Prosa: performance",
    [
        Panel("Message to reply", percentiles("worker_reply_seconds"), "s", alert_at=5),
        Panel("Turn", percentiles("worker_turn_seconds"), "s"),
        Panel(
            "Acknowledgement",
            [("{{channel}} p99", percentile(0.99, "webhook_ack_seconds", "channel"))],
            "s",
            alert_at=0.1,
        ),
        Panel("Task, p95", [("{{task}}", percentile(0.95, "prompter_execution_duration_seconds", "task"))], "s"),
        Panel(
            "Tasks by outcome",
            [("{{task}} {{outcome}}", rate("prompter_executions_total", "task, outcome", '{outcome!="ok"}'))],
            "reqps",
            note="Those that went well at the first call are left out.",
        ),
        Panel("Quality", [("{{task}}", mean("prompter_quality_score", "task"))], "percentunit", alert_at=0.7),
        Panel("Retries", [("{{task}}", rate("prompter_retry_attempts_total", "task"))], "reqps"),
        Panel(
            "Errors of the model", [("{{kind}}", rate("prompter_model_errors_total", "kind"))], "reqps", stacked=True
        ),
        Panel(
            "Circuits",
            [
                ("opened", increase("prompter_breaker_opened_total", over="5m")),
                ("refused", increase("prompter_breaker_refused_total", over="5m")),
                ("fallback model", increase("prompter_fallback_model_usage_total", over="5m")),
            ],
        ),
        Panel("Turns by outcome", [("{{outcome}}", rate("worker_turns_total", "outcome"))], "reqps", stacked=True),
        Panel(
            "Building a request, p99",
            [("{{task}}", percentile(0.99, "prompter_template_render_duration_seconds", "task"))],
            "s",
        ),
        Panel("CPU", [("{{instance}}", "rate(process_cpu_seconds_total[$__rate_interval])")], "percentunit"),
        Panel("Memory", [("{{instance}}", "process_resident_memory_bytes")], "bytes"),
        Panel(
            "Lost and found",
            [
                ("wake-ups", increase("queue_wake_ups_lost_total", over="5m")),
                ("events", increase("events_dropped_total", over="5m")),
                ("ledger late", increase("ledger_flushes_missed_total", over="5m")),
                ("backlog unread", increase("backlog_reads_missed_total", over="5m")),
            ],
        ),
        Panel(
            "Analyses",
            [("{{kind}} {{outcome}}", increase("analyses_total", "kind, outcome", over="5m"))],
            stacked=True,
        ),
    ],
)

PROMPTER = Dashboard(
    "prompter-overview",
    "Prosa: prompter",
    [
        Panel(
            "Executions per minute by type and status",
            [("{{usage_type}} {{status}}", f"60 * {rate('prompter_executions_total', 'usage_type, status')}")],
            stacked=True,
            width=12,
        ),
        Panel("Duration", percentiles("prompter_execution_duration_seconds"), "s", width=12),
        Panel(
            "Money an hour by model",
            [("{{model}}", f"3600 * {rate('prompter_spent_usd_total', 'model')}")],
            "currencyUSD",
        ),
        Panel(
            "Price of an execution",
            [("{{usage_type}} {{model}}", mean("prompter_cost_per_execution_usd", "usage_type, model"))],
            "currencyUSD",
        ),
        Panel(
            "Tokens a second by type",
            [("{{token_type}}", rate("prompter_token_usage_sum", "token_type"))],
            stacked=True,
        ),
        Panel(
            "Quality", [("{{usage_type}}", mean("prompter_quality_score", "usage_type"))], "percentunit", alert_at=0.7
        ),
        Panel(
            "Validation failures",
            [
                (
                    "{{usage_type}} {{validation_type}}",
                    increase("prompter_validation_failures_total", "usage_type, validation_type", over="5m"),
                )
            ],
            stacked=True,
        ),
        Panel(
            "Attempts after the first, and the fallback model",
            [
                ("attempt {{attempt}}", increase("prompter_retry_attempts_total", "attempt", over="5m")),
                (
                    "{{original_model}} -> {{fallback_model}}",
                    increase("prompter_fallback_model_usage_total", "original_model, fallback_model", over="5m"),
                ),
            ],
        ),
        Panel(
            "Templates",
            [("{{template_name}} {{version}}", rate("prompter_template_usage_total", "template_name, version"))],
            "reqps",
            stacked=True,
            width=12,
        ),
        Panel(
            "Rendering, p99",
            [
                (
                    "{{template_name}} {{version}}",
                    percentile(0.99, "prompter_template_render_duration_seconds", "template_name, version"),
                )
            ],
            "s",
            width=12,
        ),
    ],
)

ASKED_OF_THE_CACHE = "(sum(increase(prompter_cache_hits_total[{0}])) + sum(increase(prompter_cache_misses_total[{0}])))"

CACHE = Dashboard(
    "cache-performance",
    "Prosa: cache",
    [
        Panel(
            "Answered by the cache",
            [("share", f"{increase('prompter_cache_hits_total')} / {ASKED_OF_THE_CACHE.format('$__range')}")],
            "percentunit",
            "stat",
            6,
            note="Of the questions whose answer may be kept.",
        ),
        Panel("Answers kept", [("answers", "sum(max by (level) (prompter_cache_size))")], "short", "stat", 6),
        Panel(
            "Hits that were asked again and came out different",
            [
                (
                    "share",
                    'sum(increase(prompter_cache_samples_total{outcome="different"}[$__range])) / '
                    "sum(increase(prompter_cache_samples_total[$__range]))",
                )
            ],
            "percentunit",
            "stat",
            6,
            alert_at=0.01,
        ),
        Panel("Away from the shared cache", [("questions", increase("prompter_cache_away_total"))], "short", "stat", 6),
        Panel("Hits by level", [("{{level}}", rate("prompter_cache_hits_total", "level"))], "reqps", stacked=True),
        Panel(
            "Hits and misses by task",
            [
                ("{{task}} hit", rate("prompter_cache_hits_total", "task")),
                ("{{task}} miss", rate("prompter_cache_misses_total", "task")),
            ],
            "reqps",
        ),
        Panel(
            "Share of hits",
            [
                (
                    "now",
                    f"{rate('prompter_cache_hits_total')} / "
                    f"({rate('prompter_cache_hits_total')} + {rate('prompter_cache_misses_total')})",
                ),
                ("{{instance}} since its start", "prompter_cache_hit_rate"),
            ],
            "percentunit",
        ),
        Panel(
            "Hit rate by level",
            [
                (
                    "{{cache_level}}",
                    f"{rate('prompter_cache_hits_total', 'cache_level')} / on () group_left () "
                    f"({rate('prompter_cache_hits_total')} + {rate('prompter_cache_misses_total')})",
                )
            ],
            "percentunit",
        ),
        Panel(
            "Response time of a task, p95",
            [("{{usage_type}}", percentile(0.95, "prompter_execution_duration_seconds", "usage_type"))],
            "s",
        ),
        Panel("Size by level", [("{{level}}", "max by (level) (prompter_cache_size)")], stacked=True),
        Panel(
            "Near, and refused by the gate",
            [("{{task}}", rate("prompter_cache_gate_refusals_total", "task"))],
            "reqps",
        ),
        Panel(
            "Hits asked again",
            [("{{level}} {{outcome}}", increase("prompter_cache_samples_total", "level, outcome", over="5m"))],
            stacked=True,
        ),
        Panel("Requests done together", [("{{usage}}", mean("prompter_batch_size", "usage"))]),
        Panel(
            "Waiting for others, p95",
            [("{{usage}}", percentile(0.95, "prompter_batch_wait_time_ms", "usage"))],
            "ms",
        ),
        Panel(
            "Alone, or shared",
            [
                ("{{usage}} alone: too many waited", increase("prompter_batch_overflow_total", "usage", over="5m")),
                ("{{usage}} shared a call", increase("prompter_shared_calls_total", "usage", over="5m")),
            ],
        ),
        Panel(
            "Input read from the provider's cache",
            [
                (
                    "{{task}}",
                    'sum by (task) (rate(prompter_token_usage_sum{kind="cache_read"}[$__rate_interval])) / '
                    'sum by (task) (rate(prompter_token_usage_sum{kind=~"input|cache_read|cache_write"}'
                    "[$__rate_interval]))",
                )
            ],
            "percentunit",
        ),
        Panel("Store reads past its cache", [("reads", increase("store_cache_away_total", over="5m"))]),
    ],
)

EXPERIMENTS = Dashboard(
    "prosa-experiments",
    "Prosa: experiments",
    [
        Panel(
            "Canaries that went back",
            [("times", increase("flags_canary_steps_back_total"))],
            "short",
            "stat",
            6,
            alert_at=1,
        ),
        Panel(
            "Events not kept",
            [("events", increase("experiments_events_total", where='{outcome!="recorded"}'))],
            "short",
            "stat",
            6,
            alert_at=1,
        ),
        Panel(
            "Flags not read",
            [("times", increase("flags_refreshes_total", where='{outcome=~"failed|defect"}'))],
            "short",
            "stat",
            6,
            alert_at=1,
        ),
        Panel(
            "Observed late", [("times", increase("experiments_flushes_missed_total"))], "short", "stat", 6, alert_at=1
        ),
        Panel(
            "Answers of flags by reason", [("{{reason}}", rate("flags_evaluations_total", "reason"))], "reqps", width=12
        ),
        Panel(
            "Exposures and metric events",
            [("{{outcome}}", rate("experiments_events_total", "outcome"))],
            "reqps",
            width=12,
        ),
        Panel(
            "Versions of templates",
            [("{{template}}", rate("prompter_template_usage_total", "template"))],
            "reqps",
            width=12,
            stacked=True,
            note="What arms and switches choose between. Rates of arms, intervals and verdicts: prosa experiments.",
        ),
        Panel("Quality by task", [("{{task}}", mean("prompter_quality_score", "task"))], "percentunit", width=12),
        Panel(
            "How episodes end",
            [("{{dest}}", increase("fsm_transitions_total", "dest", '{dest=~"COMPLETED|ESCALATING|FAILED"}', "1h"))],
            width=12,
            stacked=True,
        ),
        Panel("Looks at the flags", [("{{outcome}}", rate("flags_refreshes_total", "outcome"))], "reqps", width=12),
    ],
)

DASHBOARDS = (OVERVIEW, PROMPTER, COST, PERFORMANCE, CACHE, EXPERIMENTS)


def render(dashboard: Dashboard) -> dict[str, Any]:
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": list(dashboard.tags),
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": []},
        "annotations": {"list": []},
        "links": [
            {"type": "dashboards", "tags": ["prosa"], "title": "Prosa", "asDropdown": False, "includeVars": False}
        ],
        "panels": list(_placed(dashboard.panels)),
    }


def _placed(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    """From left to right, a new row where one is full."""
    placed = []
    x = y = 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > COLUMNS:
            x, y = 0, y + HEIGHT
        placed.append(_panel(number, panel, {"x": x, "y": y, "w": panel.width, "h": HEIGHT}))
        x += panel.width
    return placed


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.note,
        "datasource": SOURCE,
        "gridPos": place,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": expression,
                "legendFormat": legend,
                "instant": panel.kind == "piechart",
                "range": panel.kind != "piechart",
            }
            for index, (legend, expression) in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.alert_at is not None:
        steps.append({"color": "red", "value": panel.alert_at})
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "gauge":
        defaults["max"] = 1
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "lineWidth": 1,
            "fillOpacity": 25 if panel.stacked else 0,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "off" if panel.alert_at is None else "line"},
        }
    return defaults


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "timeseries":
        return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    if panel.kind == "piechart":
        return {
            "legend": {"displayMode": "table", "placement": "right", "values": ["percent"]},
            "pieType": "donut",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        }
    options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return options | {"colorMode": "value"} if panel.kind == "stat" else options


def files() -> dict[Path, str]:
    return {
        FOLDER / f"{one.uid.removeprefix('prosa-')}.json": json.dumps(render(one), indent=2) + "\n"
        for one in DASHBOARDS
    }


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(files())} dashboards in {FOLDER.relative_to(HERE.parents[1])}\n")


if __name__ == "__main__":
    main()
