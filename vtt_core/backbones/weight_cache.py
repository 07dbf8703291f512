"""Tell whether a published backbone's weights are cached on this machine. Nothing is loaded or downloaded."""

from __future__ import annotations

from huggingface_hub import constants, try_to_load_from_cache

from vtt_core.contract.backbones import BackboneEntry

WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
"""File names that open_clip looks for, in its order."""


def is_cached(entry: BackboneEntry) -> bool:
    """Return whether the weights are in the hub's cache (HF_HOME)."""
    if not entry.hub_path:
        return False
    repository, _, file_name = entry.hub_path.rpartition("/")
    names = (file_name.rsplit(".", 1)[0] + ".safetensors", file_name) if file_name else WEIGHT_FILES
    return any(isinstance(try_to_load_from_cache(repository, name), str) for name in names)


def is_offline() -> bool:
    """Return whether HF_HUB_OFFLINE forbids downloads."""
    return bool(constants.HF_HUB_OFFLINE)
