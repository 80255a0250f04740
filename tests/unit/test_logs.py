"""Log lines as Google's logging reads them, and as a person does."""

import ast
import io
import logging
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from structlog.contextvars import bound_contextvars

from observability.logs import REDACTED, configure_logs, logger
from observability.tracing import span
from tests.spans import keeping

TRACE, SPAN = "logging.googleapis.com/trace", "logging.googleapis.com/spanId"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_severity_has_the_words_of_google(level: str) -> None:
    stream = io.StringIO()
    configure_logs(level="DEBUG", stream=stream)
    getattr(logger("test"), level)("something.happened")
    (line,) = lines(stream)
    assert line["severity"] == level.upper()
    assert "level" not in line


def test_a_library_speaks_through_the_same_pipeline() -> None:
    stream = io.StringIO()
    configure_logs(stream=stream)
    with keeping() as kept, span("turn"), bound_contextvars(correlation_id="m-1"):
        logging.getLogger("some.library").error("words")
    (line,) = lines(stream)
    assert (line["severity"], line["correlation_id"]) == ("ERROR", "m-1")
    assert line[SPAN] == kept.named("turn").span_id


@pytest.mark.parametrize(("project", "prefix"), [(None, ""), ("p-1", "projects/p-1/traces/")])
def test_a_line_is_found_beside_its_trace(project: str | None, prefix: str) -> None:
    stream = io.StringIO()
    configure_logs(stream=stream, project=project)
    log = logger("test")
    with keeping() as kept, span("turn"):
        log.info("inside")
    log.info("outside")
    inside, outside = lines(stream)
    assert inside[TRACE] == f"{prefix}{kept.named('turn').trace_id}"
    assert inside["logging.googleapis.com/trace_sampled"] is True
    assert TRACE not in outside


def test_on_a_terminal_a_person_reads() -> None:
    stream = Terminal()
    configure_logs(stream=stream)
    logger("test").warning("something.happened", count=2, text="what somebody wrote")
    written = stream.getvalue()
    assert "something.happened" in written
    assert "warning" in written
    assert "what somebody wrote" not in written
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(written)


def keys_logged() -> Iterator[tuple[str, str]]:
    """Each key that the product gives to a log line, with its place."""
    root = Path(__file__).parents[2]
    for path in sorted(root.glob("*/**/*.py")):
        if path.relative_to(root).parts[0] in {"tests", "tools"} or ".venv" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="log"))):
                    yield from ((key.arg, f"{path}:{node.lineno}") for key in node.keywords if key.arg)


def test_every_key_that_the_product_logs_is_written() -> None:
    """A key that is not listed would reach the log as `[redacted]`, and say nothing to its reader."""
    stream = io.StringIO()
    configure_logs(level="DEBUG", stream=stream)
    places = dict(keys_logged())
    assert len(places) > 20
    values = {key: "value" for key in places if key != "exc_info"}
    logger("test").info("something.happened", **values)
    # Objects of earlier tests may be collected now, and say so in the log.
    (line,) = [one for one in lines(stream) if one["event"] == "something.happened"]
    assert {places[key] for key, value in line.items() if value == REDACTED} == set()
