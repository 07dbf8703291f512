"""Open the run of a job that adds classes to a model."""

from __future__ import annotations

from app.infra.object_store import ObjectStore
from vtt_core.adapter.files import MANIFEST_FILE, TENSORS_FILE, adapter_from_files
from vtt_core.adapter.new_head import NewHead
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.limits import Limits
from vtt_core.contract.support_set import SupportSet


def open_new_head(adapter_key: str, backbone: Backbone, support_set: SupportSet, store: ObjectStore, limits: Limits) -> NewHead:
    """Return the run on the tower of a model's adapter.

    Args:
        adapter_key: of the model.
        backbone: of the job.
        support_set: of the job.
        store: holds the adapter.
        limits: the bounds in force.

    Raises:
        BlobMissingError: the files of the model are gone: it was deleted in the meantime.
        VttError: as `NewHead`, and what reading an adapter raises.
    """
    keys = {name: f"{adapter_key}/{name}" for name in (MANIFEST_FILE, TENSORS_FILE)}
    blobs = store.get_many(keys.values())
    base = adapter_from_files({name: blobs[key] for name, key in keys.items()})
    return NewHead(backbone, base, support_set, limits)
