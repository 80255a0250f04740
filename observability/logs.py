"""Structured logs: JSON lines with the ids of the message they are about, never what a person wrote.

Redaction denies by default: a key that is not listed in `ALLOWED_KEYS` is replaced, whatever it holds.
"""

import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import orjson
import structlog

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
    }
)

REDACTED = "[redacted]"
EXCEPTION_FRAMES = 6


def logger(name: str) -> Any:
    """A logger of this pipeline; bind nothing personal to it."""
    return structlog.get_logger(module=name)


def configure_logs(*, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send all loggers, those of libraries included, through one pipeline: JSON, or for a terminal coloured lines."""
    out = stream or sys.stdout
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        name_exception,
        redact,
    ]
    renderer: structlog.typing.Processor = _renderer(out)
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
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


def name_exception(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say which exceptions came from where, but not their texts: those may quote what a person wrote."""
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = list(_places(error))
    return event


def _places(error: BaseException) -> Iterator[str]:
    """Each exception of a group and each cause, with its innermost frames."""
    frames = traceback.extract_tb(error.__traceback__)[-EXCEPTION_FRAMES:]
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    yield f"{type(error).__name__} at {where}" if where else type(error).__name__
    for part in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _places(part)
    if error.__cause__ is not None:
        yield from _places(error.__cause__)


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


def _renderer(out: TextIO) -> structlog.typing.Processor:
    return structlog.dev.ConsoleRenderer() if out.isatty() else structlog.processors.JSONRenderer(_dumps)


def _dumps(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()
