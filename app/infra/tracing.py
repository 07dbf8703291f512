"""Trace requests and attempts with OpenTelemetry if its own variables name an endpoint; else do nothing and import nothing.

A request is a span, which FastAPI creates by itself once there is a provider. A job row stores the trace context of its
request, and each attempt is a span of the same trace, in whichever process it runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from app.domain.errors import SettingsError
from vtt_core.contract.extras import install_extra

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

# The packages come with the extra `otel` and take time to import, so only processes that trace import them.
# ruff: noqa: PLC0415


class _Process:
    """Whether this process traces."""

    is_tracing = False


def start_tracing(service_name: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Start tracing in this process if an endpoint is set, and return whether it is.

    Args:
        service_name: name in the traces, unless OTEL_SERVICE_NAME is set.
        environment: the environment; OpenTelemetry reads its other variables itself.

    Raises:
        SettingsError: an endpoint is set, but the packages are not installed.
    """
    endpoint = next((name for name in ENDPOINTS if environment.get(name)), None)
    if endpoint is None or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(
            expected=f"OpenTelemetry's packages, since {endpoint} is set",
            got=str(error),
            remedy=f"Unset the variable, or {install_extra('otel', 'install')}",
        ) from error
    named = {} if environment.get("OTEL_SERVICE_NAME") else {"service.name": service_name}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)  # sends what is left when the process ends
    _Process.is_tracing = True
    return True


def current_traceparent() -> str | None:
    """Return the W3C trace context of the current span, or None if this process does not trace."""
    if not _Process.is_tracing:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def attempt_span(traceparent: str | None, **facts: str | int | None) -> Iterator[Callable[[str, str], Any]]:
    """Run the context as a span in the trace of the job's request.

    Args:
        traceparent: trace context of that request; None starts a new trace.
        facts: attributes of the span, without those that are None.

    Yields:
        A function that sets further attributes.
    """
    if not _Process.is_tracing:
        yield lambda name, value: None
        return
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    parent = TraceContextTextMapPropagator().extract({"traceparent": traceparent}) if traceparent is not None else None
    attributes = {f"vtt.{name}": value for name, value in facts.items() if value is not None}
    tracer = trace.get_tracer("vtt")
    with tracer.start_as_current_span("attempt", parent, trace.SpanKind.CONSUMER, attributes=attributes) as span:
        yield lambda name, value: span.set_attribute(f"vtt.{name}", value)
