"""Export a LoRA to peft: stock peft loads it onto a stock `transformers.CLIPModel`.

Source: peft 0.21, `LoraConfig`: with `use_rslora` the scaling is alpha / sqrt(rank), as ours.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors.torch import save
from torch import Tensor
from transformers.utils.logging import disable_progress_bar

from vtt_core.contract.errors import UnsupportedExportError
from vtt_core.contract.exports import Agreement, ExportKind
from vtt_core.exports.companions import scores_of_script, write_companions, write_head_and_script
from vtt_core.exports.origin import TRANSFORMERS_REPOSITORIES
from vtt_core.exports.source import ExportSource
from vtt_core.exports.transformers_clip import VISION, check_clip_model, write_clip_model
from vtt_core.lora.layers import PROJECTIONS, TowerLora

BASE_FOLDER = "base"
"""Holds a base that no repository has in this layout."""


def write_peft(source: ExportSource, folder: Path) -> tuple[Agreement, float]:
    """Write the folder, load it with stock peft, and return how well it agrees and the seconds that loading took.

    Raises:
        UnsupportedExportError: there is no LoRA, or `transformers.CLIPModel` cannot hold the backbone.
    """
    check_clip_model(source.backbone)
    _check_lora(source)
    disable_progress_bar()  # type: ignore[no-untyped-call]  # it would show a bar for the second that loading takes
    base = TRANSFORMERS_REPOSITORIES.get(source.backbone.backbone_id)
    lora = source.adapter.lora
    (folder / "adapter_model.safetensors").write_bytes(save(peft_tensors(lora), metadata={"format": "pt"}))
    config = peft_config(lora, base or BASE_FOLDER)
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    write_companions(source, ExportKind.PEFT, folder)
    write_head_and_script(source, "peft", folder)
    if base is None:
        write_clip_model(source.backbone, folder / BASE_FOLDER)
        scores_BR, seconds = scores_of_script(folder, source)
        return source.agreement(scores_BR), seconds
    with TemporaryDirectory() as temporary:  # the same weights as the repository's, without a download
        write_clip_model(source.backbone, Path(temporary))
        scores_BR, seconds = scores_of_script(folder, source, Path(temporary))
    return source.agreement(scores_BR), seconds


def peft_config(lora: TowerLora, base: str) -> dict[str, Any]:
    """Return peft's configuration of a LoRA on the vision tower's q, k and v.

    Args:
        lora: of the adapter.
        base: repository or folder of the base.
    """
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": base,
        "r": lora.rank,
        "lora_alpha": lora.scaling * math.sqrt(lora.rank),
        "use_rslora": True,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": rf"{VISION}\.encoder\.layers\.\d+\.self_attn\.({'|'.join(PROJECTIONS)})",
        "inference_mode": True,
    }


def peft_tensors(lora: TowerLora) -> dict[str, Tensor]:
    """Return the matrices of a LoRA by peft's names."""
    tensors = {}
    for name, matrix in lora.matrices().items():  # such as layers.0.q_proj.lora_A
        number, projection, which = name.removeprefix("layers.").split(".")
        module = f"base_model.model.{VISION}.encoder.layers.{number}.self_attn.{projection}"
        tensors[f"{module}.{which}.weight"] = matrix.detach().cpu().float().contiguous()
    return tensors


def _check_lora(source: ExportSource) -> None:
    adapter = source.adapter
    if adapter.lora.rank and adapter.prompts_JPW is None:
        return
    reason = "has visual prompts, which peft's LoRA has no place for" if adapter.prompts_JPW is not None else "has no LoRA"
    raise UnsupportedExportError(
        expected="an adapter with a LoRA on the vision tower, and nothing else there",
        got=f"one that {reason} (method {adapter.manifest.recipe.get('method')!r})",
        remedy="Export it as onnx, or adapt with --method clip-lora+vtt",
    )
