"""The task for a message that a job may be waiting."""

from __future__ import annotations

from app.domain.messages import FinetuneMessage
from worker.attempt import attempt_job
from worker.celery_app import celery_app, current_context


@celery_app.task(name=FinetuneMessage.task_name)  # type: ignore[untyped-decorator]
def run(job_id: str) -> None:
    """Make one attempt at the job, or end at once.

    If the outcome cannot be written because the database is away, celery logs the error. The lease then expires, and the
    reaper queues the job again.
    """
    context = current_context()
    context.benchmarks.clear()  # the benchmark may use another backbone than the job
    attempt_job(context, job_id)
