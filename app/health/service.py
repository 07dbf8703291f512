"""Check each part that the service depends on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.dependencies import AppContext
from app.domain.jobs import JobState
from app.health.consumption import look_at_jobs
from app.health.schemas import Condition, Part, Readiness
from app.infra.settings import Role
from vtt_core.contract.errors import VttError


def readiness(context: AppContext, now: datetime) -> Readiness:
    """Return the condition of every part that this process needs for its role.

    In role `all` one machine does everything, so a worker is required. With role `control` workers come and go.
    `jobs` and `disk` are not required: other requests are answered while jobs wait or disk space is low.
    """
    role = context.settings.role
    parts = {"database": _database(context), "store": _store(context), "disk": _disk(context)}
    if role is not Role.PREDICT:
        parts["queue"] = _queue(context)
        parts["worker"] = _worker(context, is_required=role is Role.ALL)
        parts["jobs"] = _jobs(context, now)
    if context.predictor is not None:
        is_warm = context.predictor.is_warm
        parts["backbone"] = Part(condition=_condition(is_warm), is_required=True, detail=context.predictor.condition)
    is_ready = all(part.condition is Condition.OK for part in parts.values() if part.is_required)
    return Readiness(is_ready=is_ready, role=role, parts=parts)


def _database(context: AppContext) -> Part:
    def probe() -> str:
        with context.readers() as session:
            session.execute(text("SELECT 1"))
            return f"{session.get_bind().dialect.name} answers"

    return _probe(probe)


def _store(context: AppContext) -> Part:
    def probe() -> str:
        context.store.ping()
        return "answers"

    return _probe(probe)


def _disk(context: AppContext) -> Part:
    volumes = context.disk.volumes()
    detail = "; ".join(
        f"{volume.name}: {volume.free_bytes / 1e6:,.0f} MB free, of which {volume.reserve_bytes / 1e6:,.0f} MB are kept back"
        for volume in volumes
    )
    is_low = any(volume.is_low for volume in volumes)
    return Part(condition=Condition.DEGRADED if is_low else Condition.OK, is_required=False, detail=detail)


def _queue(context: AppContext) -> Part:
    def probe() -> str:
        context.queue.ping()
        return f"{context.queue.depth()} messages wait"

    return _probe(probe)


def _worker(context: AppContext, *, is_required: bool) -> Part:
    try:
        workers = context.workers.live_workers()
    except VttError as error:
        return Part(condition=Condition.MISSING, is_required=is_required, detail=error.got)
    detail = ", ".join(f"{worker.holder} on {worker.device}" for worker in workers) or "no worker is alive"
    return Part(condition=_condition(bool(workers)), is_required=is_required, detail=detail)


def _jobs(context: AppContext, now: datetime) -> Part:
    try:
        with context.readers() as session:
            jobs = look_at_jobs(session, now)
    except SQLAlchemyError as error:
        return Part(condition=Condition.MISSING, is_required=False, detail=f"{type(error).__name__}: {error}"[:500])
    detail = f"{jobs.by_state[JobState.QUEUED]} queued, the oldest for {jobs.waited_seconds:.0f} s; {jobs.num_held} running"
    return Part(condition=Condition.DEGRADED if jobs.is_stalled else Condition.OK, is_required=False, detail=detail)


def _probe(probe: Callable[[], str]) -> Part:
    try:
        return Part(condition=Condition.OK, is_required=True, detail=probe())
    except (SQLAlchemyError, OSError, VttError) as error:
        return Part(condition=Condition.MISSING, is_required=True, detail=f"{type(error).__name__}: {error}"[:500])


def _condition(is_ok: bool) -> Condition:
    return Condition.OK if is_ok else Condition.MISSING
