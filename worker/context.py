"""Hold the connections and the state of a worker process."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version

from app.infra.clock import utc_now
from app.infra.database import SessionFactory, make_engine, make_session_factory, migrate
from app.infra.object_store import ObjectStore
from app.infra.outbox import Sender
from app.infra.queue import JobQueue
from app.infra.rates import RateLimits
from app.infra.settings import Settings
from app.infra.workers import LiveWorker
from vtt_core.backbones.device import resolve_device
from vtt_core.fusion.scan_choice import prefer_scan
from worker.backbones import BackboneCache
from worker.benchmark_cache import BenchmarkCache
from worker.kept_adapter import KeptAdapter
from worker.metrics import WorkerMetrics

VERSIONS = {name: version(name) for name in ("vtt-service", "torch")}
"""What the worker tells of its versions."""


@dataclass
class WorkerContext:
    """Connections, the backbone in memory, and the flags of this process."""

    settings: Settings
    session_factory: SessionFactory
    store: ObjectStore
    queue: Sender
    backbones: BackboneCache
    holder: str
    """Name of this process in leases; new after each start."""
    clock: Callable[[], datetime] = utc_now
    stop: threading.Event = field(default_factory=threading.Event)
    """Set when the process is asked to end."""
    job_ids: list[str] = field(default_factory=list)
    """What the worker works on now: jobs, or a chunk of a batch or a benchmark."""
    benchmarks: BenchmarkCache = field(default_factory=BenchmarkCache)
    adapters: KeptAdapter = field(default_factory=KeptAdapter)
    """The adapter of the last chunk of a batch."""
    rates: RateLimits | None = None
    """Counts the predictions of tenants that have a quota of them; None counts nothing."""
    metrics: WorkerMetrics = field(default_factory=WorkerMetrics)

    def describe(self) -> LiveWorker:
        """Return what the worker reports about itself."""
        weights = self.backbones.weights
        return LiveWorker(
            self.holder,
            self.backbones.device,
            self.backbones.backbone_id,
            next(iter(self.job_ids), None),
            cached_backbone_ids=weights.cached(),
            failed_backbone_ids=weights.failed(),
            is_offline=weights.is_offline,
            scan=self.backbones.scan.name,
            scan_reason=self.backbones.scan.reason,
            versions=VERSIONS,
        )


def open_context(settings: Settings) -> WorkerContext:
    """Open the connections that the settings name, bring the tables up to date, and choose the scan kernels."""
    prefer_scan(settings.scan_kernels)
    migrate(settings.resolved_database_url)
    return WorkerContext(
        settings=settings,
        session_factory=make_session_factory(make_engine(settings.resolved_database_url)),
        store=ObjectStore(settings.resolved_store_url),
        queue=JobQueue(settings.resolved_broker_url),
        backbones=BackboneCache(resolve_device(settings.device)),
        rates=RateLimits(settings.resolved_broker_url),
        holder=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
    )
