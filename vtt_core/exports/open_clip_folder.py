"""Export merged weights in open_clip's own layout, which `open_clip.create_model("local-dir:...")` loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save

from vtt_core.contract.errors import UnsupportedExportError
from vtt_core.contract.exports import Agreement, ExportKind
from vtt_core.contract.manifest import Preprocessing
from vtt_core.exports.companions import scores_of_script, write_companions, write_head_and_script
from vtt_core.exports.source import ExportSource

_NOT_OF_THE_MODEL = ("mean", "std")
"""Keys of our configurations that open_clip keeps apart from the model's."""


def write_open_clip(source: ExportSource, folder: Path) -> tuple[Agreement, float]:
    """Write the folder, load it with stock open_clip, and return how well it agrees and the seconds that loading took.

    Raises:
        UnsupportedExportError: the tower reads visual prompts, which open_clip's does not.
    """
    if source.adapter.prompts_JPW is not None:
        raise UnsupportedExportError(
            expected="an adapter whose vision tower reads nothing but the image",
            got="one with visual prompts (method 'maple'), which open_clip's tower does not read",
            remedy="Export it as onnx",
        )
    config = {
        "model_cfg": {key: value for key, value in source.backbone.config.items() if key not in _NOT_OF_THE_MODEL},
        "preprocess_cfg": preprocess_config(source.adapter.manifest.preprocessing),
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in source.merged.clip.state_dict().items()}
    (folder / "open_clip_model.safetensors").write_bytes(save(tensors, metadata={"format": "pt"}))
    write_companions(source, ExportKind.OPEN_CLIP, folder)
    write_head_and_script(source, "open_clip", folder)
    scores_BR, seconds = scores_of_script(folder, source)
    return source.agreement(scores_BR), seconds


def preprocess_config(preprocessing: Preprocessing) -> dict[str, Any]:
    """Return open_clip's words for our preprocessing."""
    return {
        "size": preprocessing.side_pixels,
        "mode": "RGB",
        "mean": list(preprocessing.mean),
        "std": list(preprocessing.std),
        "interpolation": preprocessing.interpolation,
        "resize_mode": preprocessing.resize,
    }
