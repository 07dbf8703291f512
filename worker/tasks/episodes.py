"""The task for a message that a chunk of a benchmark may be waiting."""

from __future__ import annotations

from app.domain.messages import EpisodesMessage
from worker.benchmark import run_chunk
from worker.celery_app import celery_app, current_context


@celery_app.task(name=EpisodesMessage.task_name)  # type: ignore[untyped-decorator]
def run(benchmark_id: str, chunk: int) -> None:
    """Compute the chunk, or end at once."""
    run_chunk(current_context(), EpisodesMessage(benchmark_id, chunk))
