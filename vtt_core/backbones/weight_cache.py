"""Tell whether the weights of a published backbone are on this machine, without loading or downloading anything."""

from __future__ import annotations

from huggingface_hub import constants, try_to_load_from_cache

from vtt_core.contract.backbones import BackboneEntry

WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
"""Names that open_clip looks for in a repository, in its order."""


def is_cached(entry: BackboneEntry) -> bool:
    """Return whether the weights are in the hub's cache, which HF_HOME names."""
    if not entry.hub_path:
        return False
    repository, _, file_name = entry.hub_path.rpartition("/")
    names = (file_name.rsplit(".", 1)[0] + ".safetensors", file_name) if file_name else WEIGHT_FILES
    return any(isinstance(try_to_load_from_cache(repository, name), str) for name in names)


def is_offline() -> bool:
    """Return whether HF_HUB_OFFLINE forbids downloads."""
    return bool(constants.HF_HUB_OFFLINE)
