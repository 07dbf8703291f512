"""Count what this process does, for Prometheus."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from app.dependencies import AppContext
from app.health.collector import StateCollector

LATENCY_BUCKETS_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class RequestMetrics:
    """Counts since the start of the process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.predicted_images = Counter("vtt_predicted_images", "Query images by result", ["outcome"], registry=registry)
        self.predict_seconds = Histogram(
            "vtt_predict_seconds",
            "Duration of prediction requests, from the parsed form to the answer",
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )
        self.received_images = Counter("vtt_received_images", "Support images by result", ["outcome"], registry=registry)
        self.http_requests = Counter(
            "vtt_http_requests", "Requests by route, method and status", ["route", "method", "status"], registry=registry
        )
        self.http_request_seconds = Histogram(
            "vtt_http_request_seconds",
            "From the head of a request to the head of its answer",
            ["route", "method"],
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )
        self.received_bytes = Counter("vtt_http_received_bytes", "Bytes of request bodies", ["route"], registry=registry)


class Metrics:
    """The metrics of one application."""

    def __init__(self, context: AppContext) -> None:
        self._registry = CollectorRegistry()
        self.requests = RequestMetrics(self._registry)
        self._registry.register(StateCollector(context))

    def render(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self._registry)


async def _metrics(request: Request) -> Metrics:
    metrics = request.app.state.metrics
    assert isinstance(metrics, Metrics)
    return metrics


MetricsDep = Annotated[Metrics, Depends(_metrics)]
