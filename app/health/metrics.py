"""Count what the service does, in the words of its domain, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import structlog
from fastapi import Depends, Request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from app.infra.jobs import JobRepository
from app.infra.models import ModelRepository
from app.wiring import Resources
from vtt_core.contract.errors import VttError

if TYPE_CHECKING:
    from app.predictions.predictor import PredictionEngine

LATENCY_BUCKETS_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_log = structlog.get_logger(__name__)


class RequestMetrics:
    """What this process has counted since its start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.predicted_images = Counter(
            "vtt_predicted_images", "Query images by what became of them", ["outcome"], registry=registry
        )
        self.predict_seconds = Histogram(
            "vtt_predict_seconds",
            "Duration of prediction requests, from the parsed form to the answer",
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )
        self.received_images = Counter(
            "vtt_received_images", "Support images by what became of them", ["outcome"], registry=registry
        )


class StateCollector(Collector):
    """Reads jobs, models, queue and workers at each scrape, so that every process tells the same."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def collect(self) -> Iterator[Metric]:
        """Yield what can be read; a part that is down is left out, and /readyz says so."""
        for read in (self._rows, self._queue, self._workers, self._adapters, self._lines):
            try:
                yield from list(read())
            except (SQLAlchemyError, OSError, VttError) as error:
                _log.warning("metric_unreadable", reason=str(error))

    def _rows(self) -> Iterator[GaugeMetricFamily]:
        with self._resources.readers() as session:
            counts = JobRepository(session).count_by_state()
            num_models = ModelRepository(session).count()
        jobs = GaugeMetricFamily("vtt_jobs", "Jobs by state", labels=["state"])
        for state, count in counts.items():
            jobs.add_metric([state], count)
        yield jobs
        yield GaugeMetricFamily("vtt_models", "Published models", value=num_models)

    def _queue(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("vtt_queue_messages", "Messages that wait for a worker", value=self._resources.queue.depth())

    def _workers(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("vtt_live_workers", "Workers alive", value=len(self._resources.workers.live_workers()))

    def _adapters(self) -> Iterator[Metric]:
        if self._resources.predictor is not None and self._resources.predictor.loaded is not None:
            yield from _engine_metrics(self._resources.predictor.loaded)

    def _lines(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("vtt_wait_seconds", "How long a new request would wait, by estimate", labels=["line"])
        refused = CounterMetricFamily("vtt_refused_requests", "Requests refused because too much was to do", labels=["line"])
        refused.add_metric(["any"], self._resources.bounds.requests.num_refused)
        for name, line in (("predict", self._resources.bounds.predictions), ("upload", self._resources.bounds.uploads)):
            waiting.add_metric([name], line.wait_seconds)
            refused.add_metric([name], line.num_refused)
        yield from (waiting, refused)


def _engine_metrics(engine: PredictionEngine) -> Iterator[Metric]:
    resident, adapters, batches = engine.resident(), engine.adapter_counts, engine.batch_counts
    yield GaugeMetricFamily("vtt_resident_adapters", "Adapters in this process's memory", value=len(resident))
    size_bytes = sum(adapter.size_bytes for adapter in resident)
    yield GaugeMetricFamily("vtt_resident_adapter_bytes", "Memory of these adapters", value=size_bytes)
    num_pinned = sum(adapter.is_pinned for adapter in resident)
    yield GaugeMetricFamily("vtt_pinned_adapters", "Adapters in this process's memory that stay", value=num_pinned)
    yield CounterMetricFamily("vtt_adapter_hits", "Adapters found in memory", value=adapters.hits)
    yield CounterMetricFamily("vtt_adapter_evictions", "Adapters that left for want of room", value=adapters.evictions)
    yield SummaryMetricFamily("vtt_adapter_load_seconds", "Reading adapters", adapters.loads, adapters.load_seconds)
    yield SummaryMetricFamily("vtt_batch_images", "Images in a batch", batches.batches, batches.images)
    yield SummaryMetricFamily("vtt_batch_seconds", "Duration of a batch", batches.batches, batches.seconds)


class Metrics:
    """The registry of one application; several may live in one test process."""

    def __init__(self, resources: Resources) -> None:
        self._registry = CollectorRegistry()
        self.requests = RequestMetrics(self._registry)
        self._registry.register(StateCollector(resources))

    def render(self) -> bytes:
        """Return everything in the text format of Prometheus."""
        return generate_latest(self._registry)


async def _metrics(request: Request) -> Metrics:
    metrics = request.app.state.metrics
    assert isinstance(metrics, Metrics)
    return metrics


MetricsDep = Annotated[Metrics, Depends(_metrics)]
