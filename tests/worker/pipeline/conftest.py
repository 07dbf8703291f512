"""Give the tests a claimed job and its support set."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from app.infra.clock import utc_now
from app.infra.leases import Lease, LeaseRepository
from tests.worker.conftest import add_job
from vtt_core.contract.support_set import SupportSet
from worker.context import WorkerContext
from worker.heartbeat import Heartbeat
from worker.pipeline.fetch import JobSpec, fetch_support_set, read_job_spec
from worker.progress import ProgressWriter


@pytest.fixture
def lease(context: WorkerContext) -> Lease:
    job_id = add_job(context.session_factory, iterations=4)
    with context.session_factory.begin() as session:
        held = LeaseRepository(session).claim(job_id, "worker-1", 30, utc_now())
    assert held is not None
    return held


@pytest.fixture
def spec(context: WorkerContext, lease: Lease) -> JobSpec:
    with context.session_factory() as session:
        return read_job_spec(session, lease.job_id)


@pytest.fixture
def support_set(context: WorkerContext, spec: JobSpec) -> SupportSet:
    return fetch_support_set(spec, context.store)


@pytest.fixture
def heartbeat(context: WorkerContext, lease: Lease) -> Iterator[Heartbeat]:
    with Heartbeat(
        context.session_factory, lease, lease_seconds=30, pause_seconds=0.05, stop=context.stop, clock=context.clock
    ) as beating:
        yield beating


@pytest.fixture
def progress(context: WorkerContext, lease: Lease) -> ProgressWriter:
    return ProgressWriter(context.session_factory, lease, context.clock, time.monotonic)
