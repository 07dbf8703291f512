"""Run a fine-tuning step by step, so that any worker can resume where this one stops."""

from __future__ import annotations

import structlog

from app.infra.checkpoints import checkpoint_key
from app.infra.object_store import ObjectStore
from app.infra.outages import OUTAGES
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.errors import CheckpointMismatchError
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.contract.support_set import SupportSet
from vtt_core.training.finetune import Finetune
from worker.heartbeat import Heartbeat, StopRequestedError
from worker.pipeline.fetch import JobSpec
from worker.progress import ProgressWriter

_log = structlog.get_logger(__name__)


def open_finetune(
    spec: JobSpec, backbone: Backbone, support_set: SupportSet, store: ObjectStore, limits: Limits = DEFAULT_LIMITS
) -> Finetune:
    """Return the fine-tuning at the job's last checkpoint, or at its start."""
    key = checkpoint_key(spec.job_id)
    if store.exists(key):
        try:
            finetune = Finetune(backbone, support_set, spec.recipe, spec.seed, store.get(key), limits)
        except CheckpointMismatchError as error:
            _log.warning("checkpoint_not_usable", reason=str(error))
        else:
            _log.info("resumed", step=finetune.step)
            return finetune
    return Finetune(backbone, support_set, spec.recipe, spec.seed, limits=limits)


def run_steps(
    finetune: Finetune,
    spec: JobSpec,
    store: ObjectStore,
    heartbeat: Heartbeat,
    progress: ProgressWriter,
    checkpoint_steps: int,
) -> None:
    """Run the remaining steps and keep a checkpoint now and then.

    Raises:
        StaleLeaseError: another worker has the job, or it has ended.
        CancelRequestedError: the user cancelled it.
        StopRequestedError: the worker process is asked to end; a checkpoint of the last step is kept.
    """
    heartbeat.check()
    for report in finetune.steps():
        heartbeat.note_cancel(progress.show(report))
        is_last = report.step == report.num_steps
        try:
            heartbeat.check()
        except StopRequestedError:
            # If it cannot be stored now, the next worker resumes from the one before.
            _keep_checkpoint(finetune, spec, store, heartbeat)
            raise
        if report.step % checkpoint_steps == 0 and not is_last:
            _keep_checkpoint(finetune, spec, store, heartbeat)


def _keep_checkpoint(finetune: Finetune, spec: JobSpec, store: ObjectStore, heartbeat: Heartbeat) -> None:
    try:
        # A worker that was frozen past its lease must not put an old checkpoint over a newer one.
        heartbeat.renew()
        store.put(checkpoint_key(spec.job_id), finetune.checkpoint())
    except OUTAGES as error:
        _log.warning("checkpoint_not_kept", step=finetune.step, reason=str(error)[:300])
