"""Take the hint that a job may be waiting."""

from __future__ import annotations

from app.domain.messages import FinetuneMessage
from worker.attempt import attempt_job
from worker.celery_app import celery_app, current_context


@celery_app.task(name=FinetuneMessage.task_name)  # type: ignore[untyped-decorator]
def run(job_id: str) -> None:
    """Make one attempt at the job, or end at once.

    What cannot be written down, say because the database is away, is only logged here: the lease then
    expires and the reaper queues the job again.
    """
    context = current_context()
    context.benchmarks.clear()  # it may hold another backbone than the job needs
    attempt_job(context, job_id)
