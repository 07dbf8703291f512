"""The task for a message that a chunk of a batch may be waiting."""

from __future__ import annotations

from app.domain.messages import BatchMessage
from worker.batch import run_batch_chunk
from worker.celery_app import celery_app, current_context


@celery_app.task(name=BatchMessage.task_name)  # type: ignore[untyped-decorator]
def run(batch_id: str) -> None:
    """Predict one chunk of the batch and send a message for the next one, or end at once."""
    context = current_context()
    context.benchmarks.clear()  # the benchmark may use another backbone than the batch
    run_batch_chunk(context, batch_id)
