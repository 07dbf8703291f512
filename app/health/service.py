"""Look at each part that the service stands on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.domain.jobs import JobState
from app.health.consumption import look_at_jobs
from app.health.schemas import Condition, Part, Readiness
from app.infra.settings import Role
from app.wiring import Resources
from vtt_core.contract.errors import VttError


def readiness(resources: Resources, now: datetime) -> Readiness:
    """Return how every part of this process's role stands.

    In role `all` one machine does everything, so a worker is required; behind role `control` workers come and go.
    `jobs` and `disk` are not required: other requests are answered while jobs wait or disk space is low.
    """
    role = resources.settings.role
    parts = {"database": _database(resources), "store": _store(resources), "disk": _disk(resources)}
    if role is not Role.PREDICT:
        parts["queue"] = _queue(resources)
        parts["worker"] = _worker(resources, is_required=role is Role.ALL)
        parts["jobs"] = _jobs(resources, now)
    if resources.predictor is not None:
        is_warm = resources.predictor.is_warm
        parts["backbone"] = Part(condition=_condition(is_warm), is_required=True, detail=resources.predictor.condition)
    is_ready = all(part.condition is Condition.OK for part in parts.values() if part.is_required)
    return Readiness(is_ready=is_ready, role=role, parts=parts)


def _database(resources: Resources) -> Part:
    def probe() -> str:
        with resources.readers() as session:
            session.execute(text("SELECT 1"))
            return f"{session.get_bind().dialect.name} answers"

    return _probe(probe)


def _store(resources: Resources) -> Part:
    def probe() -> str:
        resources.store.ping()
        return "answers"

    return _probe(probe)


def _disk(resources: Resources) -> Part:
    volumes = resources.disk.volumes()
    detail = "; ".join(
        f"{volume.name}: {volume.free_bytes / 1e6:,.0f} MB free, of which {volume.reserve_bytes / 1e6:,.0f} MB are kept back"
        for volume in volumes
    )
    is_low = any(volume.is_low for volume in volumes)
    return Part(condition=Condition.DEGRADED if is_low else Condition.OK, is_required=False, detail=detail)


def _queue(resources: Resources) -> Part:
    def probe() -> str:
        resources.queue.ping()
        return f"{resources.queue.depth()} messages wait"

    return _probe(probe)


def _worker(resources: Resources, *, is_required: bool) -> Part:
    try:
        workers = resources.workers.live_workers()
    except VttError as error:
        return Part(condition=Condition.MISSING, is_required=is_required, detail=error.got)
    detail = ", ".join(f"{worker.holder} on {worker.device}" for worker in workers) or "none has shown a sign of life lately"
    return Part(condition=_condition(bool(workers)), is_required=is_required, detail=detail)


def _jobs(resources: Resources, now: datetime) -> Part:
    try:
        with resources.readers() as session:
            jobs = look_at_jobs(session, now)
    except SQLAlchemyError as error:
        return Part(condition=Condition.MISSING, is_required=False, detail=f"{type(error).__name__}: {error}"[:500])
    detail = f"{jobs.by_state[JobState.QUEUED]} queued, the oldest for {jobs.waited_seconds:.0f} s; {jobs.num_held} in hand"
    return Part(condition=Condition.DEGRADED if jobs.is_stalled else Condition.OK, is_required=False, detail=detail)


def _probe(probe: Callable[[], str]) -> Part:
    try:
        return Part(condition=Condition.OK, is_required=True, detail=probe())
    except (SQLAlchemyError, OSError, VttError) as error:
        return Part(condition=Condition.MISSING, is_required=True, detail=f"{type(error).__name__}: {error}"[:500])


def _condition(is_ok: bool) -> Condition:
    return Condition.OK if is_ok else Condition.MISSING
