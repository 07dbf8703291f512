"""Read the metrics that are not counted but looked up at each scrape: rows, queue, workers, disks and the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import structlog
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from app.dependencies import AppContext
from app.health.backlogs import look_at_backlogs
from app.health.consumption import look_at_jobs
from app.infra.clock import utc_now
from app.infra.model_repository import ModelRepository
from app.webhooks.sender import AttemptOutcome
from vtt_core.contract.errors import VttError

if TYPE_CHECKING:
    from vtt_core.contract.serving import PredictionEngine

BATCH_BUCKETS_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128)
_log = structlog.get_logger(__name__)


class StateCollector(Collector):
    """Yields metrics that describe the present state."""

    def __init__(self, context: AppContext, clock: Callable[[], datetime] = utc_now) -> None:
        self._context = context
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics that can be read; a part that is down is left out, and /readyz reports it."""
        parts = (self._rows, self._backlogs, self._queue, self._workers, self._sweeps, self._webhooks)
        for read in (*parts, self._adapters, self._admission_queues, self._disks):
            try:
                yield from list(read())
            except (SQLAlchemyError, OSError, VttError) as error:
                _log.warning("metric_unreadable", reason=str(error))

    def _rows(self) -> Iterator[GaugeMetricFamily]:
        with self._context.readers() as session:
            jobs = look_at_jobs(session, self._clock())
            num_models = ModelRepository(session).count()
        by_state = GaugeMetricFamily("vtt_jobs", "Jobs by state", labels=["state"])
        for state, count in jobs.by_state.items():
            by_state.add_metric([state], count)
        yield by_state
        waited, silent = "How long the oldest queued job has waited", "Longest time that a running job has made no progress"
        yield GaugeMetricFamily("vtt_oldest_queued_job_age_seconds", waited, value=jobs.waited_seconds)
        yield GaugeMetricFamily("vtt_running_job_silence_seconds", silent, value=jobs.silent_seconds)
        yield GaugeMetricFamily("vtt_queue_stalled", "1 if jobs wait and no worker takes them", value=jobs.is_stalled)
        yield GaugeMetricFamily("vtt_models", "Published models", value=num_models)

    def _backlogs(self) -> Iterator[GaugeMetricFamily]:
        with self._context.readers() as session:
            backlogs = look_at_backlogs(session, self._clock())
        waiting = GaugeMetricFamily("vtt_waiting", "What waits for a worker, or for being sent", labels=["work"])
        for backlog in backlogs:
            by_state = GaugeMetricFamily(f"vtt_{backlog.name}", f"Stored {backlog.name} by state", labels=["state"])
            for state, count in backlog.by_state.items():
                by_state.add_metric([state], count)
            waiting.add_metric([backlog.name], backlog.num_waiting)
            yield by_state
        yield waiting

    def _webhooks(self) -> Iterator[Metric]:
        if (sender := self._context.webhooks) is not None:
            attempts = CounterMetricFamily(
                "vtt_webhook_attempts", "Attempts to deliver an event, by how they ended", labels=["outcome"]
            )
            for outcome, count in sender.counts.items():
                attempts.add_metric([outcome], count)
            yield attempts
            took, num_delivered = "From an event to its delivery", sender.counts[AttemptOutcome.DELIVERED]
            yield SummaryMetricFamily("vtt_webhook_seconds", took, num_delivered, sender.delivery_seconds)

    def _queue(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("vtt_queue_messages", "Messages that wait for a worker", value=self._context.queue.depth())

    def _workers(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("vtt_live_workers", "Workers alive", value=len(self._context.workers.live_workers()))

    def _sweeps(self) -> Iterator[CounterMetricFamily]:
        if (reaper := self._context.reaper) is not None:
            help_text = "Jobs taken from lost workers"
            yield CounterMetricFamily("vtt_expired_leases", help_text, value=reaper.num_expired)
            yield CounterMetricFamily("vtt_resent_messages", "Lost messages that were sent again", value=reaper.num_resent)

    def _adapters(self) -> Iterator[Metric]:
        if self._context.predictor is not None and self._context.predictor.loaded is not None:
            yield from _engine_metrics(self._context.predictor.loaded)

    def _admission_queues(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("vtt_wait_seconds", "How long a new request would wait, by estimate", labels=["line"])
        refused = CounterMetricFamily(
            "vtt_refused_requests", "Requests refused because the process was overloaded", labels=["line"]
        )
        refused.add_metric(["any"], self._context.bounds.requests.num_refused)
        refused.add_metric(["connections"], self._context.bounds.connections.num_refused)
        bounds = self._context.bounds
        queues = {
            "predict": bounds.predictions,
            "upload": bounds.uploads,
            "report": bounds.reports,
            "thumbnail": bounds.thumbnails,
            "evaluation": bounds.evaluations,
        }
        for name, queue in queues.items():
            waiting.add_metric([name], queue.wait_seconds)
            refused.add_metric([name], queue.num_refused)
        yield from (waiting, refused)

    def _disks(self) -> Iterator[GaugeMetricFamily]:
        free = GaugeMetricFamily("vtt_disk_free_bytes", "Free space of the disk that holds these files", labels=["files"])
        kept = GaugeMetricFamily("vtt_disk_reserve_bytes", "Free space below which new work is refused", labels=["files"])
        for volume in self._context.disk.volumes():
            free.add_metric([volume.name], volume.free_bytes)
            kept.add_metric([volume.name], volume.reserve_bytes)
        yield from (free, kept)


def _engine_metrics(engine: PredictionEngine) -> Iterator[Metric]:
    resident, adapters, batches = engine.resident(), engine.adapter_counts, engine.batch_counts
    yield GaugeMetricFamily("vtt_resident_adapters", "Adapters in this process's memory", value=len(resident))
    size_bytes = sum(adapter.size_bytes for adapter in resident)
    yield GaugeMetricFamily("vtt_resident_adapter_bytes", "Memory of these adapters", value=size_bytes)
    num_pinned = sum(adapter.is_pinned for adapter in resident)
    yield GaugeMetricFamily("vtt_pinned_adapters", "Pinned adapters in this process's memory", value=num_pinned)
    yield CounterMetricFamily("vtt_adapter_hits", "Adapters found in memory", value=adapters.hits)
    yield CounterMetricFamily("vtt_adapter_misses", "Adapters that had to be read", value=adapters.loads)
    yield CounterMetricFamily("vtt_adapter_evictions", "Adapters dropped to make room for others", value=adapters.evictions)
    yield SummaryMetricFamily("vtt_adapter_load_seconds", "Reading adapters", adapters.loads, adapters.load_seconds)
    yield HistogramMetricFamily("vtt_batch_images", "Images in a batch", _buckets(batches.sizes), batches.images)
    yield SummaryMetricFamily("vtt_batch_seconds", "Duration of a batch", batches.batches, batches.seconds)


def _buckets(counts: Mapping[int, int]) -> list[tuple[str, float]]:
    bounds = [*BATCH_BUCKETS_IMAGES, float("inf")]
    return [
        ("+Inf" if bound == float("inf") else str(float(bound)), sum(n for size, n in counts.items() if size <= bound))
        for bound in bounds
    ]
