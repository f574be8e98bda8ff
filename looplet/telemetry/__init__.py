"""Where a run's time went, and what it came to: spans, counts, and both as OpenTelemetry."""

from __future__ import annotations

from looplet.telemetry.metrics import MetricsCollector, MetricsHook
from looplet.telemetry.otel import OpenTelemetryHook
from looplet.telemetry.tracing import ModelSpans, Span, Tracer, TracingHook

__all__ = [
    "MetricsCollector",
    "MetricsHook",
    "ModelSpans",
    "OpenTelemetryHook",
    "Span",
    "Tracer",
    "TracingHook",
]
