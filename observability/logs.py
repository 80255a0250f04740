"""Structured logs: JSON lines with the ids of their message, never the text of a person.

Redaction denies by default: a key that is not listed in `ALLOWED_KEYS` is replaced, whatever it holds.
"""

import logging
import sys
from collections.abc import MutableMapping
from functools import partial
from typing import Any, TextIO

import orjson
import structlog

from observability.tracing import current_span, places

# Fields of Google Cloud Logging: https://docs.cloud.google.com/logging/docs/structured-logging
TRACE, SPAN = "logging.googleapis.com/trace", "logging.googleapis.com/spanId"
SAMPLED = "logging.googleapis.com/trace_sampled"

_KEYS = """
event level timestamp module exception exc_info conversation_id joined message_id correlation_id outbox_id turn_id
letter_id analysis_id channel outcome state trigger kind rule attempt attempts messages reason family error code
status count duration_ms address port version engine store task model template setting path method point signal_name
institution accepted duplicates statuses ignored percent ceiling_usd flag experiment variant metric severity client
job target provider problems
"""
ALLOWED_KEYS = frozenset({TRACE, SPAN, SAMPLED, *_KEYS.split()})

REDACTED = "[redacted]"
# The other levels have the same names there.
SEVERITIES = {"warn": "WARNING", "exception": "ERROR", "fatal": "CRITICAL"}


def logger(name: str) -> Any:
    """Return a logger of this pipeline; bind no personal data to it."""
    return structlog.get_logger(module=name)


def configure_logs(
    *, level: str = "INFO", stream: TextIO | None = None, project: str | None = None, lasting: bool = False
) -> None:
    """Send all loggers, including libraries', through one pipeline: JSON, or coloured lines for a terminal.

    `project` is the Google Cloud project, which is part of a trace's name there. `lasting` means that this holds until
    the process ends: each logger is then made once and not for every line, most of which are below the level.
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
        structlog.dev.ConsoleRenderer()
        if is_terminal
        else structlog.processors.JSONRenderer(lambda value, **_: orjson.dumps(value, default=str).decode())
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


def add_severity(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the level under the name and in the words of Google Cloud Logging."""
    event["severity"] = SEVERITIES.get(method, method.upper())
    return event


def add_trace(_: Any, __: str, event: MutableMapping[str, Any], *, prefix: str) -> MutableMapping[str, Any]:
    """Add the ids of the current span, which link the line to its trace."""
    span = current_span()
    if span is not None:
        event[TRACE] = f"{prefix}{span.trace_id:032x}"
        event[SPAN] = f"{span.span_id:016x}"
        event[SAMPLED] = span.trace_flags.sampled
    return event


def name_exception(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Log the types and places of exceptions, but not their texts, which may quote a person."""
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
    """Keep a library's logger name and level, and drop its message, which may quote anything."""
    record = event["_record"]
    event["module"], event["event"] = record.name, f"library.{record.levelname.lower()}"
    return event
