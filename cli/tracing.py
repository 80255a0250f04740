"""Set-up of tracing: OpenTelemetry's SDK makes this process's spans, samples and exports them."""

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from contracts.errors import ConfigurationError
from contracts.settings import Settings
from observability import attributes as names
from observability.tracing import tracing_with

CLOSE_WITHIN = timedelta(seconds=2)


@contextmanager
def traced(settings: Settings) -> Iterator[None]:
    """Record spans while the context is open, if the settings say so; then export the rest.

    Opened after a fork, by each process for itself.

    Raises:
        ConfigurationError: a variable of OpenTelemetry's is not usable.
    """
    if settings.collector is None:
        yield
        return
    # Only a process that records pays for the SDK, its exporter and their HTTP client.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    from observability.span_export import BatchExport

    # Its messages may quote anything, and a line per dropped span of a full queue is too many: we count and log.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    described = {names.SERVICE: settings.service_name, names.ENVIRONMENT: settings.env}
    # The exporter's HTTP client ignores the file that `SSL_CERT_FILE` names.
    paths = ssl.get_default_verify_paths()
    authorities = paths.cafile if paths.cafile != paths.openssl_cafile else None
    exporter = OTLPSpanExporter(
        endpoint=settings.collector,
        headers=settings.collector_headers,
        certificate_file=settings.collector_authority or authorities,
    )
    try:
        export = BatchExport(exporter, capacity=settings.span_queue)
    except ValueError as exc:
        raise ConfigurationError(f"the OTEL_BSP_* variables contradict each other: {exc}") from exc
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(settings.traced_share)),
        # The operator's resource attributes win over ours.
        resource=Resource.create(described).merge(OTELResourceDetector().detect()),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(export)
    try:
        with tracing_with(provider.get_tracer("prosa"), export.flush):
            yield
    finally:
        export.close(CLOSE_WITHIN)
