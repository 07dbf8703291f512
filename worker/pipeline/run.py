"""Carry a recipe out with checkpoints, so that another worker can go on where this one stops."""

from __future__ import annotations

import structlog

from app.infra.checkpoints import checkpoint_key
from app.infra.object_store import ObjectStore
from app.infra.outages import OUTAGES
from vtt_core.adapter.adaptation import Adaptation
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.errors import CheckpointMismatchError
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.contract.support_set import SupportSet
from worker.heartbeat import Heartbeat, StopRequestedError
from worker.pipeline.fetch import JobSpec
from worker.progress import ProgressWriter

_log = structlog.get_logger(__name__)


def open_adaptation(
    spec: JobSpec,
    backbone: Backbone,
    support_set: SupportSet,
    store: ObjectStore,
    limits: Limits = DEFAULT_LIMITS,
    num_threads: int | None = None,
) -> Adaptation:
    """Return the run at the job's last checkpoint, or at its start.

    Args:
        spec: of the job.
        backbone: frozen.
        support_set: its images.
        store: has the checkpoint.
        limits: bounds on way, shot and images.
        num_threads: cores to compute with; after a checkpoint as before it, for the same bytes.
    """
    key = checkpoint_key(spec.job_id)
    if store.exists(key):
        try:
            adaptation = Adaptation(backbone, support_set, spec.recipe, spec.seed, store.get(key), limits, num_threads)
        except CheckpointMismatchError as error:
            _log.warning("checkpoint_not_usable", reason=str(error))
        else:
            _log.info("resumed", step=adaptation.step)
            return adaptation
    return Adaptation(backbone, support_set, spec.recipe, spec.seed, None, limits, num_threads)


def run_steps(
    adaptation: Adaptation,
    job_id: str,
    store: ObjectStore,
    heartbeat: Heartbeat,
    progress: ProgressWriter,
    checkpoint_steps: int,
) -> None:
    """Run the remaining steps, and store a checkpoint after every `checkpoint_steps`.

    Raises:
        StaleLeaseError: another worker has the job, or it has ended.
        CancelRequestedError: the user cancelled it.
        StopRequestedError: the worker process is asked to end; a checkpoint of the last step is stored.
    """
    heartbeat.check()
    for report in adaptation.steps():
        heartbeat.note_cancel(progress.show(report))
        is_last = report.step == report.num_steps
        try:
            heartbeat.check()
        except StopRequestedError:
            _put_checkpoint(adaptation, job_id, store, heartbeat)
            raise
        if report.step % checkpoint_steps == 0 and not is_last:
            _put_checkpoint(adaptation, job_id, store, heartbeat)


def _put_checkpoint(adaptation: Adaptation, job_id: str, store: ObjectStore, heartbeat: Heartbeat) -> None:
    """Store a checkpoint; in an outage, the one before stays."""
    try:
        # A worker that was frozen past its lease must not replace a newer checkpoint by an old one.
        heartbeat.renew()
        store.put(checkpoint_key(job_id), adaptation.checkpoint())
    except OUTAGES as error:
        _log.warning("checkpoint_not_kept", step=adaptation.step, reason=str(error)[:300])
