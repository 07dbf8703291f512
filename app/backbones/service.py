"""Tell where the weights of a backbone are, from what the live workers report."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.errors import QueueUnavailableError
from app.infra.workers import LiveWorker, WorkerRegistry
from vtt_core.contract.backbones import BackboneEntry, Weights, catalogue
from vtt_core.contract.errors import BackboneUnavailableError


def live_workers(registry: WorkerRegistry) -> list[LiveWorker]:
    """Return the live workers; none while the queue is away, which health reports."""
    try:
        return registry.live_workers()
    except QueueUnavailableError:
        return []


def weights_of(entry: BackboneEntry, workers: Sequence[LiveWorker]) -> Weights:
    """Return where the weights are."""
    if entry.is_bundled:
        return Weights.BUNDLED
    if not workers:
        return Weights.UNKNOWN
    return min((_weights_for(entry.backbone_id, worker) for worker in workers), key=list(Weights).index)


def check_reachable(registry: WorkerRegistry, backbone_id: str) -> None:
    """Refuse a backbone that no live worker has or can get.

    Raises:
        BackboneUnavailableError: every live worker reports that it has not and cannot.
    """
    entry = next((entry for entry in catalogue() if entry.backbone_id == backbone_id), None)
    if entry is None or entry.is_bundled:  # an id that is not in the catalogue is the operator's own default
        return
    workers = live_workers(registry)
    if weights_of(entry, workers) is Weights.OUT_OF_REACH:
        at_hand = [
            known.backbone_id for known in catalogue() if weights_of(known, workers) in (Weights.BUNDLED, Weights.CACHED)
        ]
        raise BackboneUnavailableError(
            expected=f"a backbone whose weights a worker has or can download, such as {', '.join(map(repr, at_hand[:5]))}",
            got=f"{backbone_id!r}, which no live worker has or can get",
            remedy="Choose one that GET /v1/backbones lists as bundled, cached or downloadable, or ask the operator"
            " to put its weights into the workers' cache (HF_HOME)",
        )


def _weights_for(backbone_id: str, worker: LiveWorker) -> Weights:
    if backbone_id in worker.cached_backbone_ids or backbone_id == worker.backbone_id:
        return Weights.CACHED
    is_out_of_reach = worker.is_offline or backbone_id in worker.failed_backbone_ids
    return Weights.OUT_OF_REACH if is_out_of_reach else Weights.DOWNLOADABLE
