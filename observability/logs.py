"""Structured logs: JSON lines with the ids of the message they are about, never what a person wrote.

Redaction denies by default: a key that is not listed in `ALLOWED_KEYS` is replaced, whatever it holds.
"""

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from functools import partial
from typing import Any, TextIO

import orjson
import structlog

from observability.exceptions import places
from observability.tracing import current_span

# What Google's logging looks for: https://docs.cloud.google.com/logging/docs/structured-logging
TRACE, SPAN = "logging.googleapis.com/trace", "logging.googleapis.com/spanId"
SAMPLED = "logging.googleapis.com/trace_sampled"

ALLOWED_KEYS = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "module",
        "exception",
        "exc_info",
        "conversation_id",
        "message_id",
        "correlation_id",
        "outbox_id",
        "turn_id",
        "letter_id",
        "analysis_id",
        "channel",
        "outcome",
        "state",
        "trigger",
        "kind",
        "rule",
        "attempt",
        "attempts",
        "messages",
        "reason",
        "family",
        "error",
        "code",
        "status",
        "count",
        "duration_ms",
        "address",
        "port",
        "version",
        "engine",
        "store",
        "task",
        "model",
        "template",
        "setting",
        "path",
        "method",
        "point",
        "signal_name",
        "institution",
        "accepted",
        "duplicates",
        "statuses",
        "ignored",
        "percent",
        "ceiling_usd",
        "flag",
        "experiment",
        "variant",
        "metric",
        "severity",
        TRACE,
        SPAN,
        SAMPLED,
    }
)

REDACTED = "[redacted]"
SEVERITIES = {
    "debug": "DEBUG",
    "info": "INFO",
    "warning": "WARNING",
    "warn": "WARNING",
    "error": "ERROR",
    "exception": "ERROR",
    "critical": "CRITICAL",
    "fatal": "CRITICAL",
}


def logger(name: str) -> Any:
    """A logger of this pipeline; bind nothing personal to it."""
    return structlog.get_logger(module=name)


def configure_logs(
    *, level: str = "INFO", stream: TextIO | None = None, project: str | None = None, lasting: bool = False
) -> None:
    """Send all loggers, those of libraries included, through one pipeline: JSON, or for a terminal coloured lines.

    `project` is that of Google Cloud, where traces have its name in theirs. `lasting` says that this holds until the
    process ends: each logger is then made once and not for every line, of which most are below the level.
    """
    out = stream or sys.stdout
    is_terminal = out.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level if is_terminal else add_severity,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        partial(add_trace, prefix=f"projects/{project}/traces/" if project else ""),
        name_exception,
        redact,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if is_terminal else structlog.processors.JSONRenderer(_dumps)
    )
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=lasting,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_name_library],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *shared, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


@contextmanager
def conversation_logged(conversation_id: str) -> Iterator[None]:
    """Bind the conversation to every line logged inside."""
    with structlog.contextvars.bound_contextvars(conversation_id=conversation_id):
        yield


@contextmanager
def message_logged(correlation_id: str) -> Iterator[None]:
    """Bind a message's id to every line logged inside: by it, the lines of its life are found."""
    with structlog.contextvars.bound_contextvars(correlation_id=correlation_id):
        yield


def add_severity(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The level under the name, and in the words, that Google's logging knows."""
    event["severity"] = SEVERITIES.get(method, "DEFAULT")
    return event


def add_trace(_: Any, __: str, event: MutableMapping[str, Any], *, prefix: str) -> MutableMapping[str, Any]:
    """The span in which the line is written, so that it is found beside its trace."""
    span = current_span()
    if span is not None:
        event[TRACE] = f"{prefix}{span.trace_id:032x}"
        event[SPAN] = f"{span.span_id:016x}"
        event[SAMPLED] = span.trace_flags.sampled
    return event


def name_exception(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say which exceptions came from where, but not their texts: those may quote what a person wrote."""
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = list(places(error))
    return event


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the value of every key that is not known to be harmless."""
    for key in event:
        if key not in ALLOWED_KEYS:
            event[key] = REDACTED
    return event


def _name_library(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A library's message may quote anything; its logger's name and level are kept, its words are not."""
    record = event["_record"]
    event["module"], event["event"] = record.name, f"library.{record.levelname.lower()}"
    return event


def _dumps(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()
