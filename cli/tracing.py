"""Settings become traces: this process's spans on their way to the collector."""

import os
import random
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from contracts.settings import Settings
from observability import attributes as names
from observability.tracing import Tracer, tracing_with

CLOSE_WITHIN = timedelta(seconds=2)


@contextmanager
def traced(settings: Settings) -> Iterator[None]:
    """Record what the process does while the context is open, where the settings say so; then send what is left.

    Processes that are forked from this one record nothing: a thread does not come along.
    """
    if settings.collector is None:
        yield
        return
    # Only who records loads what sends.
    from observability.span_export import SpanExporter

    exporter = SpanExporter(
        settings.collector,
        resource={
            names.SERVICE: settings.service_name,
            names.INSTANCE: f"{os.getpid()}-{secrets.token_hex(4)}",
            names.ENVIRONMENT: settings.env,
        },
        headers=settings.collector_headers,
        chance=random.random,
    )
    exporter.start()
    try:
        with tracing_with(Tracer(exporter, sample=settings.traced_share)):
            yield
    finally:
        exporter.close(CLOSE_WITHIN)
