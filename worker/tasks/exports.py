"""The task for a message that an export may be waiting."""

from __future__ import annotations

from app.domain.messages import ExportMessage
from worker.celery_app import celery_app, current_context
from worker.export import run_export


@celery_app.task(name=ExportMessage.task_name)  # type: ignore[untyped-decorator]
def run(export_id: str) -> None:
    """Make the export, or end at once."""
    context = current_context()
    context.benchmarks.clear()  # their memory may be needed
    run_export(context, export_id)
