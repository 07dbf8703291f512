"""Read what a job that adds classes to a model starts from."""

from __future__ import annotations

from app.infra.object_store import ObjectStore
from vtt_core.adapter.files import MANIFEST_FILE, TENSORS_FILE, Adapter, adapter_from_files


def read_base(adapter_key: str, store: ObjectStore) -> Adapter:
    """Return the adapter of the model whose tower is taken.

    Args:
        adapter_key: of the model.
        store: holds the adapter.

    Raises:
        BlobMissingError: the files of the model are gone: it was deleted in the meantime.
        AdapterFormatError: they are no adapter.
    """
    keys = {name: f"{adapter_key}/{name}" for name in (MANIFEST_FILE, TENSORS_FILE)}
    blobs = store.get_many(keys.values())
    return adapter_from_files({name: blobs[key] for name, key in keys.items()})
